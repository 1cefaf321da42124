#include "verdicts/transform.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "tests/support/status_matchers.h"

namespace bitfoundry::verdicts {
namespace {

using testing::IsOk;

TEST(Transform, DarkensByTheGainAndAddsNoiseOfTheStatedSize) {
  const auto transform = ParseTransform("darken(0.5, 4)");
  ASSERT_THAT(transform, IsOk());
  const std::vector<uint8_t> image(64 * 64, 100);
  const auto dark = Apply(*transform, "name", image);
  const double mean = std::accumulate(dark.begin(), dark.end(), 0.0) / 4096;
  double squares = 0;
  for (const uint8_t value : dark) squares += (value - mean) * (value - mean);
  EXPECT_NEAR(mean, 50, 0.3);
  EXPECT_NEAR(std::sqrt(squares / 4096), 4, 0.2);
}

TEST(Transform, IsTheSameForTheSameSampleAndAnotherForAnother) {
  const auto transform = ParseTransform("darken(0.5,4)");
  const std::vector<uint8_t> image(64, 100);
  EXPECT_EQ(Apply(*transform, "a", image), Apply(*transform, "a", image));
  EXPECT_NE(Apply(*transform, "a", image), Apply(*transform, "b", image));
  EXPECT_EQ(Apply(*ParseTransform("none"), "a", image), image);
}

// Frozen bits: a verdict on darkened images replays only if these never change.
TEST(Transform, GivesTheBitsThatItAlwaysGave) {
  const std::vector<uint8_t> image = {0, 10, 100, 200, 255, 255, 0, 128};
  EXPECT_EQ(Apply(*ParseTransform("darken(0.25,3)"), "sample", image),
            (std::vector<uint8_t>{0, 4, 25, 50, 66, 60, 0, 34}));
}

}  // namespace
}  // namespace bitfoundry::verdicts
