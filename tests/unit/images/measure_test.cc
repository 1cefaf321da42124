#include "images/measure.h"

#include <gtest/gtest.h>

#include <cmath>

namespace bitfoundry::images {
namespace {

Image Filled(int width, int height, uint8_t value) {
  Image image = Blank(width, height, 1);
  std::fill(image.pixels.begin(), image.pixels.end(), value);
  return image;
}

TEST(Measure, AFlatImageHasNoContrastNoEdgesAndNoInformation) {
  const Properties flat = Measure(Filled(30, 20, 51));
  EXPECT_DOUBLE_EQ(flat.brightness, 0.2);
  EXPECT_DOUBLE_EQ(flat.brightness_p99, 0.2);
  EXPECT_EQ(flat.contrast, 0);
  EXPECT_EQ(flat.sharpness, 0);
  EXPECT_EQ(flat.entropy, 0);
  EXPECT_EQ(flat.perceptual_hash, 0u);
}

TEST(Measure, AgreesWithTheDefinitionsOnACheckerboard) {
  Image board = Blank(6, 4, 1);
  for (int y = 0; y < 4; ++y) {
    for (int x = 0; x < 6; ++x) {
      board.pixels[static_cast<size_t>(6 * y + x)] = (x + y) % 2 ? 255 : 0;
    }
  }
  const Properties measured = Measure(board);
  EXPECT_DOUBLE_EQ(measured.brightness, 0.5);
  EXPECT_DOUBLE_EQ(measured.brightness_p99, 1);
  EXPECT_DOUBLE_EQ(measured.contrast, 0.5);
  EXPECT_DOUBLE_EQ(measured.entropy, 1);
  EXPECT_DOUBLE_EQ(measured.sharpness, 16);  // the Laplacian is +-4 everywhere
}

TEST(Measure, AFewBrightPixelsDoNotHideADarkImage) {
  Image dark = Filled(20, 20, 10);
  for (int i = 0; i < 4; ++i) dark.pixels[static_cast<size_t>(i)] = 255;  // 1 %
  EXPECT_DOUBLE_EQ(Measure(dark).brightness_p99, 10 / 255.0);
  dark.pixels[4] = 255;
  EXPECT_DOUBLE_EQ(Measure(dark).brightness_p99, 1);
}

TEST(PerceptualHash, BarelyMovesWithSizeAndLightAndMovesWithContent) {
  Image scene = Blank(90, 80, 1);
  Image brighter = scene;
  Image mirrored = scene;
  for (int y = 0; y < 80; ++y) {
    for (int x = 0; x < 90; ++x) {
      const auto at = static_cast<size_t>(90 * y + x);
      const int value = 100 + static_cast<int>(60 * std::sin(x * 0.09 + y * 0.05));
      scene.pixels[at] = static_cast<uint8_t>(value);
      brighter.pixels[at] = static_cast<uint8_t>(value + 30);
      mirrored.pixels[at + 89 - 2 * static_cast<size_t>(x)] = static_cast<uint8_t>(value);
    }
  }
  const uint64_t hash = Measure(scene).perceptual_hash;
  EXPECT_EQ(HashDistance(hash, Measure(brighter).perceptual_hash), 0);
  EXPECT_LE(HashDistance(hash, Measure(Resize(scene, 60, 50)).perceptual_hash), 4);
  EXPECT_GE(HashDistance(hash, Measure(mirrored).perceptual_hash), 20);
}

TEST(Measure, TakesTheSmallestImage) {
  EXPECT_EQ(Measure(Filled(1, 1, 255)).brightness, 1);
  EXPECT_EQ(Measure(Filled(1, 1, 255)).sharpness, 0);
}

}  // namespace
}  // namespace bitfoundry::images
