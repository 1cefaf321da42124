// The rule person_window/1: from a detector's boxes around persons to an answer about a sample.
// Pure functions; a change that changes an answer gets a new number.
//
// - An image of more than 320 pixels a side is looked at in tiles of 320 that overlap by 96 or
//   more, because a detector that scales everything to its input does not see the small.
// - A box that ends within 2 pixels of a tile's inner border is dropped: the tile beside has it
//   whole, if it is narrower than the overlap.
// - Of boxes on one person the best is kept (NMS: IoU > 0.45, or over 0.7 of the smaller).
// - A window holds a person if a box of score >= 0.5 has >= 60 % of its area inside and is >= 0.3
//   of the window high; none if no box of score >= 0.3 touches it; anything else is unsure. For a
//   whole image the scores alone decide.
// - A detector's score is no probability. The confidence of a verdict runs from 0.91, where the
//   score just suffices for it, to 0.99 at a score of 1 (person) or 0 (nobody). That is assumed,
//   not measured: people's answers on samples of part test, where the teacher answers too, are
//   there to measure it.
#pragma once

#include <optional>
#include <vector>

#include "catalog/samples.h"
#include "catalog/teacher.h"

namespace bitfoundry::oip {

inline constexpr char kRule[] = "person_window/1";
inline constexpr float kPersonClass = 0;  // in COCO's list

using catalog::Box;
using catalog::Window;

// The tiles of an image, all of one size, rows first.
std::vector<Window> Tiles(int width, int height);

// One list for the image, best first, from the boxes of each tile in the tile's pixels.
std::vector<Box> Merge(int width, int height, const std::vector<Window>& tiles,
                       const std::vector<std::vector<Box>>& boxes_by_tile);

enum class Verdict { kPerson, kNoPerson, kUnsure };

struct Judgement {
  Verdict verdict = Verdict::kUnsure;
  double confidence = 0;  // that the verdict is right; 0: unsure
  int box = -1;           // the box that decided or, if none did, has most of it inside; -1: none
};

// What `boxes` (of the image) say of `window` (nothing: of the whole image).
Judgement Judge(const std::vector<Box>& boxes, const std::optional<Window>& window);

}  // namespace bitfoundry::oip
