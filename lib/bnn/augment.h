// Private to lib/bnn: the order of the examples and what is done to each, as pure functions of
// (seed, epoch, index), so that a training can stop and go on anywhere.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "bnn/recipe.h"
#include "packed/network.h"

namespace bitfoundry::bnn {

// SplitMix64 (Steele, Lea, Flood 2014): the same numbers on every machine, which the distributions
// of <random> do not promise.
class Random {
 public:
  Random(uint64_t seed, int32_t epoch, uint64_t index);
  uint64_t Next();
  uint32_t Below(uint32_t n);                  // 0 to n - 1; the bias is below n / 2^32
  int32_t Between(int32_t low, int32_t high);  // both included
  float Uniform(float low, float high);

 private:
  uint64_t state_;
};

// 0 to n - 1 in the order of this epoch.
std::vector<uint32_t> EpochOrder(uint64_t seed, int32_t epoch, size_t n);

// One image as the network in training takes it.
//
//   pixels  [height][width][channels]
//   out     [channels][height][width], (pixel - 128) / 128 after augmentation
void AugmentImage(std::span<const uint8_t> pixels, const packed::Shape& shape,
                  const Augment& augment, Random& random, std::span<float> out);

}  // namespace bitfoundry::bnn
