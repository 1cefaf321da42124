// What a verdict costs beside the inference in it, with a trained model:
//
//   bench_verdicts MODEL [ROUNDS]
//
//   occlusion  one image of 96x96 by the model's layers, squares of 8 every 4 pixels, one thread
//   evaluate   20 tests on 10,000 random images of the model's size, two threads; beside it, in
//              turn, the bare inference of the same images by as many
//
// Prints the medians, of the wall's seconds and of the processor's, which other processes do not
// stretch.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "base/digest.h"
#include "packed/format.h"
#include "saliency/saliency.h"
#include "verdicts/evaluate.h"

using namespace bitfoundry;

namespace {

constexpr size_t kImages = 10'000;
constexpr int kThreads = 2;

constexpr char kSuite[] = R"yaml(
suite: bench
version: 1
defaults: { positive: person, min_n: 20 }
slices:
  far: label == "person" && attr.box_height_px < 60
  near: label == "person" && attr.box_height_px >= 60
  back: label == "person" && tag.pose == "back"
  side: label == "person" && tag.pose == "side"
  dark: attr.brightness < quantile(0.05)
  light: attr.brightness > quantile(0.95)
  beyond: label == "person" && meta.distance_m > 7
  coats: label == "no_person" && has_tag("textile")
tests:
  - { id: all, slice: all, metric: accuracy, at_least: 0.4 }
  - { id: found, slice: all, metric: recall, at_least: 0.4, cluster: meta.session }
  - { id: right, slice: all, metric: precision, at_least: 0.4 }
  - { id: alarms, slice: all, metric: fpr, at_most: 0.6, cluster: meta.session }
  - { id: far, slice: far, metric: recall, at_least: 0.4 }
  - { id: near, slice: near, metric: recall, at_least: 0.4 }
  - { id: back, slice: back, metric: recall, at_least: 0.4 }
  - { id: side, slice: side, metric: recall, at_least: 0.4 }
  - { id: dark, slice: dark, metric: accuracy, at_least: 0.4 }
  - { id: light, slice: light, metric: accuracy, at_least: 0.4 }
  - { id: beyond, slice: beyond, metric: recall, at_least: 0.4 }
  - { id: coats, slice: coats, metric: fpr, at_most: 0.6 }
  - { id: missed, slice: near, metric: fnr, at_most: 0.6 }
  - { id: poses, slice: all, across: tag.pose, metric: recall, max_gap: 0.1 }
  - { id: cameras, slice: all, across: meta.camera, metric: accuracy, max_gap: 0.1 }
  - { id: shortcut, scan: shortcut, on: [attr.brightness, attr.sharpness, attr.contrast],
      max_gap: 0.2 }
  - { id: wrong, slice: dark, metric: error, at_most: 0.6 }
  - { id: wrong_light, slice: light, metric: error, at_most: 0.6 }
)yaml";

struct Seconds {
  double wall = 0;
  double processor = 0;
};

Seconds Time(const std::function<Status()>& work, Status& failed) {
  const auto start = std::chrono::steady_clock::now();
  const std::clock_t processor = std::clock();
  const Status status = work();
  if (!status.ok()) failed = status;
  const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start;
  return {wall.count(), static_cast<double>(std::clock() - processor) / CLOCKS_PER_SEC};
}

Seconds Median(std::vector<Seconds> times) {
  const size_t middle = times.size() / 2;
  std::ranges::sort(times, {}, &Seconds::wall);
  const double wall = times[middle].wall;
  std::ranges::sort(times, {}, &Seconds::processor);
  return {wall, times[middle].processor};
}

void Print(const char* what, const Seconds& s) {
  std::printf("%-16s %.3f s, of the processor %.3f s\n", what, s.wall, s.processor);
}

snapshot::Snapshot Samples(const packed::Network& network) {
  std::mt19937 random(/*seed=*/1);
  const auto share = [&] { return static_cast<double>(random()) / 4294967296.0; };
  snapshot::Snapshot data;
  data.classes = {"no_person", "person"};
  data.height = static_cast<int>(network.input.height);
  data.width = static_cast<int>(network.input.width);
  data.channels = static_cast<int>(network.input.channels);
  data.rows.resize(kImages);
  for (size_t i = 0; i < kImages; ++i) {
    snapshot::Row& row = data.rows[i];
    row.name = Sha256(std::to_string(i)) + "@12,40,64,64";
    row.part = snapshot::Part::kTest;
    row.class_index = static_cast<int>(random() % 2);
    row.posterior = 1;
    row.camera = "c" + std::to_string(random() % 4);
    row.session = "s" + std::to_string(random() % 500);
    for (const char* name : {"brightness", "sharpness", "contrast"}) row.attributes[name] = share();
    if (random() % 8 == 0) row.tags["textile"] = "yes";
    row.tags["distance_m"] = std::to_string(random() % 15);
    row.tags["pose"] = random() % 2 == 0 ? "back" : "side";
    row.attributes["box_height_px"] = static_cast<double>(random() % 200);
  }
  data.pixels.resize(kImages * data.SampleBytes());
  for (uint8_t& pixel : data.pixels) pixel = static_cast<uint8_t>(random());
  return data;
}

Status Occlude(packed::Network network, int rounds) {
  network.input.height = network.input.width = 96;
  auto explainer = BF_TRY(saliency::Explainer::Make(network));
  std::mt19937 random(/*seed=*/1);
  std::vector<uint8_t> image(size_t{96} * 96 * network.input.channels);
  for (uint8_t& pixel : image) pixel = static_cast<uint8_t>(random());
  Status failed;
  std::vector<Seconds> times;
  for (int i = 0; i < rounds; ++i) {
    times.push_back(Time([&] { return explainer.Occlusion(image, 1).status(); }, failed));
  }
  Print("occlusion 96x96", Median(times));
  return failed;
}

Status Evaluate(packed::Network network, int rounds) {
  verdicts::Subject subject;
  subject.suite = BF_TRY(verdicts::ParseSuite(kSuite, "bench"));
  subject.data = Samples(network);
  packed::Engine engine = BF_TRY(packed::Engine::Make(network, {.threads = kThreads}));
  subject.network = std::move(network);
  std::vector<int32_t> logits(kImages * engine.class_count());
  Status failed;
  std::vector<Seconds> bare;
  std::vector<Seconds> judged;
  for (int i = 0; i < rounds; ++i) {
    bare.push_back(Time([&] { return engine.RunBatch(subject.data.pixels, logits); }, failed));
    judged.push_back(Time(
        [&] {
          const verdicts::Circumstances now{"2026-01-01", [](const std::string&) { return 0; }};
          return verdicts::Evaluate(subject, now, {"bench", kThreads}, {}).status();
        },
        failed));
  }
  Print("bare inference", Median(bare));
  Print("evaluate", Median(judged));
  std::printf("%zu tests; evaluate / bare: %.2f of the wall, %.2f of the processor\n",
              subject.suite.tests.size(), Median(judged).wall / Median(bare).wall,
              Median(judged).processor / Median(bare).processor);
  return failed;
}

Status Run(const char* path, int rounds) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  const auto network =
      BF_TRY(packed::Parse({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
  BF_TRY(Occlude(network, rounds));
  return Evaluate(network, rounds);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const Status status = Run(argv[1], argc > 2 ? std::atoi(argv[2]) : 5);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
