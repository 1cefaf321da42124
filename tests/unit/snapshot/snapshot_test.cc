#include "snapshot/snapshot.h"

#include "base/digest.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::snapshot {
namespace {

using testing::IsOk;
using testing::StatusIs;

Snapshot Two() {
  Snapshot s;
  s.project = "door";
  s.classes = {"no_person", "person"};
  s.height = s.width = 2;
  s.channels = 1;
  Row b{.name = "b", .part = Part::kTest, .class_index = 1, .posterior = 0.97};
  b.tags["motion"] = "away";
  b.attributes["box_height_px"] = 41.5;
  s.rows = {b, Row{.name = "a", .class_index = 0, .posterior = 1}};
  s.pixels = {1, 2, 3, 4, 5, 6, 7, 8};
  return s;
}

TEST(Snapshot, ComesBackSortedByNameWithItsPixels) {
  const auto encoded = Encode(Two());
  ASSERT_THAT(encoded, IsOk());
  const auto decoded = Decode(encoded->rows, encoded->pixels);
  ASSERT_THAT(decoded, IsOk());
  ASSERT_EQ(decoded->rows.size(), 2U);
  EXPECT_EQ(decoded->rows[1], Two().rows[0]);
  EXPECT_EQ(decoded->Image(0)[0], 5);
  EXPECT_EQ(decoded->Image(1)[0], 1);
}

TEST(Snapshot, TheSameContentInAnyOrderIsTheSameDigest) {
  Snapshot other = Two();
  std::swap(other.rows[0], other.rows[1]);
  other.pixels = {5, 6, 7, 8, 1, 2, 3, 4};
  EXPECT_EQ(Encode(Two())->digest, Encode(other)->digest);
}

TEST(Snapshot, OnePixelChangesTheDigest) {
  Snapshot other = Two();
  other.pixels[0] ^= 1;
  EXPECT_NE(Encode(Two())->digest, Encode(other)->digest);
}

TEST(Snapshot, RefusesANameTwiceAndAClassOutOfRange) {
  Snapshot twice = Two();
  twice.rows[1].name = "b";
  EXPECT_THAT(Encode(twice), StatusIs(Code::kInvalidArgument));
  Snapshot far = Two();
  far.rows[0].class_index = 2;
  EXPECT_THAT(Encode(far), StatusIs(Code::kInvalidArgument));
}

TEST(Snapshot, EveryTruncationOfTheRowsIsRefused) {
  const auto encoded = Encode(Two());
  for (size_t n = 0; n < encoded->rows.size(); ++n) {
    EXPECT_THAT(Decode(std::string_view(encoded->rows).substr(0, n), encoded->pixels),
                StatusIs(Code::kDataLoss))
        << n;
  }
}

TEST(Snapshot, PixelsOfAnotherSizeOrContentAreRefused) {
  const auto encoded = Encode(Two());
  EXPECT_THAT(Decode(encoded->rows, encoded->pixels + "x"), StatusIs(Code::kDataLoss));
  std::string other = encoded->pixels;
  other[3] ^= 1;
  EXPECT_THAT(Decode(encoded->rows, other), StatusIs(Code::kDataLoss));
}

TEST(Snapshot, TheHeaderAloneNamesThePixels) {
  const auto encoded = Encode(Two());
  const std::string header = encoded->rows.substr(0, encoded->rows.find('\n'));
  EXPECT_EQ(*PixelsDigest(header), Sha256(encoded->pixels));
  for (size_t n = 0; n < header.size(); ++n) {
    EXPECT_THAT(PixelsDigest(header.substr(0, n)), StatusIs(Code::kDataLoss)) << n;
  }
}

}  // namespace
}  // namespace bitfoundry::snapshot
