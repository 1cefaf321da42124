// One IngestImages call: the state between its messages. Knows the protos, not gRPC.
#pragma once

#include <optional>
#include <string>

#include "bitfoundry/v1/ingestion.pb.h"
#include "services/ingestion/intake.h"

namespace bitfoundry::ingestion {

inline constexpr int kMaxBatch = 1000;              // images in a call
inline constexpr size_t kMaxChunkBytes = 1u << 20;  // of an image or a video, in one message

// The capture that `message` states, with its project.
//
// Errors: those of Check(Capture) and Projects::Get.
Result<Capture> ReadCapture(db::Database& database, const v1::Capture& message);

// The answer that `request_id` got before, if there is one. Errors: those of catalog::Once.
Result<std::optional<std::string>> AnsweredBefore(db::Database& database,
                                                  const std::string& request_id,
                                                  const std::string& method);

// Keeps `answer` for `request_id`; returns it, or the one that a call beside this one gave first.
Result<std::string> Remember(db::Database& database, const std::string& request_id,
                             const std::string& method, const std::string& answer);

class Batch {
 public:
  Batch(db::Database& database, Intake& intake) : database_(database), intake_(intake) {}

  // Takes the next message. A bad image is noted and the next one is looked at; an error ends the
  // call.
  //
  // Errors:
  //   kInvalidArgument    STREAM_ORDER, CHUNK_TOO_LARGE, BATCH_TOO_LARGE (over kMaxBatch images),
  //                       STREAM_CUT (the end counts other images), or the capture is wrong
  //   kNotFound           no such project
  //   kResourceExhausted  QUEUE_FULL
  Status Add(const v1::IngestImagesRequest& message);

  // True once the answer is known without the rest: this request_id was answered before.
  bool answered() const { return answered_.has_value(); }

  // Call once, last. Nothing is remembered, and the image that is open is not taken, if no end has
  // come: STREAM_CUT. Other errors are those of Add.
  Result<v1::IngestImagesResponse> Finish();

 private:
  Status Open(const v1::Capture& capture);
  Status Close();  // the image that is open, if one is
  Result<Counts> Take(const v1::ImageStart& start);

  db::Database& database_;
  Intake& intake_;
  std::string request_id_;
  std::string asked_;  // with it
  std::optional<Capture> capture_;
  std::optional<v1::IngestImagesResponse> answered_;
  std::optional<v1::ImageStart> image_;  // open: its bytes are arriving
  std::string bytes_;                    // cut off one byte past the limit
  int images_ = 0;
  bool ended_ = false;
  v1::IngestImagesResponse response_;
};

}  // namespace bitfoundry::ingestion
