// How people move through a session: the simplest tracks that serve. A box's person is the nearest
// similar box in the frame before and in the frame after; where the feet went between those two,
// in heights of the person, says which way they walk. Pure functions.
#pragma once

#include <cstdint>
#include <vector>

#include "catalog/teacher.h"

namespace bitfoundry::autolabel {

// Away: seen from behind, by a camera that looks down from above.
enum class Motion { kUnknown, kAway, kToward, kSide };

// "away", "toward", "side" or "unknown".
const char* Name(Motion motion);

struct Frame {
  int64_t position = 0;  // frame number within the session
  std::vector<catalog::Box> boxes;
};

// For each frame, for each of its boxes. Frames are in order of position; frames further apart
// than 15 positions, or at the same one, are no neighbours. A box of a score under 0.45 has no
// track, nor has one that stands still.
std::vector<std::vector<Motion>> Motions(const std::vector<Frame>& frames);

}  // namespace bitfoundry::autolabel
