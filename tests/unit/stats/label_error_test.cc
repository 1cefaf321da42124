#include "stats/label_error.h"

#include <gtest/gtest.h>

#include <vector>

namespace bitfoundry::stats {
namespace {

TEST(LabelError, IsWhatThePosteriorsLeaveOpen) {
  EXPECT_NEAR(ExpectedLabelError(std::vector<double>{1, 0.98, 0.9, 0.96}), 0.04, 1e-12);
  EXPECT_EQ(ExpectedLabelError({}), 0);
}

TEST(LabelError, PutsALimitOutOfReachThatAPerfectNetworkWouldMiss) {
  EXPECT_NEAR(Ceiling(Side::kAtLeast, 0.022), 0.978, 1e-12);
  EXPECT_TRUE(WithinReach(Side::kAtLeast, 0.975, 0.022));
  EXPECT_FALSE(WithinReach(Side::kAtLeast, 0.98, 0.022));
  EXPECT_TRUE(WithinReach(Side::kAtMost, 0.03, 0.022));
  EXPECT_FALSE(WithinReach(Side::kAtMost, 0.02, 0.022));
  EXPECT_TRUE(WithinReach(Side::kAtLeast, 0.999, 0));
}

}  // namespace
}  // namespace bitfoundry::stats
