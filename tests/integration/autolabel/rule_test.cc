// The rule person_window/1 and the tracks: pure functions, no server, no database.
#include <gtest/gtest.h>

#include "oip/boxes.h"
#include "services/autolabel/tracks.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::autolabel {
namespace {

using namespace oip;

using ::testing::ElementsAre;

TEST(TilesTest, ASmallImageIsOneTile) {
  EXPECT_THAT(Tiles(64, 48), ElementsAre(Window{0, 0, 64, 48}));
  EXPECT_THAT(Tiles(320, 320), ElementsAre(Window{0, 0, 320, 320}));
}

TEST(TilesTest, ALargeOneIsCoveredWithOverlapAndTheLastTilesEndAtItsBorder) {
  EXPECT_THAT(Tiles(321, 100), ElementsAre(Window{0, 0, 320, 100}, Window{1, 0, 320, 100}));
  EXPECT_THAT(Tiles(768, 330), ElementsAre(Window{0, 0, 320, 320}, Window{224, 0, 320, 320},
                                           Window{448, 0, 320, 320}, Window{0, 10, 320, 320},
                                           Window{224, 10, 320, 320}, Window{448, 10, 320, 320}));
}

TEST(MergeTest, BoxesMoveToTheImageAndOnePersonSeenTwiceIsKeptOnce) {
  const std::vector<Window> tiles = {{0, 0, 320, 320}, {224, 0, 320, 320}};
  // The same person, at 240..270 of the image, in both tiles; another in the second alone.
  const auto merged =
      Merge(544, 320, tiles,
            {{{0.6, 240, 100, 270, 180}}, {{0.8, 17, 101, 46, 181}, {0.7, 100, 100, 130, 180}}});
  EXPECT_THAT(merged, ElementsAre(Box{0.8, 241, 101, 270, 181}, Box{0.7, 324, 100, 354, 180}));
}

TEST(MergeTest, ABoxInsideAnotherIsTheSamePersonEvenIfItsIouIsLow) {
  const std::vector<Window> whole = {{0, 0, 320, 320}};
  const Box person{0.8, 100, 100, 140, 200};
  EXPECT_THAT(Merge(320, 320, whole, {{person, {0.6, 110, 100, 130, 130}}}), ElementsAre(person));
  const Box beside{0.6, 130, 100, 170, 200};  // a quarter of it overlaps
  EXPECT_THAT(Merge(320, 320, whole, {{person, beside}}), ElementsAre(person, beside));
}

TEST(MergeTest, OnlyInnerBordersCut) {
  const std::vector<Window> tiles = {{0, 0, 320, 320}, {224, 0, 320, 320}};
  const Box cut{0.8, 290, 100, 319, 180}, at_the_edge{0.8, 0, 100, 20, 180};
  EXPECT_THAT(Merge(544, 320, tiles, {{cut, at_the_edge}, {}}), ElementsAre(at_the_edge));
  EXPECT_THAT(Merge(544, 320, tiles, {{}, {at_the_edge}}), ElementsAre());
}

TEST(JudgeTest, AWindowHoldsAPersonWhoIsSureMostlyInsideAndHighEnough) {
  const Window window{100, 100, 100, 100};
  const Box person{0.5, 110, 110, 130, 150};
  EXPECT_EQ(Judge({person}, window).verdict, Verdict::kPerson);
  EXPECT_DOUBLE_EQ(Judge({person}, window).confidence, 0.91);
  EXPECT_EQ(Judge({person}, window).box, 0);

  const Box doubtful{0.49, 110, 110, 130, 150};
  const Box half_outside{0.9, 91, 110, 111, 150};  // 55 % inside
  const Box too_small{0.9, 110, 110, 130, 139};
  for (const Box& box : {doubtful, half_outside, too_small}) {
    EXPECT_EQ(Judge({box}, window).verdict, Verdict::kUnsure) << box.left << " " << box.bottom;
    EXPECT_EQ(Judge({box}, window).box, 0);
  }
  EXPECT_EQ(Judge({half_outside, person}, window).verdict, Verdict::kPerson);
  EXPECT_EQ(Judge({half_outside, person}, window).box, 1);
  EXPECT_EQ(Judge({half_outside, doubtful}, window).box, 1);  // more of it is inside
}

TEST(JudgeTest, NobodyIsThereIfOnlyFaintBoxesTouch) {
  const Window window{100, 100, 100, 100};
  const Box faint{0.29, 110, 110, 130, 150}, elsewhere{0.9, 200, 110, 220, 150};
  const Judgement judgement = Judge({elsewhere, faint}, window);
  EXPECT_EQ(judgement.verdict, Verdict::kNoPerson);
  EXPECT_NEAR(judgement.confidence, 0.91 + 0.08 / 30, 1e-9);
  EXPECT_EQ(judgement.box, -1);
  EXPECT_DOUBLE_EQ(Judge({}, window).confidence, 0.99);
}

TEST(JudgeTest, AWholeImageGoesByScoresAlone) {
  const Box sure{0.5, 0, 0, 1, 1}, doubtful{0.3, 0, 0, 1, 1}, faint{0.29, 0, 0, 1, 1};
  EXPECT_EQ(Judge({sure}, std::nullopt).verdict, Verdict::kPerson);
  EXPECT_DOUBLE_EQ(Judge({{1.0, 0, 0, 1, 1}}, std::nullopt).confidence, 0.99);
  EXPECT_EQ(Judge({doubtful}, std::nullopt).verdict, Verdict::kUnsure);
  EXPECT_EQ(Judge({faint}, std::nullopt).verdict, Verdict::kNoPerson);
}

// A person of 80 pixels whose feet move by (dx, dy) from frame to frame.
std::vector<Frame> Walk(double dx, double dy, int64_t step = 5) {
  std::vector<Frame> frames;
  for (int i = 0; i < 3; ++i) {
    const double x = 300 + i * dx, y = 200 + i * dy;
    frames.push_back({i * step, {{0.8, x, y, x + 30, y + 80}}});
  }
  return frames;
}

TEST(MotionsTest, FeetThatMoveUpTheImageWalkAway) {
  EXPECT_EQ(Motions(Walk(0, -6))[1][0], Motion::kAway);
  EXPECT_EQ(Motions(Walk(5, -6))[1][0], Motion::kAway);
  EXPECT_EQ(Motions(Walk(0, 6))[1][0], Motion::kToward);
  EXPECT_EQ(Motions(Walk(-20, 6))[1][0], Motion::kSide);
  EXPECT_EQ(Motions(Walk(2, 2))[1][0], Motion::kUnknown);  // stands
}

TEST(MotionsTest, WithoutBothNeighboursNothingIsKnown) {
  EXPECT_EQ(Motions(Walk(0, -6))[0][0], Motion::kUnknown);
  EXPECT_EQ(Motions(Walk(0, -6))[2][0], Motion::kUnknown);
  EXPECT_EQ(Motions(Walk(0, -6, /*step=*/16))[1][0], Motion::kUnknown);
  EXPECT_EQ(Motions(Walk(0, -6, /*step=*/0))[1][0], Motion::kUnknown);
  EXPECT_EQ(Motions(Walk(100, -6))[1][0], Motion::kUnknown);  // somebody else
  std::vector<Frame> grown = Walk(0, -6);
  grown[2].boxes[0].top -= 40;
  EXPECT_EQ(Motions(grown)[1][0], Motion::kUnknown);
  std::vector<Frame> faint = Walk(0, -6);
  faint[1].boxes[0].score = 0.4;
  EXPECT_EQ(Motions(faint)[1][0], Motion::kUnknown);
}

TEST(MotionsTest, OfTwoPeopleTheNearerIsTheSame) {
  std::vector<Frame> frames = Walk(0, -6);
  for (Frame& frame : frames) {
    const double down = static_cast<double>(frame.position);
    frame.boxes.push_back({0.7, 340, 200 + down, 370, 280 + down});
  }
  EXPECT_THAT(Motions(frames)[1], ElementsAre(Motion::kAway, Motion::kToward));
}

}  // namespace
}  // namespace bitfoundry::autolabel
