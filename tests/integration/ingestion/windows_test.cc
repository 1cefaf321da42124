#include "services/ingestion/windows.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "tests/support/status_matchers.h"

namespace bitfoundry::ingestion {
namespace {

using ::bitfoundry::testing::IsOk;
using ::bitfoundry::testing::StatusIs;
using images::Image;
using images::Rect;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

double Iou(const Rect& a, const Rect& b) {
  const double w = std::min(a.x + a.width, b.x + b.width) - std::max(a.x, b.x);
  const double h = std::min(a.y + a.height, b.y + b.height) - std::max(a.y, b.y);
  if (w <= 0 || h <= 0) return 0;
  return w * h / (a.width * a.height + b.width * b.height - w * h);
}

TEST(ProposeWindows, GivesTheSameWindowsOnEveryMachine) {
  WindowPlan plan;
  plan.per_frame = 4;
  plan.seed = 7;
  // Written down from the first run: a change here gives other samples for the same plan.
  EXPECT_THAT(ProposeWindows(plan, 35, 768, 576, {{300, 200}, {500, 400}}),
              ElementsAre(Rect{263, 167, 128, 128}, Rect{247, 149, 80, 80}, Rect{405, 60, 80, 80},
                          Rect{231, 282, 112, 112}));
}

TEST(ProposeWindows, StaysInsideAndSquareAndApart) {
  WindowPlan plan;
  plan.per_frame = 256;
  for (int frame = 0; frame < 20; ++frame) {
    const auto windows = ProposeWindows(plan, frame, 320, 240, {{5, 5}, {160, 120}, {318, 238}});
    ASSERT_GT(windows.size(), 40u);
    for (size_t i = 0; i < windows.size(); ++i) {
      const Rect& w = windows[i];
      EXPECT_EQ(w.width, w.height);
      EXPECT_EQ(std::ranges::count(kWindowSides, w.width), 1);
      EXPECT_TRUE(w.x >= 0 && w.y >= 0 && w.x + w.width <= 320 && w.y + w.height <= 240);
      for (size_t j = 0; j < i; ++j) EXPECT_LE(Iou(w, windows[j]), 0.7);
    }
  }
}

TEST(ProposeWindows, AimsTheStatedShareAtWhatMoves) {
  WindowPlan plan;
  plan.per_frame = 10;
  const auto near = [](const Rect& w) {
    return std::abs(w.x + w.width / 2 - 2000) <= w.width / 4 &&
           std::abs(w.y + w.height / 2 - 1000) <= w.height / 4;
  };
  int aimed = 0;
  for (int frame = 0; frame < 100; ++frame) {
    const auto windows = ProposeWindows(plan, frame, 4000, 2000, {{2000, 1000}});
    EXPECT_THAT(windows, SizeIs(10));
    aimed += static_cast<int>(std::ranges::count_if(windows, near));
  }
  EXPECT_GE(aimed, 500);
  EXPECT_LE(aimed, 510);  // a uniform one may be near by chance
}

TEST(ProposeWindows, DiffersFromFrameToFrameAndFromSeedToSeed) {
  WindowPlan plan;
  WindowPlan other = plan;
  other.seed = 2;
  const auto windows = ProposeWindows(plan, 0, 768, 576, {});
  EXPECT_THAT(windows, SizeIs(40));
  EXPECT_NE(windows, ProposeWindows(plan, 1, 768, 576, {}));
  EXPECT_NE(windows, ProposeWindows(other, 0, 768, 576, {}));
}

TEST(ProposeWindows, FindsNoneInAFrameSmallerThanTheSmallest) {
  EXPECT_THAT(ProposeWindows(WindowPlan(), 0, 63, 500, {}), IsEmpty());
}

TEST(CheckPlan, RefusesFiguresOutOfTheirLimits) {
  EXPECT_THAT(CheckPlan(WindowPlan()), IsOk());
  WindowPlan plan;
  plan.per_frame = 257;
  EXPECT_THAT(CheckPlan(plan), StatusIs(Code::kInvalidArgument));
  plan = WindowPlan();
  plan.aimed_share = 1.5;
  EXPECT_THAT(CheckPlan(plan), StatusIs(Code::kInvalidArgument));
  plan = WindowPlan();
  plan.min_pixels = 97;
  plan.max_pixels = 111;
  EXPECT_THAT(CheckPlan(plan), StatusIs(Code::kInvalidArgument));
}

TEST(MedianBackground, ForgetsWhoWalkedThrough) {
  std::vector<Image> frames(5, images::Blank(20, 10, 1));
  for (size_t i = 0; i < frames.size(); ++i) frames[i].pixels[37 + i] = 200;
  const Image background = MedianBackground(frames);
  EXPECT_EQ(background, images::Blank(20, 10, 1));

  const std::vector<Point> moving = MovingPlaces(frames[2], background);
  ASSERT_THAT(moving, SizeIs(1));
  EXPECT_EQ(moving[0].x, (39 % 20) * kCellPixels + 2);
  EXPECT_EQ(moving[0].y, (39 / 20) * kCellPixels + 2);
}

}  // namespace
}  // namespace bitfoundry::ingestion
