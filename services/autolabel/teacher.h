// A large model, asked over the Open Inference Protocol v2. Any server will do that has the tensors
// of bf-teacher (services/teacher/inference_service.h).
//
// A call that fails for a passing reason is tried again after a random pause (full jitter). After
// several failures in a row the breaker opens: nobody calls, everybody waits, and now and then one
// asks ModelReady, which costs nothing, until the teacher is back. So an absent teacher stops the
// work and kills none of it.
#pragma once

#include <grpcpp/channel.h>
#include <prometheus/registry.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "base/status.h"
#include "images/image.h"
#include "inference/grpc_predict_v2.grpc.pb.h"
#include "services/autolabel/boxes.h"

namespace bitfoundry::autolabel {

inline constexpr size_t kMostTilesPerCall = 8;

struct TeacherOptions {
  std::string model = "centernet";
  std::string version = "";  // empty: the server's newest
  std::chrono::milliseconds call_limit{30'000};
  int most_tries = 4;                          // of one call
  std::chrono::milliseconds first_pause{200};  // at most this; twice as much after each failure
  std::chrono::milliseconds most_pause{5'000};
  int failures_to_open = 5;                   // in a row, of anybody's calls
  std::chrono::milliseconds open_for{5'000};  // between questions whether it is back
};

// Asked before each call: OK, or why it may not be made.
using Spend = std::function<Status()>;

// Thread-safe.
class Teacher {
 public:
  Teacher(std::shared_ptr<grpc::Channel> channel, TeacherOptions options,
          prometheus::Registry& metrics);

  // Which version answers: that of the options, else the newest that the server names.
  //
  // Errors: those of the transport, and
  //   kNotFound            the model or the version is not served
  //   kFailedPrecondition  TEACHER_TENSORS: its tensors are not those we speak; the message says
  //                        which and what was expected
  Result<std::string> Version();

  // The same, but waits until the teacher can be reached. Errors: also kCancelled, by `stop`.
  Result<std::string> AwaitVersion(const std::stop_token& stop);

  // The persons in each tile of an RGB image, in pixels of the tile, as `version` sees them. At
  // most kMostTilesPerCall tiles, all of one size.
  //
  // Errors: what `spend` returned, and
  //   kCancelled    `stop`
  //   kUnavailable  TEACHER_CHANGED: it answers as another version now
  //   kDataLoss     TEACHER_GARBAGE: an answer that is not what the protocol and the model promise
  //   of the call itself, after the last try
  Result<std::vector<std::vector<Box>>> Detect(const images::Image& image,
                                               const std::vector<Window>& tiles,
                                               const std::string& version, const Spend& spend,
                                               const std::stop_token& stop);

  const std::string& model() const { return options_.model; }

  // True while the breaker is open.
  bool open() const;

 private:
  using Clock = std::chrono::steady_clock;

  Result<inference::ModelInferResponse> Call(const inference::ModelInferRequest& request,
                                             const std::string& version);
  Status WaitUntilClosed(const std::stop_token& stop);
  void Record(const Status& outcome);
  void SetFailures(int failures);  // under mutex_
  bool IsBack();

  const TeacherOptions options_;
  const std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
  prometheus::Family<prometheus::Counter>& calls_;
  prometheus::Gauge& open_gauge_;

  mutable std::mutex mutex_;
  std::string version_;             // guarded by mutex_; empty: not known
  int failures_ = 0;                // guarded by mutex_; in a row; the breaker is open at the limit
  Clock::time_point ask_again_at_;  // guarded by mutex_; while open
};

// The boxes of an answer, checked: shape, size, finite, scores within 0 to 1, sides in order.
// Unused rows and other classes than persons are left out; what sticks out of a tile is clipped.
// Errors: kDataLoss, TEACHER_GARBAGE.
Result<std::vector<std::vector<Box>>> ReadDetections(const inference::ModelInferResponse& response,
                                                     size_t tiles, int width, int height);

}  // namespace bitfoundry::autolabel
