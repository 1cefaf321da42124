#include "saliency/squares.h"

#include <algorithm>
#include <string>

namespace bitfoundry::saliency {

Result<Squares> Squares::Make(const packed::Shape& input, const OcclusionOptions& options) {
  if (options.patch == 0 || options.patch > std::min(input.height, input.width) ||
      options.stride == 0 || options.stride > options.patch) {
    return Status(
        Code::kInvalidArgument, "BAD_OPTIONS",
        "patch " + std::to_string(options.patch) + ", stride " + std::to_string(options.stride));
  }
  return Squares(input, options);
}

// The last row and column of squares end at the image's edge, whatever the stride.
Squares::Squares(const packed::Shape& input, const OcclusionOptions& options)
    : height_(input.height), width_(input.width), patch_(options.patch) {
  const auto places = [&](uint32_t side) {
    std::vector<uint32_t> at;
    for (uint32_t p = 0; p + options.patch < side; p += options.stride) at.push_back(p);
    at.push_back(side - options.patch);
    return at;
  };
  for (const uint32_t y : places(height_)) {
    for (const uint32_t x : places(width_)) corners_.emplace_back(y, x);
  }
}

Heatmap Squares::Mean(std::span<const double> values) const {
  Heatmap map{height_, width_, std::vector<double>(size_t{height_} * width_)};
  std::vector<uint32_t> covers(map.values.size());
  for (size_t i = 0; i < corners_.size(); ++i) {
    ForEachPixel(i, [&](size_t pixel) {
      map.values[pixel] += values[i];
      ++covers[pixel];
    });
  }
  for (size_t p = 0; p < covers.size(); ++p) map.values[p] /= covers[p];
  return map;
}

}  // namespace bitfoundry::saliency
