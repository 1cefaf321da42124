#include "saliency/saliency.h"

#include <algorithm>
#include <functional>
#include <numeric>

#include "saliency/squares.h"

namespace bitfoundry::saliency {
namespace {

constexpr size_t kBatch = 128;

Status Bad(const char* reason, const std::string& message) {
  return Status(Code::kInvalidArgument, reason, message);
}

// splitmix64 (Steele, Lea and Flood, OOPSLA 2014).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = (state_ += 0x9E3779B97F4A7C15U);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
    return z ^ (z >> 31);
  }

 private:
  uint64_t state_;
};

// A mask of RISE: a coarse grid of zeros and ones, enlarged smoothly and shifted by less than a
// cell. All in integers.
//
//   returns  [height][width], 0 to 256: how much of the pixel is shown
std::vector<uint16_t> RandomMask(uint32_t height, uint32_t width, uint32_t grid, Random& random) {
  std::vector<uint32_t> cells((grid + 2) * (grid + 2));
  for (uint32_t& cell : cells) cell = static_cast<uint32_t>(random.Next() >> 63);
  const uint32_t shift_y = static_cast<uint32_t>(random.Next() % (65536 / grid));
  const uint32_t shift_x = static_cast<uint32_t>(random.Next() % (65536 / grid));
  std::vector<uint16_t> mask(size_t{height} * width);
  for (uint32_t y = 0; y < height; ++y) {
    // Where the pixel lies among the cells, in 1/256 of a cell.
    const uint32_t v = ((y * 65536 / height + shift_y) * grid) >> 8;
    for (uint32_t x = 0; x < width; ++x) {
      const uint32_t u = ((x * 65536 / width + shift_x) * grid) >> 8;
      const uint32_t* const cell = &cells[v / 256 * (grid + 2) + u / 256];
      const uint32_t right = u % 256;
      const uint32_t down = v % 256;
      const uint32_t upper = cell[0] * (256 - right) + cell[1] * right;
      const uint32_t lower = cell[grid + 2] * (256 - right) + cell[grid + 3] * right;
      mask[size_t{y} * width + x] =
          static_cast<uint16_t>((upper * (256 - down) + lower * down + 128) >> 8);
    }
  }
  return mask;
}

}  // namespace

OcclusionOptions OcclusionFor(const packed::Shape& input) {
  const uint32_t patch = std::max(1U, std::min(input.height, input.width) / 8);
  return {.patch = patch, .stride = std::max(1U, patch / 2)};
}

Explainer::Explainer(packed::Engine engine, const packed::Network& network)
    : engine_(std::move(engine)),
      shape_(network.input),
      mean_(network.mean),
      images_(kBatch * engine_.image_bytes()),
      logits_(kBatch * engine_.class_count()) {}

Result<Explainer> Explainer::Make(const packed::Network& network, packed::EngineOptions options) {
  return Explainer(BF_TRY(packed::Engine::Make(network, options)), network);
}

Status Explainer::Check(std::span<const uint8_t> image, size_t of_class) const {
  if (image.size() != engine_.image_bytes()) {
    return Bad("BAD_IMAGE_SIZE", "an image of " + std::to_string(image.size()) +
                                     " bytes; the network takes " +
                                     std::to_string(engine_.image_bytes()));
  }
  if (of_class < engine_.class_count()) return Status();
  return Bad("BAD_CLASS",
             "class " + std::to_string(of_class) + " of " + std::to_string(engine_.class_count()));
}

void Explainer::Put(size_t slot, std::span<const uint8_t> image) {
  std::ranges::copy(image, &images_[slot * image.size()]);
}

void Explainer::Erase(size_t slot, size_t pixel) {
  uint8_t* const at = &images_[slot * engine_.image_bytes() + pixel * shape_.channels];
  std::copy_n(mean_.begin(), shape_.channels, at);
}

// The margins of the class for the first `count` images of the batch.
Result<std::vector<int32_t>> Explainer::Scores(size_t count, size_t of_class) {
  const size_t classes = engine_.class_count();
  BF_TRY(engine_.RunBatch(std::span(images_).first(count * engine_.image_bytes()),
                          std::span(logits_).first(count * classes)));
  std::vector<int32_t> scores(count);
  for (size_t i = 0; i < count; ++i) {
    const int32_t* const logits = &logits_[i * classes];
    int64_t other = INT32_MIN;
    for (size_t k = 0; k < classes; ++k) {
      if (k != of_class) other = std::max<int64_t>(other, logits[k]);
    }
    scores[i] =
        static_cast<int32_t>(std::clamp<int64_t>(logits[of_class] - other, INT32_MIN, INT32_MAX));
  }
  return scores;
}

Result<Heatmap> Explainer::Occlusion(std::span<const uint8_t> image, size_t of_class,
                                     const OcclusionOptions& options) {
  BF_TRY(Check(image, of_class));
  const Squares squares = BF_TRY(Squares::Make(shape_, options));
  Put(0, image);
  const int32_t whole = BF_TRY(Scores(1, of_class))[0];
  std::vector<double> drops;  // of whole numbers: their sums are exact
  for (size_t first = 0; first < squares.size(); first += kBatch) {
    const size_t count = std::min(kBatch, squares.size() - first);
    for (size_t i = 0; i < count; ++i) {
      Put(i, image);
      squares.ForEachPixel(first + i, [&](size_t pixel) { Erase(i, pixel); });
    }
    for (const int32_t score : BF_TRY(Scores(count, of_class))) {
      drops.push_back(static_cast<double>(int64_t{whole} - score));
    }
  }
  return squares.Mean(drops);
}

