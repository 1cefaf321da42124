#include "services/evaluator/desk.h"

#include <google/protobuf/util/json_util.h>

#include "base/digest.h"
#include "bitfoundry/v1/jobs.pb.h"
#include "catalog/artefacts.h"
#include "catalog/projects.h"
#include "catalog/runs.h"
#include "catalog/snapshots.h"
#include "catalog/suites.h"
#include "catalog/verdicts.h"
#include "jobs/queue.h"
#include "proof/signed_verdict.h"
#include "runtime/page.h"
#include "services/evaluator/fit.h"
#include "verdicts/judge.h"

namespace bitfoundry::evaluator {
namespace {

constexpr char kKind[] = "evaluate";
constexpr int64_t kMaxWaiting = 1000;
constexpr uint64_t kMaxRowsBytes = uint64_t{1} << 30;
constexpr uint64_t kMaxReportBytes = uint64_t{256} << 20;

std::string KeyOf(const v1::Evaluation& evaluation) {
  return std::string(kKind) + ":" + evaluation.artefact() + ":" + evaluation.suite() + ":" +
         evaluation.snapshot() + (evaluation.baseline().empty() ? "" : ":" + evaluation.baseline());
}

jobs::JobSpec JobOf(const v1::Evaluation& evaluation) {
  v1::EvaluateJob job;
  job.set_artefact(evaluation.artefact());
  job.set_suite(evaluation.suite());
  job.set_snapshot(evaluation.snapshot());
  job.set_baseline(evaluation.baseline());
  jobs::JobSpec spec;
  spec.kind = kKind;
  spec.unique_key = KeyOf(evaluation);
  BF_CHECK(google::protobuf::util::MessageToJsonString(job, &spec.payload_json).ok());
  return spec;
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
  BF_TRY(verdicts::ParseSuite(request.suite_yaml(), kept.name()));
  BF_TRY(database_.Transact([&](db::Tx& tx) {
    return catalog::Suites(tx).Add({kept.digest(), kept.name(), request.suite_yaml()});
  }));
  return kept;
}

Result<v1::Evaluation> Desk::Create(const v1::CreateEvaluationRequest& request) {
  const std::string file = request.suite_name().empty() ? "suite.yaml" : request.suite_name();
  const verdicts::Suite suite = BF_TRY(verdicts::ParseSuite(request.suite_yaml(), file));

  v1::Evaluation evaluation;
  evaluation.set_suite(Sha256(request.suite_yaml()));
  BF_TRY(database_.Transact([&](db::Tx& tx) -> Status {
    const auto artefact = BF_TRY(catalog::Artefacts(tx).Get(request.artefact()));
    evaluation.set_artefact(artefact.digest);
    evaluation.set_snapshot(request.snapshot().empty() ? artefact.snapshot : request.snapshot());
    if (!request.baseline().empty()) {
      const auto baseline = BF_TRY(catalog::Artefacts(tx).Get(request.baseline()));
      evaluation.set_baseline(baseline.digest);
    }
    const auto snapshot = BF_TRY(catalog::Snapshots(tx).Get(evaluation.snapshot()));
    if (snapshot.project_id == artefact.project_id) return Status();
    return Status(
        Code::kFailedPrecondition, "MODEL_DOES_NOT_FIT",
        "the artefact is of project " + artefact.project + ", the snapshot of " + snapshot.project);
  }));

  const std::string rows = BF_TRY(store_.Get(evaluation.snapshot(), kMaxRowsBytes));
  const snapshot::Snapshot data = BF_TRY(snapshot::DecodeRows(rows));
  BF_TRY(verdicts::CheckNames(suite, verdicts::VocabularyOf(data, verdicts::TestRows(data))));
  BF_TRY(CheckFit(store_, evaluation, data));

  BF_TRY(database_.Transact([&](db::Tx& tx) -> Status {
    BF_TRY(catalog::Suites(tx).Add({evaluation.suite(), file, request.suite_yaml()}));
    jobs::Queue queue(tx);
    BF_TRY(queue.CheckRoom(kKind, kMaxWaiting));
    return queue.Enqueue(JobOf(evaluation)).status();
  }));
  doorbell_.Ring(kKind);
  return evaluation;
}

Result<v1::GetVerdictResponse> Desk::Get(const v1::GetVerdictRequest& request) {
  return database_.Transact([&](db::Tx& tx) -> Result<v1::GetVerdictResponse> {
    const auto artefact = BF_TRY(catalog::Artefacts(tx).Get(request.artefact()));
    const auto run = BF_TRY(catalog::Runs(tx).Get(artefact.run_id));
    v1::Evaluation asked;
    asked.set_artefact(artefact.digest);
    asked.set_suite(request.suite().empty() ? run.suite : request.suite());
    asked.set_snapshot(request.snapshot().empty() ? artefact.snapshot : request.snapshot());
    // Before the verdict: of an evaluation that was done by now, it is there.
    const auto job = jobs::Queue(tx).State(KeyOf(asked));

    v1::GetVerdictResponse response;
    auto verdict =
        BF_TRY(catalog::Verdicts(tx).Newest(artefact.digest, request.suite(), request.snapshot()));
    if (verdict) {
      response.set_state(v1::GetVerdictResponse::DONE);
      *response.mutable_verdict() = *std::move(verdict);
      return response;
    }
    if (!job.ok()) {
      return Status(Code::kNotFound, "VERDICT_NOT_FOUND",
                    "no such evaluation of artefact " + artefact.digest + " was ever asked for");
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
                  "verdict " + std::to_string(request.verdict_id()) +
                      " is not signed: bf-evaluator had no --signing-key when it was given");
  }
  std::string bundle = BF_TRY(store_.Get(verdict.envelope(), proof::kMaxBundleBytes));
  if (request.digest().empty()) return bundle;
  for (const proof::Exhibit& exhibit : BF_TRY(proof::OpenUnchecked(bundle)).exhibits) {
    if (exhibit.sha256 == request.digest()) return proof::ReadExhibit(store_, exhibit);
  }
  return Status(Code::kNotFound, "EXHIBIT_MISSING", "the verdict does not rest on that digest");
}

}  // namespace bitfoundry::evaluator
