#include "services/evaluator/evaluation.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <chrono>

#include "base/log.h"
#include "bitfoundry/v1/jobs.pb.h"
#include "catalog/artefacts.h"
#include "catalog/snapshots.h"
#include "catalog/suites.h"
#include "catalog/verdicts.h"
#include "packed/bundle.h"
#include "packed/format.h"
#include "services/evaluator/report.h"

namespace bitfoundry::evaluator {
namespace {

constexpr uint64_t kMaxRowsBytes = uint64_t{1} << 30;
constexpr uint64_t kMaxPixelsBytes = uint64_t{4} << 30;
constexpr uint64_t kMaxGoldenBytes = uint64_t{64} << 20;

// The manifest names every other file of its artefact: nothing else has to be believed.
Result<packed::Manifest> ReadManifest(const blobs::Store& store, const std::string& artefact) {
  return packed::ParseManifest(BF_TRY(store.Get(artefact, packed::kMaxManifestBytes)));
}

Result<std::string> ReadFile(const blobs::Store& store, const packed::Manifest& manifest,
                             const std::string& name, uint64_t most) {
  const auto file = std::find_if(manifest.files.begin(), manifest.files.end(),
                                 [&](const auto& f) { return f.name == name; });
  if (file != manifest.files.end()) return store.Get(file->digest, most);
  return Status(Code::kInvalidArgument, "MISSING_FILE", "the artefact has no " + name);
}

}  // namespace

Result<packed::Network> EvaluateHandler::ReadNetwork(const packed::Manifest& manifest) const {
  const std::string bytes = BF_TRY(ReadFile(store_, manifest, "model.bnn", packed::kMaxModelBytes));
  return packed::Parse({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

Result<verdicts::Subject> EvaluateHandler::Read(const jobs::Lease& lease, std::string* date) const {
  v1::EvaluateJob job;
  if (!google::protobuf::util::JsonStringToMessage(lease.payload_json, &job).ok()) {
    return Status(Code::kInternal, "not an EvaluateJob: " + lease.payload_json);
  }
  verdicts::Subject subject;
  subject.artefact = job.artefact();
  subject.suite_digest = job.suite();
  subject.snapshot = job.snapshot();
  subject.baseline = job.baseline();
  catalog::Snapshot snapshot;
  BF_TRY(database_.Transact([&](db::Tx& tx) -> Status {
    const auto suite = BF_TRY(catalog::Suites(tx).Get(job.suite()));
    subject.suite_name = suite.name;
    subject.suite = BF_TRY(verdicts::ParseSuite(suite.yaml, suite.name));
    snapshot = BF_TRY(catalog::Snapshots(tx).Get(job.snapshot()));
    if (subject.baseline.empty() && subject.suite.NeedsBaseline()) {
      subject.baseline =
          BF_TRY(catalog::Verdicts(tx).Shipped(snapshot.project_id, subject.artefact));
    }
    *date = BF_TRY(catalog::Verdicts(tx).Today());
    return Status();
  }));

  const std::string rows = BF_TRY(store_.Get(job.snapshot(), kMaxRowsBytes));
  std::string pixels = BF_TRY(store_.Get(snapshot.pixels_digest, kMaxPixelsBytes));
  subject.data = BF_TRY(snapshot::Decode(rows, std::move(pixels)));

  const packed::Manifest manifest = BF_TRY(ReadManifest(store_, subject.artefact));
  subject.network = BF_TRY(ReadNetwork(manifest));
  BF_TRY(verdicts::CheckFit(subject.network, manifest.provenance, subject.data));
  subject.golden = BF_TRY(
      packed::ParseGolden(BF_TRY(ReadFile(store_, manifest, "golden.bin", kMaxGoldenBytes))));
  if (!subject.baseline.empty()) {
    const packed::Manifest before = BF_TRY(ReadManifest(store_, subject.baseline));
    subject.baseline_network = BF_TRY(ReadNetwork(before));
    const Status fits =
        verdicts::CheckFit(subject.baseline_network, before.provenance, subject.data);
    if (!fits.ok()) return fits.In("the baseline");
  }
  return subject;
}

Result<jobs::Write> EvaluateHandler::operator()(const jobs::Lease& lease,
                                                const std::stop_token& stop) const {
  verdicts::Circumstances circumstances;
  const verdicts::Subject subject = BF_TRY(Read(lease, &circumstances.date));
  Status counted;
  circumstances.evaluations = [&](const std::string& rows) -> int32_t {
    const auto count = database_.Transact(
        [&](db::Tx& tx) { return catalog::Verdicts(tx).CountJudged(rows, subject.artefact); });
    if (!count.ok()) counted = count.status();
    return count.ok() ? *count : 0;
  };
  const auto start = std::chrono::steady_clock::now();
  verdicts::Evaluated evaluated =
      BF_TRY(verdicts::Evaluate(subject, circumstances, {runtime_, threads_}, stop));
  BF_TRY(counted);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  Log(Level::kInfo, "evaluated",
      {{"artefact", subject.artefact},
       {"outcome", v1::Outcome_Name(evaluated.verdict.outcome())},
       {"samples", std::to_string(evaluated.evidence.rows.size())},
       {"tests", std::to_string(subject.suite.tests.size())},
       {"seconds", std::to_string(took.count())}});
  const Explanations explanations = BF_TRY(Explain(subject, evaluated, threads_, stop));
  evaluated.verdict.set_report(BF_TRY(store_.Put(RenderReport(subject, evaluated, explanations))));
  return jobs::Write(
      [on_verdict = on_verdict_, verdict = std::move(evaluated.verdict)](db::Tx& tx) -> Status {
        BF_TRY(catalog::Verdicts(tx).Add(verdict));
        on_verdict(verdict.outcome());
        return Status();
      });
}

}  // namespace bitfoundry::evaluator
