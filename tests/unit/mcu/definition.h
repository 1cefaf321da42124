// The runtime's operations by their definition: values one by one, a bit as -1 or +1, no words, no
// tables. And a layer to run them on, with everything that it points to.
#pragma once

#include <cstdint>
#include <random>
#include <vector>

#include "mcu/bf_mcu.h"

namespace bitfoundry::mcu {

using Random = std::mt19937;

inline int32_t Between(Random& random, int32_t low, int32_t high) {
  return std::uniform_int_distribution<int32_t>(low, high)(random);
}

// height x width x channels values.
struct Map {
  int32_t height = 0;
  int32_t width = 0;
  int32_t channels = 0;
  std::vector<int32_t> values;

  Map(int32_t h, int32_t w, int32_t c)
      : height(h), width(w), channels(c), values(static_cast<size_t>(h * w * c)) {}

  bool Has(int32_t y, int32_t x) const { return y >= 0 && x >= 0 && y < height && x < width; }
  int32_t& At(int32_t y, int32_t x, int32_t c) {
    return values[static_cast<size_t>((y * width + x) * channels + c)];
  }
  int32_t At(int32_t y, int32_t x, int32_t c) const { return const_cast<Map*>(this)->At(y, x, c); }
};

inline Map RandomMap(Random& random, int32_t h, int32_t w, int32_t c, int32_t low, int32_t high) {
  Map map(h, w, c);
  for (int32_t& value : map.values) value = Between(random, low, high);
  return map;
}

inline Map RandomSigns(Random& random, int32_t h, int32_t w, int32_t c) {
  Map map = RandomMap(random, h, w, c, 0, 1);
  for (int32_t& value : map.values) value = 1 - 2 * value;
  return map;
}

// Signs as the runtime keeps them: 32 channels to a word, -1 as bit 1.
inline std::vector<uint32_t> Pack(const Map& map) {
  const int32_t words = (map.channels + 31) / 32;
  std::vector<uint32_t> packed(static_cast<size_t>(map.height * map.width * words));
  for (int32_t pixel = 0; pixel < map.height * map.width; ++pixel) {
    for (int32_t c = 0; c < map.channels; ++c) {
      const bool negative = map.values[static_cast<size_t>(pixel * map.channels + c)] < 0;
      packed[static_cast<size_t>(pixel * words + c / 32)] |= uint32_t{negative} << c % 32;
    }
  }
  return packed;
}

template <typename To>
std::vector<To> As(const Map& map) {
  std::vector<To> values;
  for (const int32_t value : map.values) values.push_back(static_cast<To>(value));
  return values;
}

// A window that moves over a map.
struct Window {
  int32_t height = 1;
  int32_t width = 1;
  int32_t stride = 1;
  int32_t pad = 0;

  int32_t Rows(const Map& map) const { return (map.height + 2 * pad - height) / stride + 1; }
  int32_t Columns(const Map& map) const { return (map.width + 2 * pad - width) / stride + 1; }
};

// Calls visit(out y, out x, in y, in x, tap) for every tap of every window, also outside the map.
template <typename Visit>
void ForEachTap(const Map& map, const Window& window, const Visit& visit) {
  for (int32_t y = 0; y < window.Rows(map); ++y) {
    for (int32_t x = 0; x < window.Columns(map); ++x) {
      for (int32_t tap = 0; tap < window.height * window.width; ++tap) {
        visit(y, x, y * window.stride - window.pad + tap / window.width,
              x * window.stride - window.pad + tap % window.width, tap);
      }
    }
  }
}

// Sums of weights times inputs; outside the map an input of channel c is `outside[c]`.
//   weights  [channels] maps of the window
inline Map Convolve(const Map& in, const Window& window, const std::vector<Map>& weights,
                    const std::vector<int32_t>& outside) {
  Map out(window.Rows(in), window.Columns(in), static_cast<int32_t>(weights.size()));
  ForEachTap(in, window, [&](int32_t y, int32_t x, int32_t in_y, int32_t in_x, int32_t tap) {
    for (int32_t o = 0; o < out.channels; ++o) {
      const Map& w = weights[static_cast<size_t>(o)];
      for (int32_t c = 0; c < in.channels; ++c) {
        out.At(y, x, o) +=
            w.At(tap / window.width, tap % window.width, c) *
            (in.Has(in_y, in_x) ? in.At(in_y, in_x, c) : outside[static_cast<size_t>(c)]);
      }
    }
  });
  return out;
}

// A layer's description, from the shapes.
inline bf_layer LayerOf(const Map& in, const Map& out, const Window& window) {
  bf_layer layer = {};
  layer.in = layer.out = layer.add = BF_NONE;
  layer.in_height = static_cast<uint16_t>(in.height);
  layer.in_width = static_cast<uint16_t>(in.width);
  layer.in_channels = static_cast<uint16_t>(in.channels);
  layer.out_height = static_cast<uint16_t>(out.height);
  layer.out_width = static_cast<uint16_t>(out.width);
  layer.out_channels = static_cast<uint16_t>(out.channels);
  layer.kernel_height = static_cast<uint16_t>(window.height);
  layer.kernel_width = static_cast<uint16_t>(window.width);
  layer.stride = static_cast<uint8_t>(window.stride);
  layer.pad = static_cast<uint8_t>(window.pad);
  return layer;
}

}  // namespace bitfoundry::mcu
