#include "images/image.h"

#include <algorithm>
#include <string>
#include <utility>

namespace bitfoundry::images {
namespace {

// The source pixels under one output pixel of an axis, and how much of each lies under it, in units
// of 1/output of a source pixel. The weights of one output pixel sum to the length of the source.
struct Span {
  int first = 0;
  std::vector<uint32_t> weights;
};

std::vector<Span> AxisSpans(int source, int output) {
  std::vector<Span> spans(static_cast<size_t>(output));
  for (int64_t i = 0; i < output; ++i) {
    const int64_t begin = i * source;
    const int64_t end = begin + source;
    Span& span = spans[static_cast<size_t>(i)];
    span.first = static_cast<int>(begin / output);
    for (int64_t pixel = span.first; pixel * output < end; ++pixel) {
      const int64_t overlap = std::min(end, (pixel + 1) * output) - std::max(begin, pixel * output);
      span.weights.push_back(static_cast<uint32_t>(overlap));
    }
  }
  return spans;
}

// One source row, summed under each output column: [output width][channels].
void SumRow(const Image& image, int y, const std::vector<Span>& columns,
            std::vector<uint64_t>& sums) {
  const uint8_t* row = image.Row(y);
  const auto channels = static_cast<size_t>(image.channels);
  for (size_t x = 0; x < columns.size(); ++x) {
    for (size_t c = 0; c < channels; ++c) {
      const uint8_t* pixel = row + static_cast<size_t>(columns[x].first) * channels + c;
      uint64_t sum = 0;
      for (const uint32_t weight : columns[x].weights) {
        sum += uint64_t{weight} * *pixel;
        pixel += channels;
      }
      sums[x * channels + c] = sum;
    }
  }
}

}  // namespace

Image Blank(int width, int height, int channels) {
  BF_CHECK(width > 0 && height > 0 && (channels == 1 || channels == 3));
  Image image{width, height, channels, {}};
  image.pixels.resize(static_cast<size_t>(height) * image.RowBytes());
  return image;
}

Result<Image> Crop(const Image& image, const Rect& rect) {
  if (rect.x < 0 || rect.y < 0 || rect.width <= 0 || rect.height <= 0 ||
      rect.width > image.width - rect.x || rect.height > image.height - rect.y) {
    const auto text = [](int a, int b, const char* between) {
      return std::to_string(a) + between + std::to_string(b);
    };
    return Status(Code::kInvalidArgument, "WINDOW_OUTSIDE",
                  "window " + text(rect.width, rect.height, "x") + " at " +
                      text(rect.x, rect.y, ",") + " is not inside the image of " +
                      text(image.width, image.height, "x") + " pixels");
  }
  Image out = Blank(rect.width, rect.height, image.channels);
  const size_t skip = static_cast<size_t>(rect.x) * static_cast<size_t>(image.channels);
  for (int y = 0; y < rect.height; ++y) {
    std::copy_n(image.Row(rect.y + y) + skip, out.RowBytes(),
                out.pixels.begin() + y * static_cast<ptrdiff_t>(out.RowBytes()));
  }
  return out;
}

Image ToGray(Image image) {
  if (image.channels == 1) return image;
  Image gray = Blank(image.width, image.height, 1);
  const uint8_t* rgb = image.pixels.data();
  for (uint8_t& out : gray.pixels) {
    out = static_cast<uint8_t>((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 32768u) >> 16);
    rgb += 3;
  }
  return gray;
}

Image ToRgb(Image image) {
  if (image.channels == 3) return image;
  Image rgb = Blank(image.width, image.height, 3);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    std::fill_n(rgb.pixels.begin() + static_cast<ptrdiff_t>(3 * i), 3, image.pixels[i]);
  }
  return rgb;
}

Image Resize(const Image& image, int width, int height) {
  const std::vector<Span> columns = AxisSpans(image.width, width);
  const std::vector<Span> rows = AxisSpans(image.height, height);
  const uint64_t total = static_cast<uint64_t>(image.width) * static_cast<uint64_t>(image.height);

  Image out = Blank(width, height, image.channels);
  std::vector<uint64_t> row_sums(out.RowBytes());
  std::vector<uint64_t> sums(out.RowBytes());
  int summed = -1;  // the source row that row_sums holds: two output rows may share one
  auto pixel = out.pixels.begin();
  for (const Span& row : rows) {
    std::fill(sums.begin(), sums.end(), 0);
    int y = row.first;
    for (const uint32_t weight : row.weights) {
      if (y != summed) SumRow(image, y, columns, row_sums);
      summed = y++;
      for (size_t i = 0; i < sums.size(); ++i) sums[i] += weight * row_sums[i];
    }
    for (const uint64_t sum : sums) *pixel++ = static_cast<uint8_t>((sum + total / 2) / total);
  }
  return out;
}

Image ModelInput(Image image, int width, int height, int channels) {
  BF_CHECK(channels == 1 || channels == 3);
  return Resize(channels == 1 ? ToGray(std::move(image)) : ToRgb(std::move(image)), width, height);
}

}  // namespace bitfoundry::images
