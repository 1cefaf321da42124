#include "verdicts/evaluate.h"

#include <algorithm>
#include <cmath>
#include <set>
#include <thread>

#include "base/digest.h"
#include "emulate/emulate.h"
#include "packed/engine.h"
#include "packed/interpreter.h"
#include "saliency/saliency.h"

namespace bitfoundry::verdicts {
namespace {

constexpr size_t kImagesAtOnce = 64;
constexpr size_t kImagesTried = 64;  // whether a transform changes them

// Calls work(share, shares) in as many threads.
template <typename Work>
Status InShares(int threads, Work work) {
  const auto shares = static_cast<size_t>(std::max(1, threads));
  std::vector<Status> statuses(shares);
  {
    std::vector<std::jthread> workers;
    for (size_t k = 0; k < shares; ++k) {
      workers.emplace_back([&, k] { statuses[k] = work(k, shares); });
    }
  }
  for (const Status& status : statuses) BF_TRY(status);
  return Status();
}

// The class that a network says of each row, transformed.
Result<std::vector<size_t>> Predict(const packed::Network& network, const Evidence& evidence,
                                    const Transform& transform, const Options& options,
                                    const std::stop_token& stop) {
  if (options.run_elsewhere) {
    return options.run_elsewhere(network, evidence.data, evidence.rows, transform, stop);
  }
  std::vector<size_t> predictions(evidence.rows.size());
  BF_TRY(InShares(options.threads, [&](size_t share, size_t shares) -> Status {
    packed::Engine engine = BF_TRY(packed::Engine::Make(network, {.cpu = options.cpu}));
    const size_t classes = engine.class_count();
    std::vector<uint8_t> images;
    std::vector<int32_t> logits;
    for (size_t first = share * kImagesAtOnce; first < predictions.size();
         first += shares * kImagesAtOnce) {
      if (stop.stop_requested()) return Status(Code::kCancelled, "stopped in the middle");
      const size_t count = std::min(kImagesAtOnce, predictions.size() - first);
      images.clear();
      for (size_t i = first; i < first + count; ++i) {
        const size_t row = evidence.rows[i];
        const auto image = Apply(transform, evidence.data, row);
        images.insert(images.end(), image.begin(), image.end());
      }
      logits.resize(count * classes);
      BF_TRY(engine.RunBatch(images, logits));
      for (size_t i = 0; i < count; ++i) {
        predictions[first + i] =
            packed::Winner(std::span<const int32_t>(logits).subspan(i * classes, classes));
      }
    }
    return Status();
  }));
  return predictions;
}

// The places of a test's slice; none if the data lack what it names.
std::vector<size_t> MembersOf(const Suite& suite, const DataTest& test, const Evidence& evidence,
                              const slices::Columns& columns) {
  const slices::Expression& slice = suite.slices[test.slice].expression;
  if (!slice.Check(columns.Names()).ok()) return {};
  return slice.Select(columns, evidence.predictions.at("")).Rows();
}

// Whether a transform changes half of the images that are tried, spread over all at these places,
// by half a level or more on average: what a rounding takes back, like gamma(1.001), any model
// would stand.
bool Changes(const Transform& transform, const Evidence& evidence, std::span<const size_t> places) {
  const size_t step = std::max<size_t>(1, places.size() / kImagesTried);
  size_t tried = 0, changed = 0;
  for (size_t i = 0; i < places.size(); i += step, ++tried) {
    const size_t row = evidence.rows[places[i]];
    const auto before = evidence.data.Image(row);
    const auto after = Apply(transform, evidence.data, row);
    size_t levels = 0;
    for (size_t k = 0; k < after.size(); ++k) {
      levels += static_cast<size_t>(std::abs(int{after[k]} - int{before[k]}));
    }
    changed += 2 * levels >= after.size() ? 1 : 0;
  }
  return 2 * changed >= tried;
}

// The tests that need a transform which the model cannot be asked about.
void LeaveOut(const Suite& suite, const Transform& transform, const std::string& why,
              Evidence& evidence) {
  for (const DataTest& test : suite.tests) {
    const bool needs = std::any_of(test.transforms.begin(), test.transforms.end(),
                                   [&](const auto& t) { return t.text == transform.text; });
    if (needs) evidence.unanswered[test.id] = why;
  }
}

// The tests of what only packed bytes have.
void LeaveOutPacked(const Suite& suite, Evidence& evidence) {
  for (const DataTest& test : suite.tests) {
    if (test.metric == Metric::kSaliencyInBox || test.kind == Kind::kFits ||
        test.kind == Kind::kSameBits) {
      evidence.unanswered[test.id] = "the model is not here, only its answers are";
    }
  }
}

// Leaves out the tests of a transform that hardly changes the images of their slice.
void CheckTransforms(const Suite& suite, Evidence& evidence) {
  if (std::ranges::all_of(suite.tests, &std::vector<Transform>::empty, &DataTest::transforms)) {
    return;
  }
  const slices::Columns columns = slices::Columns::Of(evidence.data, evidence.rows);
  for (const DataTest& test : suite.tests) {
    if (test.transforms.empty()) continue;
    const std::vector<size_t> members = MembersOf(suite, test, evidence, columns);
    for (const Transform& transform : test.transforms) {
      if (Changes(transform, evidence, members)) continue;
      evidence.unanswered[test.id] = transform.text + " hardly changes these images";
    }
  }
}

Status PredictAll(const Subject& subject, const Options& options, const std::stop_token& stop,
                  Evidence& evidence) {
  const auto predict = [&](const Transform& transform) {
    return subject.predictor ? subject.predictor(evidence.data, evidence.rows, transform, stop)
                             : Predict(subject.network, evidence, transform, options, stop);
  };
  evidence.predictions[""] = BF_TRY(predict(Transform()));
  CheckTransforms(subject.suite, evidence);
  std::set<std::string> asked;
  for (const DataTest& test : subject.suite.tests) {
    if (evidence.unanswered.contains(test.id)) continue;
    for (const Transform& transform : test.transforms) {
      if (!asked.insert(transform.text).second) continue;
      auto said = predict(transform);
      if (said.status().code() == Code::kUnimplemented) {
        LeaveOut(subject.suite, transform, said.status().message(), evidence);
        continue;
      }
      evidence.predictions[transform.text] = BF_TRY(std::move(said));
    }
  }
  evidence.has_baseline = !subject.baseline.empty();
  if (!evidence.has_baseline) return Status();
  evidence.baseline[""] =
      BF_TRY(Predict(subject.baseline_network, evidence, Transform(), options, stop));
  return Status();
}

// The rows that a test of saliency looks at: those of the slice that have a box, at most
// kMaxExplained of them, drawn by the digests of their names.
std::vector<size_t> RowsToExplain(const Subject& subject, const DataTest& test,
                                  const Evidence& evidence, const slices::Columns& columns) {
  std::vector<std::pair<std::string, size_t>> drawn;
  for (const size_t place : MembersOf(subject.suite, test, evidence, columns)) {
    const snapshot::Row& row = evidence.data.rows[evidence.rows[place]];
    if (BoxOf(row, subject.network.input)) drawn.emplace_back(Sha256(row.name), place);
  }
  std::sort(drawn.begin(), drawn.end());
  if (drawn.size() > kMaxExplained) drawn.resize(kMaxExplained);
  std::vector<size_t> places;
  for (const auto& [digest, place] : drawn) places.push_back(place);
  return places;
}

Status Explain(const Subject& subject, const Options& options, const std::stop_token& stop,
               Evidence& evidence) {
  std::vector<size_t> places;
  const slices::Columns columns = slices::Columns::Of(evidence.data, evidence.rows);
  for (const DataTest& test : subject.suite.tests) {
    if (test.metric != Metric::kSaliencyInBox) continue;
    const auto& more = evidence.explained[test.id] =
        RowsToExplain(subject, test, evidence, columns);
    places.insert(places.end(), more.begin(), more.end());
  }
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  if (places.empty()) return Status();

  const packed::Shape& input = subject.network.input;
  const saliency::OcclusionOptions occlusion = saliency::OcclusionFor(input);
  std::vector<double> shares(places.size());
  BF_TRY(InShares(options.threads, [&](size_t share, size_t all) -> Status {
    auto explainer = BF_TRY(saliency::Explainer::Make(subject.network, {.cpu = options.cpu}));
    for (size_t i = share; i < places.size(); i += all) {
      if (stop.stop_requested()) return Status(Code::kCancelled, "stopped in the middle");
      const size_t row = evidence.rows[places[i]];
      const auto label = static_cast<size_t>(evidence.data.rows[row].class_index);
      const auto map = BF_TRY(explainer.Occlusion(evidence.data.Image(row), label, occlusion));
      shares[i] = saliency::EnergyInside(map, *BoxOf(evidence.data.rows[row], input));
    }
    return Status();
  }));
  for (size_t i = 0; i < places.size(); ++i) evidence.in_box[places[i]] = shares[i];
  return Status();
}

// The least that a test lets the flash of this core's firmware take.
std::optional<uint64_t> FlashLimit(const Suite& suite, emulate::Core core) {
  std::optional<uint64_t> least;
  for (const DataTest& test : suite.tests) {
    const bool limits = test.kind == Kind::kFits && test.core == core;
    if (!limits || test.figure != Figure::kFlashBytes) continue;
    least = std::min(least.value_or(UINT64_MAX), static_cast<uint64_t>(test.limit));
  }
  return least;
}

// A firmware of the subject, with how `artefact pull` gives it, and what it took.
struct Built {
  std::string options;
  emulate::Prepared prepared;
  emulate::Report report;

