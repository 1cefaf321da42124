#include "images/measure.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace bitfoundry::images {
namespace {

// Sums over the image, all exact.
struct Sums {
  std::array<int64_t, 256> histogram{};
  int64_t laplacian = 0;
  int64_t laplacian_squared = 0;
};

Sums SumUp(const Image& gray) {
  Sums sums;
  for (int y = 0; y < gray.height; ++y) {
    const uint8_t* row = gray.Row(y);
    for (int x = 0; x < gray.width; ++x) ++sums.histogram[row[x]];
    if (y == 0 || y == gray.height - 1) continue;
    const uint8_t* above = gray.Row(y - 1);
    const uint8_t* below = gray.Row(y + 1);
    for (int x = 1; x < gray.width - 1; ++x) {
      const int value = above[x] + below[x] + row[x - 1] + row[x + 1] - 4 * row[x];
      sums.laplacian += value;
      sums.laplacian_squared += value * value;
    }
  }
  return sums;
}

uint64_t DHash(const Image& gray) {
  const Image small = Resize(gray, 9, 8);
  uint64_t hash = 0;
  for (int y = 0; y < 8; ++y) {
    const uint8_t* row = small.Row(y);
    for (int x = 0; x < 8; ++x) hash |= uint64_t{row[x + 1] > row[x]} << (8 * y + x);
  }
  return hash;
}

}  // namespace

Properties Measure(const Image& gray) {
  BF_CHECK(gray.channels == 1 && gray.width > 0 && gray.height > 0);
  const Sums sums = SumUp(gray);
  const double n = static_cast<double>(gray.width) * gray.height;

  Properties out;
  int64_t total = 0;
  int64_t total_squared = 0;
  int64_t so_far = 0;
  int p99 = -1;
  for (int level = 0; level < 256; ++level) {
    const int64_t count = sums.histogram[static_cast<size_t>(level)];
    if (count == 0) continue;
    total += count * level;
    total_squared += count * level * level;
    so_far += count;
    if (p99 < 0 && static_cast<double>(so_far) >= 0.99 * n) p99 = level;
    const double share = static_cast<double>(count) / n;
    out.entropy -= share * std::log2(share);
  }
  const double mean = static_cast<double>(total) / n;
  out.brightness = mean / 255;
  out.brightness_p99 = p99 / 255.0;
  out.contrast =
      std::sqrt(std::max(0.0, static_cast<double>(total_squared) / n - mean * mean)) / 255;
  if (gray.width > 2 && gray.height > 2) {
    const double inner = static_cast<double>(gray.width - 2) * (gray.height - 2);
    const double laplacian = static_cast<double>(sums.laplacian) / inner;
    out.sharpness = (static_cast<double>(sums.laplacian_squared) / inner - laplacian * laplacian) /
                    (255.0 * 255.0);
  }
  out.perceptual_hash = DHash(gray);
  return out;
}

int HashDistance(uint64_t a, uint64_t b) { return std::popcount(a ^ b); }

}  // namespace bitfoundry::images
