// The squares that an occlusion takes away, and the map that they leave.
#pragma once

#include <cstddef>
#include <span>
#include <utility>
#include <vector>

#include "saliency/saliency.h"

namespace bitfoundry::saliency {

class Squares {
 public:
  // Errors: kInvalidArgument BAD_OPTIONS.
  static Result<Squares> Make(const packed::Shape& input, const OcclusionOptions& options);

  size_t size() const { return corners_.size(); }

  // Calls visit(pixel) for each pixel of square i.
  template <typename Visit>
  void ForEachPixel(size_t i, Visit visit) const {
    const auto [top, left] = corners_[i];
    for (uint32_t y = top; y < top + patch_; ++y) {
      for (uint32_t x = left; x < left + patch_; ++x) visit(size_t{y} * width_ + x);
    }
  }

  // Each pixel: the mean over the squares that cover it.
  //
  //   values  [size()]
  Heatmap Mean(std::span<const double> values) const;

 private:
  Squares(const packed::Shape& input, const OcclusionOptions& options);

  uint32_t height_;
  uint32_t width_;
  uint32_t patch_;
  std::vector<std::pair<uint32_t, uint32_t>> corners_;  // top, left
};

}  // namespace bitfoundry::saliency
