#include "stats/clusters.h"

#include <gtest/gtest.h>

#include <vector>

#include "tests/support/simulation.h"

namespace bitfoundry::stats {
namespace {

using Counts = std::vector<Count>;

TEST(Cluster, LosesNothingWhereEachSampleIsAGroup) {
  const Counts groups = {{1, 1}, {1, 0}, {0, 0}, {1, 1}};
  const Clustering clustering = Cluster(groups);
  EXPECT_EQ(clustering.groups, 3);
  EXPECT_EQ(clustering.design_effect, 1);
  EXPECT_FALSE(clustering.too_few_groups);
}

TEST(Cluster, EstimatesByTheAnalysisOfVariance) {
  // By hand: between groups 10 (0.04 + 0.04) / 4 = 0.2, within 11.2 / 45, which is more.
  const Counts alike = {{10, 8}, {10, 4}, {10, 6}, {10, 6}, {10, 6}};
  EXPECT_EQ(Cluster(alike).estimated_icc, 0);
  const Counts apart = {{10, 10}, {10, 10}, {10, 2}, {10, 9}, {10, 9}};
  // 10 (0.04 + 0.04 + 0.36 + 0.01 + 0.01) / 4 = 1.15; (0 + 0 + 1.6 + 0.9 + 0.9) / 45 = 3.4 / 45.
  const double within = 3.4 / 45;
  const double icc = (1.15 - within) / (1.15 + 9 * within);
  const Clustering clustering = Cluster(apart);
  EXPECT_NEAR(clustering.estimated_icc, icc, 1e-12);
  EXPECT_NEAR(clustering.icc, (1 + 3 * icc) / 4, 1e-12);  // three groups have a failure
  EXPECT_NEAR(clustering.design_effect, 1 + 9 * (1 + 3 * icc) / 4, 1e-12);
}

TEST(Cluster, TakesFramesForHalfAlikeWhereNothingFailedAndOneGroupForOneSample) {
  const Counts groups(20, Count{50, 50});
  EXPECT_DOUBLE_EQ(Cluster(groups).design_effect, 1 + 49 * 0.5);
  const Counts one = {{70, 60}};
  EXPECT_DOUBLE_EQ(Cluster(one).design_effect, 70);
}

TEST(Cluster, DoesNotProveMoreForTheFirstFailure) {
  Counts groups(20, Count{50, 50});
  const double faultless = LowerBound({1000, 1000, Cluster(groups).design_effect}, 0.05);
  groups[0].successes = 49;
  EXPECT_LE(LowerBound({1000, 999, Cluster(groups).design_effect}, 0.05), faultless);
}

TEST(Cluster, SaysWhereThereAreTooFewGroups) {
  EXPECT_TRUE(Cluster(Counts(4, Count{50, 45})).too_few_groups);
  EXPECT_FALSE(Cluster(Counts(5, Count{50, 45})).too_few_groups);
  EXPECT_FALSE(Cluster(Counts{}).too_few_groups);
}

TEST(Cluster, OfPairsLooksAtTheirDifferences) {
  const std::vector<Paired> unchanged(10, Paired{30, 0, 0});
  EXPECT_DOUBLE_EQ(Cluster(unchanged).design_effect, 1 + 29 * 0.5);
  std::vector<Paired> lost_at_one(10, Paired{30, 1, 1});
  const double before = Cluster(lost_at_one).design_effect;
  lost_at_one[0] = {30, 20, 0};
  EXPECT_GT(Cluster(lost_at_one).design_effect, 2 * before);
}

// Coverage: how often a bound at 95 % is right, of `rounds` draws.
struct Coverage {
  double lower = 0, upper = 0, plain = 0;
};
Coverage Cover(const std::vector<int64_t>& sizes, double rate, double icc, int rounds) {
  std::mt19937_64 random(/*seed=*/4);
  Coverage coverage;
  for (int round = 0; round < rounds; ++round) {
    const Counts groups = testing::BetaBinomialGroups(sizes, rate, icc, random);
    Count total = testing::Total(groups);
    coverage.plain += LowerBound(total, 0.05) <= rate ? 1.0 / rounds : 0;
    total.design_effect = Cluster(groups).design_effect;
    coverage.lower += LowerBound(total, 0.05) <= rate ? 1.0 / rounds : 0;
    coverage.upper += UpperBound(total, 0.05) >= rate ? 1.0 / rounds : 0;
  }
  return coverage;
}

struct Sizes {
  const char* name;
  std::vector<int64_t> sizes;
};
class BoundsOfGroups : public ::testing::TestWithParam<Sizes> {};

// 1,000 draws: a bound that is right in 95 % is seen right in 93.6 % or more with 98 % probability.
TEST_P(BoundsOfGroups, AreRightAsOftenAsTheySayHoweverAlikeFramesAre) {
  for (const double rate : {0.7, 0.95, 0.98}) {
    for (const double icc : {0.0, 0.1, 0.3}) {
      const Coverage coverage = Cover(GetParam().sizes, rate, icc, 1000);
      EXPECT_GE(coverage.lower, 0.936) << rate << " " << icc;
      EXPECT_GE(coverage.upper, 0.936) << rate << " " << icc;
      if (icc > 0.2) {
        EXPECT_LT(coverage.plain, 0.85) << "then no design effect would be needed";
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Sizes, BoundsOfGroups,
                         ::testing::Values(Sizes{"TenOf20", std::vector<int64_t>(10, 20)},
                                           Sizes{"TenOf100", std::vector<int64_t>(10, 100)},
                                           Sizes{"TwentyOf50", std::vector<int64_t>(20, 50)},
                                           Sizes{"FiftyOf20", std::vector<int64_t>(50, 20)},
                                           Sizes{"Unequal",
                                                 {1, 2, 5, 5, 8, 10, 10, 12, 20, 20, 30, 40, 60, 60,
                                                  80, 150}}),
                         [](const auto& param) { return param.param.name; });

}  // namespace
}  // namespace bitfoundry::stats
