#include "packed/firmware_tables.h"

#include <algorithm>
#include <array>
#include <bit>

#include "packed/network.h"

namespace bitfoundry::packed {
namespace {

constexpr uint32_t kGroup = 32;    // output channels of a word of bit-sliced weights
constexpr uint32_t kBlock = 3;     // words of a window that the fast kernel takes at once
constexpr uint32_t kStemWord = 4;  // weights of a word, and channels side by side
constexpr std::array<size_t, kStemWord> kStemOrder = {0, 2, 1, 3};
constexpr int32_t kStemLimit = 1 << 24;  // beyond what any sum of the stem can reach

uint32_t Groups(uint32_t channels) { return (channels + kGroup - 1) / kGroup; }

size_t StemChannels(uint32_t channels) {
  return (size_t{channels} + kStemWord - 1) / kStemWord * kStemWord;
}

uint32_t Bit(uint32_t word, uint32_t bit) { return (word >> bit) & 1; }

// Rows of weights seen from the side: bit i of an input's slice is the weight of channel
// 32 * group + i, 0 beyond the channels.
class Slices {
 public:
  Slices(std::span<const uint32_t> rows, uint32_t channels)
      : rows_(rows), channels_(channels), words_(static_cast<uint32_t>(rows.size()) / channels) {}

  uint32_t words() const { return words_; }

  uint32_t At(uint32_t group, uint32_t word, uint32_t bit) const {
    uint32_t slice = 0;
    for (uint32_t i = 0; i < kGroup && group * kGroup + i < channels_; ++i) {
      slice |= Bit(rows_[size_t{group * kGroup + i} * words_ + word], bit) << i;
    }
    return slice;
  }

 private:
  std::span<const uint32_t> rows_;
  uint32_t channels_;
  uint32_t words_;
};

struct Input {
  uint32_t word;  // of the block
  uint32_t bit;
};

// The three inputs of triple 4 * q + k.
std::array<Input, 3> Triple(uint32_t q, uint32_t k) {
  const uint32_t byte = 8 * k;
  if (q < 6) {
    const uint32_t first = byte + q % 2 * 3;
    return {{{q / 2, first}, {q / 2, first + 1}, {q / 2, first + 2}}};
  }
  return {{{q - 6, byte + 6}, {q - 6, byte + 7}, {2, byte + q}}};
}

}  // namespace

uint32_t Planes(uint32_t bits) {
  return 1 + std::max(10U, static_cast<uint32_t>(std::bit_width(bits)));
}

std::vector<uint32_t> PackFast(std::span<const uint32_t> rows, uint32_t channels) {
  const Slices slices(rows, channels);
  std::vector<uint32_t> tables;
  for (uint32_t group = 0; group < Groups(channels); ++group) {
    for (uint32_t block = 0; block < slices.words(); block += kBlock) {
      for (uint32_t triple = 0; triple < 32; ++triple) {
        const auto inputs = Triple(triple / 4, triple % 4);
        for (uint32_t index = 0; index < 8; ++index) {
          std::array<uint32_t, 3> differ = {};
          for (uint32_t i = 0; i < 3; ++i) {
            const uint32_t word = block + inputs[i].word;
            if (word >= slices.words()) continue;
            differ[i] = slices.At(group, word, inputs[i].bit) ^ (0 - Bit(index, i));
          }
          const auto [a, b, c] = differ;
          tables.push_back(a ^ b ^ c);
          tables.push_back((a & b) | (b & c) | (a & c));
        }
      }
    }
  }
  return tables;
}

std::vector<uint32_t> PackLean(std::span<const uint32_t> rows, uint32_t channels) {
  const Slices slices(rows, channels);
  std::vector<uint32_t> pairs;
  for (uint32_t group = 0; group < Groups(channels); ++group) {
    for (uint32_t word = 0; word < slices.words(); ++word) {
      for (uint32_t bit = 0; bit < kWordBits; bit += 2) {
        const uint32_t even = slices.At(group, word, bit);
        pairs.push_back(even);
        pairs.push_back(even ^ slices.At(group, word, bit + 1));
      }
    }
  }
  return pairs;
}

std::vector<uint32_t> PackThresholds(std::span<const int32_t> thresholds, uint32_t bits) {
  const auto channels = static_cast<uint32_t>(thresholds.size());
  const uint32_t planes = Planes(bits);
  const auto most = static_cast<int32_t>(bits);
  std::vector<uint32_t> levels(size_t{Groups(channels)} * planes);
  for (uint32_t i = 0; i < Groups(channels) * kGroup; ++i) {
    const int32_t threshold = i < channels ? std::clamp(thresholds[i], -1, most) : most;
    const auto start = static_cast<uint32_t>((1 << (planes - 1)) - 1 - threshold);
    for (uint32_t plane = 0; plane < planes; ++plane) {
      levels[size_t{i / kGroup} * planes + plane] |= Bit(start, plane) << (i % kGroup);
    }
  }
  return levels;
}

std::vector<int8_t> PackStem(std::span<const int8_t> weights, uint32_t channels) {
  const size_t taps = weights.size() / channels;
  const size_t words = (taps + 1) / kStemWord;
  std::vector<int8_t> packed;
  for (size_t first = 0; first < channels; first += kStemWord) {
    const auto append = [&](size_t channel, size_t tap) {
      const bool inside = channel < channels && tap < taps;
      packed.push_back(inside ? weights[channel * taps + tap] : int8_t{0});
    };
    for (size_t word = 0; word < words; ++word) {
      for (size_t channel = first; channel < first + kStemWord; ++channel) {
        for (const size_t tap : kStemOrder) append(channel, word * kStemWord + tap);
      }
    }
    if (taps % kStemWord != 1) continue;
    for (size_t channel = first; channel < first + kStemWord; ++channel) append(channel, taps - 1);
  }
  return packed;
}

std::vector<int32_t> StemLevels(std::span<const int8_t> weights, uint32_t channels,
                                std::span<const uint8_t> mean,
                                std::span<const int32_t> thresholds) {
  const size_t taps = weights.size() / channels;
  std::vector<int32_t> levels(StemChannels(channels));
  for (size_t channel = 0; channel < channels; ++channel) {
    for (size_t tap = 0; tap < taps; ++tap) {
      levels[channel] -= weights[channel * taps + tap] * mean[tap % mean.size()];
    }
    if (!thresholds.empty()) {
      levels[channel] -= std::clamp(thresholds[channel], -kStemLimit, kStemLimit);
    }
  }
  return levels;
}

}  // namespace bitfoundry::packed
