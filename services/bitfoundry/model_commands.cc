// train, cancel, models, artefact: from a snapshot to a model; inspect, run: the model, here and
// now.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/digest.h"
#include "bitfoundry/v1/evaluator.grpc.pb.h"
#include "bitfoundry/v1/trainer.grpc.pb.h"
#include "emulate/emulate.h"
#include "images/codec.h"
#include "images/image.h"
#include "packed/bundle.h"
#include "packed/engine.h"
#include "packed/firmware.h"
#include "packed/format.h"
#include "packed/plan.h"
#include "saliency/paint.h"
#include "saliency/surrogate.h"
#include "services/bitfoundry/cli.h"

namespace bitfoundry::cli {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr uint64_t kMaxArtefactBytes = 4 << 20;
constexpr uint64_t kMaxImageBytes = 16 << 20;
constexpr uint64_t kMaxTextBytes = 256 << 10;

struct TrainOptions {
  std::string project;
  std::string snapshot;
  std::string recipe;
  std::string suite;
  int priority = 0;
  bool watch = false;
};

bool HasEnded(const v1::Run& run) {
  return run.state() != v1::Run::WAITING && run.state() != v1::Run::RUNNING;
}

std::string Progress(const v1::Run& run) {
  char text[160];
  const v1::TrainProgress& p = run.progress();
  std::snprintf(text, sizeof text,
                "run %lld %s: epoch %d of %d, loss %.4f, train accuracy %.3f, %.0f images/s",
                static_cast<long long>(run.run_id()), v1::Run::State_Name(run.state()).c_str(),
                p.epoch(), p.epochs(), p.loss(), p.train_accuracy(), p.images_per_second());
  return text;
}

// Reads the stream of a run until the run has ended. A trainer that restarts is waited for.
Status Watch(v1::Trainer::Stub& stub, const Shell& shell, v1::Run& run) {
  v1::GetRunRequest request;
  request.set_run_id(run.run_id());
  std::string last;
  while (!HasEnded(run)) {
    const Status status = WhileUnavailable([&] {
      runtime::Call call(1h);
      const auto stream = stub.WatchRun(&call, request);
      while (stream->Read(&run)) {
        if (const std::string now = Progress(run); !shell.json && now != last) {
          std::printf("%s\n", now.c_str());
          std::fflush(stdout);
          last = now;
        }
      }
      return stream->Finish();
    });
    if (!status.ok() && status.code() != Code::kDeadlineExceeded) return status;
  }
  return Status();
}

// Gives the evaluator a suite to keep; returns its digest.
Result<std::string> KeepSuite(const Shell& shell, const std::string& path) {
  v1::CreateSuiteRequest request;
  request.set_suite_yaml(BF_TRY(ReadSuite(path)));
  request.set_suite_name(fs::path(path).filename().string());
  const auto stub = v1::Evaluator::NewStub(BF_TRY(shell.Door("evaluator")));
  v1::Suite suite;
  runtime::Call call;
  BF_TRY(runtime::FromGrpc(stub->CreateSuite(&call, request, &suite)));
  return suite.digest();
}

Result<int> Train(const Shell& shell, const TrainOptions& options) {
  v1::CreateRunRequest request;
  request.set_project(options.project);
  request.set_snapshot(options.snapshot);
  request.set_priority(options.priority);
  if (!options.recipe.empty()) {
    const Result<std::string> recipe = ReadText(options.recipe, kMaxTextBytes);
    if (!recipe.ok()) return recipe.status().In("--recipe takes a JSON file (docs/recipes.md)");
    request.set_recipe_json(*recipe);
  }
  if (!options.suite.empty()) request.set_suite(BF_TRY(KeepSuite(shell, options.suite)));
  const auto stub = v1::Trainer::NewStub(BF_TRY(shell.Door("trainer")));
  v1::Run run;
  runtime::Call call;
  BF_TRY(runtime::FromGrpc(stub->CreateRun(&call, request, &run)));
  if (options.watch) BF_TRY(Watch(*stub, shell, run));
  if (run.state() == v1::Run::DEAD) {
    return Status(Code::kInternal, "RUN_DEAD",
                  "run " + std::to_string(run.run_id()) + " was given up: " + run.error());
  }
  if (run.state() == v1::Run::CANCELLED) {
    return Status(Code::kCancelled, "RUN_CANCELLED",
                  "run " + std::to_string(run.run_id()) +
                      " was cancelled: `bitfoundry jobs redrive " + std::to_string(run.job_id()) +
                      "` takes it up again");
  }
  if (shell.json) {
    std::printf("%s\n", ToJson(run).c_str());
  } else if (run.state() == v1::Run::DONE) {
    std::printf("artefact %s\n", run.artefact().c_str());
  } else {
    std::printf("%s\n", Progress(run).c_str());
  }
  return kDone;
}

struct CancelOptions {
  int64_t run_id = 0;
};

Result<int> Cancel(const Shell& shell, const CancelOptions& options) {
  const auto stub = v1::Trainer::NewStub(BF_TRY(shell.Door("trainer")));
  v1::CancelRunRequest request;
  request.set_run_id(options.run_id);
  v1::Run run;
  BF_TRY(WhileUnavailable([&] {
    runtime::Call call;
    return stub->CancelRun(&call, request, &run);
  }));
  std::printf("%s\n", shell.json ? ToJson(run).c_str() : Progress(run).c_str());
  return kDone;
}

struct ModelsOptions {
  std::string project;
};

Result<int> ListModels(const Shell& shell, const ModelsOptions& options) {
  const auto stub = v1::Trainer::NewStub(BF_TRY(shell.Door("trainer")));
  v1::ListArtefactsRequest request;
  request.set_project(options.project);
  request.set_page_size(1000);
  v1::ListArtefactsResponse response;
  runtime::Call call;
  BF_TRY(runtime::FromGrpc(stub->ListArtefacts(&call, request, &response)));
  if (shell.json) {
    std::printf("%s\n", ToJson(response).c_str());
    return kDone;
  }
  std::vector<std::vector<std::string>> rows{{"artefact", "run", "snapshot", "model bytes"}};
  for (const v1::Artefact& artefact : response.artefacts()) {
    rows.push_back({artefact.digest(), std::to_string(artefact.run_id()),
                    artefact.snapshot().substr(0, 12), std::to_string(artefact.model_bytes())});
  }
  PrintTable(rows);
  return kDone;
}

struct FileOptions {
  std::string model;
  std::string image;
};

Result<packed::Network> Load(const std::string& path) {
  const std::string bytes = BF_TRY(ReadFile(path, kMaxArtefactBytes));
  return packed::Parse({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

std::string Text(const packed::Shape& shape) {
  return std::to_string(shape.height) + "x" + std::to_string(shape.width) + "x" +
         std::to_string(shape.channels);
}

Result<int> Inspect(const Shell& shell, const FileOptions& options) {
  const packed::Network network = BF_TRY(Load(options.model));
  const std::vector<packed::Layer> layers = BF_TRY(packed::Describe(network));
  const packed::Cost cost = packed::Sum(layers);
  const uint64_t arena_bytes = packed::PlanArena(layers).bytes;
  if (shell.json) {
    ordered_json list = ordered_json::array();
    for (const packed::Layer& layer : layers) {
      list.push_back({{"name", layer.name},
                      {"in", Text(layer.in)},
                      {"out", Text(layer.out)},
                      {"macs_8bit", layer.macs_8bit},
                      {"macs_1bit", layer.macs_1bit},
                      {"flash_bytes", layer.flash_bytes},
                      {"out_bytes", layer.out_bytes}});
    }
    const ordered_json all = {{"layers", list},
                              {"macs_8bit", cost.macs_8bit},
                              {"macs_1bit", cost.macs_1bit},
                              {"flash_bytes", cost.flash_bytes},
                              {"arena_bytes", arena_bytes}};
    std::printf("%s\n", all.dump(2).c_str());
    return kDone;
  }
  std::vector<std::vector<std::string>> rows{
      {"layer", "in", "out", "8-bit MACs", "1-bit MACs", "flash bytes", "RAM bytes"}};
  for (const packed::Layer& layer : layers) {
    rows.push_back({layer.name, Text(layer.in), Text(layer.out), std::to_string(layer.macs_8bit),
                    std::to_string(layer.macs_1bit), std::to_string(layer.flash_bytes),
                    std::to_string(layer.out_bytes)});
  }
  rows.push_back({"all", "", "", std::to_string(cost.macs_8bit), std::to_string(cost.macs_1bit),
                  std::to_string(cost.flash_bytes), std::to_string(arena_bytes)});
  PrintTable(rows);
  return kDone;
}

// The names of the model's classes, from the manifest that an artefact has beside it; none if there
// is no manifest of this model.
std::vector<std::string> ClassesOf(const std::string& model) {
  const auto bytes = ReadFile(model, kMaxArtefactBytes);
  const auto text = ReadFile(fs::path(model).parent_path() / "manifest.json", kMaxTextBytes);
  if (!bytes.ok() || !text.ok()) return {};
  const auto manifest = packed::ParseManifest(*text);
  if (!manifest.ok()) return {};
  for (const packed::ManifestFile& file : manifest->files) {
    if (file.digest == Sha256(*bytes)) return manifest->provenance.classes;
  }
  return {};
}

struct RunOptions {
  FileOptions file;
  std::string explain;  // a PNG to write, or empty
  std::string method = "occlusion";
};

// What speaks for a class in a picture.
struct Explained {
  saliency::Heatmap map;
  std::string by;                   // in words
  std::optional<double> agreement;  // of a surrogate's ranks with the exact map's
};

Result<Explained> Explain(const packed::Network& network, const images::Image& input,
                          size_t of_class, const std::string& method) {
  auto explainer = BF_TRY(saliency::Explainer::Make(network));
  if (method == "rise") {
    return Explained{BF_TRY(explainer.Rise(input.pixels, of_class)), "random masks", {}};
  }
  const saliency::OcclusionOptions options = saliency::OcclusionFor(network.input);
  auto exact = BF_TRY(explainer.Occlusion(input.pixels, of_class, options));
  if (method == "occlusion") return Explained{std::move(exact), "occlusion", {}};
  auto surrogate = BF_TRY(saliency::SurrogateExplainer::Make(network));
  auto preview = BF_TRY(surrogate.Occlusion(input.pixels, of_class, options)).surrogate;
  const auto agreement = saliency::RankCorrelation(exact, preview);
  return Explained{std::move(preview), "the gradient of a surrogate", agreement};
}

// What the model sees and the same under the map, side by side and large enough to look at.
images::Image SideBySide(const images::Image& input, const saliency::Heatmap& map) {
  constexpr int kSide = 320;  // of each, about
  constexpr int kBetween = 16;
  const int times = std::max(1, kSide / std::max(input.width, input.height));
  const int width = input.width * times;
  images::Image both = images::Blank(2 * width + kBetween, input.height * times, 3);
  std::ranges::fill(both.pixels, uint8_t{255});
  int left = 0;
  for (const images::Image& one : {images::ToRgb(input), saliency::Overlay(input, map)}) {
    const images::Image large = images::Resize(one, width, both.height);
    for (int y = 0; y < large.height; ++y) {
      std::copy_n(large.Row(y), large.RowBytes(),
                  both.pixels.begin() + static_cast<std::ptrdiff_t>(y * both.RowBytes()) + left);
    }
    left += 3 * (width + kBetween);
  }
  return both;
}

Result<int> RunModel(const Shell& shell, const RunOptions& options) {
  BF_TRY(CheckWritable(options.explain));
  const packed::Network network = BF_TRY(Load(options.file.model));
  const images::Image image =
      BF_TRY(images::Decode(BF_TRY(ReadFile(options.file.image, kMaxImageBytes))));
  const images::Image input = images::ModelInput(image, static_cast<int>(network.input.width),
                                                 static_cast<int>(network.input.height),
                                                 static_cast<int>(network.input.channels));
  packed::Engine engine = BF_TRY(packed::Engine::Make(network));
  const auto logits = BF_TRY(engine.Run(input.pixels));
  const size_t winner = packed::Winner(logits);
  const std::vector<std::string> classes = ClassesOf(options.file.model);
  const std::string name = winner < classes.size() ? classes[winner] : std::to_string(winner);
  if (!shell.json) {
    std::printf("class %s; logits", name.c_str());
    for (const int32_t logit : logits) std::printf(" %d", logit);
    std::printf("\n");
  }
  ordered_json all = {{"class", winner},
                      {"name", name},
                      {"logits", std::vector<int32_t>(logits.begin(), logits.end())}};
  if (!options.explain.empty()) {
    const Explained why = BF_TRY(Explain(network, input, winner, options.method));
    BF_TRY(WriteFile(options.explain, images::EncodePng(SideBySide(input, why.map))));
    all["explained"] = {{"by", why.by}, {"file", options.explain}};
    if (why.agreement) all["explained"]["rank_correlation_with_occlusion"] = *why.agreement;
    if (!shell.json) std::printf("what speaks for %s, by %s", name.c_str(), why.by.c_str());
    if (!shell.json && why.agreement) {
      std::printf(", whose ranks agree with occlusion's by %.2f", *why.agreement);
    }
    if (!shell.json) std::printf("\n");
  }
  if (shell.json) std::printf("%s\n", all.dump().c_str());
  return kDone;
}

}  // namespace

void AddModelCommands(CLI::App& app, Shell& shell) {
  const auto train = std::make_shared<TrainOptions>();
  CLI::App* command =
      Add(app, shell, "train", "Train a model on a snapshot; the same recipe again is the same run",
          "bitfoundry train person --suite person.yaml --watch", train, Train);
  command->add_option("PROJECT", train->project)->required();
  command->add_option("--snapshot", train->snapshot, "Digest; else the newest");
  command->add_option("--recipe", train->recipe, "JSON file; else the default recipe");
  command->add_option("--suite", train->suite, "Evaluate this suite as soon as there is a model");
  command->add_option("--priority", train->priority,
                      "-1000 to 1000; a run of higher priority takes the place of others");
  command->add_flag("--watch", train->watch, "Show how it goes; return when it has ended");

  const auto cancel = std::make_shared<CancelOptions>();
  Add(app, shell, "cancel",
      "End a run that waits or is being trained; `status` shows the last ones",
      "bitfoundry cancel 7", cancel, Cancel)
      ->add_option("RUN", cancel->run_id)
      ->required();

  const auto models = std::make_shared<ModelsOptions>();
  Add(app, shell, "models", "Models of a project, newest first", "bitfoundry models person", models,
      ListModels)
      ->add_option("PROJECT", models->project)
      ->required();

  const auto inspect = std::make_shared<FileOptions>();
  Add(app, shell, "inspect", "Layers, flash, RAM and work of a model.bnn",
      "bitfoundry inspect model/model.bnn", inspect, Inspect)
      ->add_option("FILE", inspect->model)
      ->required();
  const auto run = std::make_shared<RunOptions>();
  command = Add(app, shell, "run", "Classify one image with a model.bnn, here, without the factory",
                "bitfoundry run model/model.bnn shot.jpg --explain why.png", run, RunModel);
  command->add_option("FILE", run->file.model)->required();
  command->add_option("IMAGE", run->file.image)->required();
  CLI::Option* explain = command->add_option("--explain", run->explain,
                                             "Write a PNG: what the model sees, and what speaks "
                                             "for its answer (orange) and against it (blue)");
  command
      ->add_option("--method", run->method,
                   "occlusion | rise | gradient: exact, by squares or by random masks; or the\n"
                   "gradient of a surrogate, since a binarized network has none")
      ->check(CLI::IsMember({"occlusion", "rise", "gradient"}))
      ->capture_default_str()
      ->needs(explain);
}

}  // namespace bitfoundry::cli
