// Random sound networks for the tests of lib/packed.
#pragma once

#include <random>
#include <vector>

#include "packed/network.h"

namespace bitfoundry::packed::testing {

inline std::vector<int8_t> RandomBytes(size_t n, std::mt19937& random) {
  std::vector<int8_t> bytes(n);
  for (int8_t& b : bytes) b = static_cast<int8_t>(random() % 256);
  return bytes;
}

inline std::vector<int32_t> RandomIntegers(size_t n, int32_t low, int32_t high,
                                           std::mt19937& random) {
  std::uniform_int_distribution<int32_t> value(low, high);
  std::vector<int32_t> integers(n);
  for (int32_t& i : integers) i = value(random);
  return integers;
}

inline std::vector<uint8_t> RandomImage(const Shape& shape, std::mt19937& random) {
  std::vector<uint8_t> image(size_t{shape.height} * shape.width * shape.channels);
  for (uint8_t& p : image) p = static_cast<uint8_t>(random() % 256);
  return image;
}

inline Stem RandomStem(uint32_t in, uint32_t channels, uint32_t kernel, uint32_t stride,
                       std::mt19937& random) {
  return {channels, kernel, stride, RandomBytes(size_t{channels} * kernel * kernel * in, random),
          RandomIntegers(channels, -20'000, 20'000, random)};
}

inline BinaryConv RandomConv(uint32_t in, uint32_t channels, uint32_t kernel, uint32_t stride,
                             std::mt19937& random) {
  BinaryConv conv{channels, kernel, stride, {}, {}};
  const uint32_t values = kernel * kernel * in;
  for (size_t i = 0; i < size_t{channels} * values / 32; ++i) {
    conv.weights.push_back(static_cast<uint32_t>(random()));
  }
  const auto half = static_cast<int32_t>(values / 2);
  conv.thresholds = RandomIntegers(channels, half - 6, half + 6, random);
  return conv;
}

// Odd sides, every kernel and stride, a width of one, two and three words.
inline Network RandomNetwork(uint32_t image_channels, uint32_t seed) {
  std::mt19937 random(seed);
  Network n;
  n.input = {23, 18, image_channels};
  n.mean = 120;
  n.ops = {RandomStem(image_channels, 32, seed % 2 == 0 ? 3 : 5, 1 + seed % 3, random),
           RandomConv(32, 96, 3, 1, random),
           MaxPool{},
           RandomConv(96, 64, 1, 2, random),
           RandomConv(64, 32, 3, 2, random),
           GlobalSum{},
           Dense{3, RandomBytes(3 * 32, random), RandomIntegers(3, -500, 500, random)}};
  return n;
}

}  // namespace bitfoundry::packed::testing
