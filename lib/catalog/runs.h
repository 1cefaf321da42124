// Runs: trainings of one recipe on one snapshot, with their progress, checkpoints and uploads.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace bitfoundry::db {
struct Tx;
}

namespace bitfoundry::catalog {

struct Progress {
  int epoch = 0;  // completed
  int epochs = 0;
  int64_t step = 0;
  double loss = 0;            // mean of the epoch, nats
  double train_accuracy = 0;  // 0 to 1
  double images_per_second = 0;
  bool operator==(const Progress&) const = default;
};

struct Run {
  int64_t id = 0;
  int64_t project_id = 0;
  std::string project;
  std::string snapshot;  // digest
  std::string recipe_digest;
  std::string recipe_json;  // canonical
  std::string suite;        // digest; empty: none
  int64_t job_id = 0;
  std::optional<Progress> progress;  // as of the last heartbeat
  std::string artefact;              // digest; empty: none yet
};

class Runs {
 public:
  explicit Runs(db::Tx& tx) : tx_(tx) {}

  // Adds the run of `run.snapshot` and `run.recipe_digest`, or does nothing if there is one.
  // Returns its id.
  Result<int64_t> Add(const Run& run);

  // Errors: kNotFound, RUN_NOT_FOUND.
  Result<Run> Get(int64_t id);
  Result<Run> OfJob(int64_t job_id);

  // Newest first, with ids below `before` (0: from the newest); of every project if that is 0.
  Result<std::vector<Run>> List(int64_t project_id, int64_t before, int limit);

  Status AddProgress(int64_t run_id, int64_t lease_epoch, const Progress& progress);

  // A checkpoint after `step` batches. It replaces one of the same step: after a resumption that
  // has the same bytes, after a start anew it may have been the unfit one.
  Status AddCheckpoint(int64_t run_id, int64_t step, int64_t lease_epoch, const std::string& blob);

  // The blob of the checkpoint with the most steps; nothing if there is none.
  Result<std::optional<std::string>> NewestCheckpoint(int64_t run_id);

  Status AddUpload(int64_t job_id, int64_t lease_epoch, const std::string& digest, int64_t bytes);
  Result<bool> WasUploaded(int64_t job_id, int64_t lease_epoch, const std::string& digest);

 private:
  db::Tx& tx_;
};

}  // namespace bitfoundry::catalog
