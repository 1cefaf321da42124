#include "stats/decision.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

#include "stats/proportion.h"

namespace bitfoundry::stats {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;

TEST(Holm, AsksTheSmallestForAnMthOfAlphaAndTheLargestForAlpha) {
  const std::vector<double> p = {0.01, 0.04, 0.03, 0.005};
  EXPECT_THAT(Holm(p), ElementsAre(DoubleEq(0.03), DoubleEq(0.06), DoubleEq(0.06), DoubleEq(0.02)));
}

TEST(Holm, StopsAtTheFirstThatIsKept) {
  // 0.04 alone would be an alarm; behind 0.03, which is not one of two at 0.05, it is none.
  const std::vector<double> p = {0.03, 0.04};
  EXPECT_THAT(Holm(p), ElementsAre(DoubleEq(0.06), DoubleEq(0.06)));
  EXPECT_TRUE(Holm({}).empty());
}

TEST(DecideFamily, OfOneTestIsThatTest) {
  for (int64_t k = 0; k <= 200; ++k) {
    const std::vector<PValues> one = {TestRate({200, k}, Side::kAtLeast, 0.95)};
    EXPECT_THAT(DecideFamily(one, 0.05), ElementsAre(Decide({200, k}, Side::kAtLeast, 0.95, 0.05)));
  }
}

TEST(DecideFamily, CorrectsAlarmsAndNotProofs) {
  const std::vector<PValues> tests = {{0.05, 1}, {0.05, 1}, {1, 0.03}};
  EXPECT_THAT(DecideFamily(tests, 0.05),
              ElementsAre(Decision::kHolds, Decision::kHolds, Decision::kOpen));
}

// Share of releases with one or more false alarms, of `rounds` with 20 slices of n = 200 against
// 0.95, all truly at `rate`.
struct Alarms {
  double plain = 0, holm = 0;
};
Alarms FalseAlarms(double rate, int rounds) {
  std::mt19937_64 random(/*seed=*/4);
  std::bernoulli_distribution right(rate);
  Alarms alarms;
  for (int round = 0; round < rounds; ++round) {
    bool plain = false;
    std::vector<PValues> tests;
    for (int slice = 0; slice < 20; ++slice) {
      int64_t k = 0;
      for (int i = 0; i < 200; ++i) k += right(random);
      tests.push_back(TestRate({200, k}, Side::kAtLeast, 0.95));
      plain = plain || Decide(tests.back(), 0.05) == Decision::kBroken;
    }
    const auto decisions = DecideFamily(tests, 0.05);
    const auto broken = std::count(decisions.begin(), decisions.end(), Decision::kBroken);
    alarms.plain += plain ? 1.0 / rounds : 0;
    alarms.holm += broken > 0 ? 1.0 / rounds : 0;
  }
  return alarms;
}

TEST(DecideFamily, CallsAFaultlessReleaseBrokenInFivePercentAtMost) {
  EXPECT_LE(FalseAlarms(0.96, 2000).holm, 0.05);
}

// The hardest case, with every slice exactly on its limit; without a correction nearly half of all
// releases would be refused.
TEST(DecideFamily, CallsAReleaseOnItsLimitsBrokenInFivePercentAtMost) {
  const Alarms alarms = FalseAlarms(0.95, 2000);
  EXPECT_LE(alarms.holm, 0.05);
  EXPECT_GT(alarms.plain, 0.4);
}

}  // namespace
}  // namespace bitfoundry::stats