  uint64_t flash_bytes() const { return report.runtime_bytes + report.model_bytes; }
};

Result<Built> Build(const Subject& subject, emulate::Core core,
                    const packed::FirmwareOptions& options, const std::string& in_words) {
  const emulate::Case only{subject.network, subject.golden};
  Built built;
  built.options = "--core " + std::string(emulate::Name(core)) + in_words;
  built.prepared = BF_TRY(emulate::Prepare(core, {only}, options));
  built.report = BF_TRY(emulate::Run(built.prepared));
  return built;
}

// A limit on flash is also the budget that kernels are chosen within: what is judged is the fastest
// firmware that fits, not the fastest that there is. The code of the kernels that were chosen
// counts too, and its size is known once it was built: what is over comes off the budget, and where
// that never suffices, one kernel for all layers takes the least code. Where nothing fits, the
// firmware without a budget shows it.
Result<Built> BuildWithin(const Subject& subject, emulate::Core core, uint64_t limit) {
  constexpr int kMostTries = 4;
  uint64_t budget = limit;
  for (int tries = 0; tries < kMostTries; ++tries) {
    auto built =
        Build(subject, core, {.flash_bytes = budget}, " --flash " + std::to_string(budget));
    if (built.status().reason() == "DOES_NOT_FIT") break;
    if (!built.ok() || built->flash_bytes() <= limit) return built;
    const uint64_t over = built->flash_bytes() - limit;
    const uint64_t left = limit - std::min(limit, built->report.runtime_bytes);
    budget = std::min(left, budget - std::min(budget, over));
  }
  for (const packed::Kernel kernel : {packed::Kernel::kLean, packed::Kernel::kRows}) {
    auto built =
        Build(subject, core, {.kernel = kernel}, " --kernel " + std::string(packed::Name(kernel)));
    if (!built.ok() || built->flash_bytes() <= limit) return built;
  }
  return Build(subject, core, packed::PublishedOptions(subject.network), "");
}

Emulated Emulate(const Subject& subject, emulate::Core core) {
  Emulated emulated;
  const auto limit = FlashLimit(subject.suite, core);
  const auto built = limit ? BuildWithin(subject, core, *limit)
                           : Build(subject, core, packed::PublishedOptions(subject.network), "");
  if (!built.ok()) {
    emulated.error = built.status().message();
    return emulated;
  }
  emulated.firmware = built->options;
  const emulate::NetworkRun& run = built->report.networks[0];
  uint64_t instructions = 0;
  for (const emulate::ImageRun& image : run.images) {
    instructions = std::max(instructions, image.instructions);
  }
  emulated.figures = {
      {Figure::kFlashBytes, static_cast<double>(built->flash_bytes())},
      {Figure::kArenaBytes, static_cast<double>(built->prepared.firmware[0].arena_bytes)},
      {Figure::kStackBytes, static_cast<double>(run.stack_bytes)},
      {Figure::kInstructions, static_cast<double>(instructions)}};
  const auto differences = emulate::Compare(built->prepared, built->report);
  emulated.images = static_cast<int32_t>(run.images.size());
  emulated.equal = emulated.images - static_cast<int32_t>(differences.size());
  if (!differences.empty()) {
    emulated.difference = "golden image " + std::to_string(differences[0].image) +
                          " gives another " + differences[0].where;
  }
  return emulated;
}

Status EmulateAll(const Subject& subject, const std::stop_token& stop, Evidence& evidence) {
  for (const DataTest& test : subject.suite.tests) {
    if (test.kind != Kind::kFits && test.kind != Kind::kSameBits) continue;
    if (evidence.cores.contains(test.core)) continue;
    if (stop.stop_requested()) return Status(Code::kCancelled, "stopped in the middle");
    evidence.cores[test.core] = Emulate(subject, test.core);
  }
  return Status();
}

}  // namespace

std::optional<saliency::Box> BoxOf(const snapshot::Row& row, const packed::Shape& input) {
  double edges[4];
  const char* const names[4] = {"box_left", "box_top", "box_right", "box_bottom"};
  for (size_t i = 0; i < 4; ++i) {
    const auto found = row.attributes.find(names[i]);
    if (found == row.attributes.end()) return std::nullopt;
    const double side = i % 2 == 0 ? input.width : input.height;
    edges[i] = std::clamp(std::round(found->second * side), 0.0, side);
  }
  if (edges[2] <= edges[0] || edges[3] <= edges[1]) return std::nullopt;
  const auto whole = [](double v) { return static_cast<uint32_t>(v); };
  return saliency::Box{whole(edges[0]), whole(edges[1]), whole(edges[2] - edges[0]),
                       whole(edges[3] - edges[1])};
}

Status CheckFit(const packed::Network& network, const packed::Provenance& provenance,
                const snapshot::Snapshot& data) {
  const packed::Shape input{static_cast<uint32_t>(data.height), static_cast<uint32_t>(data.width),
                            static_cast<uint32_t>(data.channels)};
  if (network.input == input && provenance.classes == data.classes) return Status();
  const auto words = [](const packed::Shape& shape, const std::vector<std::string>& classes) {
    std::string text = std::to_string(shape.height) + "x" + std::to_string(shape.width) + "x" +
                       std::to_string(shape.channels) + " images of";
    for (const std::string& name : classes) text += " '" + name + "'";
    return text;
  };
  return Status(Code::kFailedPrecondition, "MODEL_DOES_NOT_FIT",
                "the model takes " + words(network.input, provenance.classes) + ", snapshot of " +
                    data.project + " has " + words(input, data.classes) +
                    ": evaluate the model on a snapshot of the project it was made for");
}

Result<Evaluated> Evaluate(const Subject& subject, const Circumstances& circumstances,
                           const Options& options, const std::stop_token& stop) {
  Evaluated evaluated{{}, {}, {subject.data, TestRows(subject.data), {}}};
  Evidence& evidence = evaluated.evidence;
  BF_TRY(PredictAll(subject, options, stop, evidence));
  if (subject.predictor) {
    LeaveOutPacked(subject.suite, evidence);
  } else {
    BF_TRY(Explain(subject, options, stop, evidence));
    BF_TRY(EmulateAll(subject, stop, evidence));
  }
  evaluated.tests = Judge(subject.suite, evidence, circumstances);

  v1::Verdict& verdict = evaluated.verdict;
  verdict.set_artefact(subject.artefact);
  verdict.set_suite(subject.suite_digest);
  verdict.set_suite_name(subject.suite_name);
  verdict.set_snapshot(subject.snapshot);
  verdict.set_project(subject.data.project);
  verdict.set_baseline(subject.baseline);
  verdict.set_date(circumstances.date);
  verdict.set_runtime(options.runtime);
  verdict.set_outcome(Overall(evaluated.tests));
  for (const Judged& test : evaluated.tests) *verdict.add_tests() = test.result;
  return evaluated;
}

}  // namespace bitfoundry::verdicts
