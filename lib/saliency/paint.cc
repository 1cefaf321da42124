#include "saliency/paint.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace bitfoundry::saliency {
namespace {

using Colour = std::array<double, 3>;

constexpr Colour kFor = {230, 97, 1};
constexpr Colour kAgainst = {33, 102, 172};
constexpr double kStrongest = 0.8;  // opacity, where the map is farthest from 0

// The map in colours over gray levels, one for each pixel.
images::Image Paint(const Heatmap& map, const std::vector<double>& under) {
  double most = 0;
  for (const double value : map.values) most = std::max(most, std::abs(value));
  images::Image image =
      images::Blank(static_cast<int>(map.width), static_cast<int>(map.height), /*channels=*/3);
  for (size_t i = 0; i < map.values.size(); ++i) {
    const double strength = most == 0 ? 0 : kStrongest * std::abs(map.values[i]) / most;
    const Colour& colour = map.values[i] > 0 ? kFor : kAgainst;
    for (size_t c = 0; c < 3; ++c) {
      const double level = under[i] * (1 - strength) + colour[c] * strength;
      image.pixels[3 * i + c] = static_cast<uint8_t>(std::lround(level));
    }
  }
  return image;
}

}  // namespace

images::Image Overlay(const images::Image& picture, const Heatmap& map) {
  std::vector<double> under;
  for (const uint8_t level : images::ToGray(picture).pixels) under.push_back(70 + 0.7 * level);
  return Paint(map, under);
}

images::Image OverWhite(const Heatmap& map) {
  return Paint(map, std::vector<double>(map.values.size(), 250));
}

}  // namespace bitfoundry::saliency
