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

// [rows][Words(channels)], 0 beyond the channels.
inline std::vector<uint32_t> RandomBits(size_t rows, uint32_t channels, std::mt19937& random) {
  std::vector<uint32_t> words(rows * Words(channels));
  for (uint32_t& word : words) word = static_cast<uint32_t>(random());
  if (const uint32_t rest = channels % kWordBits; rest != 0) {
    for (size_t i = Words(channels) - 1; i < words.size(); i += Words(channels)) {
      words[i] &= (uint32_t{1} << rest) - 1;
    }
  }
  return words;
}

inline std::vector<uint8_t> RandomImage(const Shape& shape, std::mt19937& random) {
  std::vector<uint8_t> image(size_t{shape.height} * shape.width * shape.channels);
  for (uint8_t& p : image) p = static_cast<uint8_t>(random() % 256);
  return image;
}

// Thresholds about the middle of K bits, where they matter.
inline Output RandomToBits(uint32_t channels, uint32_t k, std::mt19937& random) {
  const auto half = static_cast<int32_t>(k / 2);
  return ToBits{RandomIntegers(channels, half - 6, half + 6, random)};
}

// Small enough for some ten skips in a row, with K up to 1000.
inline Output RandomToInts(uint32_t channels, uint32_t add, std::mt19937& random) {
  ToInts ints;
  ints.scales = RandomIntegers(channels, -40, 40, random);
  ints.biases = RandomIntegers(channels, -5000, 5000, random);
  ints.shift = 4 + static_cast<uint32_t>(random() % 3);
  ints.relu = random() % 2 == 0;
  ints.add = add;
  return ints;
}

inline Stem RandomStem(uint32_t in, uint32_t channels, uint32_t kernel, uint32_t stride,
                       std::mt19937& random) {
  return {channels, kernel, stride, RandomBytes(size_t{channels} * kernel * kernel * in, random),
          ToBits{RandomIntegers(channels, -20'000, 20'000, random)}};
}

inline BinaryConv RandomConv(uint32_t in, uint32_t channels, uint32_t kernel, uint32_t stride,
                             std::mt19937& random) {
  return {channels, kernel, stride, RandomBits(size_t{channels} * kernel * kernel, in, random),
          RandomToBits(channels, kernel * kernel * in, random)};
}

inline BinaryConv RandomConvToInts(uint32_t in, uint32_t channels, uint32_t kernel, uint32_t stride,
                                   uint32_t add, std::mt19937& random) {
  BinaryConv conv = RandomConv(in, channels, kernel, stride, random);
  conv.output = RandomToInts(channels, add, random);
  return conv;
}

inline Dense RandomDense(uint32_t in, uint32_t classes, std::mt19937& random) {
  return {classes, RandomBytes(size_t{classes} * in, random),
          RandomIntegers(classes, -500, 500, random)};
}

// A chain like VGG's: odd sides, every kernel and stride, one to three words with bits to spare.
inline Network RandomNetwork(uint32_t image_channels, uint32_t seed) {
  std::mt19937 random(seed);
  Network n;
  n.input = {23, 18, image_channels};
  n.mean = {120};
  if (image_channels == 3) n.mean = {120, 0, 255};
  n.Then(RandomStem(image_channels, 32, seed % 2 == 0 ? 3 : 5, 1 + seed % 3, random));
  n.Then(RandomConv(32, 90, 3, 1, random));
  n.Then(MaxPool{});
  n.Then(RandomConv(90, 64, 1, 2, random));
  n.Then(RandomConv(64, 33, 3, 2, random));
  n.Then(GlobalSum{});
  n.Then(RandomDense(33, 3, random));
  return n;
}

// Windows further apart than they are wide, up to strides that leave one row, one column or both.
inline Network RandomStrideNetwork(uint32_t image_channels, uint32_t stride, uint32_t seed) {
  std::mt19937 random(seed);
  Network n;
  n.input = {seed % 3 == 0 ? 41 : 5 + seed % 7, seed % 3 == 1 ? 611U : 38U, image_channels};
  n.mean = {120};
  if (image_channels == 3) n.mean = {120, 0, 255};
  const uint32_t kernel = 1 + 2 * (seed % 4);
  n.Then(RandomStem(image_channels, 33, kernel, stride, random));
  n.Then(RandomConv(33, 40, 3, 1, random));
  n.Then(GlobalSum{});
  n.Then(RandomDense(40, 3, random));
  return n;
}

// Skips as in ResNet and QuickNet: added in place, pooled, repeated over more channels. Even seeds
// end in a sum over integers; odd ones go on with the operations that are left.
inline Network RandomSkipNetwork(uint32_t seed) {
  std::mt19937 random(seed);
  const uint32_t width = std::vector<uint32_t>{16, 32, 40}[seed % 3];
  const uint32_t wide = 2 * width;
  const auto sign = [&](uint32_t channels) {
    return Binarize{RandomIntegers(channels, -300, 300, random)};
  };
  Network n;
  n.input = {18, 14, 3};
  n.mean = {100, 110, 120};
  Stem stem = RandomStem(3, width, 3, 1, random);
  stem.output = ToInts{RandomIntegers(width, -20, 20, random),
                       RandomIntegers(width, -9000, 9000, random), 12, seed % 4 < 2, 0};
  const uint32_t first = n.Then(std::move(stem));
  n.Then(sign(width));
  const uint32_t second = n.Then(RandomConvToInts(width, width, 3, 1, first, random));
  const uint32_t bits = n.Then(sign(width));
  n.ops.push_back({second, AveragePool{2, 2, 2}});
  const uint32_t halved = static_cast<uint32_t>(n.ops.size());
  n.ops.push_back({bits, RandomConvToInts(width, wide, 3, 2, halved, random)});
  const uint32_t third = n.Then(MaxPool{3, 1});
  n.Then(sign(wide));
  n.Then(RandomConvToInts(wide, wide, 1, 1, third, random));
  uint32_t last = wide;
  if (seed % 2 == 1) {
    n.Then(sign(wide));
    n.Then(AveragePool{2, 1, 0});
    n.Then(Binarize{RandomIntegers(wide, -1, 1, random)});
    n.Then(MaxPool{});
    n.Then(BinaryDense{45, RandomBits(45 * 3 * 2, wide, random),
                       RandomToBits(45, 3 * 2 * wide, random)});
    n.Then(BinaryDense{50, RandomBits(50, 45, random), RandomToInts(50, 0, random)});
    last = 50;
  }
  n.Then(GlobalSum{3});
  n.Then(RandomDense(last, 3, random));
  return n;
}

}  // namespace bitfoundry::packed::testing
