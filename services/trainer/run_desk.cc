#include "services/trainer/run_desk.h"

#include <google/protobuf/util/json_util.h>

#include "base/digest.h"
#include "bitfoundry/v1/jobs.pb.h"
#include "bnn/recipe.h"
#include "catalog/projects.h"
#include "catalog/snapshots.h"
#include "catalog/suites.h"
#include "db/database.h"
#include "snapshot/snapshot.h"
#include "verdicts/judge.h"

namespace bitfoundry::trainer {
namespace {

// One training may take a day; a worker that is alone with it keeps it by its heartbeats.
constexpr std::chrono::hours kRunLimit{24};
constexpr int kMaxPriority = 1000;
constexpr uint64_t kMaxRowsBytes = uint64_t{1} << 30;

std::string PayloadOf(const catalog::Run& run) {
  v1::TrainJob job;
  job.set_snapshot(run.snapshot);
  job.set_recipe_digest(run.recipe_digest);
  std::string json;
  BF_CHECK(google::protobuf::util::MessageToJsonString(job, &json).ok());
  return json;
}

Result<catalog::Snapshot> SnapshotOf(db::Tx& tx, const catalog::Project& project,
                                     const std::string& digest) {
  if (digest.empty()) {
    const auto newest = BF_TRY(catalog::Snapshots(tx).List(project.id, 0, 1));
    if (!newest.empty()) return newest[0];
    return Status(
        Code::kNotFound, "SNAPSHOT_NOT_FOUND",
        "the project has no snapshot yet: run `bitfoundry snapshot " + project.name + "`");
  }
  const catalog::Snapshot snapshot = BF_TRY(catalog::Snapshots(tx).Get(digest));
  if (snapshot.project_id == project.id) return snapshot;
  return Status(Code::kNotFound, "SNAPSHOT_NOT_FOUND",
                "snapshot " + digest + " is of another project");
}

// The run is read after its job: one that was done by then has its artefact.
Result<RunState> StateOf(db::Tx& tx, int64_t run_id, int64_t job_id) {
  const jobs::JobState job = BF_TRY(jobs::Queue(tx).State(job_id));
  return RunState{BF_TRY(catalog::Runs(tx).Get(run_id)), job};
}

}  // namespace

// Not when the training is over. Returns the digest of the snapshot that the suite was held
// against.
Result<std::string> RunDesk::CheckSuite(const Wanted& wanted) {
  catalog::Suite kept;
  catalog::Snapshot snapshot;
  BF_TRY(database_.Transact([&](db::Tx& tx) -> Status {
    const catalog::Project project = BF_TRY(catalog::Projects(tx).Get(wanted.project));
    snapshot = BF_TRY(SnapshotOf(tx, project, wanted.snapshot));
    kept = BF_TRY(catalog::Suites(tx).Get(wanted.suite));
    return Status();
  }));
  const verdicts::Suite suite = BF_TRY(verdicts::ParseSuite(kept.yaml, kept.name));
  const std::string rows = BF_TRY(store_.Get(snapshot.digest, kMaxRowsBytes));
  const snapshot::Snapshot data = BF_TRY(snapshot::DecodeRows(rows));
  BF_TRY(verdicts::CheckNames(suite, verdicts::VocabularyOf(data, verdicts::TestRows(data))));
  return snapshot.digest;
}

Result<RunState> RunDesk::Create(Wanted wanted) {
  if (wanted.priority < -kMaxPriority || wanted.priority > kMaxPriority) {
    return Status(Code::kInvalidArgument, "PRIORITY_INVALID",
                  "priority is " + std::to_string(wanted.priority) + ", at most " +
                      std::to_string(kMaxPriority) + " either way");
  }
  const bnn::Recipe recipe = wanted.recipe_json.empty()
                                 ? bnn::DefaultRecipe()
                                 : BF_TRY(bnn::ParseRecipe(wanted.recipe_json));
  if (!wanted.suite.empty()) wanted.snapshot = BF_TRY(CheckSuite(wanted));
  return database_.Transact([&](db::Tx& tx) -> Result<RunState> {
    const catalog::Project project = BF_TRY(catalog::Projects(tx).Get(wanted.project));
    BF_TRY(bnn::SummedPixels(recipe, project.height, project.width, project.channels).status());
    const catalog::Snapshot snapshot = BF_TRY(SnapshotOf(tx, project, wanted.snapshot));

    catalog::Run run{.project_id = project.id,
                     .snapshot = snapshot.digest,
                     .recipe_json = bnn::CanonicalJson(recipe),
                     .suite = wanted.suite};
    run.recipe_digest = Sha256(run.recipe_json);
    run.job_id = BF_TRY(
        jobs::Queue(tx).Enqueue({.kind = "train",
                                 .payload_json = PayloadOf(run),
                                 .unique_key = "train:" + run.snapshot + ":" + run.recipe_digest,
                                 .priority = wanted.priority,
                                 .run_limit = kRunLimit}));
    const int64_t id = BF_TRY(catalog::Runs(tx).Add(run));
    return StateOf(tx, id, run.job_id);
  });
}

Result<RunState> RunDesk::Get(int64_t run_id) {
  return database_.Transact([&](db::Tx& tx) -> Result<RunState> {
    return StateOf(tx, run_id, BF_TRY(catalog::Runs(tx).Get(run_id)).job_id);
  });
}

Result<RunState> RunDesk::Cancel(int64_t run_id) {
  return database_.Transact([&](db::Tx& tx) -> Result<RunState> {
    const int64_t job_id = BF_TRY(catalog::Runs(tx).Get(run_id)).job_id;
    const bool ended_now = BF_TRY(jobs::Queue(tx).Cancel(job_id, "CANCELLED: by CancelRun"));
    RunState run = BF_TRY(StateOf(tx, run_id, job_id));
    if (ended_now || run.job.state == "cancelled") return run;
    return Status(
        Code::kFailedPrecondition, "RUN_ENDED",
        "run " + std::to_string(run_id) + " is " + run.job.state + ": there is nothing to cancel");
  });
}

Result<std::vector<RunState>> RunDesk::List(const std::string& project, int64_t before, int limit) {
  return database_.Transact([&](db::Tx& tx) -> Result<std::vector<RunState>> {
    const int64_t of = project.empty() ? 0 : BF_TRY(catalog::Projects(tx).Get(project)).id;
    std::vector<RunState> states;
    for (const catalog::Run& run : BF_TRY(catalog::Runs(tx).List(of, before, limit))) {
      states.push_back(BF_TRY(StateOf(tx, run.id, run.job_id)));
    }
    return states;
  });
}

Result<catalog::Artefact> RunDesk::GetArtefact(const std::string& digest_or_prefix) {
  return database_.Transact(
      [&](db::Tx& tx) { return catalog::Artefacts(tx).Get(digest_or_prefix); });
}

Result<std::vector<catalog::Artefact>> RunDesk::ListArtefacts(const std::string& project,
                                                              int64_t skip, int limit) {
  return database_.Transact([&](db::Tx& tx) -> Result<std::vector<catalog::Artefact>> {
    const catalog::Project found = BF_TRY(catalog::Projects(tx).Get(project));
    return catalog::Artefacts(tx).List(found.id, skip, limit);
  });
}

}  // namespace bitfoundry::trainer
