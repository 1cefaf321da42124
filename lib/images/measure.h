// What can be measured of an image without knowing what is on it: the attributes that slices and
// data checks select by.
#pragma once

#include <cstdint>

#include "images/image.h"

namespace bitfoundry::images {

// Gray levels count as 0 to 1 (level / 255). CleanVision (https://github.com/cleanlab/cleanvision,
// issue checks "dark", "light", "low information", "blurry") looks at the same four figures.
struct Properties {
  // Mean and 99th percentile of the gray level. An image whose p99 is low is dark as a whole.
  // CleanVision takes a weighted root mean square of R, G and B instead; on gray they agree.
  double brightness = 0;
  double brightness_p99 = 0;
  // Standard deviation of the gray level.
  double contrast = 0;
  // Variance of the 4-neighbour Laplacian of the gray level, border pixels left out: low when
  // blurred (Pech-Pacheco et al., ICPR 2000). Depends on the size of the image. 0 below 3x3.
  double sharpness = 0;
  // Shannon entropy of the histogram of gray levels, 0 to 8 bits.
  double entropy = 0;
  // dHash: bit 8 y + x tells if pixel x + 1 is brighter than pixel x in row y of the image resized
  // to 9x8 (N. Krawetz, "Kind of Like That", hackerfactor.com 2013). Chosen before the DCT hash
  // because it is integer throughout: equal on every machine.
  uint64_t perceptual_hash = 0;

  bool operator==(const Properties&) const = default;
};

// `gray` has one channel. Two passes: one for the figures, one for the hash.
Properties Measure(const Image& gray);

// Bits by which two perceptual hashes differ; up to about 10 of 64 is "nearly the same image".
int HashDistance(uint64_t a, uint64_t b);

}  // namespace bitfoundry::images
