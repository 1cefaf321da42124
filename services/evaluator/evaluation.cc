#include "services/evaluator/evaluation.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/log.h"
#include "bitfoundry/v1/jobs.pb.h"
#include "catalog/artefacts.h"
#include "catalog/snapshots.h"
#include "catalog/suites.h"
#include "catalog/verdicts.h"
#include "packed/bundle.h"
#include "packed/engine.h"
#include "packed/format.h"
#include "services/evaluator/report.h"

namespace bitfoundry::evaluator {
namespace {

constexpr uint64_t kMaxRowsBytes = uint64_t{1} << 30;
constexpr uint64_t kMaxPixelsBytes = uint64_t{4} << 30;

// Every threads-th of `rows` from `first`: one thread's share.
Status PredictShare(const Subject& subject, const std::vector<size_t>& rows,
                    const verdicts::Transform& transform, size_t first, size_t threads,
                    const std::stop_token& stop, std::vector<size_t>& predictions) {
  packed::Engine engine = BF_TRY(packed::Engine::Make(subject.network));
  for (size_t i = first; i < rows.size(); i += threads) {
    if (stop.stop_requested()) return Status(Code::kCancelled, "stopped in the middle");
    const auto image =
        verdicts::Apply(transform, subject.data.rows[rows[i]].name, subject.data.Image(rows[i]));
    const auto logits = BF_TRY(engine.Run(image));
    predictions[i] = packed::Winner(logits);
  }
  return Status();
}

Result<std::vector<size_t>> Predict(const Subject& subject, const std::vector<size_t>& rows,
                                    const verdicts::Transform& transform, int threads,
                                    const std::stop_token& stop) {
  const auto shares = static_cast<size_t>(std::max(1, threads));
  std::vector<size_t> predictions(rows.size());
  std::vector<Status> statuses(shares);
  {
    std::vector<std::jthread> workers;
    for (size_t k = 0; k < shares; ++k) {
      workers.emplace_back([&, k] {
        statuses[k] = PredictShare(subject, rows, transform, k, shares, stop, predictions);
      });
    }
  }
  for (const Status& status : statuses) BF_TRY(status);
  return predictions;
}

Status CheckFit(const packed::Network& network, const packed::Provenance& provenance,
                const snapshot::Snapshot& data) {
  const packed::Shape input{static_cast<uint32_t>(data.height), static_cast<uint32_t>(data.width),
                            static_cast<uint32_t>(data.channels)};
  if (network.input == input && provenance.classes == data.classes) return Status();
  return Status(Code::kFailedPrecondition, "MODEL_DOES_NOT_FIT",
                "the model's input or classes are not those of the snapshot's project (" +
                    data.project + "): evaluate it on a snapshot of the project it was made for");
}

}  // namespace

Result<Evaluated> Evaluate(const Subject& subject, const std::string& runtime, int threads,
                           const std::stop_token& stop) {
  verdicts::Evidence evidence{subject.data, verdicts::TestRows(subject.data), {}};
  for (const verdicts::DataTest& test : subject.suite.tests) {
    auto& predictions = evidence.predictions[test.transform.text];
    if (!predictions.empty()) continue;
    predictions = BF_TRY(Predict(subject, evidence.rows, test.transform, threads, stop));
  }
  const std::vector<verdicts::Judged> judged = verdicts::Judge(subject.suite, evidence);

  Evaluated evaluated;
  v1::Verdict& verdict = evaluated.verdict;
  verdict.set_artefact(subject.artefact);
  verdict.set_suite(subject.suite_digest);
  verdict.set_suite_name(subject.suite_name);
  verdict.set_snapshot(subject.snapshot);
  verdict.set_project(subject.data.project);
  verdict.set_runtime(runtime);
  verdict.set_outcome(verdicts::Overall(judged));
  for (const verdicts::Judged& test : judged) *verdict.add_tests() = test.result;
  evaluated.report = RenderReport(verdict, subject.suite, judged, evidence);
  return evaluated;
}

Result<Subject> EvaluateHandler::Read(const jobs::Lease& lease) const {
  v1::EvaluateJob job;
  if (!google::protobuf::util::JsonStringToMessage(lease.payload_json, &job).ok()) {
    return Status(Code::kInternal, "not an EvaluateJob: " + lease.payload_json);
  }
  catalog::Suite suite;
  catalog::Snapshot snapshot;
  BF_TRY(database_.Transact([&](db::Tx& tx) -> Status {
    suite = BF_TRY(catalog::Suites(tx).Get(job.suite()));
    snapshot = BF_TRY(catalog::Snapshots(tx).Get(job.snapshot()));
    return Status();
  }));

  Subject subject;
  subject.artefact = job.artefact();
  subject.suite_digest = job.suite();
  subject.snapshot = job.snapshot();
  subject.suite_name = suite.name;
  subject.suite = BF_TRY(verdicts::ParseSuite(suite.yaml, suite.name));

  // The artefact's digest names its manifest, and the manifest names the model: nothing else has
  // to be believed.
  const std::string text = BF_TRY(store_.Get(job.artefact(), packed::kMaxManifestBytes));
  const packed::Manifest manifest = BF_TRY(packed::ParseManifest(text));
  const auto model = std::find_if(manifest.files.begin(), manifest.files.end(),
                                  [](const auto& file) { return file.name == "model.bnn"; });
  if (model == manifest.files.end()) {
    return Status(Code::kInvalidArgument, "MISSING_FILE", "the artefact has no model.bnn");
  }
  const std::string bytes = BF_TRY(store_.Get(model->digest, packed::kMaxModelBytes));
  subject.network =
      BF_TRY(packed::Parse({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));

  const std::string rows = BF_TRY(store_.Get(job.snapshot(), kMaxRowsBytes));
  std::string pixels = BF_TRY(store_.Get(snapshot.pixels_digest, kMaxPixelsBytes));
  subject.data = BF_TRY(snapshot::Decode(rows, std::move(pixels)));
  BF_TRY(CheckFit(subject.network, manifest.provenance, subject.data));
  return subject;
}

Result<jobs::Write> EvaluateHandler::operator()(const jobs::Lease& lease,
                                                const std::stop_token& stop) const {
  const Subject subject = BF_TRY(Read(lease));
  const auto start = std::chrono::steady_clock::now();
  Evaluated evaluated = BF_TRY(Evaluate(subject, runtime_, threads_, stop));
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  Log(Level::kInfo, "evaluated",
      {{"artefact", subject.artefact},
       {"outcome", v1::Outcome_Name(evaluated.verdict.outcome())},
       {"samples", std::to_string(verdicts::TestRows(subject.data).size())},
       {"tests", std::to_string(subject.suite.tests.size())},
       {"seconds", std::to_string(took.count())}});
  const std::string report = BF_TRY(store_.Put(evaluated.report));
  evaluated.verdict.set_report(report);
  return jobs::Write(
      [on_verdict = on_verdict_, verdict = std::move(evaluated.verdict)](db::Tx& tx) -> Status {
        BF_TRY(catalog::Verdicts(tx).Add(verdict));
        on_verdict(verdict.outcome());
        return Status();
      });
}

}  // namespace bitfoundry::evaluator
