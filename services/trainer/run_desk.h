// Runs and artefacts for whoever wants a model. Knows no gRPC.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "blobs/store.h"
#include "catalog/artefacts.h"
#include "catalog/runs.h"
#include "jobs/queue.h"

namespace bitfoundry::db {
class Database;
}

namespace bitfoundry::trainer {

// A run and where its job stands.
struct RunState {
  catalog::Run run;
  jobs::JobState job;
};

class RunDesk {
 public:
  RunDesk(db::Database& database, const blobs::Store& store) : database_(database), store_(store) {}

  struct Wanted {
    std::string project;
    std::string snapshot;     // empty: the project's newest
    std::string recipe_json;  // empty: the default
    std::string suite;        // digest; empty: none
    int priority = 0;         // higher first
  };

  // Enqueues the run of that snapshot and recipe, or finds it.
  //
  // Errors: kNotFound for the project, the snapshot or the suite; kInvalidArgument BAD_RECIPE,
  // PRIORITY_INVALID, or SUITE_INVALID if the snapshot lacks what the suite names.
  Result<RunState> Create(Wanted wanted);

  // Errors: kNotFound.
  Result<RunState> Get(int64_t run_id);

  // Ends a run that waits or is being trained; one that was cancelled already stays so.
  //
  // Errors: kNotFound; kFailedPrecondition, RUN_ENDED.
  Result<RunState> Cancel(int64_t run_id);

  // Newest first, with ids below `before` (0: from the newest); of every project if that is empty.
  Result<std::vector<RunState>> List(const std::string& project, int64_t before, int limit);

  // Errors: those of catalog::Artefacts::Get.
  Result<catalog::Artefact> GetArtefact(const std::string& digest_or_prefix);
  Result<std::vector<catalog::Artefact>> ListArtefacts(const std::string& project, int64_t skip,
                                                       int limit);

 private:
  Result<std::string> CheckSuite(const Wanted& wanted);

  db::Database& database_;
  const blobs::Store& store_;
};

}  // namespace bitfoundry::trainer
