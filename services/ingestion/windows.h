// Where to look in a frame: seeded square windows, some of them aimed at what moves.
//
// A fixed camera sees mostly background, so windows at random places would nearly all be empty.
// What differs from the background (the median of the frames over time) is what moves; a share of
// the windows is centred near such a place, the rest is uniform, so that the negatives are the
// scene as it is. Everything is a pure function of its arguments in integer arithmetic with a
// generator of our own: the same plan on the same frames gives the same windows on any machine.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "images/image.h"

namespace bitfoundry::ingestion {

struct WindowPlan {
  int per_frame = 40;   // 1 to 256; fewer come out of a frame too small for so many
  int min_pixels = 64;  // sides are those of kWindowSides within min_pixels..max_pixels
  int max_pixels = 160;
  double aimed_share = 0.5;  // 0 to 1, of per_frame
  uint64_t seed = 1;
};

inline constexpr int kWindowSides[] = {64, 80, 96, 112, 128, 160};

//   errors  kInvalidArgument WINDOW_PLAN: a figure is out of its limits, or no side is left
Status CheckPlan(const WindowPlan& plan);

// Frames shrink by this much before they are compared: noise averages out, and 25 of them are
// small.
inline constexpr int kCellPixels = 4;

// Gray, each pixel the mean of kCellPixels x kCellPixels of `image`.
images::Image Cells(const images::Image& image);

// The median over time of each cell (the lower one of the middle two); images of one size.
images::Image MedianBackground(const std::vector<images::Image>& cells);

// A place in a frame, in pixels.
struct Point {
  int x = 0;
  int y = 0;
};

// The centres of the cells that differ from the background by more than 25 of 255.
std::vector<Point> MovingPlaces(const images::Image& cells, const images::Image& background);

// The windows of one frame of width x height pixels, all inside it, no two with an intersection
// over union above 0.7. An aimed one has its centre within a quarter of its side of one of
// `moving`; where nothing moves all are uniform. Requires CheckPlan(plan).
std::vector<images::Rect> ProposeWindows(const WindowPlan& plan, int frame_index, int width,
                                         int height, const std::vector<Point>& moving);

}  // namespace bitfoundry::ingestion
