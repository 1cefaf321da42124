#include "stats/gap.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>
#include <vector>

#include "tests/support/simulation.h"

namespace bitfoundry::stats {
namespace {

using Counts = std::vector<Count>;

TEST(BoundGap, IsTheDifferenceOfTheBounds) {
  const Counts groups = {{200, 190}, {300, 240}};
  const Gap gap = BoundGap(groups, 0.05);
  EXPECT_EQ(gap.highest, 0U);
  EXPECT_EQ(gap.lowest, 1U);
  EXPECT_NEAR(gap.observed, 0.15, 1e-12);
  EXPECT_NEAR(gap.upper, UpperBound({200, 190}, 0.025) - LowerBound({300, 240}, 0.025), 1e-12);
  EXPECT_NEAR(gap.lower, LowerBound({200, 190}, 0.0125) - UpperBound({300, 240}, 0.0125), 1e-12);
}

TEST(BoundGap, OfAnEmptyGroupCanBeAnything) {
  const Gap gap = BoundGap(Counts{{500, 500}, {0, 0}}, 0.05);
  EXPECT_EQ(gap.upper, 1);
  EXPECT_EQ(gap.lower, 0);
  EXPECT_EQ(gap.observed, 0);
}

TEST(TestGap, HoldsIsBrokenOrOpen) {
  EXPECT_EQ(Decide(TestGap(Counts{{2000, 1900}, {2000, 1890}}, 0.05), 0.05), Decision::kHolds);
  EXPECT_EQ(Decide(TestGap(Counts{{500, 475}, {500, 400}}, 0.05), 0.05), Decision::kBroken);
  EXPECT_EQ(Decide(TestGap(Counts{{100, 95}, {100, 94}}, 0.05), 0.05), Decision::kOpen);
  EXPECT_EQ(Decide(TestGap(Counts{{9000, 8550}, {0, 0}}, 0.05), 0.05), Decision::kOpen);
}

TEST(TestGap, TurnsWhereTheBoundsDo) {
  for (int64_t k = 150; k <= 200; ++k) {
    const Counts groups = {{200, 190}, {200, k}, {300, 280}};
    const PValues p = TestGap(groups, 0.1);
    const Gap gap = BoundGap(groups, 0.05);
    EXPECT_EQ(p.holds <= 0.05, gap.upper <= 0.1) << k;
    EXPECT_EQ(p.broken <= 0.05, gap.lower >= 0.1) << k;
  }
}

TEST(TestGap, OfSamplesThatAreWorthLessProvesLess) {
  EXPECT_GT(TestGap(Counts{{2000, 1900, 3}, {2000, 1890, 3}}, 0.05).holds,
            TestGap(Counts{{2000, 1900}, {2000, 1890}}, 0.05).holds);
}

TEST(TestGap, ErrsInFivePercentAtMostOnTheLimit) {
  std::mt19937_64 random(/*seed=*/4);
  int proven = 0;
  int broken = 0;
  for (int round = 0; round < 2000; ++round) {
    const Counts groups = {{150, testing::Successes(150, 0.95, random)},
                           {400, testing::Successes(400, 0.85, random)},
                           {250, testing::Successes(250, 0.85, random)}};
    const Decision decision = Decide(TestGap(groups, 0.1), 0.05);
    proven += decision == Decision::kHolds;
    broken += decision == Decision::kBroken;
  }
  EXPECT_LE(proven, 100);
  EXPECT_LE(broken, 100);
}

TEST(GapTrialsNeeded, SettleTheTest) {
  const Counts groups = {{100, 95}, {50, 47}};
  const auto more = GapTrialsNeeded(groups, 0.05, 0.05);
  ASSERT_TRUE(more.has_value());
  const int64_t times = (150 + *more) / 150 + 1;
  EXPECT_EQ(
      Decide(TestGap(Counts{{100 * times, 95 * times}, {50 * times, 47 * times}}, 0.05), 0.05),
      Decision::kHolds);
  EXPECT_EQ(GapTrialsNeeded(Counts{{1000, 950}, {1000, 900}}, 0.05, 0.05), std::nullopt);
  EXPECT_EQ(GapTrialsNeeded(Counts{{1000, 950}, {0, 0}}, 0.05, 0.05), std::nullopt);
}

}  // namespace
}  // namespace bitfoundry::stats
