#include "labels/consensus.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

namespace bitfoundry::labels {
namespace {

constexpr Opinion Person(int class_index) { return {class_index, kPersonReliability}; }

// Bayes' theorem as it is written in a textbook.
double PosteriorByDefinition(const std::vector<Opinion>& opinions, int classes, int of) {
  double sum = 0, wanted = 0;
  for (int truth = 0; truth < classes; ++truth) {
    double likelihood = 1;
    for (const Opinion& o : opinions) {
      likelihood *= o.class_index == truth ? o.reliability : (1 - o.reliability) / (classes - 1);
    }
    sum += likelihood;
    if (truth == of) wanted = likelihood;
  }
  return wanted / sum;
}

TEST(Consensus, AgreesWithTheDefinition) {
  std::mt19937 random(/*seed=*/11);
  for (int round = 0; round < 500; ++round) {
    const int classes = 2 + static_cast<int>(random() % 5);
    std::vector<Opinion> opinions(1 + random() % 6);
    for (Opinion& o : opinions) {
      o.class_index = static_cast<int>(random() % static_cast<unsigned>(classes));
      o.reliability = std::uniform_real_distribution<>(0.01, 0.99)(random);
    }
    const Belief belief = Consensus(opinions, classes);
    EXPECT_NEAR(belief.posterior, PosteriorByDefinition(opinions, classes, belief.class_index),
                1e-12);
    for (int c = 0; c < classes; ++c) {
      EXPECT_LE(PosteriorByDefinition(opinions, classes, c), belief.posterior + 1e-12);
    }
  }
}

TEST(Consensus, NobodyKnowsNothing) {
  EXPECT_DOUBLE_EQ(Consensus({}, 4).posterior, 0.25);
  EXPECT_FALSE(Consensus({}, 2).settled());
}

TEST(Consensus, OnePersonSettlesTwoWhoDisagreeDoNotAndAThirdDecides) {
  const std::vector<Opinion> three = {Person(0), Person(1), Person(1)};
  EXPECT_TRUE(Consensus(std::span(three).first(1), 2).settled());
  EXPECT_FALSE(Consensus(std::span(three).first(2), 2).settled());
  const Belief belief = Consensus(three, 2);
  EXPECT_TRUE(belief.settled());
  EXPECT_EQ(belief.class_index, 1);
}

TEST(Consensus, NobodyIsCertainSoThatEverybodyCanBeOutvoted) {
  const std::vector<Opinion> opinions = {{0, 1.0}, Person(1), Person(1), Person(1)};
  EXPECT_EQ(Consensus(opinions, 2).class_index, 1);
  EXPECT_TRUE(Consensus(opinions, 2).settled());
}

TEST(Consensus, TheOrderDoesNotMatter) {
  std::vector<Opinion> opinions = {{0, 0.6}, {1, 0.8}, {2, 0.97}};
  const Belief belief = Consensus(opinions, 3);
  std::reverse(opinions.begin(), opinions.end());
  EXPECT_EQ(Consensus(opinions, 3).class_index, belief.class_index);
  EXPECT_NEAR(Consensus(opinions, 3).posterior, belief.posterior, 1e-15);
}

TEST(Consensus, ManyOpinionsDoNotOverflow) {
  const std::vector<Opinion> opinions(2000, Person(1));
  EXPECT_EQ(Consensus(opinions, 64).posterior, 1.0);
}

}  // namespace
}  // namespace bitfoundry::labels
