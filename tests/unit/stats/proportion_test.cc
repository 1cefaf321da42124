#include "stats/proportion.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace bitfoundry::stats {
namespace {

using ::testing::Optional;

// P(at most k successes of n), from the definition: the oracle.
double BinomialCdf(int64_t n, int64_t k, double p) {
  double sum = 0;
  for (int64_t i = 0; i <= k; ++i) {
    const auto real = [](int64_t v) { return static_cast<double>(v); };
    sum += std::exp(std::lgamma(real(n + 1)) - std::lgamma(real(i + 1)) -
                    std::lgamma(real(n - i + 1)) + real(i) * std::log(p) +
                    real(n - i) * std::log1p(-p));
  }
  return sum;
}

TEST(Bounds, TwentyOfTwentyProveEightySixPercentNotAHundred) {
  EXPECT_NEAR(LowerBound({20, 20}, 0.05), 0.8608917, 1e-7);
  EXPECT_EQ(UpperBound({20, 20}, 0.05), 1.0);
}

// The rule of three's exact form: zero errors in 59 prove 95 %, in 299 prove 99 %, and no fewer do.
TEST(Bounds, ZeroErrorsInFiftyNineProveNinetyFivePercentAndIn299NinetyNine) {
  EXPECT_GE(LowerBound({59, 59}, 0.05), 0.95);
  EXPECT_LT(LowerBound({58, 58}, 0.05), 0.95);
  EXPECT_GE(LowerBound({299, 299}, 0.05), 0.99);
  EXPECT_LT(LowerBound({298, 298}, 0.05), 0.99);
}

// scipy.stats.binomtest(k, n, alternative=...).proportion_ci(0.95, "exact"), SciPy 1.10.1.
TEST(Bounds, AgreeWithScipy) {
  EXPECT_NEAR(LowerBound({10, 0}, 0.05), 0.000000000000, 1e-11);
  EXPECT_NEAR(UpperBound({10, 0}, 0.05), 0.258865550893, 1e-11);
  EXPECT_NEAR(LowerBound({10, 1}, 0.05), 0.005116196892, 1e-11);
  EXPECT_NEAR(UpperBound({10, 1}, 0.05), 0.394163302437, 1e-11);
  EXPECT_NEAR(LowerBound({10, 5}, 0.05), 0.222441101008, 1e-11);
  EXPECT_NEAR(UpperBound({10, 5}, 0.05), 0.777558898992, 1e-11);
  EXPECT_NEAR(LowerBound({10, 9}, 0.05), 0.605836697563, 1e-11);
  EXPECT_NEAR(UpperBound({10, 9}, 0.05), 0.994883803108, 1e-11);
  EXPECT_NEAR(LowerBound({200, 192}, 0.05), 0.928985831384, 1e-11);
  EXPECT_NEAR(UpperBound({200, 192}, 0.05), 0.979943240410, 1e-11);
  EXPECT_NEAR(LowerBound({1000, 7}, 0.05), 0.003289787401, 1e-11);
  EXPECT_NEAR(UpperBound({1000, 7}, 0.05), 0.013107715417, 1e-11);
  EXPECT_NEAR(LowerBound({1000, 985}, 0.05), 0.976996451149, 1e-11);
  EXPECT_NEAR(UpperBound({1000, 985}, 0.05), 0.990731569020, 1e-11);
  EXPECT_NEAR(LowerBound({500, 499}, 0.05), 0.990547717792, 1e-11);
  EXPECT_NEAR(UpperBound({500, 499}, 0.05), 0.999897418674, 1e-11);
  EXPECT_NEAR(LowerBound({10000, 9540}, 0.05), 0.950404975858, 1e-11);
  EXPECT_NEAR(UpperBound({10000, 9540}, 0.05), 0.957397453367, 1e-11);
}

// Published tables, at 95 %, two-sided, to the digits that they print. Table I, method 5, of R. G.
// Newcombe, "Two-sided confidence intervals for the single proportion: comparison of seven
// methods", Statistics in Medicine 17 (1998) 857-872, as other projects' tests quote it; and W. J.
// Conover, "Practical Nonparametric Statistics" (1999), as influentialpoints.com quotes it.
TEST(Bounds, AreThoseOfPublishedTables) {
  struct Row {
    int64_t successes, n;
    double lower, upper;
  };
  for (const Row& row : {Row{81, 263, 0.2527, 0.3676}, Row{15, 148, 0.0578, 0.1617},
                         Row{0, 20, 0.0000, 0.1684}, Row{1, 29, 0.0009, 0.1776}}) {
    EXPECT_NEAR(LowerBound({row.n, row.successes}, 0.025), row.lower, 5e-5);
    EXPECT_NEAR(UpperBound({row.n, row.successes}, 0.025), row.upper, 5e-5);
  }
  EXPECT_NEAR(LowerBound({25, 5}, 0.025), 0.068, 5e-4);
  EXPECT_NEAR(UpperBound({25, 5}, 0.025), 0.407, 5e-4);
}

TEST(Bounds, AreWhereTheBinomialTailIsAlpha) {
  for (const double alpha : {0.001, 0.05, 0.25}) {
    for (const int64_t n : {1, 2, 17, 200, 1000}) {
      for (const int64_t k : {int64_t{1}, n / 3, n - 1}) {
        if (k < 1 || k >= n) continue;
        EXPECT_NEAR(1 - BinomialCdf(n, k - 1, LowerBound({n, k}, alpha)), alpha, 1e-9);
        EXPECT_NEAR(BinomialCdf(n, k, UpperBound({n, k}, alpha)), alpha, 1e-9);
      }
    }
  }
}

TEST(Bounds, MirrorEachOther) {
  for (int64_t k = 0; k <= 50; ++k) {
    EXPECT_NEAR(LowerBound({50, k}, 0.05), 1 - UpperBound({50, 50 - k}, 0.05), 1e-12);
  }
}

TEST(Bounds, NoTrialsProveNothing) {
  EXPECT_EQ(LowerBound({0, 0}, 0.05), 0.0);
  EXPECT_EQ(UpperBound({0, 0}, 0.05), 1.0);
}

TEST(Decide, HoldsOnlyWhenTheBoundClearsTheLimit) {
  EXPECT_EQ(Decide({59, 59}, Side::kAtLeast, 0.95, 0.05), Decision::kHolds);
  EXPECT_EQ(Decide({58, 58}, Side::kAtLeast, 0.95, 0.05), Decision::kOpen);
  EXPECT_EQ(Decide({200, 192}, Side::kAtLeast, 0.95, 0.05), Decision::kOpen);
  EXPECT_EQ(Decide({200, 170}, Side::kAtLeast, 0.95, 0.05), Decision::kBroken);
}

TEST(Decide, AtMostIsAtLeastOfTheErrors) {
  for (int64_t k = 0; k <= 200; ++k) {
    EXPECT_EQ(Decide({200, k}, Side::kAtMost, 0.05, 0.05),
              Decide({200, 200 - k}, Side::kAtLeast, 0.95, 0.05))
        << k;
  }
}

TEST(Decide, NothingSeenDecidesNothing) {
  EXPECT_EQ(Decide({0, 0}, Side::kAtLeast, 0.9, 0.05), Decision::kOpen);
  EXPECT_EQ(Decide({0, 0}, Side::kAtMost, 0.1, 0.05), Decision::kOpen);
}

TEST(TrialsNeeded, OfAFaultlessSliceIsWhatIsMissingToFiftyNine) {
  EXPECT_THAT(TrialsNeeded({20, 20}, 0.95, 0.05), Optional(39));
  EXPECT_THAT(TrialsNeeded({59, 59}, 0.95, 0.05), Optional(0));
}

TEST(TrialsNeeded, SettlesTheTestAndOneFewerDoesNot) {
  // 24 of 25 at a time, so that whole trials have exactly the observed rate.
  const auto needed = TrialsNeeded({200, 192}, 0.95, 0.05);
  ASSERT_TRUE(needed.has_value());
  const int64_t total = (200 + *needed + 24) / 25 * 25;
  EXPECT_EQ(Decide({total, total / 25 * 24}, Side::kAtLeast, 0.95, 0.05), Decision::kHolds);
  const int64_t fewer = (200 + *needed - 1) / 25 * 25;
  EXPECT_EQ(Decide({fewer, fewer / 25 * 24}, Side::kAtLeast, 0.95, 0.05), Decision::kOpen);
}

TEST(TrialsNeeded, AlsoSettleTowardsABrokenBound) {
  const auto needed = TrialsNeeded({100, 92}, 0.95, 0.05);
  ASSERT_TRUE(needed.has_value());
  const int64_t total = (100 + *needed + 24) / 25 * 25;
  EXPECT_EQ(Decide({total, total / 25 * 23}, Side::kAtLeast, 0.95, 0.05), Decision::kBroken);
}

TEST(TestRate, TurnsWhereTheBoundsDo) {
  for (int64_t k = 0; k <= 200; ++k) {
    const PValues p = TestRate({200, k}, Side::kAtLeast, 0.95);
    EXPECT_EQ(p.holds <= 0.05, LowerBound({200, k}, 0.05) >= 0.95) << k;
    EXPECT_EQ(p.broken <= 0.05, UpperBound({200, k}, 0.05) <= 0.95) << k;
  }
}

TEST(DesignEffect, MakesTrialsWorthLess) {
  EXPECT_NEAR(LowerBound({200, 190, 2}, 0.05), LowerBound({100, 95}, 0.05), 1e-12);
  EXPECT_NEAR(UpperBound({200, 190, 2}, 0.05), UpperBound({100, 95}, 0.05), 1e-12);
  EXPECT_NEAR(LowerBound({300, 300, 3.7}, 0.05), std::pow(0.05, 3.7 / 300), 1e-12);
  EXPECT_THAT(TrialsNeeded({20, 20, 2}, 0.95, 0.05), Optional(97));  // twice 58.4, less 20
}

// The planning table of the design came from a scan in steps of 3 %, which steps over sizes that
// are enough: each of its figures is, none of the last seven is the least.
TEST(TrialsToCertify, AreWithinThePlanningTable) {
  struct Row {
    double limit, rate, alpha;
    int64_t table, least, always;
  };
  for (const Row& row :
       {Row{0.90, 0.95, 0.05, 179, 179, 203}, Row{0.95, 0.98, 0.05, 262, 234, 286},
        Row{0.95, 0.97, 0.05, 682, 601, 694}, Row{0.98, 0.99, 0.05, 980, 969, 1091},
        Row{0.90, 0.95, 0.0025, 393, 392, 418}, Row{0.95, 0.98, 0.0025, 534, 529, 557},
        Row{0.95, 0.97, 0.0025, 1365, 1336, 1408}, Row{0.98, 0.99, 0.0025, 2072, 2058, 2186}}) {
    const auto enough = [&](int64_t n) {
      return PowerToCertify(n, row.limit, row.rate, row.alpha) >= 0.8;
    };
    int64_t scan = 1;
    while (!enough(scan)) scan = static_cast<int64_t>(static_cast<double>(scan) * 1.03) + 1;
    EXPECT_EQ(scan, row.table);
    const auto size = TrialsToCertify(row.limit, row.rate, 0.8, row.alpha);
    ASSERT_TRUE(size.has_value());
    EXPECT_EQ(size->least, row.least);
    EXPECT_EQ(size->always, row.always);
    EXPECT_FALSE(enough(row.always - 1));
  }
}

TEST(TrialsToCertify, AreNoneForARateThatDoesNotReachTheLimit) {
  EXPECT_EQ(TrialsToCertify(0.95, 0.95, 0.8, 0.05), std::nullopt);
  EXPECT_EQ(TrialsToCertify(0.95, 0.9501, 0.8, 0.05), std::nullopt);
  EXPECT_EQ(TrialsToCertify(0.95, 1, 0.8, 0.05)->least, 59);
}

TEST(TrialsNeeded, AreNoneWhenTheRateIsOnTheLimitOrUnknown) {
  EXPECT_EQ(TrialsNeeded({100, 95}, 0.95, 0.05), std::nullopt);
  EXPECT_EQ(TrialsNeeded({0, 0}, 0.95, 0.05), std::nullopt);
}

}  // namespace
}  // namespace bitfoundry::stats