Result<Heatmap> Explainer::Rise(std::span<const uint8_t> image, size_t of_class,
                                const RiseOptions& options) {
  BF_TRY(Check(image, of_class));
  if (options.masks == 0 || options.masks > 100'000 || options.grid < 2 || options.grid > 32) {
    return Bad("BAD_OPTIONS", std::to_string(options.masks) + " masks of " +
                                  std::to_string(options.grid) + " cells across");
  }
  const size_t pixels = size_t{shape_.height} * shape_.width;
  Random random(options.seed);
  std::vector<int64_t> weighted(pixels);  // score times how much of the pixel was shown
  std::vector<int64_t> shown(pixels);
  int64_t total = 0;
  std::vector<std::vector<uint16_t>> masks(kBatch);
  for (size_t first = 0; first < options.masks; first += kBatch) {
    const size_t count = std::min<size_t>(kBatch, options.masks - first);
    for (size_t i = 0; i < count; ++i) {
      masks[i] = RandomMask(shape_.height, shape_.width, options.grid, random);
      uint8_t* const out = &images_[i * image.size()];
      for (size_t b = 0; b < image.size(); ++b) {
        const int32_t mean = mean_[b % shape_.channels];
        out[b] = static_cast<uint8_t>(
            mean + (((image[b] - mean) * int32_t{masks[i][b / shape_.channels]} + 128) >> 8));
      }
    }
    const std::vector<int32_t> scores = BF_TRY(Scores(count, of_class));
    for (size_t i = 0; i < count; ++i) {
      total += scores[i];
      for (size_t p = 0; p < pixels; ++p) {
        weighted[p] += int64_t{scores[i]} * masks[i][p];
        shown[p] += masks[i][p];
      }
    }
  }
  const double mean = static_cast<double>(total) / options.masks;
  Heatmap map{shape_.height, shape_.width, std::vector<double>(pixels)};
  for (size_t p = 0; p < pixels; ++p) {
    if (shown[p] == 0) continue;
    map.values[p] = static_cast<double>(weighted[p]) / static_cast<double>(shown[p]) - mean;
  }
  return map;
}

Result<Curve> Explainer::Trace(std::span<const uint8_t> image, size_t of_class, const Heatmap& map,
                               bool insert) {
  BF_TRY(Check(image, of_class));
  const size_t pixels = size_t{shape_.height} * shape_.width;
  if (map.values.size() != pixels) return Bad("BAD_OPTIONS", "a map of another size");
  std::vector<size_t> order(pixels);
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](size_t p) { return map.values[p]; });
  for (size_t step = 0; step <= kCurveSteps; ++step) {
    Put(step, image);
    const size_t changed = pixels * step / kCurveSteps;
    const auto erased =
        insert ? std::span(order).subspan(changed) : std::span(order).first(changed);
    for (const size_t pixel : erased) Erase(step, pixel);
  }
  static_assert(kCurveSteps < kBatch);
  const std::vector<int32_t> scores = BF_TRY(Scores(kCurveSteps + 1, of_class));
  const int32_t whole = insert ? scores.back() : scores.front();
  if (whole <= 0) {
    return Status(Code::kFailedPrecondition, "NOT_THE_ANSWER",
                  "the network does not say this class of the image");
  }
  Curve curve;
  for (const int32_t score : scores) {
    curve.values.push_back(std::clamp(static_cast<double>(score) / whole, 0.0, 1.0));
  }
  curve.area = std::accumulate(curve.values.begin(), curve.values.end(), 0.0) /
               static_cast<double>(curve.values.size());
  return curve;
}

Result<Curve> Explainer::Deletion(std::span<const uint8_t> image, size_t of_class,
                                  const Heatmap& map) {
  return Trace(image, of_class, map, /*insert=*/false);
}

Result<Curve> Explainer::Insertion(std::span<const uint8_t> image, size_t of_class,
                                   const Heatmap& map) {
  return Trace(image, of_class, map, /*insert=*/true);
}

double EnergyInside(const Heatmap& map, const Box& box) {
  double inside = 0;
  double all = 0;
  for (uint32_t y = 0; y < map.height; ++y) {
    for (uint32_t x = 0; x < map.width; ++x) {
      const double value = std::max(map.values[size_t{y} * map.width + x], 0.0);
      all += value;
      const bool in_box = y - box.top < box.height && x - box.left < box.width;  // unsigned
      if (in_box) inside += value;
    }
  }
  return all == 0 ? 0 : inside / all;
}

Heatmap Mean(std::span<const Heatmap> maps) {
  if (maps.empty()) return {};
  Heatmap mean{maps[0].height, maps[0].width, std::vector<double>(maps[0].values.size())};
  for (const Heatmap& map : maps) {
    for (size_t i = 0; i < mean.values.size(); ++i) mean.values[i] += map.values[i];
  }
  for (double& value : mean.values) value /= static_cast<double>(maps.size());
  return mean;
}

}  // namespace bitfoundry::saliency
