#include "images/codec.h"

#include <gmock/gmock.h>
#include <png.h>
#include <turbojpeg.h>

#include <cmath>
#include <random>

#include "tests/support/status_matchers.h"

namespace bitfoundry::images {
namespace {

using ::bitfoundry::testing::IsOk;
using ::testing::HasSubstr;

// A scene with edges, gradients and noise, so that every kind of code word occurs.
Image Scene(int width, int height, int channels) {
  std::mt19937 random(/*seed=*/42);
  Image image = Blank(width, height, channels);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = static_cast<uint8_t>(i / 7 + (i % 50 < 20 ? 90 : 0) + random() % 8);
  }
  return image;
}

std::string Jpeg(const Image& image, int flags = 0) {
  tjhandle jpeg = tjInitCompress();
  unsigned char* out = nullptr;
  unsigned long size = 0;
  const bool gray = image.channels == 1;
  EXPECT_EQ(tjCompress2(jpeg, image.pixels.data(), image.width, 0, image.height,
                        gray ? TJPF_GRAY : TJPF_RGB, &out, &size, gray ? TJSAMP_GRAY : TJSAMP_420,
                        /*quality=*/90, flags),
            0);
  std::string bytes(reinterpret_cast<char*>(out), size);
  tjFree(out);
  tjDestroy(jpeg);
  return bytes;
}

std::string CmykJpeg() {
  const std::vector<uint8_t> pixels(16 * 16 * 4, 100);
  tjhandle jpeg = tjInitCompress();
  unsigned char* out = nullptr;
  unsigned long size = 0;
  tjCompress2(jpeg, pixels.data(), 16, 0, 16, TJPF_CMYK, &out, &size, TJSAMP_444, 90, 0);
  std::string bytes(reinterpret_cast<char*>(out), size);
  tjFree(out);
  tjDestroy(jpeg);
  return bytes;
}

// A PNG of any kind; `rows` hold packed rows of `depth` bits.
struct Kind {
  int depth = 8;
  int colour = PNG_COLOR_TYPE_GRAY;
  bool interlaced = false;
  std::vector<png_color> palette = {};
  std::vector<uint8_t> palette_alpha = {};
};

std::string Png(const Kind& kind, int width, std::vector<std::vector<uint8_t>> rows) {
  std::string bytes;
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(png);
  png_set_write_fn(
      png, &bytes,
      [](png_structp p, png_bytep data, size_t n) {
        static_cast<std::string*>(png_get_io_ptr(p))->append(reinterpret_cast<char*>(data), n);
      },
      nullptr);
  png_set_check_for_invalid_index(png, -1);
  png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(rows.size()),
               kind.depth, kind.colour, kind.interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
  if (!kind.palette.empty()) {
    png_set_PLTE(png, info, kind.palette.data(), static_cast<int>(kind.palette.size()));
  }
  if (!kind.palette_alpha.empty()) {
    png_set_tRNS(png, info, kind.palette_alpha.data(), static_cast<int>(kind.palette_alpha.size()),
                 nullptr);
  }
  png_write_info(png, info);
  std::vector<png_bytep> pointers;
  for (auto& row : rows) pointers.push_back(row.data());
  png_write_image(png, pointers.data());
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

std::vector<uint8_t> Pixels(const std::string& bytes) {
  const Result<Image> image = Decode(bytes);
  EXPECT_THAT(image, IsOk());
  return image.ok() ? image->pixels : std::vector<uint8_t>();
}

std::string ReasonOf(const std::string& bytes, const Limits& limits = {}) {
  const Result<Image> image = Decode(bytes, limits);
  return image.ok() ? "OK" : image.status().reason();
}

using Values = std::vector<uint8_t>;

TEST(Png, SurvivesTheRoundTripAndNamesTheSamePixelsTheSame) {
  for (const int channels : {1, 3}) {
    const Image image = Scene(53, 37, channels);
    const Result<Image> again = Decode(EncodePng(image));
    ASSERT_THAT(again, IsOk());
    EXPECT_EQ(*again, image);
    EXPECT_EQ(EncodePng(*again), EncodePng(image));
  }
}

TEST(Png, SixteenBitsBecomeEightByRounding) {
  EXPECT_EQ(Pixels(Png({.depth = 16}, 4, {{0, 0, 0, 128, 0, 129, 255, 255}})),
            (Values{0, 0, 1, 255}));
}

TEST(Png, SmallDepthsFillTheRange) {
  EXPECT_EQ(Pixels(Png({.depth = 1}, 3, {{0b10100000}})), (Values{255, 0, 255}));
  EXPECT_EQ(Pixels(Png({.depth = 2}, 4, {{0b00011011}})), (Values{0, 85, 170, 255}));
  EXPECT_EQ(Pixels(Png({.depth = 4}, 2, {{0x1F}})), (Values{17, 255}));
}

TEST(Png, PalettesAreLookedUpAndABrokenIndexIsRefused) {
  const Kind kind{.depth = 4,
                  .colour = PNG_COLOR_TYPE_PALETTE,
                  .palette = {{1, 2, 3}, {40, 50, 60}},
                  .palette_alpha = {255, 0}};
  EXPECT_EQ(Pixels(Png(kind, 2, {{0x01}})), (Values{1, 2, 3, 255, 255, 255}));
  const Result<Image> broken = Decode(Png(kind, 2, {{0x02}}));
  ASSERT_FALSE(broken.ok());
  EXPECT_EQ(broken.status().reason(), "IMAGE_CORRUPT");
  EXPECT_THAT(broken.status().message(), HasSubstr("palette index 2 of a palette of 2"));
}

TEST(Png, TransparencyIsShownOverWhite) {
  EXPECT_EQ(Pixels(Png({.colour = PNG_COLOR_TYPE_GRAY_ALPHA}, 3, {{100, 255, 100, 0, 100, 51}})),
            (Values{100, 255, 224}));
  EXPECT_EQ(Pixels(Png({.colour = PNG_COLOR_TYPE_RGB_ALPHA}, 1, {{0, 100, 200, 128}})),
            (Values{127, 177, 227}));
}

TEST(Png, InterlacedIsTheSameImage) {
  const std::vector<Values> rows(9, Values{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11});
  EXPECT_EQ(Pixels(Png({.interlaced = true}, 11, rows)), Pixels(Png({}, 11, rows)));
}

TEST(Jpeg, ComesBackCloseInColourAndInGray) {
  Image image = Blank(40, 30, 3);
  for (size_t i = 0; i < image.pixels.size(); i += 3) image.pixels[i] = 200;
  for (const int flags : {0, TJFLAG_PROGRESSIVE}) {
    const Values pixels = Pixels(Jpeg(image, flags));
    ASSERT_EQ(pixels.size(), image.pixels.size());
    EXPECT_NEAR(pixels[0], 200, 3);
    EXPECT_NEAR(pixels[1], 0, 3);
  }
  EXPECT_EQ(Pixels(Jpeg(ToGray(image))).size(), 40u * 30u);
}

TEST(Jpeg, CmykIsRefusedByName) {
  const Result<Image> image = Decode(CmykJpeg());
  ASSERT_FALSE(image.ok());
  EXPECT_EQ(image.status().reason(), "IMAGE_FORMAT");
  EXPECT_THAT(image.status().message(), HasSubstr("CMYK"));
}

TEST(Jpeg, ARareSubsamplingIsNoCorruption) {
  std::string file = Jpeg(Scene(64, 64, 3));
  const size_t frame_header = file.find("\xFF\xC0");
  ASSERT_NE(frame_header, std::string::npos);
  file[frame_header + 11] = 0x42;  // the luma's factors: 4 x 2 is 4:1:0
  EXPECT_EQ(ReasonOf(file), "IMAGE_FORMAT");
}

TEST(Decode, RefusesOtherFormatsByName) {
  const std::pair<std::string, const char*> files[] = {{"GIF89a.......", "GIF"},
                                                       {"BM............", "BMP"},
                                                       {std::string("II*\0........", 12), "TIFF"},
                                                       {"RIFF....WEBPVP8 ", "WebP"},
                                                       {std::string("\0\0\1\0\1\0", 6), "ICO"},
                                                       {"\xFF\x0A......", "JPEG XL"},
                                                       {std::string("\0\0\0\x1C"
                                                                    "ftypavif",
                                                                    12),
                                                        "AVIF"},
                                                       {"hello", "unknown format"}};
  for (const auto& [bytes, name] : files) {
    const Result<Header> header = Probe(bytes);
    ASSERT_FALSE(header.ok()) << name;
    EXPECT_EQ(header.status().reason(), "IMAGE_FORMAT");
    EXPECT_THAT(header.status().message(), HasSubstr(name));
  }
  EXPECT_EQ(ReasonOf(""), "IMAGE_EMPTY");
}

TEST(EncodeJpeg, WritesWhatTheIntegerDctGives) {
  for (const int channels : {1, 3}) {
    const Image image = Scene(33, 17, channels);
    EXPECT_EQ(EncodeJpeg(image, 90), Jpeg(image, TJFLAG_ACCURATEDCT));
    EXPECT_LT(EncodeJpeg(image, 1).size(), EncodeJpeg(image, 90).size());
    const Result<Image> again = Decode(EncodeJpeg(image, 100));
    ASSERT_THAT(again, IsOk());
    EXPECT_EQ(again->channels, channels);
  }
}

TEST(Decode, ChecksTheLimitsBeforeDecoding) {
  const std::string png = EncodePng(Scene(100, 50, 1));
  EXPECT_EQ(*Probe(png), (Header{Format::kPng, 100, 50}));
  EXPECT_EQ(ReasonOf(png, {.pixels = 5000}), "OK");
  EXPECT_EQ(ReasonOf(png, {.pixels = 4999}), "IMAGE_TOO_LARGE");
  EXPECT_EQ(ReasonOf(png, {.bytes = png.size() - 1}), "IMAGE_TOO_LARGE");

  // The header alone of a PNG of 2^31 - 1 squared: refused without an allocation.
  std::string bomb = png.substr(0, 24);
  for (const size_t at : {16u, 20u}) bomb.replace(at, 4, "\x7F\xFF\xFF\xFF");
  EXPECT_EQ(ReasonOf(bomb), "IMAGE_TOO_LARGE");
  EXPECT_EQ(*Probe(Jpeg(Scene(100, 50, 3))), (Header{Format::kJpeg, 100, 50}));
}

TEST(Decode, IgnoresWhatComesAfterTheEnd) {
  const Image image = Scene(20, 20, 3);
  EXPECT_EQ(ReasonOf(EncodePng(image) + "more"), "OK");
  EXPECT_EQ(ReasonOf(Jpeg(image) + "more"), "OK");
}

TEST(Decode, SaysAtWhichByteAJpegIsBroken) {
  std::string jpeg = Jpeg(Scene(24, 20, 3));
  ASSERT_EQ(jpeg.substr(2, 4),
            std::string("\xFF\xE0\x00\x10", 4));  // JFIF's segment, 16 bytes after the marker
  std::string no_marker = jpeg;
  no_marker[20] = 'x';
  const Status refused = Decode(no_marker).status();
  EXPECT_EQ(refused.reason(), "IMAGE_CORRUPT");
  EXPECT_EQ(refused.message(), "JPEG: no marker at byte 20");

  jpeg[5] = 1;
  EXPECT_EQ(Decode(jpeg).status().message(), "JPEG: a segment of length 1, at byte 4");
}

// A file of each kind, small enough to try every cut and every byte.
class EveryByteOf : public ::testing::TestWithParam<std::string> {
 protected:
  static std::string File() {
    const Image image = Scene(24, 20, 3);
    if (GetParam() == "png") return EncodePng(image);
    if (GetParam() == "interlaced") {
      return Png({.interlaced = true}, 8, std::vector<Values>(9, Values{1, 2, 3, 4, 5, 6, 7, 8}));
    }
    return Jpeg(image, GetParam() == "progressive" ? TJFLAG_PROGRESSIVE : 0);
  }
};

TEST_P(EveryByteOf, AFileThatIsCutIsRefusedWithTheByteWhereItEnds) {
  const std::string file = File();
  ASSERT_EQ(ReasonOf(file), "OK");
  for (size_t n = 1; n < file.size(); ++n) {
    const Status refused = Decode(file.substr(0, n)).status();
    EXPECT_EQ(refused.reason(), "IMAGE_TRUNCATED") << n << " of " << file.size();
    EXPECT_THAT(refused.message(), ::testing::EndsWith("at byte " + std::to_string(n)));
  }
}

TEST_P(EveryByteOf, ABrokenByteNeverCrashesAndInPngIsAlwaysFound) {
  const std::string file = File();
  const bool png = file[1] == 'P';
  for (size_t i = 0; i < file.size(); ++i) {
    for (const int flip : {0x01, 0x80, 0xFF}) {
      std::string broken = file;
      broken[i] = static_cast<char>(broken[i] ^ flip);
      const std::string reason = ReasonOf(broken);
      EXPECT_TRUE(!png || reason != "OK") << "byte " << i;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Files, EveryByteOf,
                         ::testing::Values("png", "interlaced", "jpeg", "progressive"),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace bitfoundry::images
