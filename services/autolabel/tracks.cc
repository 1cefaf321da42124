#include "services/autolabel/tracks.h"

#include <cmath>

namespace bitfoundry::autolabel {
namespace {

using catalog::Box;

constexpr double kLeastScore = 0.45;
constexpr int64_t kMostGap = 15;        // positions
constexpr double kLeastDown = 0.12;     // heights: perspective shortens what goes along the view
constexpr double kLeastSideways = 0.2;  // heights
constexpr double kMostSlant = 1.5;      // sideways over along, to count as along

double Height(const Box& box) { return box.bottom - box.top; }
double FeetX(const Box& box) { return (box.left + box.right) / 2; }

// The same person in `other`, if anybody is near and of that size.
const Box* Same(const Box& box, const Frame& other) {
  const Box* nearest = nullptr;
  double least = 0.45 * Height(box) + 10;
  for (const Box& candidate : other.boxes) {
    if (candidate.score < kLeastScore) continue;
    const double distance =
        std::hypot(FeetX(candidate) - FeetX(box), candidate.bottom - box.bottom) +
        2 * std::abs(Height(candidate) - Height(box));
    if (distance < least) {
      least = distance;
      nearest = &candidate;
    }
  }
  return nearest;
}

bool Neighbours(const Frame& a, const Frame& b) {
  return b.position > a.position && b.position - a.position <= kMostGap;
}

Motion Classify(const Box& before, const Box& box, const Box& after) {
  const double sideways = std::abs(FeetX(after) - FeetX(before)) / Height(box);
  const double down = (after.bottom - before.bottom) / Height(box);
  const bool along = sideways < kMostSlant * std::abs(down);
  if (along && down < -kLeastDown) return Motion::kAway;
  if (along && down > kLeastDown) return Motion::kToward;
  return sideways >= kLeastSideways ? Motion::kSide : Motion::kUnknown;
}

}  // namespace

const char* Name(Motion motion) {
  switch (motion) {
    case Motion::kAway:
      return "away";
    case Motion::kToward:
      return "toward";
    case Motion::kSide:
      return "side";
    case Motion::kUnknown:
      break;
  }
  return "unknown";
}

std::vector<std::vector<Motion>> Motions(const std::vector<Frame>& frames) {
  std::vector<std::vector<Motion>> motions;
  for (const Frame& frame : frames) motions.emplace_back(frame.boxes.size(), Motion::kUnknown);
  for (size_t i = 1; i + 1 < frames.size(); ++i) {
    if (!Neighbours(frames[i - 1], frames[i]) || !Neighbours(frames[i], frames[i + 1])) continue;
    for (size_t b = 0; b < frames[i].boxes.size(); ++b) {
      const Box& box = frames[i].boxes[b];
      if (box.score < kLeastScore) continue;
      const Box* before = Same(box, frames[i - 1]);
      const Box* after = Same(box, frames[i + 1]);
      if (before != nullptr && after != nullptr) motions[i][b] = Classify(*before, box, *after);
    }
  }
  return motions;
}

}  // namespace bitfoundry::autolabel
