// Every kernel of every CPU that this machine has, against its definition in kernels.h.
#include "packed/kernels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <random>
#include <vector>

namespace bitfoundry::packed {
namespace {

using ::testing::ElementsAre;

class KernelsOf : public ::testing::TestWithParam<Cpu> {
 protected:
  void SetUp() override {
    if (GetParam() > BestCpu()) GTEST_SKIP() << "this machine's CPU lacks the instructions";
    k_ = &KernelsFor(GetParam());
  }

  const Kernels* k_ = nullptr;
  std::mt19937 random_{/*seed=*/7};

  std::vector<uint32_t> RandomWords(size_t n) {
    std::vector<uint32_t> words(n);
    for (uint32_t& w : words) w = static_cast<uint32_t>(random_());
    return words;
  }

  std::vector<int32_t> RandomIntegers(size_t n, int32_t low, int32_t high) {
    std::vector<int32_t> integers(n);
    for (int32_t& i : integers)
      i = low + static_cast<int32_t>(random_() % uint32_t(high - low + 1));
    return integers;
  }

  // The sums of patches that start `step` words apart on lines of `line` words, without what pads
  // the filters to whole groups.
  std::vector<int32_t> Multiply(const std::vector<uint32_t>& lines, size_t line, size_t step,
                                uint32_t count, const std::vector<uint32_t>& weights,
                                Filters filters) {
    std::vector<uint8_t> packed(k_->filter_bytes(filters));
    k_->pack_filters(weights.data(), filters, packed.data());
    filters.packed = packed.data();
    std::vector<uint8_t> room(lines.size() * 8);
    Patches patches = {{}, step * k_->word_bytes, count};
    k_->ready_lines(lines.data(), lines.size(), line, filters.rows, room.data(), patches.row);
    const size_t stride = (filters.count + 31) / 32 * 32;
    std::vector<int32_t> sums(stride * count);
    k_->binary(patches, filters, sums.data(), stride);
    std::vector<int32_t> wanted;
    for (size_t p = 0; p < count; ++p) {
      const auto row = sums.begin() + static_cast<ptrdiff_t>(p * stride);
      wanted.insert(wanted.end(), row, row + filters.count);
    }
    return wanted;
  }
};

INSTANTIATE_TEST_SUITE_P(All, KernelsOf,
                         ::testing::Values(Cpu::kPortable, Cpu::kAvx2, Cpu::kAvx512),
                         [](const auto& of) {
                           return std::string(of.param == Cpu::kPortable ? "portable"
                                              : of.param == Cpu::kAvx2   ? "avx2"
                                                                         : "avx512");
                         });

// Sums by the definition.
std::vector<int32_t> BitByBit(const std::vector<uint32_t>& lines, size_t line, size_t step,
                              uint32_t count, const std::vector<uint32_t>& weights,
                              const Filters& f) {
  std::vector<int32_t> sums;
  for (size_t p = 0; p < count; ++p) {
    for (size_t o = 0; o < f.count; ++o) {
      int32_t differing = 0;
      for (size_t r = 0; r < f.rows; ++r) {
        for (size_t w = 0; w < f.words; ++w) {
          differing += std::popcount(lines[r * line + p * step + w] ^
                                     weights[(o * f.rows + r) * f.words + w]);
        }
      }
      sums.push_back(-differing);
    }
  }
  return sums;
}

TEST_P(KernelsOf, MultipliesBitsByTheDefinitionWhateverTheShape) {
  for (const uint32_t rows : {1U, 3U}) {
    for (const uint32_t words : {1U, 2U, 3U, 7U, 8U, 9U, 24U}) {
      for (const uint32_t count : {1U, 16U, 17U, 32U, 33U, 65U}) {
        for (const uint32_t patches : {1U, 4U, 5U, 9U}) {
          const size_t step = 1 + (words + count) % 3;
          const size_t line = (patches - 1) * step + words;
          const Filters filters = {rows, words, count, nullptr};
          const auto lines = RandomWords(line * rows);
          const auto weights = RandomWords(size_t{count} * rows * words);
          ASSERT_EQ(Multiply(lines, line, step, patches, weights, filters),
                    BitByBit(lines, line, step, patches, weights, filters))
              << rows << " rows of " << words << " words, " << count << " filters, " << patches
              << " patches";
        }
      }
    }
  }
}

// What is a little wrong is seen by what is compared above.
TEST_P(KernelsOf, AnOffByOneIsSeen) {
  static const Kernels* sound;
  sound = k_;
  using Binary = decltype(Kernels::binary);
  const std::pair<const char*, Binary> planted[] = {
      {"a word less",
       [](const Patches& p, const Filters& f, int32_t* sums, size_t stride) {
         Filters less = f;
         --less.words;
         sound->binary(p, less, sums, stride);
       }},
      {"a patch that lies one to the right",
       [](const Patches& p, const Filters& f, int32_t* sums, size_t stride) {
         Patches moved = p;
         for (uint32_t r = 0; r < f.rows; ++r) moved.row[r] += sound->word_bytes;
         sound->binary(moved, f, sums, stride);
       }},
      {"a patch less",
       [](const Patches& p, const Filters& f, int32_t* sums, size_t stride) {
         Patches less = p;
         --less.count;
         sound->binary(less, f, sums, stride);
       }},
      {"one more", [](const Patches& p, const Filters& f, int32_t* sums, size_t stride) {
         sound->binary(p, f, sums, stride);
         ++sums[(p.count - 1) * stride + f.count - 1];
       }}};
  for (const uint32_t rows : {1U, 3U}) {
    const Filters filters = {rows, 9, 33, nullptr};
    constexpr size_t kLine = 4 + 9 + 1;
    const auto lines = RandomWords(kLine * rows);
    const auto weights = RandomWords(size_t{33} * rows * 9);
    const auto wanted = BitByBit(lines, kLine, 1, 5, weights, filters);
    for (const auto& [error, binary] : planted) {
      Kernels wrong = *sound;
      wrong.binary = binary;
      k_ = &wrong;
      EXPECT_NE(Multiply(lines, kLine, 1, 5, weights, filters), wanted) << rows << ", " << error;
      k_ = sound;
    }
  }
}

// A counter that is too narrow shows only when everything differs.
TEST_P(KernelsOf, CountsUpToEveryBit) {
  for (const uint32_t words : {1U, 7U, 8U, 768U, 3000U}) {
    const Filters filters = {3, words, 2, nullptr};
    std::vector<uint32_t> weights(size_t{6} * words);
    std::fill_n(weights.begin(), 3 * words, ~uint32_t{0});
    const std::vector<uint32_t> lines(size_t{3} * words);
    const auto all = static_cast<int32_t>(3 * words * 32);
    EXPECT_THAT(Multiply(lines, words, 1, 1, weights, filters), ElementsAre(-all, 0));
  }
}

// Each bit of a patch and of a filter by itself: a bit that is dropped or counted twice shows.
TEST_P(KernelsOf, SeesEverySingleBit) {
  constexpr uint32_t kWords = 3;
  for (const uint32_t rows : {1U, 3U}) {
    const uint32_t bits = rows * kWords * 32;
    const Filters filters = {rows, kWords, bits, nullptr};
    std::vector<uint32_t> weights(size_t{bits} * rows * kWords);
    for (size_t b = 0; b < bits; ++b) {
      weights[b * rows * kWords + b / 32] = uint32_t{1} << (b % 32);
    }
    for (size_t b = 0; b < bits; ++b) {
      std::vector<uint32_t> lines(size_t{rows} * kWords);
      lines[b / 32] = uint32_t{1} << (b % 32);
      std::vector<int32_t> expected(bits, -2);
      expected[b] = 0;
      ASSERT_EQ(Multiply(lines, kWords, 1, 1, weights, filters), expected) << rows << ", bit " << b;
    }
  }
}

TEST_P(KernelsOf, StemSumsAreProductsOfSixteenByEightBits) {
  for (const uint32_t values : {1U, 3U, 5U, 7U, 9U, 21U}) {
    for (const uint32_t rows : {1U, 3U, 5U, 7U}) {
      for (const uint32_t count : {1U, 8U, 16U, 17U, 40U}) {
        const uint32_t patches = 1 + (values * rows + count) % 7;
        const uint32_t step = 1 + count % 4;
        const size_t line = (patches - 1) * step + values + 1;
        std::vector<int16_t> lines(rows * line);
        for (int16_t& v : lines) v = static_cast<int16_t>(random_() % 511) - 255;
        std::vector<int8_t> weights(size_t{count} * rows * values);
        for (int8_t& w : weights) w = static_cast<int8_t>(random_());
        weights[0] = -128;
        Filters filters = {rows, (values + 1) / 2, count, nullptr};
        std::vector<uint8_t> packed(k_->stem_bytes(filters));
        k_->pack_stem(weights.data(), values, filters, packed.data());
        filters.packed = packed.data();
        Patches p = {{}, step * 2, patches};
        for (size_t r = 0; r < rows; ++r) {
          p.row[r] = reinterpret_cast<const uint8_t*>(&lines[r * line]);
        }
        const size_t stride = (count + 31) / 32 * 32;
        std::vector<int32_t> sums(patches * stride);
        k_->stem(p, filters, sums.data(), stride);
        for (size_t i = 0; i < patches; ++i) {
          for (size_t o = 0; o < count; ++o) {
            int32_t sum = 0;
            for (size_t r = 0; r < rows; ++r) {
              for (size_t v = 0; v < values; ++v) {
                sum += weights[(o * rows + r) * values + v] * lines[r * line + i * step + v];
              }
            }
            ASSERT_EQ(sums[i * stride + o], sum) << values << " " << rows << " " << count;
          }
        }
      }
    }
  }
}

TEST_P(KernelsOf, ABitIsOneExactlyBelowTheThreshold) {
  for (const uint32_t channels : {1U, 16U, 31U, 32U, 33U, 70U}) {
    const size_t stride = (channels + 31) / 32 * 32;
    std::vector<int32_t> thresholds(stride, INT32_MIN);
    std::vector<int32_t> sums(3 * stride, -5);  // what lies past the channels must not matter
    for (size_t c = 0; c < channels; ++c) {
      thresholds[c] = static_cast<int32_t>(random_() % 1000) - 500;
      sums[c] = thresholds[c] - 1;
      sums[stride + c] = thresholds[c];
      sums[2 * stride + c] = thresholds[c] + 1;
    }
    const size_t words = stride / 32;
    std::vector<uint32_t> out(3 * words, 99);
    k_->to_bits(sums.data(), stride, 3, channels, thresholds.data(), out.data());
    for (size_t c = 0; c < stride; ++c) {
      EXPECT_EQ(out[c / 32] >> (c % 32) & 1, c < channels ? 1U : 0U) << channels << " " << c;
    }
    EXPECT_THAT(std::vector(out.begin() + static_cast<ptrdiff_t>(words), out.end()),
                ::testing::Each(0U));
  }
}

TEST_P(KernelsOf, BinarizeKnowsTheEndsOfSixteenBits) {
  for (const uint32_t channels : {1U, 16U, 24U, 33U, 64U}) {
    std::vector<int32_t> thresholds((channels + 31) / 32 * 32, INT32_MIN);
    std::vector<int16_t> values(5 * channels + 32);
    for (size_t c = 0; c < channels; ++c) {
      constexpr int32_t kEdges[] = {-32769, -32768, 0, 32767, 32768, INT32_MAX, INT32_MIN};
      thresholds[c] = kEdges[random_() % 7];
      for (size_t p = 0; p < 5; ++p) {
        constexpr int16_t kValues[] = {-32768, -1, 0, 1, 32767};
        values[p * channels + c] = kValues[p];
      }
    }
    const size_t words = (channels + 31) / 32;
    std::vector<uint32_t> out(5 * words);
    k_->binarize(values.data(), 5, channels, thresholds.data(), out.data());
    for (size_t p = 0; p < 5; ++p) {
      for (size_t c = 0; c < words * 32; ++c) {
        const bool bit = c < channels && values[p * channels + c] < thresholds[c];
        EXPECT_EQ(out[p * words + c / 32] >> (c % 32) & 1, bit ? 1U : 0U) << channels << " " << c;
      }
    }
  }
}

TEST_P(KernelsOf, ScalesRoundsHalvesUpwardsAddsTheSkipAndBinarizes) {
  struct Case {
    uint32_t channels, skip_channels;
  };
  constexpr uint32_t kPixels = 5;
  for (const auto& [channels, skip_channels] :
       {Case{16, 16}, Case{16, 0}, Case{1, 1}, Case{64, 32}, Case{33, 33}, Case{33, 11},
        Case{48, 24}, Case{40, 0}, Case{96, 96}}) {
    for (const bool relu : {false, true}) {
      for (const uint32_t shift : {0U, 1U, 7U}) {
        const size_t stride = (channels + 31) / 32 * 32;
        const size_t words = stride / 32;
        auto biases = RandomIntegers(channels, -1000, 1000);
        const auto scales = RandomIntegers(channels, -200, 200);
        const auto sums = RandomIntegers(kPixels * stride, -20, 20);
        auto thresholds = RandomIntegers(channels, -1000, 1000);
        thresholds.resize(stride, INT32_MIN);
        std::vector<int16_t> skip;
        for (const int32_t s : RandomIntegers(kPixels * skip_channels, -1000, 1000)) {
          skip.push_back(static_cast<int16_t>(s));
        }
        std::vector<int16_t> expected;
        std::vector<uint32_t> expected_bits(kPixels * words);
        for (size_t p = 0; p < kPixels; ++p) {
          for (size_t c = 0; c < channels; ++c) {
            const int32_t sum = sums[p * stride + c];
            const int64_t x = relu ? std::max(2 * sum + 7, 0) : sum;
            const int64_t half = int64_t{1} << shift >> 1;
            int64_t y = (x * scales[c] + biases[c] + half) >> shift;
            if (skip_channels != 0) y += skip[p * skip_channels + c % skip_channels];
            if (c % 5 == p) thresholds[c] = static_cast<int32_t>(y + c % 2);  // on the edge
            expected.push_back(static_cast<int16_t>(y));
          }
        }
        for (size_t i = 0; i < expected.size(); ++i) {
          const size_t c = i % channels;
          expected_bits[i / channels * words + c / 32] |= uint32_t{expected[i] < thresholds[c]}
                                                          << (c % 32);
        }
        for (int32_t& b : biases) b += 1 << shift >> 1;
        const Scaling scaling = {scales.data(), biases.data(),    channels, shift, relu, 1, 7,
                                 skip_channels, thresholds.data()};
        std::vector<int16_t> out(expected.size() + 32);
        std::vector<uint32_t> bits(kPixels * words);
        k_->to_ints(sums.data(), stride, kPixels, scaling, skip.data(), out.data(), bits.data());
        out.resize(expected.size());
        EXPECT_EQ(out, expected) << channels << " " << skip_channels;
        EXPECT_EQ(bits, expected_bits) << channels << " " << skip_channels;
        if (skip_channels != channels) continue;
        k_->to_ints(sums.data(), stride, kPixels, scaling, skip.data(), skip.data(), nullptr);
        EXPECT_EQ(skip, expected) << channels << " in place";
      }
    }
  }
}

TEST_P(KernelsOf, BitsOfScaledSumsKnowTheEndsOfSixteenBits) {
  constexpr int32_t kEdges[] = {INT32_MIN, -32769, -32768, -32767, 0, 32767, 32768, INT32_MAX};
  constexpr uint32_t kChannels = 32;
  std::vector<int32_t> thresholds;
  for (size_t c = 0; c < kChannels; ++c) thresholds.push_back(kEdges[c % 8]);
  const std::vector<int32_t> scales(kChannels);
  const std::vector<int32_t> sums(kChannels);
  for (const int32_t y : {-32768, -32767, 0, 32766, 32767}) {
    const std::vector<int32_t> biases(kChannels, y);
    const Scaling scaling = {scales.data(),    biases.data(), kChannels, 0, false, 0, 0, 0,
                             thresholds.data()};
    std::vector<int16_t> out(kChannels);
    uint32_t bits = 0;
    k_->to_ints(sums.data(), kChannels, 1, scaling, nullptr, out.data(), &bits);
    for (size_t c = 0; c < kChannels; ++c) {
      EXPECT_EQ(bits >> c & 1, y < thresholds[c] ? 1U : 0U) << y << " < " << thresholds[c];
    }
  }
}

TEST_P(KernelsOf, SumsChannelsOverWindows) {
  constexpr uint32_t kLine = 9;
  constexpr uint32_t kCount = 2;
  constexpr uint32_t kStep = 2;
  for (const uint32_t channels : {1U, 16U, 33U, 64U}) {
    for (const auto& [height, width] : {std::pair{1U, 1U}, {3U, 2U}, {4U, 7U}}) {
      const Windows windows = {height, width, kLine, channels, kCount, kStep};
      const size_t words = (channels + 31) / 32;
      const auto bits = RandomWords(height * kLine * words);
      std::vector<int16_t> values(size_t{height} * kLine * channels);
      for (int16_t& v : values) v = static_cast<int16_t>(random_());
      std::vector<int32_t> of_bits(kCount * words * 32);
      std::vector<int32_t> of_ints(kCount * words * 32);
      k_->sum_bits(bits.data(), windows, of_bits.data());
      k_->sum_ints(values.data(), windows, of_ints.data());
      for (size_t i = 0; i < kCount * channels; ++i) {
        const size_t window = i / channels;
        const size_t c = i % channels;
        int32_t sum_of_bits = 0;
        int32_t sum_of_ints = 0;
        for (size_t y = 0; y < height; ++y) {
          const size_t first = y * kLine + window * kStep;
          for (size_t p = first; p < first + width; ++p) {
            sum_of_bits += (bits[p * words + c / 32] >> (c % 32) & 1) != 0 ? -1 : 1;
            sum_of_ints += values[p * channels + c];
          }
        }
        EXPECT_EQ(of_bits[window * words * 32 + c], sum_of_bits) << channels << " " << c;
        EXPECT_EQ(of_ints[window * words * 32 + c], sum_of_ints) << channels << " " << c;
      }
    }
  }
}

TEST(Kernels, AreForTheCpuThatWasAskedFor) {
  for (Cpu cpu = Cpu::kPortable; cpu <= BestCpu(); cpu = static_cast<Cpu>(int(cpu) + 1)) {
    EXPECT_EQ(KernelsFor(cpu).cpu, cpu);
  }
}

}  // namespace
}  // namespace bitfoundry::packed
