// What is done to an image before the network sees it, to ask "what if". A transformed slice is
// synthetic: it tells how the network takes that change, not how it does on such scenes.
//
// All arithmetic is in integers, the noise depends on the sample's name alone, and JPEG uses the
// integer DCT of libjpeg-turbo: the same bits on every machine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "images/image.h"
#include "snapshot/snapshot.h"

namespace bitfoundry::verdicts {

//   darken(gain, noise)  every value times `gain`, plus noise: what a sensor gives in the dark
//   gamma(exponent)      v becomes 255 (v / 255)^exponent, rounded; below 1 it is brighter
//   shift(dx, dy)        moved by whole pixels to the right and down; the edges are repeated
//   blur(sigma)          Gaussian, of sigma pixels to 1/256; weights to 1/4096; edges repeated
//   noise(sd)            normal, of sd levels
//   jpeg(quality)        to JPEG and back; colour at half the resolution
struct Transform {
  enum class Kind { kNone, kDarken, kGamma, kShift, kBlur, kNoise, kJpeg };

  std::string text;  // canonical, "darken(0.25,3)"; empty: none
  Kind kind = Kind::kNone;
  int64_t first = 0;            // its numbers in 1/65536
  int64_t second = 0;           // 0 if there is none
  std::vector<uint32_t> table;  // gamma: by level; blur: the weights from the middle outwards
};

// "none", or one of the above. One that changes nothing is an error: it would test nothing.
// Errors: kInvalidArgument; the message says what was expected and suggests a name.
Result<Transform> ParseTransform(const std::string& text);

// The transformed image of the sample of that name, and that of row `row`.
images::Image Apply(const Transform& transform, std::string_view name, images::Image image);
std::vector<uint8_t> Apply(const Transform& transform, const snapshot::Snapshot& data, size_t row);

}  // namespace bitfoundry::verdicts
