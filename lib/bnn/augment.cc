#include "bnn/augment.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "bnn/fold.h"

namespace bitfoundry::bnn {
namespace {

constexpr uint64_t kGolden = 0x9E3779B97F4A7C15U;
constexpr uint64_t kOrder = ~uint64_t{0};  // the index that stands for the order of an epoch

uint64_t Mix(uint64_t z) {
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EBU;
  return z ^ (z >> 31);
}

}  // namespace

Random::Random(uint64_t seed, int32_t epoch, uint64_t index)
    : state_(Mix(Mix(Mix(seed + kGolden) + static_cast<uint64_t>(epoch) + kGolden) + index)) {}

uint64_t Random::Next() { return Mix(state_ += kGolden); }

uint32_t Random::Below(uint32_t n) { return static_cast<uint32_t>((Next() >> 32) * n >> 32); }

int32_t Random::Between(int32_t low, int32_t high) {
  return low + static_cast<int32_t>(Below(static_cast<uint32_t>(high - low + 1)));
}

float Random::Uniform(float low, float high) {
  return low + (high - low) * static_cast<float>(Next() >> 40) / static_cast<float>(1 << 24);
}

std::vector<uint32_t> EpochOrder(uint64_t seed, int32_t epoch, size_t n) {
  std::vector<uint32_t> order(n);
  std::iota(order.begin(), order.end(), 0U);
  Random random(seed, epoch, kOrder);
  for (size_t i = n; i > 1; --i) {
    std::swap(order[i - 1], order[random.Below(static_cast<uint32_t>(i))]);
  }
  return order;
}

void AugmentImage(std::span<const uint8_t> pixels, const packed::Shape& shape,
                  const Augment& augment, Random& random, std::span<float> out) {
  const bool flip = augment.flip && random.Below(2) == 1;
  const int32_t down = random.Between(-augment.shift, augment.shift);
  const int32_t right = random.Between(-augment.shift, augment.shift);
  const auto contrast = static_cast<float>(random.Between(-augment.contrast, augment.contrast));
  const auto brightness =
      static_cast<float>(random.Between(-augment.brightness, augment.brightness));
  std::array<float, 256> value{};
  for (size_t i = 0; i < value.size(); ++i) {
    const float centred = static_cast<float>(i) - kInputMean;
    const float changed = centred * (1 + contrast / 100) + brightness;
    value[i] = std::clamp(changed, -128.0F, 127.0F) / static_cast<float>(kInputUnit);
  }
  const auto height = static_cast<int32_t>(shape.height);
  const auto width = static_cast<int32_t>(shape.width);
  const auto channels = static_cast<int32_t>(shape.channels);
  float* to = out.data();
  for (int32_t c = 0; c < channels; ++c) {
    for (int32_t y = 0; y < height; ++y) {
      const int32_t row = std::clamp(y - down, 0, height - 1) * width;
      for (int32_t x = 0; x < width; ++x) {
        const int32_t column = std::clamp((flip ? width - 1 - x : x) - right, 0, width - 1);
        *to++ = value[pixels[static_cast<size_t>((row + column) * channels + c)]];
      }
    }
  }
}

}  // namespace bitfoundry::bnn
