// 20 slices of 1,000,000 samples, one thread:  bench_slices [SAMPLES]
//
// Prints the seconds to turn rows into columns, to select every slice, and to name the rows of each
// as a verdict does: the SHA-256 over their names.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "base/digest.h"
#include "slices/expression.h"
#include "verdicts/judge.h"

using namespace bitfoundry;

namespace {

constexpr const char* kSlices[] = {
    "true",
    "label == 'person'",
    "label != prediction",
    "label == 'person' && tag.pose == 'back'",
    "label == 'person' && meta.distance_m > 7 && tag.scene == 'hallway'",
    "label != 'person' && attr.brightness_p99 < 0.32",
    "label != 'person' && has_tag('textile')",
    "attr.brightness < quantile(0.05)",
    "attr.brightness in quantile(0.05)..<quantile(0.25)",
    "attr.sharpness >= quantile(0.99) || attr.entropy <= quantile(0.01)",
    "meta.camera in ['c1', 'c3', 'c5']",
    "!(meta.session == 's7') && meta.position in 0..100",
    "attr.box_height_px in 20..<60",
    "attr.box_height_px in [1, 2, 3..5, 100..200] && prediction == 'person'",
    "tag.motion in ['away', 'left'] || tag.motion == 'right'",
    "(tag.pose == 'side' || tag.pose == 'front') && !(attr.contrast > 0.5)",
    "label == 'person' && prediction == 'no_person' && attr.brightness < 0.2",
    "label == 'no_person' && prediction == 'person'",
    "meta.distance_m in 2..7 && attr.contrast in 0.1..<0.2 && has_tag('pose')",
    "label == 'person' && (attr.brightness < 0.1 || attr.sharpness < 0.1 || attr.contrast < 0.1)",
};

// Wall time, and that of the processor, which other processes do not stretch.
class Stopwatch {
 public:
  void Print(const char* what) const {
    const std::chrono::duration<double> wall = std::chrono::steady_clock::now() - start_;
    const double cpu = static_cast<double>(std::clock() - cpu_start_) / CLOCKS_PER_SEC;
    std::printf("%-8s %.3f s, of the processor %.3f s\n", what, wall.count(), cpu);
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  std::clock_t cpu_start_ = std::clock();
};

snapshot::Snapshot Samples(size_t n, std::mt19937& random) {
  const auto one_of = [&](std::vector<const char*> words) {
    return words[random() % words.size()];
  };
  const auto share = [&] { return static_cast<double>(random()) / 4294967296.0; };
  snapshot::Snapshot data;
  data.classes = {"no_person", "person"};
  data.rows.resize(n);
  std::vector<std::string> names;
  for (size_t i = 0; i < n; ++i) names.push_back(Sha256(std::to_string(i)) + "@12,40,64,64");
  std::sort(names.begin(), names.end());  // as snapshots are
  for (size_t i = 0; i < n; ++i) {
    snapshot::Row& row = data.rows[i];
    row.name = names[i];
    row.class_index = static_cast<int>(random() % 2);
    row.camera = "c" + std::to_string(random() % 8);
    row.session = "s" + std::to_string(random() % 1000);
    row.position = static_cast<int64_t>(random() % 5000);
    for (const char* name : {"brightness", "brightness_p99", "sharpness", "entropy", "contrast"}) {
      row.attributes[name] = share();
    }
    if (row.class_index == 0) {
      if (random() % 8 == 0) row.tags["textile"] = "yes";
      continue;
    }
    row.attributes["box_height_px"] = static_cast<double>(random() % 200);
    row.tags["pose"] = one_of({"back", "front", "side"});
    row.tags["motion"] = one_of({"away", "towards", "left", "right"});
    row.tags["scene"] = one_of({"hallway", "street", "room"});
    row.tags["distance_m"] = std::to_string(random() % 15);
  }
  return data;
}

}  // namespace

int main(int argc, char** argv) {
  const size_t n = argc > 1 ? std::strtoul(argv[1], nullptr, 10) : 1'000'000;
  std::mt19937 random(/*seed=*/1);
  const snapshot::Snapshot data = Samples(n, random);
  std::vector<size_t> places(n);
  std::iota(places.begin(), places.end(), size_t{0});
  std::vector<size_t> predictions(n);
  for (size_t& prediction : predictions) prediction = random() % 2;

  const Stopwatch build;
  const slices::Columns columns = slices::Columns::Of(data, places);
  build.Print("columns");

  const Stopwatch select;
  std::vector<slices::Selection> selections;
  size_t selected = 0;
  for (const char* text : kSlices) {
    const auto expression = slices::Expression::Parse(text);
    if (!expression.ok() || !expression->Check(columns.Names()).ok()) return 1;
    selections.push_back(expression->Select(columns, predictions));
    selected += selections.back().Count();
  }
  select.Print("select");
  std::printf("         %zu slices, %zu rows in them\n", selections.size(), selected);

  const Stopwatch digests;
  const verdicts::Evidence evidence{.data = data, .rows = places, .predictions = {}};
  for (const slices::Selection& selection : selections) {
    verdicts::RowsDigest(evidence, selection.Rows());
  }
  digests.Print("digests");
  return 0;
}
