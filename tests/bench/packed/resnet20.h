// ResNet-20 of bits, with random weights.
#pragma once

#include "tests/unit/packed/random_network.h"

namespace bitfoundry::bench {

// ResNet-20's shapes with a skip around each binary convolution, as Bi-Real Net has it.
inline packed::Network ResNet20() {
  using namespace packed;
  using namespace packed::testing;
  std::mt19937 random(/*seed=*/4);
  Network n;
  n.input = {32, 32, 3};
  n.mean = {120, 120, 120};
  Stem stem = RandomStem(3, 16, 3, 1, random);
  stem.output = ToInts{std::vector(16, 1), RandomIntegers(16, -9000, 9000, random), 8, false, 0};
  uint32_t last = n.Then(std::move(stem));
  uint32_t channels = 16;
  for (const uint32_t width : {16U, 32U, 64U}) {
    for (int i = 0; i < 6; ++i) {
      const bool halves = channels != width;
      uint32_t skip = last;
      if (halves) {
        n.ops.push_back({last, AveragePool{2, 2, 2}});
        skip = static_cast<uint32_t>(n.ops.size());
      }
      n.ops.push_back({last, Binarize{RandomIntegers(channels, -50, 50, random)}});
      BinaryConv conv = RandomConv(channels, width, 3, halves ? 2 : 1, random);
      conv.output = ToInts{RandomIntegers(width, -32, 32, random),
                           RandomIntegers(width, -500, 500, random), 5, false, skip};
      last = n.Then(std::move(conv));
      channels = width;
    }
  }
  n.Then(GlobalSum{});
  n.Then(RandomDense(64, 10, random));
  return n;
}

}  // namespace bitfoundry::bench
