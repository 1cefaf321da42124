#include "oip/boxes.h"

#include <algorithm>

namespace bitfoundry::oip {
namespace {

constexpr int kTile = 320;    // pixels
constexpr int kStride = 224;  // pixels
constexpr double kCutMargin = 2;
constexpr double kMostIou = 0.45;
constexpr double kMostOfSmaller = 0.7;
constexpr double kSureScore = 0.5;
constexpr double kFaintScore = 0.3;
constexpr double kLeastInside = 0.6;
constexpr double kLeastHeight = 0.3;

// `clearness` is 0 where the score just suffices for the verdict and 1 where it leaves no doubt.
double Confidence(double clearness) {
  constexpr double kLeast = 0.91, kMost = 0.99;
  return kLeast + (kMost - kLeast) * clearness;
}

std::vector<int> Starts(int size, int tile) {
  std::vector<int> starts;
  for (int start = 0; start < size - tile; start += kStride) starts.push_back(start);
  starts.push_back(size - tile);
  return starts;
}

double Area(const Box& b) { return (b.right - b.left) * (b.bottom - b.top); }

double Overlap(const Box& a, const Box& b) {
  return std::max(0.0, std::min(a.right, b.right) - std::max(a.left, b.left)) *
         std::max(0.0, std::min(a.bottom, b.bottom) - std::max(a.top, b.top));
}

bool SamePerson(const Box& a, const Box& b) {
  const double both = Overlap(a, b);
  return both > kMostIou * (Area(a) + Area(b) - both) ||
         both > kMostOfSmaller * std::min(Area(a), Area(b));
}

bool CutByInnerBorder(const Box& box, const Window& tile, int width, int height) {
  return (box.left <= kCutMargin && tile.x > 0) || (box.top <= kCutMargin && tile.y > 0) ||
         (box.right >= tile.width - kCutMargin && tile.x + tile.width < width) ||
         (box.bottom >= tile.height - kCutMargin && tile.y + tile.height < height);
}

}  // namespace

std::vector<Window> Tiles(int width, int height) {
  const int tile_width = std::min(width, kTile), tile_height = std::min(height, kTile);
  std::vector<Window> tiles;
  for (const int y : Starts(height, tile_height)) {
    for (const int x : Starts(width, tile_width)) tiles.push_back({x, y, tile_width, tile_height});
  }
  return tiles;
}

std::vector<Box> Merge(int width, int height, const std::vector<Window>& tiles,
                       const std::vector<std::vector<Box>>& boxes_by_tile) {
  std::vector<Box> all;
  for (size_t i = 0; i < tiles.size(); ++i) {
    for (Box box : boxes_by_tile[i]) {
      if (CutByInnerBorder(box, tiles[i], width, height)) continue;
      box.left += tiles[i].x;
      box.right += tiles[i].x;
      box.top += tiles[i].y;
      box.bottom += tiles[i].y;
      all.push_back(box);
    }
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const Box& a, const Box& b) { return a.score > b.score; });
  std::vector<Box> kept;
  for (const Box& box : all) {
    if (std::none_of(kept.begin(), kept.end(), [&](const Box& k) { return SamePerson(k, box); })) {
      kept.push_back(box);
    }
  }
  return kept;
}

Judgement Judge(const std::vector<Box>& boxes, const std::optional<Window>& window) {
  Judgement judgement{Verdict::kNoPerson, 0, -1};
  double best_score = 0, most_inside = 0;
  for (size_t i = 0; i < boxes.size(); ++i) {
    const Box& box = boxes[i];
    double inside = 1;
    if (window.has_value()) {
      const Box frame{0, double(window->x), double(window->y), double(window->x + window->width),
                      double(window->y + window->height)};
      inside = Area(box) > 0 ? Overlap(box, frame) / Area(box) : 0;
    }
    if (inside <= 0) continue;
    const bool high_enough =
        !window.has_value() || box.bottom - box.top >= kLeastHeight * window->height;
    if (box.score >= kSureScore && inside >= kLeastInside && high_enough) {
      // The best one: they come in that order.
      return {Verdict::kPerson, Confidence((box.score - kSureScore) / (1 - kSureScore)),
              static_cast<int>(i)};
    }
    best_score = std::max(best_score, box.score);
    if (box.score < kFaintScore) continue;
    judgement.verdict = Verdict::kUnsure;
    if (inside > most_inside) {
      most_inside = inside;
      judgement.box = static_cast<int>(i);
    }
  }
  if (judgement.verdict == Verdict::kNoPerson) {
    judgement.confidence = Confidence(1 - best_score / kFaintScore);
  }
  return judgement;
}

}  // namespace bitfoundry::oip
