#include "verdicts/transform.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <random>

#include "base/digest.h"
#include "images/codec.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::verdicts {
namespace {

using images::Image;
using testing::IsOk;

Image Random(int width, int height, int channels) {
  std::mt19937 random(/*seed=*/5);
  Image image = images::Blank(width, height, channels);
  for (uint8_t& value : image.pixels) value = static_cast<uint8_t>(random());
  return image;
}

// A slow wave, as photographs are made of.
Image Smooth() {
  Image image = images::Blank(48, 40, 3);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    const auto x = static_cast<double>(i / 3 % 48);
    const auto y = static_cast<double>(i / 144);
    image.pixels[i] = static_cast<uint8_t>(128 + 60 * std::sin(x / 9) + 60 * std::cos(y / 7));
  }
  return image;
}

Image After(const std::string& text, const Image& image, const std::string& name = "sample") {
  const auto transform = ParseTransform(text);
  EXPECT_THAT(transform, IsOk());
  return Apply(*transform, name, image);
}

// The same, of which the edges are repeated.
int At(const Image& image, int x, int y, int c) {
  x = std::clamp(x, 0, image.width - 1);
  y = std::clamp(y, 0, image.height - 1);
  return image.Row(y)[x * image.channels + c];
}

double MeanDifference(const Image& a, const Image& b) {
  double sum = 0;
  for (size_t i = 0; i < a.pixels.size(); ++i) sum += std::abs(a.pixels[i] - b.pixels[i]);
  return sum / static_cast<double>(a.pixels.size());
}

void ExpectMeanAndDeviation(const Image& image, double mean, double deviation) {
  const auto n = static_cast<double>(image.pixels.size());
  const double is = std::accumulate(image.pixels.begin(), image.pixels.end(), 0.0) / n;
  double squares = 0;
  for (const uint8_t value : image.pixels) squares += (value - is) * (value - is);
  EXPECT_NEAR(is, mean, 0.3);
  EXPECT_NEAR(std::sqrt(squares / n), deviation, 0.2);
}

TEST(Transform, DarkensByTheGainAndAddsNoiseOfTheStatedSize) {
  const Image gray{64, 64, 1, std::vector<uint8_t>(4096, 100)};
  ExpectMeanAndDeviation(After("darken(0.5, 4)", gray), 50, 4);
  ExpectMeanAndDeviation(After("noise(8)", gray), 100, 8);
}

TEST(Transform, IsTheSameForTheSameSampleAndAnotherForAnother) {
  const Image gray{8, 8, 1, std::vector<uint8_t>(64, 100)};
  EXPECT_EQ(After("noise(4)", gray, "a"), After("noise(4)", gray, "a"));
  EXPECT_NE(After("noise(4)", gray, "a"), After("noise(4)", gray, "b"));
  EXPECT_EQ(After("none", gray), gray);
}

TEST(Transform, GammaIsThePowerOfEachLevelRounded) {
  Image levels = images::Blank(256, 1, 1);
  std::iota(levels.pixels.begin(), levels.pixels.end(), uint8_t{0});
  for (const double exponent : {0.1, 0.4, 0.6, 0.99, 1.6, 2.2, 10.0}) {
    const Image out = After("gamma(" + std::to_string(exponent) + ")", levels);
    for (int level = 0; level < 256; ++level) {
      const double exact = 255 * std::pow(level / 255.0, exponent);
      EXPECT_NEAR(out.pixels[static_cast<size_t>(level)], exact, 0.5 + 2e-3) << exponent;
    }
  }
}

TEST(Transform, ShiftMovesRightAndDownAndRepeatsTheEdges) {
  const Image image = Random(9, 7, 3);
  for (const auto& [dx, dy] : {std::pair(4, 0), {0, -2}, {-3, 1}, {64, 64}, {-64, 0}}) {
    const Image out = After("shift(" + std::to_string(dx) + "," + std::to_string(dy) + ")", image);
    for (int y = 0; y < 7; ++y) {
      for (int x = 0; x < 9; ++x) {
        for (int c = 0; c < 3; ++c) {
          ASSERT_EQ(At(out, x, y, c), At(image, x - dx, y - dy, c)) << dx << "," << dy;
        }
      }
    }
  }
}

TEST(Transform, BlurIsTheGaussianMeanOfTheNeighbours) {
  const Image image = Random(24, 20, 3);
  for (const double sigma : {0.3, 0.5, 1.5, 4.0, 8.0}) {
    const Image out = After("blur(" + std::to_string(sigma) + ")", image);
    const int reach = static_cast<int>(6 * sigma) + 1;
    for (const auto& [x, y] : {std::pair(0, 0), {12, 9}, {23, 5}, {3, 19}}) {
      for (int c = 0; c < 3; ++c) {
        double sum = 0;
        double weights = 0;
        for (int dy = -reach; dy <= reach; ++dy) {
          for (int dx = -reach; dx <= reach; ++dx) {
            const double weight = std::exp(-(dx * dx + dy * dy) / (2 * sigma * sigma));
            sum += weight * At(image, x + dx, y + dy, c);
            weights += weight;
          }
        }
        EXPECT_NEAR(At(out, x, y, c), sum / weights, 1) << sigma;
      }
    }
  }
  const Image gray{8, 8, 1, std::vector<uint8_t>(64, 251)};
  EXPECT_EQ(After("blur(2)", gray), gray);
}

