#include "stats/paired.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace bitfoundry::stats {
namespace {

using ::testing::Optional;

TEST(McNemar, IsACoinTossPerChangedSample) {
  EXPECT_DOUBLE_EQ(McNemar({100, 5, 0}), 1.0 / 32);
  EXPECT_NEAR(McNemar({1000, 10, 3}), 0.0461, 5e-5);  // the planning figures of the design
  EXPECT_NEAR(McNemar({1000, 12, 2}), 0.00647, 5e-6);
  EXPECT_EQ(McNemar({1000, 0, 7}), 1);
  EXPECT_EQ(McNemar({1000, 0, 0}), 1);
}

TEST(TestLoss, AtZeroIsMcNemarsBothWays) {
  EXPECT_EQ(TestLoss({100, 12, 2}, 0).broken, McNemar({100, 12, 2}));
  EXPECT_EQ(TestLoss({100, 2, 12}, 0).holds, McNemar({100, 12, 2}));
}

TEST(TestLoss, IsProvenBrokenOrOpen) {
  EXPECT_EQ(Decide(TestLoss({1000, 5, 5}, 0.01), 0.05), Decision::kHolds);
  EXPECT_EQ(Decide(TestLoss({1000, 40, 10}, 0.01), 0.05), Decision::kBroken);
  EXPECT_EQ(Decide(TestLoss({1000, 12, 2}, 0.01), 0.05), Decision::kOpen);
}

TEST(TestLoss, OfFewUnchangedSamplesProvesNothingAndOfManyAll) {
  EXPECT_EQ(Decide(TestLoss({0, 0, 0}, 0.01), 0.05), Decision::kOpen);
  EXPECT_EQ(Decide(TestLoss({100, 0, 0}, 0.01), 0.05), Decision::kOpen);
  EXPECT_EQ(Decide(TestLoss({1000, 0, 0}, 0.01), 0.05), Decision::kHolds);
}

TEST(TestLoss, SaysLessTheMoreWasLost) {
  for (int64_t losses = 1; losses <= 30; ++losses) {
    EXPECT_GE(TestLoss({300, losses, 8}, 0.02).holds, TestLoss({300, losses - 1, 8}, 0.02).holds);
    EXPECT_LE(TestLoss({300, losses, 8}, 0.02).broken, TestLoss({300, losses - 1, 8}, 0.02).broken);
  }
}

// By the trinomial distribution itself: the probability of a wrong answer where the loss is just at
// the margin, whatever the share of samples that change.
TEST(TestLoss, ErrsWithAlphaAtMostWhateverChanges) {
  constexpr int64_t kN = 30;
  constexpr double kMargin = 0.05;
  const auto real = [](int64_t v) { return static_cast<double>(v); };
  std::vector<Paired> proven;
  std::vector<Paired> broken;
  for (int64_t losses = 0; losses <= kN; ++losses) {
    for (int64_t gains = 0; losses + gains <= kN; ++gains) {
      const Paired pairs{kN, losses, gains};
      const Decision decision = Decide(TestLoss(pairs, kMargin), 0.05);
      if (decision == Decision::kHolds) proven.push_back(pairs);
      if (decision == Decision::kBroken) broken.push_back(pairs);
    }
  }
  const auto probability = [&](const std::vector<Paired>& outcomes, double gain) {
    const double loss = gain + kMargin;
    double sum = 0;
    for (const Paired& p : outcomes) {
      const int64_t same = kN - p.losses - p.gains;
      sum += std::exp(std::lgamma(real(kN + 1)) - std::lgamma(real(p.losses + 1)) -
                      std::lgamma(real(p.gains + 1)) - std::lgamma(real(same + 1)) +
                      real(p.losses) * std::log(loss) + real(p.gains) * std::log(gain) +
                      real(same) * std::log(1 - loss - gain));
    }
    return sum;
  };
  double worst_proof = 0;
  double worst_alarm = 0;
  for (double gain = 0.0005; 2 * gain + kMargin < 1; gain += 0.0005) {
    worst_proof = std::max(worst_proof, probability(proven, gain));
    worst_alarm = std::max(worst_alarm, probability(broken, gain));
  }
  EXPECT_LE(worst_proof, 0.05);
  EXPECT_LE(worst_alarm, 0.05);
  EXPECT_GT(worst_proof, 0.03) << "far more cautious than asked for";
  EXPECT_GT(worst_alarm, 0.03);
}

TEST(BoundLoss, IsWhereTheTestTurns) {
  for (const Paired pairs : {Paired{200, 3, 3}, Paired{1000, 12, 2}, Paired{60, 0, 4}}) {
    const LossBounds bounds = BoundLoss(pairs, 0.05);
    EXPECT_LT(bounds.lower, pairs.loss());
    EXPECT_GT(bounds.upper, pairs.loss());
    if (bounds.upper > 0) {
      EXPECT_LE(TestLoss(pairs, bounds.upper).holds, 0.05);
      EXPECT_GT(TestLoss(pairs, bounds.upper - 1e-5).holds, 0.05);
    }
    const LossBounds mirrored = BoundLoss({pairs.n, pairs.gains, pairs.losses}, 0.05);
    EXPECT_EQ(mirrored.lower, -bounds.upper);
    EXPECT_EQ(mirrored.upper, -bounds.lower);
  }
  EXPECT_EQ(BoundLoss({0, 0, 0}, 0.05).upper, 1);
}

TEST(BoundLoss, IsWiderWhereSamplesAreWorthLess) {
  EXPECT_GT(BoundLoss({400, 6, 6, 2}, 0.05).upper, BoundLoss({400, 6, 6}, 0.05).upper);
  EXPECT_GT(McNemar({400, 16, 6, 2}), McNemar({400, 16, 6}));
}

// Another network altogether: most samples change.
TEST(BoundLoss, HoldsWhatWasObservedHoweverMuchChanged) {
  for (const Paired pairs : {Paired{300, 33, 227}, Paired{300, 227, 33}, Paired{300, 0, 260},
                             Paired{300, 260, 0}, Paired{1000, 20, 900}, Paired{1000, 450, 450}}) {
    const LossBounds bounds = BoundLoss(pairs, 0.05);
    EXPECT_LE(bounds.lower, pairs.loss()) << pairs.losses << " " << pairs.gains;
    EXPECT_GE(bounds.upper, pairs.loss()) << pairs.losses << " " << pairs.gains;
    EXPECT_LT(bounds.upper - bounds.lower, 0.25) << pairs.losses << " " << pairs.gains;
  }
}

TEST(PairsNeeded, SettleTheTest) {
  const auto more = PairsNeeded({200, 3, 3}, 0.01, 0.05);
  ASSERT_TRUE(more.has_value());
  const int64_t times = (200 + *more) * 11 / 10 / 200 + 1;  // it is an estimate: a tenth on top
  EXPECT_EQ(Decide(TestLoss({200 * times, 3 * times, 3 * times}, 0.01), 0.05), Decision::kHolds);
  EXPECT_THAT(PairsNeeded({1000, 5, 5}, 0.01, 0.05), Optional(0));
}

TEST(PairsNeeded, AreNoneWhereTheLossIsOnTheLimit) {
  EXPECT_EQ(PairsNeeded({1000, 15, 5}, 0.01, 0.05), std::nullopt);
  EXPECT_EQ(PairsNeeded({1000, 0, 0}, 0, 0.05), std::nullopt);
}

}  // namespace
}  // namespace bitfoundry::stats
