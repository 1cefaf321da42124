#include "services/ingestion/windows.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <optional>

namespace bitfoundry::ingestion {
namespace {

using images::Image;
using images::Rect;

constexpr int kMovingAbove = 25;     // gray levels
constexpr int kTriesPerWindow = 20;  // then the frame is taken to be full

// SplitMix64 (Steele, Lea, Flood 2014). std::uniform_int_distribution differs between libraries.
class Random {
 public:
  Random(uint64_t seed, uint64_t stream) : state_(seed) { state_ = Next() ^ stream; }

  // Uniform in [low, high] up to a bias below 2^-32.
  int In(int low, int high) {
    const auto range = static_cast<uint64_t>(int64_t{high} - low + 1);
    return static_cast<int>(low + static_cast<int64_t>(((Next() >> 32) * range) >> 32));
  }

 private:
  uint64_t Next() {
    uint64_t z = state_ += 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

  uint64_t state_;
};

// Intersection over union above 0.7, in whole numbers.
bool NearlySame(const Rect& a, const Rect& b) {
  const int64_t width = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
  const int64_t height = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  if (width <= 0 || height <= 0) return false;
  const int64_t both = width * height;
  const int64_t either = int64_t{a.width} * a.height + int64_t{b.width} * b.height - both;
  return 10 * both > 7 * either;
}

std::vector<int> Sides(const WindowPlan& plan, int at_most) {
  std::vector<int> sides;
  for (const int side : kWindowSides) {
    if (side >= plan.min_pixels && side <= std::min(plan.max_pixels, at_most)) {
      sides.push_back(side);
    }
  }
  return sides;
}

}  // namespace

Status CheckPlan(const WindowPlan& plan) {
  const auto wrong = [](const char* what) {
    return Status(Code::kInvalidArgument, "WINDOW_PLAN", what);
  };
  if (plan.per_frame < 1 || plan.per_frame > 256) return wrong("per_frame must be 1 to 256");
  if (!(plan.aimed_share >= 0 && plan.aimed_share <= 1)) return wrong("aimed_share must be 0 to 1");
  if (Sides(plan, plan.max_pixels).empty()) {
    return wrong("no side of 64, 80, 96, 112, 128, 160 is within min_pixels..max_pixels");
  }
  return {};
}

Image Cells(const Image& image) {
  return images::Resize(images::ToGray(image), std::max(1, image.width / kCellPixels),
                        std::max(1, image.height / kCellPixels));
}

Image MedianBackground(const std::vector<Image>& cells) {
  BF_CHECK(!cells.empty());
  Image background = cells.front();
  std::vector<uint8_t> values(cells.size());
  const auto middle = values.begin() + static_cast<ptrdiff_t>((values.size() - 1) / 2);
  for (size_t i = 0; i < background.pixels.size(); ++i) {
    for (size_t k = 0; k < cells.size(); ++k) values[k] = cells[k].pixels[i];
    std::nth_element(values.begin(), middle, values.end());
    background.pixels[i] = *middle;
  }
  return background;
}

std::vector<Point> MovingPlaces(const Image& cells, const Image& background) {
  BF_CHECK(cells.width == background.width && cells.height == background.height);
  std::vector<Point> places;
  for (int y = 0; y < cells.height; ++y) {
    for (int x = 0; x < cells.width; ++x) {
      if (std::abs(cells.Row(y)[x] - background.Row(y)[x]) > kMovingAbove) {
        places.push_back({x * kCellPixels + kCellPixels / 2, y * kCellPixels + kCellPixels / 2});
      }
    }
  }
  return places;
}

std::vector<Rect> ProposeWindows(const WindowPlan& plan, int frame_index, int width, int height,
                                 const std::vector<Point>& moving) {
  const std::vector<int> sides = Sides(plan, std::min(width, height));
  if (sides.empty()) return {};
  const auto aimed = moving.empty()
                         ? size_t{0}
                         : static_cast<size_t>(std::lround(plan.per_frame * plan.aimed_share));
  const auto wanted = static_cast<size_t>(plan.per_frame);
  Random random(plan.seed, static_cast<uint64_t>(frame_index));
  std::vector<Rect> windows;
  for (int tries = kTriesPerWindow * plan.per_frame; tries > 0 && windows.size() < wanted;
       --tries) {
    const int side = sides[static_cast<size_t>(random.In(0, static_cast<int>(sides.size()) - 1))];
    Rect window{0, 0, side, side};
    if (windows.size() < aimed) {
      const Point& at =
          moving[static_cast<size_t>(random.In(0, static_cast<int>(moving.size()) - 1))];
      window.x = at.x + random.In(-side / 4, side / 4) - side / 2;
      window.y = at.y + random.In(-side / 4, side / 4) - side / 2;
      if (window.x < 0 || window.y < 0) continue;
      if (window.x + side > width || window.y + side > height) continue;
    } else {
      window.x = random.In(0, width - side);
      window.y = random.In(0, height - side);
    }
    const auto same = [&](const Rect& other) { return NearlySame(window, other); };
    if (std::none_of(windows.begin(), windows.end(), same)) windows.push_back(window);
  }
  return windows;
}

}  // namespace bitfoundry::ingestion
