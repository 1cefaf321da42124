#include "images/image.h"

#include <gmock/gmock.h>

#include <random>

#include "tests/support/status_matchers.h"

namespace bitfoundry::images {
namespace {

using ::bitfoundry::testing::IsOk;
using ::bitfoundry::testing::StatusIs;
using ::testing::Each;

Image Noise(int width, int height, int channels, uint32_t seed) {
  std::mt19937 random(seed);
  Image image = Blank(width, height, channels);
  for (uint8_t& pixel : image.pixels) pixel = static_cast<uint8_t>(random());
  return image;
}

// The definition: every source pixel is repeated until both grids are whole, then averaged.
uint8_t MeanUnder(const Image& image, int width, int height, int x, int y, int channel) {
  uint64_t sum = 0;
  for (int v = y * image.height; v < (y + 1) * image.height; ++v) {
    for (int u = x * image.width; u < (x + 1) * image.width; ++u) {
      sum += image.Row(v / height)[(u / width) * image.channels + channel];
    }
  }
  const auto n = static_cast<uint64_t>(image.width) * static_cast<uint64_t>(image.height);
  return static_cast<uint8_t>((2 * sum + n) / (2 * n));
}

TEST(Resize, AgreesWithTheDefinitionOnSizesThatDoNotDivide) {
  const int sizes[][4] = {{7, 5, 3, 2}, {64, 48, 16, 16}, {10, 9, 10, 9},
                          {3, 2, 8, 7}, {1, 13, 4, 5},    {80, 80, 64, 64}};
  for (const auto& [w, h, out_w, out_h] : sizes) {
    for (const int channels : {1, 3}) {
      const Image image = Noise(w, h, channels, /*seed=*/static_cast<uint32_t>(w + h));
      const Image out = Resize(image, out_w, out_h);
      for (int y = 0; y < out_h; ++y) {
        for (int x = 0; x < out_w; ++x) {
          for (int c = 0; c < channels; ++c) {
            ASSERT_EQ(out.Row(y)[x * channels + c], MeanUnder(image, out_w, out_h, x, y, c));
          }
        }
      }
    }
  }
}

TEST(Resize, ToTheSameSizeChangesNothing) {
  const Image image = Noise(17, 11, 3, /*seed=*/5);
  EXPECT_EQ(Resize(image, 17, 11), image);
}

TEST(ToGray, KeepsWhatIsGrayAndWeighsGreenMost) {
  Image image = Blank(4, 1, 3);
  image.pixels = {200, 200, 200, 255, 0, 0, 0, 255, 0, 0, 0, 255};
  EXPECT_EQ(ToGray(image).pixels, (std::vector<uint8_t>{200, 76, 150, 29}));
  const Image gray = Noise(5, 5, 1, /*seed=*/1);
  EXPECT_EQ(ToGray(gray), gray);
  EXPECT_EQ(ToGray(ToRgb(gray)), gray);
}

TEST(Crop, TakesThePixelsOfTheWindow) {
  const Image image = Noise(9, 7, 3, /*seed=*/2);
  const Result<Image> crop = Crop(image, {2, 3, 7, 4});
  ASSERT_THAT(crop, IsOk());
  for (int y = 0; y < 4; ++y) {
    for (int i = 0; i < 21; ++i) EXPECT_EQ(crop->Row(y)[i], image.Row(y + 3)[i + 6]);
  }
}

TEST(Crop, RefusesAWindowThatLeavesTheImageEvenByOverflow) {
  const Image image = Blank(9, 7, 1);
  constexpr int kMax = 2'147'483'647;
  for (const Rect& rect : {Rect{-1, 0, 2, 2}, Rect{8, 0, 2, 2}, Rect{0, 6, 1, 2}, Rect{0, 0, 0, 1},
                           Rect{1, 1, kMax, 1}, Rect{kMax, 0, kMax, 1}, Rect{0, 0, 1, -1}}) {
    EXPECT_THAT(Crop(image, rect), StatusIs(Code::kInvalidArgument));
  }
}

TEST(ModelInput, HasTheShapeAsked) {
  const Image input = ModelInput(Noise(80, 60, 3, /*seed=*/3), 64, 32, 1);
  EXPECT_EQ(input.pixels.size(), 64u * 32u);
  EXPECT_THAT(ModelInput(Blank(2, 2, 1), 8, 8, 3).pixels, Each(0));
}

}  // namespace
}  // namespace bitfoundry::images
