// From received bytes to rows: checks, decodes, measures, stores, and opens what follows.
//
// Bytes before rows, and one transaction for each image or frame: the image, its samples with what
// was measured of them, and the job that labels it. So a crash leaves whole images or none, and the
// same call again adds what is missing: an image in a project is one sample however often it comes.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "blobs/store.h"
#include "catalog/projects.h"
#include "catalog/samples.h"
#include "db/database.h"
#include "jobs/doorbell.h"
#include "services/ingestion/video.h"
#include "services/ingestion/windows.h"

namespace bitfoundry::ingestion {

inline constexpr char kLabelJob[] = "label";

// What is true of every sample of one call.
struct Capture {
  catalog::Project project;
  catalog::Part part = catalog::Part::kTrain;
  std::string camera = "unknown";
  std::string session = "unknown";
  std::map<std::string, std::string> tags = {};
};

// Errors: kInvalidArgument: CAPTURE_INVALID, camera or session out of their limits; TAG_INVALID.
Status Check(const Capture& capture);

// What a person said of an image before it came here.
struct Said {
  int class_index = 0;
  std::string annotator;
};

struct Counts {
  int accepted = 0;    // new samples
  int duplicates = 0;  // samples that were there already
  int ignored = 0;     // of these: differ from what is stated of them now
  std::string reason;  // why the last of them was: STAYS, OTHER_PART
  std::string how;     // in words
};

// How far a video is.
struct Progress {
  int frames_done = 0;
  int frames_total = 0;
  int frames_stated = 0;  // by the file's header, in the range; 0: it states none
  Counts counts;
};

// Thread-safe.
class Intake {
 public:
  // max_waiting  label jobs: when so many are ready, nothing more is taken that needs one
  Intake(db::Database& database, const blobs::Store& store, jobs::Doorbell& doorbell,
         int64_t max_waiting)
      : database_(database), store_(store), doorbell_(doorbell), max_waiting_(max_waiting) {}

  // Takes an image, or a window of it. What a person said becomes an answer, and such an image
  // needs no label job. If people disagree, another is asked.
  //
  // Errors:
  //   kInvalidArgument    the image is bad, see images/codec.h; or WINDOW_OUTSIDE
  //   kAlreadyExists      ANSWERED_BEFORE: the person said something else of it before
  //   kResourceExhausted  QUEUE_FULL
  //   and those of the database and the store
  Result<Counts> TakeImage(const Capture& capture, std::string_view bytes,
                           const std::optional<catalog::Window>& window,
                           const std::optional<Said>& said);

  // Takes the frames of a video file, each as a PNG: its windows if there is a plan (none for a
  // frame too small), else the frame. `tell` hears of every frame; an error of it ends the call.
  //
  // Errors: those of ForEachFrame, CheckPlan and TakeImage.
  Result<Counts> TakeVideo(const Capture& capture, const std::string& path, const FrameRange& range,
                           const std::optional<WindowPlan>& plan,
                           const std::function<Status(const Progress&)>& tell);

 private:
  struct Picture;
  Result<Counts> Write(const Capture& capture, const Picture& picture);

  db::Database& database_;
  const blobs::Store& store_;
  jobs::Doorbell& doorbell_;
  const int64_t max_waiting_;
};

}  // namespace bitfoundry::ingestion