TEST(Transform, JpegLosesTheMoreTheLowerItsQuality) {
  for (const Image& image : {Smooth(), images::ToGray(Smooth())}) {
    double before = 0;
    for (const int quality : {100, 75, 30, 5}) {
      const Image out = After("jpeg(" + std::to_string(quality) + ")", image);
      ASSERT_EQ(out.width, image.width);
      ASSERT_EQ(out.height, image.height);
      ASSERT_EQ(out.channels, image.channels);
      const double lost = MeanDifference(out, image);
      EXPECT_GT(lost, before) << quality;
      before = lost;
    }
    EXPECT_LT(MeanDifference(After("jpeg(100)", image), image), 1.5);
    EXPECT_EQ(After("jpeg(30)", image), *images::Decode(images::EncodeJpeg(image, 30)));
  }
}

TEST(Transform, TakesImagesOfOnePixel) {
  for (const char* text : {"shift(3,-3)", "blur(8)", "jpeg(50)", "gamma(2)", "noise(3)"}) {
    EXPECT_EQ(After(text, Random(1, 1, 3)).pixels.size(), 3U) << text;
  }
}

TEST(Transform, OfASnapshotsRowIsThatOfItsImage) {
  const Image image = Random(6, 4, 3);
  snapshot::Snapshot data;
  data.width = 6;
  data.height = 4;
  data.channels = 3;
  data.rows.resize(2);
  data.rows[1].name = "sample";
  data.pixels = std::vector<uint8_t>(72, 0);
  data.pixels.insert(data.pixels.end(), image.pixels.begin(), image.pixels.end());
  for (const char* text : {"shift(1,1)", "noise(9)"}) {
    EXPECT_EQ(Apply(*ParseTransform(text), data, 1), After(text, image).pixels);
  }
}

TEST(Transform, SaysWhatIsWrongAndWhatWasMeant) {
  const auto error = [](const std::string& text) {
    const auto transform = ParseTransform(text);
    return transform.ok() ? "" : transform.status().message();
  };
  EXPECT_EQ(error("gama(0.6)"), "unknown transform 'gama'; did you mean 'gamma'?");
  EXPECT_EQ(error("sepia(1)"),
            "unknown transform 'sepia'; known: none, darken, gamma, shift, blur, noise, jpeg");
  EXPECT_EQ(error("gamma"), "gamma takes numbers, like gamma(0.6)");
  EXPECT_EQ(error("shift(4, 0"),
            "'shift(4, 0' is not a transform; inside { } or [ ] a comma ends the text: put quotes "
            "around it");
  EXPECT_EQ(error("shift(4)"), "shift takes two numbers, like shift(4, 0)");
  EXPECT_EQ(error("gamma(0.6, 1.6)"), "gamma takes one number, like gamma(0.6)");
  EXPECT_EQ(error("gamma(0)"), "the exponent of gamma is from 0.1 to 10, not 0");
  EXPECT_EQ(error("gamma(0.6.1)"), "the exponent of gamma is from 0.1 to 10, not 0.6.1");
  EXPECT_EQ(error("shift(1.5, 0)"), "the dx of shift is a whole number from -64 to 64, not 1.5");
  EXPECT_EQ(error("shift(0, 65)"), "the dy of shift is a whole number from -64 to 64, not 65");
  EXPECT_EQ(error("blur(20)"), "the sigma of blur is from 0.3 to 8, not 20");
  EXPECT_EQ(error("noise(0)"), "the sd of noise is from 0.1 to 64, not 0");
  EXPECT_EQ(error("noise(-1)"), "the sd of noise is from 0.1 to 64, not -1");
  EXPECT_EQ(error("jpeg(0)"), "the quality of jpeg is a whole number from 1 to 100, not 0");
  for (const char* idle : {"gamma(1)", "shift(0,0)", "darken(1,0)"}) {
    EXPECT_EQ(error(idle), std::string(idle) + " changes nothing");
  }
}

// Frozen bits: a verdict on transformed images replays only if these never change.
TEST(Transform, GivesTheBitsThatItAlwaysGave) {
  const Image row{8, 1, 1, {0, 10, 100, 200, 255, 255, 0, 128}};
  EXPECT_EQ(After("darken(0.25,3)", row).pixels,
            (std::vector<uint8_t>{0, 4, 25, 50, 66, 60, 0, 34}));
  EXPECT_EQ(After("gamma(0.6)", row).pixels,
            (std::vector<uint8_t>{0, 37, 145, 220, 255, 255, 0, 169}));
  EXPECT_EQ(After("shift(-2,0)", row).pixels,
            (std::vector<uint8_t>{100, 200, 255, 255, 0, 128, 128, 128}));
  EXPECT_EQ(After("blur(1.5)", row).pixels,
            (std::vector<uint8_t>{22, 57, 109, 159, 182, 167, 137, 120}));
  EXPECT_EQ(After("noise(8)", row).pixels,
            (std::vector<uint8_t>{0, 15, 101, 199, 255, 245, 0, 133}));
  EXPECT_EQ(After("jpeg(20)", row).pixels, (std::vector<uint8_t>{3, 4, 92, 207, 255, 253, 4, 124}));
  EXPECT_EQ(After("jpeg(20)", {2, 1, 3, {250, 10, 10, 10, 10, 250}}).pixels,
            (std::vector<uint8_t>{133, 25, 171, 105, 0, 143}));
}

}  // namespace
}  // namespace bitfoundry::verdicts
