#include "bnn/augment.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <set>

namespace bitfoundry::bnn {
namespace {

TEST(EpochOrderTest, IsAPermutationThatFollowsFromSeedAndEpoch) {
  std::vector<uint32_t> all(100);
  std::iota(all.begin(), all.end(), 0U);
  const auto order = EpochOrder(1, 0, 100);
  EXPECT_TRUE(std::is_permutation(order.begin(), order.end(), all.begin()));
  EXPECT_EQ(order, EpochOrder(1, 0, 100));
  EXPECT_NE(order, EpochOrder(1, 1, 100));
  EXPECT_NE(order, EpochOrder(2, 0, 100));
}

TEST(RandomTest, StaysWithinItsBoundsAndReachesBoth) {
  Random random(1, 2, 3);
  std::set<int32_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(random.Between(-2, 2));
  EXPECT_EQ(seen, (std::set<int32_t>{-2, -1, 0, 1, 2}));
}

// A 2x3 image of three channels, so that rows, columns and channels cannot be mixed up.
constexpr packed::Shape kShape = {2, 3, 3};

std::vector<float> Augmented(const std::vector<uint8_t>& pixels, const Augment& augment,
                             uint64_t index) {
  std::vector<float> out(pixels.size());
  Random random(1, 0, index);
  AugmentImage(pixels, kShape, augment, random, out);
  return out;
}

std::vector<uint8_t> Pixels() {
  std::vector<uint8_t> pixels(18);
  std::iota(pixels.begin(), pixels.end(), uint8_t{120});
  return pixels;
}

TEST(AugmentImageTest, WithoutAugmentationOnlyCentresScalesAndTransposes) {
  const auto pixels = Pixels();
  const auto out = Augmented(pixels, {}, 0);
  for (size_t y = 0; y < 2; ++y) {
    for (size_t x = 0; x < 3; ++x) {
      for (size_t c = 0; c < 3; ++c) {
        const auto pixel = static_cast<float>(pixels[(y * 3 + x) * 3 + c]);
        EXPECT_EQ(out[c * 6 + y * 3 + x], (pixel - 128) / 128);
      }
    }
  }
}

TEST(AugmentImageTest, FlipsEveryOtherTime) {
  const auto plain = Augmented(Pixels(), {}, 0);
  auto mirrored = plain;
  for (size_t row = 0; row < 6; ++row) std::swap(mirrored[row * 3], mirrored[row * 3 + 2]);
  int flipped = 0;
  for (uint64_t i = 0; i < 200; ++i) {
    const auto out = Augmented(Pixels(), {.flip = true}, i);
    EXPECT_TRUE(out == plain || out == mirrored);
    flipped += out == mirrored ? 1 : 0;
  }
  EXPECT_GT(flipped, 70);
  EXPECT_LT(flipped, 130);
}

TEST(AugmentImageTest, ShiftsRepeatTheEdges) {
  std::set<float> seen;
  for (uint64_t i = 0; i < 200; ++i) {
    const auto out = Augmented(Pixels(), {.shift = 1}, i);
    seen.insert(out[0]);  // channel 0, top left: comes from one of the four pixels near it
  }
  const std::set<float> near = {-8 / 128.0F, -5 / 128.0F, 1 / 128.0F, 4 / 128.0F};
  EXPECT_EQ(seen, near);
}

TEST(AugmentImageTest, BrightnessAndContrastStayWithinEightBits) {
  const std::vector<uint8_t> extremes = {0,   255, 0,   255, 0,   255, 0,   255, 0,
                                         255, 0,   255, 0,   255, 0,   255, 0,   255};
  bool changed = false;
  for (uint64_t i = 0; i < 50; ++i) {
    for (const float v : Augmented(extremes, {.brightness = 128, .contrast = 90}, i)) {
      EXPECT_GE(v, -1);
      EXPECT_LE(v, 127 / 128.0F);
      changed = changed || (v != -1 && v != 127 / 128.0F);
    }
  }
  EXPECT_TRUE(changed);
}

}  // namespace
}  // namespace bitfoundry::bnn
