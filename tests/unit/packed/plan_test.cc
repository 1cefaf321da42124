#include "packed/plan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "tests/unit/packed/random_network.h"

namespace bitfoundry::packed {
namespace {

using namespace testing;

std::vector<Layer> LayersOf(const Network& network) {
  const auto layers = Describe(network);
  BF_CHECK(layers.ok());
  return *layers;
}

uint64_t Aligned(uint64_t bytes, uint64_t align) { return (bytes + align - 1) / align * align; }

// The last layer that needs layer i's output; the logits are needed after the last.
size_t LastUse(const std::vector<Layer>& layers, size_t i) {
  size_t last = i + 1 == layers.size() ? layers.size() : i;
  for (size_t j = i + 1; j < layers.size(); ++j) {
    if (layers[j].input == i + 1 || layers[j].add == i + 1) last = j;
  }
  return last;
}

// Whether layer j's output may lie on layer i's, which it adds and nobody needs afterwards.
bool LandsOn(const std::vector<Layer>& layers, size_t i, size_t j) {
  return layers[j].add == i + 1 && LastUse(layers, i) == j && layers[j].out == layers[i].out;
}

bool AliveTogether(const std::vector<Layer>& layers, size_t i, size_t j) {
  return j <= LastUse(layers, i) && !LandsOn(layers, i, j);
}

// Outputs are alive from the layer that gives them to the last that takes them.
void ExpectSound(const std::vector<Layer>& layers, const Plan& plan, uint64_t align) {
  ASSERT_EQ(plan.offsets.size(), layers.size());
  EXPECT_EQ(plan.bytes % align, 0U);
  uint64_t sum = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    const uint64_t end = plan.offsets[i] + layers[i].out_bytes;
    EXPECT_EQ(plan.offsets[i] % align, 0U);
    EXPECT_LE(end, plan.bytes);
    sum += Aligned(layers[i].out_bytes, align);
    for (size_t j = i + 1; j < layers.size(); ++j) {
      if (!AliveTogether(layers, i, j)) continue;
      EXPECT_TRUE(end <= plan.offsets[j] ||
                  plan.offsets[j] + layers[j].out_bytes <= plan.offsets[i])
          << layers[i].name << " and " << layers[j].name << " overlap";
    }
  }
  EXPECT_LE(plan.bytes, sum);
}

TEST(PlanArenaTest, KeepsApartWhatIsAliveTogether) {
  for (uint32_t seed = 0; seed < 12; ++seed) {
    for (const uint64_t align : {1U, 16U, 64U}) {
      for (const Network& n : {RandomNetwork(1, seed), RandomSkipNetwork(seed)}) {
        const auto layers = LayersOf(n);
        ExpectSound(layers, PlanArena(layers, align), align);
      }
    }
  }
}

// A layer that gives `bytes`, as far as a plan is concerned.
Layer Giving(uint32_t bytes, uint32_t input, uint32_t add = 0) {
  Layer layer;
  layer.input = input;
  layer.add = add;
  layer.out = {1, 1, bytes};
  layer.out_bytes = bytes;
  return layer;
}

TEST(PlanArenaTest, LetsASumLandOnItsSkip) {
  const std::vector<Layer> layers = {Giving(64, 0), Giving(16, 1), Giving(64, 2, 1), Giving(16, 3)};
  const Plan plan = PlanArena(layers);
  EXPECT_EQ(plan.offsets[2], plan.offsets[0]);
  EXPECT_EQ(plan.bytes, 64U + 16);
}

TEST(PlanArenaTest, KeepsASkipThatIsNeededAgainOrHasAnotherShape) {
  const std::vector<Layer> again = {Giving(64, 0), Giving(16, 1), Giving(64, 2, 1),
                                    Giving(64, 3, 1)};
  EXPECT_NE(PlanArena(again).offsets[2], PlanArena(again).offsets[0]);
  ExpectSound(again, PlanArena(again), 16);
  const std::vector<Layer> wider = {Giving(64, 0), Giving(16, 1), Giving(128, 2, 1), Giving(16, 3)};
  EXPECT_EQ(PlanArena(wider).bytes, 64U + 16 + 128);
}

// The smallest arena that any order of placing each tensor as low as it can lie gives; an optimal
// arrangement can always be pushed down into one of these.
uint64_t Smallest(const std::vector<Layer>& layers, uint64_t align) {
  std::vector<size_t> order(layers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  uint64_t smallest = UINT64_MAX;
  do {
    std::vector<uint64_t> offsets(layers.size());
    uint64_t bytes = 0;
    for (size_t k = 0; k < order.size(); ++k) {
      const size_t i = order[k];
      uint64_t offset = 0;
      for (bool moved = true; moved;) {
        moved = false;
        for (size_t m = 0; m < k; ++m) {
          const size_t j = order[m];
          if (!AliveTogether(layers, std::min(i, j), std::max(i, j))) continue;
          const uint64_t end = offsets[j] + Aligned(layers[j].out_bytes, align);
          if (offset < end && offsets[j] < offset + Aligned(layers[i].out_bytes, align)) {
            offset = end;
            moved = true;
          }
        }
      }
      offsets[i] = offset;
      bytes = std::max(bytes, offset + Aligned(layers[i].out_bytes, align));
    }
    smallest = std::min(smallest, bytes);
  } while (std::ranges::next_permutation(order).found);
  return smallest;
}

TEST(PlanArenaTest, FindsTheSmallestArenaOfAChain) {
  for (uint32_t seed = 0; seed < 12; ++seed) {
    const auto layers = LayersOf(RandomNetwork(3, seed));
    EXPECT_EQ(PlanArena(layers).bytes, Smallest(layers, 16)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace bitfoundry::packed
