#include "services/evaluator/evaluation.h"

#include <google/protobuf/util/json_util.h>

#include <chrono>

#include "base/log.h"
#include "bitfoundry/v1/jobs.pb.h"
#include "catalog/remote_models.h"
#include "catalog/snapshots.h"
#include "catalog/suites.h"
#include "catalog/verdicts.h"
#include "proof/signed_verdict.h"
#include "services/evaluator/report.h"

namespace bitfoundry::evaluator {

Result<EvaluateHandler::Case> EvaluateHandler::Read(const jobs::Lease& lease) const {
  v1::EvaluateJob job;
  if (!google::protobuf::util::JsonStringToMessage(lease.payload_json, &job).ok()) {
    return Status(Code::kInternal, "not an EvaluateJob: " + lease.payload_json);
  }
  const bool is_remote = !job.remote_model().empty();
  Case read;
  read.replaces = job.replaces();
  proof::Names names{is_remote ? job.remote_model() : job.artefact(), job.suite(), "",
                     job.snapshot(), job.baseline()};
  std::string yaml;
  BF_TRY(database_.Transact([&](db::Tx& tx) -> Status {
    const auto suite = BF_TRY(catalog::Suites(tx).Get(job.suite()));
    names.suite_name = suite.name;
    yaml = suite.yaml;
    const auto parsed = BF_TRY(verdicts::ParseSuite(yaml, suite.name));
    if (names.baseline.empty() && !job.first_release() && parsed.NeedsBaseline()) {
      const auto snapshot = BF_TRY(catalog::Snapshots(tx).Get(job.snapshot()));
      names.baseline =
          BF_TRY(catalog::Verdicts(tx).Shipped(snapshot.project_id, parsed.name, names.artefact));
    }
    if (is_remote) read.remote = BF_TRY(catalog::RemoteModels(tx).Get(job.remote_model()));
    read.date = BF_TRY(catalog::Verdicts(tx).Today());
    return Status();
  }));
  BF_TRY(store_.Put(yaml));  // beside all else that the verdict rests on
  if (is_remote) {
    read.subject = BF_TRY(proof::ReadQuestion(store_, names));
    read.subject.predictor = servers_.Ask(read.remote, *read.unsure);
  } else {
    proof::Case packed = BF_TRY(proof::ReadCase(store_, names));
    read.subject = std::move(packed.subject);
    read.exhibits = std::move(packed.exhibits);
  }
  return read;
}

Result<jobs::Write> EvaluateHandler::operator()(const jobs::Lease& lease,
                                                const std::stop_token& stop) const {
  const Case read = BF_TRY(Read(lease));
  const verdicts::Subject& subject = read.subject;
  verdicts::Circumstances circumstances{.date = read.date};
  Status counted;
  circumstances.evaluations = [&](const std::string& rows) -> int32_t {
    const auto count = database_.Transact(
        [&](db::Tx& tx) { return catalog::Verdicts(tx).CountJudged(rows, read.replaces); });
    if (!count.ok()) counted = count.status();
    return count.ok() ? *count : 0;
  };
  const auto start = std::chrono::steady_clock::now();
  verdicts::Evaluated evaluated =
      BF_TRY(verdicts::Evaluate(subject, circumstances, {runtime_, threads_}, stop));
  BF_TRY(counted);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  Log(Level::kInfo, "evaluated",
      {{"model", subject.artefact},
       {"outcome", v1::Outcome_Name(evaluated.verdict.outcome())},
       {"samples", std::to_string(evaluated.evidence.rows.size())},
       {"tests", std::to_string(subject.suite.tests.size())},
       {"seconds", std::to_string(took.count())}});
  if (subject.predictor) {
    evaluated.verdict.clear_artefact();
    *evaluated.verdict.mutable_remote_model() = read.remote;
    evaluated.verdict.set_unsure_answers(*read.unsure);
  }
  const Explanations explanations = BF_TRY(Explain(subject, evaluated, threads_, stop));
  evaluated.verdict.set_report(BF_TRY(store_.Put(RenderReport(subject, evaluated, explanations))));
  if (key_ && !subject.predictor) {  // what a server once answered, nobody can make again
    std::vector<proof::Exhibit> exhibits = read.exhibits;
    exhibits.push_back({proof::kReport, evaluated.verdict.report()});
    const std::string bundle = BF_TRY(proof::SignVerdict(evaluated.verdict, exhibits, *key_));
    evaluated.verdict.set_envelope(BF_TRY(store_.Put(bundle)));
  }
  evaluated.verdict.set_replaces(read.replaces);
  return jobs::Write(
      [on_verdict = on_verdict_, verdict = std::move(evaluated.verdict)](db::Tx& tx) -> Status {
        // There may be one: what is shipped can also be asked for by its digest, as another job.
        if (BF_TRY(catalog::Verdicts(tx).Add(verdict))) on_verdict(verdict.outcome());
        return Status();
      });
}

}  // namespace bitfoundry::evaluator
