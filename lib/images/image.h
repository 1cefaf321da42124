// Pixels, and the one way from an image to what a model sees: crop, gray, area-resize.
//
// All of it is integer arithmetic with stated rounding, so that the same image gives the same model
// input on every machine, in training, in evaluation and in an audit years later.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/status.h"

namespace bitfoundry::images {

// 8-bit pixels, rows from the top, no padding between them.
struct Image {
  int width = 0;
  int height = 0;
  int channels = 0;             // 1: gray; 3: R, G, B
  std::vector<uint8_t> pixels;  // [height][width][channels]

  size_t RowBytes() const { return static_cast<size_t>(width) * static_cast<size_t>(channels); }
  const uint8_t* Row(int y) const { return pixels.data() + static_cast<size_t>(y) * RowBytes(); }

  bool operator==(const Image&) const = default;
};

// An image of that size, all pixels 0.
Image Blank(int width, int height, int channels);

// A rectangle in pixels, from the upper left corner.
struct Rect {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;

  bool operator==(const Rect&) const = default;
};

// `rect` cut out of `image`.
//
//   errors  kInvalidArgument WINDOW_OUTSIDE: rect is empty or not wholly inside the image
Result<Image> Crop(const Image& image, const Rect& rect);

// ITU-R BT.601 luma in 16-bit fixed point: (19595 R + 38470 G + 7471 B + 32768) >> 16, which is
// what libjpeg and Pillow's convert("L") compute. Gray stays as it is.
Image ToGray(Image image);

// Gray repeated over three channels; RGB stays as it is.
Image ToRgb(Image image);

// Area resize: an output pixel is the mean of the source under it, sources cut by its border
// weighted by their share; exact, rounded half up. Sizes are at least 1.
Image Resize(const Image& image, int width, int height);

// What the model of a project sees: ToGray or ToRgb for `channels` (1 or 3), then Resize.
Image ModelInput(Image image, int width, int height, int channels);

}  // namespace bitfoundry::images
