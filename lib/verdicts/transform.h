// What is done to an image before the network sees it, to ask "what if". A transformed slice is
// synthetic: it tells how the network takes that change, not how it does on such scenes.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace bitfoundry::verdicts {

// "none", or "darken(gain, noise)": every value times `gain` (0 < gain <= 1), plus noise of
// standard deviation `noise` (0 to 64 levels), as a sensor gives it in the dark.
struct Transform {
  std::string text;    // canonical, "darken(0.25,3)"; empty: none
  uint32_t gain = 0;   // in 1/65536
  uint32_t noise = 0;  // in 1/65536 levels
};

// Errors: kInvalidArgument; the message says what was expected and suggests a name.
Result<Transform> ParseTransform(const std::string& text);

// The transformed image. The noise depends on `name`, the sample's, alone, and all arithmetic is
// in integers: the same bits on every machine. (The sum of twelve uniform numbers has a standard
// deviation of one range and is as normal as 8 bits can tell.)
std::vector<uint8_t> Apply(const Transform& transform, std::string_view name,
                           std::span<const uint8_t> image);

}  // namespace bitfoundry::verdicts
