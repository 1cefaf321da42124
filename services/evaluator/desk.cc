#include "services/evaluator/desk.h"

#include <algorithm>

#include "base/digest.h"
#include "catalog/artefacts.h"
#include "catalog/projects.h"
#include "catalog/remote_models.h"
#include "catalog/runs.h"
#include "catalog/snapshots.h"
#include "catalog/suites.h"
#include "catalog/verdicts.h"
#include "jobs/queue.h"
#include "jobs/shared.h"
#include "proof/signed_verdict.h"
#include "runtime/page.h"
#include "services/evaluator/board.h"
#include "services/evaluator/fit.h"
#include "verdicts/judge.h"

namespace bitfoundry::evaluator {
namespace {

constexpr int64_t kMaxWaiting = 1000;
constexpr uint64_t kMaxRowsBytes = uint64_t{1} << 30;
constexpr uint64_t kMaxReportBytes = uint64_t{256} << 20;

jobs::JobSpec JobOf(const v1::Evaluation& evaluation, bool first_release) {
  v1::EvaluateJob job;
  job.set_artefact(evaluation.artefact());
  job.set_suite(evaluation.suite());
  job.set_snapshot(evaluation.snapshot());
  job.set_baseline(evaluation.baseline());
  job.set_remote_model(evaluation.remote_model());
  job.set_first_release(first_release);
  job.set_replaces(evaluation.replaces());
  return jobs::EvaluateJob(job);
}

// What is evaluated if nothing else is said: an artefact by its run's suite on its snapshot.
Result<v1::Evaluation> ModelOf(db::Tx& tx, const std::string& digest_or_prefix) {
  v1::Evaluation evaluation;
  const auto artefact = catalog::Artefacts(tx).Get(digest_or_prefix);
  if (artefact.ok()) {
    evaluation.set_artefact(artefact->digest);
    evaluation.set_suite(BF_TRY(catalog::Runs(tx).Get(artefact->run_id)).suite);
    evaluation.set_snapshot(artefact->snapshot);
    return evaluation;
  }
  const auto remote = catalog::RemoteModels(tx).Get(digest_or_prefix);
  if (!remote.ok()) return artefact.status();
  evaluation.set_remote_model(remote->digest());
  return evaluation;
}

// Whether asking for an evaluation again has to judge again, rather than give what is there.
bool IsStale(const v1::Verdict& verdict, const std::string& runtime, const std::string& today) {
  if (verdict.runtime() != runtime) return true;
  return std::ranges::any_of(verdict.tests(), [&](const v1::TestResult& test) {
    return !test.waived_by().empty() && today > test.waived_until();
  });
}

v1::GetVerdictResponse::State StateOf(const std::string& job) {
  if (job == "ready") return v1::GetVerdictResponse::WAITING;
  if (job == "running") return v1::GetVerdictResponse::RUNNING;
  return job == "done" ? v1::GetVerdictResponse::DONE : v1::GetVerdictResponse::DEAD;
}

}  // namespace

Result<v1::Suite> Desk::KeepSuite(const v1::CreateSuiteRequest& request) {
  v1::Suite kept;
  kept.set_name(request.suite_name().empty() ? "suite.yaml" : request.suite_name());
  kept.set_digest(Sha256(request.suite_yaml()));
  const auto suite = BF_TRY(verdicts::ParseSuite(request.suite_yaml(), kept.name()));
  BF_TRY(database_.Transact([&](db::Tx& tx) {
    return catalog::Suites(tx).Add(
        {kept.digest(), kept.name(), request.suite_yaml(), suite.name, suite.version});
  }));
  return kept;
}

Status Desk::FindArtefact(const v1::CreateEvaluationRequest& request, v1::Evaluation* evaluation) {
  return database_.Transact([&](db::Tx& tx) -> Status {
    const auto artefact = BF_TRY(catalog::Artefacts(tx).Get(request.artefact()));
    evaluation->set_artefact(artefact.digest);
    evaluation->set_snapshot(request.snapshot().empty() ? artefact.snapshot : request.snapshot());
    const auto snapshot = BF_TRY(catalog::Snapshots(tx).Get(evaluation->snapshot()));
    if (snapshot.project_id == artefact.project_id) return Status();
    return Status(
        Code::kFailedPrecondition, "MODEL_DOES_NOT_FIT",
        "the artefact is of project " + artefact.project + ", the snapshot of " + snapshot.project);
  });
}

// Of a remote model; and for both, of whom it is held against.
Status Desk::FindSnapshot(const v1::CreateEvaluationRequest& request, v1::Evaluation* evaluation) {
  return database_.Transact([&](db::Tx& tx) -> Status {
    if (!request.baseline().empty()) {
      evaluation->set_baseline(BF_TRY(catalog::Artefacts(tx).Get(request.baseline())).digest);
      if (evaluation->baseline() == evaluation->artefact()) {
        return Status(Code::kInvalidArgument, "BASELINE_IS_CANDIDATE",
                      "a model held against itself loses nothing: name another baseline");
      }
    }
    if (!evaluation->artefact().empty()) return Status();
    const std::string& project = request.remote_model().project();
    if (!request.snapshot().empty()) {
      const auto snapshot = BF_TRY(catalog::Snapshots(tx).Get(request.snapshot()));
      evaluation->set_snapshot(snapshot.digest);
      if (project.empty() || project == snapshot.project) return Status();
      return Status(Code::kFailedPrecondition, "MODEL_DOES_NOT_FIT",
                    "the snapshot is of project " + snapshot.project + ", not of " + project);
    }
    if (project.empty()) {
      return Status(Code::kInvalidArgument, "REMOTE_MODEL",
                    "a remote model is of no project: say which, or name a snapshot");
    }
    const auto id = BF_TRY(catalog::Projects(tx).Get(project)).id;
    const auto newest = BF_TRY(catalog::Snapshots(tx).List(id, 0, 1));
    if (newest.empty()) {
      return Status(Code::kNotFound, "SNAPSHOT_NOT_FOUND",
                    "project " + project + " has no snapshot yet: `bitfoundry snapshot " + project +
                        "` makes one");
    }
    evaluation->set_snapshot(newest[0].digest);
    return Status();
  });
}

Result<v1::Evaluation> Desk::Create(const v1::CreateEvaluationRequest& request) {
  const std::string file = request.suite_name().empty() ? "suite.yaml" : request.suite_name();
  const verdicts::Suite suite = BF_TRY(verdicts::ParseSuite(request.suite_yaml(), file));

  v1::Evaluation evaluation;
  evaluation.set_suite(Sha256(request.suite_yaml()));
  if (!request.has_remote_model()) BF_TRY(FindArtefact(request, &evaluation));
  BF_TRY(FindSnapshot(request, &evaluation));

  const std::string rows = BF_TRY(store_.Get(evaluation.snapshot(), kMaxRowsBytes));
  const snapshot::Snapshot data = BF_TRY(snapshot::DecodeRows(rows));
  BF_TRY(verdicts::CheckNames(suite, verdicts::VocabularyOf(data, verdicts::TestRows(data))));
  v1::RemoteModel remote;
  if (request.has_remote_model()) remote = BF_TRY(servers_.Describe(request.remote_model(), data));
  BF_TRY(CheckFit(store_, evaluation, data));

  jobs::JobSpec job;
  BF_TRY(database_.Transact([&](db::Tx& tx) -> Status {
    if (request.has_remote_model()) {
      const auto project = BF_TRY(catalog::Projects(tx).Get(data.project));
      const auto known = BF_TRY(catalog::RemoteModels(tx).Add(project.id, remote));
      evaluation.set_remote_model(known.digest());
    }
    BF_TRY(catalog::Suites(tx).Add(
        {evaluation.suite(), file, request.suite_yaml(), suite.name, suite.version}));
    if (suite.NeedsBaseline() && evaluation.baseline().empty()) {
      const auto snapshot = BF_TRY(catalog::Snapshots(tx).Get(evaluation.snapshot()));
      evaluation.set_baseline(BF_TRY(
          catalog::Verdicts(tx).Shipped(snapshot.project_id, suite.name, evaluation.artefact())));
    }
    catalog::Verdicts verdicts(tx);
    const auto before =
        BF_TRY(verdicts.Newest(evaluation.artefact() + evaluation.remote_model(),
                               evaluation.suite(), evaluation.snapshot(), evaluation.baseline()));
    if (before && !IsStale(*before, runtime_, BF_TRY(verdicts.Today())) &&
        !BF_TRY(verdicts.IsOverdue(before->verdict_id()))) {
      return Status();
    }
    if (before) evaluation.set_replaces(before->verdict_id());
    jobs::Queue queue(tx);
    job = JobOf(evaluation, suite.NeedsBaseline() && evaluation.baseline().empty());
    BF_TRY(queue.CheckRoom(job.kind, kMaxWaiting));
    return queue.Enqueue(job).status();
  }));
  if (!job.kind.empty()) doorbell_.Ring(job.kind);
  return evaluation;
}

Result<v1::GetVerdictResponse> Desk::Get(const v1::GetVerdictRequest& request) {
  return database_.Transact([&](db::Tx& tx) -> Result<v1::GetVerdictResponse> {
    v1::Evaluation asked = BF_TRY(ModelOf(tx, request.artefact()));
    if (!request.suite().empty()) asked.set_suite(request.suite());
    if (!request.snapshot().empty()) asked.set_snapshot(request.snapshot());
    if (!request.baseline().empty()) {
      asked.set_baseline(BF_TRY(catalog::Artefacts(tx).Get(request.baseline())).digest);
    }
    asked.set_replaces(request.newer_than());
    std::optional<std::string> baseline;
    if (request.has_baseline()) baseline = asked.baseline();
    const std::string model = asked.artefact() + asked.remote_model();  // one of the two
    // Before the verdict: of an evaluation that was done by now, it is there.
    jobs::Queue queue(tx);
    auto job = queue.State(JobOf(asked, /*first_release=*/baseline == "").unique_key);
    if (!job.ok()) job = queue.State(JobOf(asked, /*first_release=*/false).unique_key);

    v1::GetVerdictResponse response;
    auto verdict = BF_TRY(catalog::Verdicts(tx).Newest(model, request.suite(), request.snapshot(),
                                                       baseline, request.newer_than()));
    if (verdict) {
      response.set_state(v1::GetVerdictResponse::DONE);
      *response.mutable_verdict() = *std::move(verdict);
      return response;
    }
    if (!job.ok()) {
      return Status(Code::kNotFound, "VERDICT_NOT_FOUND",
                    "no such evaluation of " + model + " was ever asked for");
    }
    response.set_state(StateOf(job->state));
    if (response.state() == v1::GetVerdictResponse::DEAD) response.set_error(job->last_error);
    return response;
  });
}

Result<v1::ListVerdictsResponse> Desk::List(const v1::ListVerdictsRequest& request) {
  const runtime::Page page = BF_TRY(runtime::ReadPage(request.page_size(), request.page_token()));
  return database_.Transact([&](db::Tx& tx) -> Result<v1::ListVerdictsResponse> {
    int64_t project_id = 0;
    if (!request.project().empty()) {
      project_id = BF_TRY(catalog::Projects(tx).Get(request.project())).id;
    }
    auto verdicts = BF_TRY(catalog::Verdicts(tx).List(project_id, page.cursor, page.limit + 1));
    v1::ListVerdictsResponse response;
    if (static_cast<int>(verdicts.size()) > page.limit) {
      verdicts.pop_back();
      response.set_next_page_token(runtime::NextPage(verdicts.back().verdict_id()));
    }
    for (auto& verdict : verdicts) *response.add_verdicts() = std::move(verdict);
    return response;
  });
}

Result<v1::Board> Desk::Board(const v1::GetBoardRequest& request) {
  return database_.Transact([&](db::Tx& tx) { return MakeBoard(tx, request); });
}

Result<std::string> Desk::Report(int64_t verdict_id) {
  const auto verdict =
      BF_TRY(database_.Transact([&](db::Tx& tx) { return catalog::Verdicts(tx).Get(verdict_id); }));
  return store_.Get(verdict.report(), kMaxReportBytes);
}

Result<std::string> Desk::Exhibit(const v1::ReadExhibitRequest& request) {
  const auto verdict = BF_TRY(database_.Transact(
      [&](db::Tx& tx) { return catalog::Verdicts(tx).Get(request.verdict_id()); }));
  if (verdict.envelope().empty()) {
    return Status(Code::kFailedPrecondition, "NOT_SIGNED",
                  "verdict " + std::to_string(request.verdict_id()) + " is not signed: " +
                      (verdict.has_remote_model()
                           ? "a remote model's answers cannot be made again, so that none is"
                           : "bf-evaluator had no --signing-key when it was given"));
  }
  std::string bundle = BF_TRY(store_.Get(verdict.envelope(), proof::kMaxBundleBytes));
  if (request.digest().empty()) return bundle;
  for (const proof::Exhibit& exhibit : BF_TRY(proof::OpenUnchecked(bundle)).exhibits) {
    if (exhibit.sha256 == request.digest()) return proof::ReadExhibit(store_, exhibit);
  }
  return Status(Code::kNotFound, "EXHIBIT_MISSING", "the verdict does not rest on that digest");
}

}  // namespace bitfoundry::evaluator
