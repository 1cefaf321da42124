#include "packed/interpreter.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tests/support/status_matchers.h"
#include "tests/unit/packed/random_network.h"

namespace bitfoundry::packed {
namespace {

using ::bitfoundry::testing::IsOk;
using testing::RandomImage;
using testing::RandomNetwork;
using testing::RandomSkipNetwork;
using testing::RandomStrideNetwork;

// The oracle: integers -1 and +1 in the open, each operation by its definition.
struct Map {
  Shape shape;
  std::vector<int32_t> values;  // NHWC

  int32_t At(int64_t y, int64_t x, size_t c, int32_t padding) const {
    if (y < 0 || y >= shape.height || x < 0 || x >= shape.width) return padding;
    return values[(static_cast<size_t>(y) * shape.width + static_cast<size_t>(x)) * shape.channels +
                  c];
  }
};

int32_t Bit(bool minus) { return minus ? -1 : 1; }

// RoundShift by its definition, with a division that rounds downwards.
int32_t Rounded(double x, uint32_t shift) {
  return static_cast<int32_t>(std::floor(x / std::exp2(shift) + (shift == 0 ? 0.0 : 0.5)));
}

// What becomes of the sum v of output channel o of a pixel.
int32_t Finish(const Output& output, bool binary, size_t k, size_t o, int32_t v, size_t pixel,
               const std::vector<Map>& maps) {
  if (const auto* bits = std::get_if<ToBits>(&output)) {
    return Bit(binary ? (static_cast<int32_t>(k) - v) / 2 > bits->thresholds[o]
                      : v < bits->thresholds[o]);
  }
  const ToInts& ints = std::get<ToInts>(output);
  const int32_t taken = ints.relu && v < 0 ? 0 : v;
  const int32_t y = Rounded(double{1} * taken * ints.scales[o] + ints.biases[o], ints.shift);
  if (ints.add == 0) return y;
  const Map& skip = maps[ints.add];
  return y + skip.values[pixel * skip.shape.channels + o % skip.shape.channels];
}

// `weight(o, tap, c)` is a filter's value.
template <typename Weight>
Map Convolve(const Map& in, const Shape& window, uint32_t stride, uint32_t pad, uint32_t channels,
             bool binary, const Output& output, const std::vector<Map>& maps, Weight weight) {
  Map out{{(in.shape.height + 2 * pad - window.height) / stride + 1,
           (in.shape.width + 2 * pad - window.width) / stride + 1, channels},
          {}};
  const size_t taps = size_t{window.height} * window.width;
  for (int64_t y = 0; y < out.shape.height; ++y) {
    for (int64_t x = 0; x < out.shape.width; ++x) {
      const size_t pixel = out.values.size() / channels;
      for (size_t o = 0; o < channels; ++o) {
        int32_t sum = 0;
        for (size_t tap = 0; tap < taps; ++tap) {
          const int64_t row = y * stride + static_cast<int64_t>(tap / window.width) - pad;
          const int64_t column = x * stride + static_cast<int64_t>(tap % window.width) - pad;
          for (size_t c = 0; c < in.shape.channels; ++c) {
            sum += weight(o, tap, c) * in.At(row, column, c, binary ? 1 : 0);
          }
        }
        out.values.push_back(Finish(output, binary, taps * in.shape.channels, o, sum, pixel, maps));
      }
    }
  }
  return out;
}

template <typename BinaryOp>
auto BinaryWeight(const BinaryOp& op, const Map& in, size_t taps) {
  return [&op, taps, words = Words(in.shape.channels)](size_t o, size_t tap, size_t c) {
    const uint32_t word = op.weights[(o * taps + tap) * words + c / 32];
    return Bit((word >> (c % 32) & 1) != 0);
  };
}

Map Apply(const Stem& op, const Map& in, const std::vector<Map>& maps) {
  return Convolve(in, {op.kernel, op.kernel, 1}, op.stride, op.kernel / 2, op.channels, false,
                  op.output, maps, [&](size_t o, size_t tap, size_t c) {
                    return op.weights[(o * op.kernel * op.kernel + tap) * in.shape.channels + c];
                  });
}

Map Apply(const BinaryConv& op, const Map& in, const std::vector<Map>& maps) {
  return Convolve(in, {op.kernel, op.kernel, 1}, op.stride, op.kernel / 2, op.channels, true,
                  op.output, maps, BinaryWeight(op, in, size_t{op.kernel} * op.kernel));
}

Map Apply(const BinaryDense& op, const Map& in, const std::vector<Map>& maps) {
  return Convolve(in, in.shape, 1, 0, op.channels, true, op.output, maps,
                  BinaryWeight(op, in, size_t{in.shape.height} * in.shape.width));
}

Map Apply(const Binarize& op, const Map& in, const std::vector<Map>&) {
  Map out = in;
  for (size_t i = 0; i < out.values.size(); ++i) {
    out.values[i] = Bit(in.values[i] < op.thresholds[i % in.shape.channels]);
  }
  return out;
}

// `fold(values of a window)` gives the output.
template <typename Fold>
Map Pool(const Map& in, uint32_t kernel, uint32_t stride, Fold fold) {
  Map out{{(in.shape.height - kernel) / stride + 1, (in.shape.width - kernel) / stride + 1,
           in.shape.channels},
          {}};
  for (int64_t y = 0; y < out.shape.height; ++y) {
    for (int64_t x = 0; x < out.shape.width; ++x) {
      for (size_t c = 0; c < in.shape.channels; ++c) {
        std::vector<int32_t> window;
        for (int64_t i = 0; i < int64_t{kernel} * kernel; ++i) {
          window.push_back(in.At(y * stride + i / kernel, x * stride + i % kernel, c, 0));
        }
        out.values.push_back(fold(window));
      }
    }
  }
  return out;
}

Map Apply(const MaxPool& op, const Map& in, const std::vector<Map>&) {
  return Pool(in, op.kernel, op.stride,
              [](const std::vector<int32_t>& window) { return *std::ranges::max_element(window); });
}

Map Apply(const AveragePool& op, const Map& in, const std::vector<Map>&) {
  return Pool(in, op.kernel, op.stride, [&](const std::vector<int32_t>& window) {
    return Rounded(std::accumulate(window.begin(), window.end(), 0), op.shift);
  });
}

Map Apply(const GlobalSum& op, const Map& in, const std::vector<Map>&) {
  Map out{{1, 1, in.shape.channels}, std::vector<int32_t>(in.shape.channels)};
  for (size_t i = 0; i < in.values.size(); ++i) out.values[i % in.shape.channels] += in.values[i];
  for (int32_t& sum : out.values) sum = Rounded(sum, op.shift);
  return out;
}

Map Apply(const Dense& op, const Map& in, const std::vector<Map>&) {
  Map out{{1, 1, op.classes}, op.biases};
  for (size_t k = 0; k < op.classes; ++k) {
    for (size_t c = 0; c < in.values.size(); ++c) {
      out.values[k] += op.weights[k * in.values.size() + c] * in.values[c];
    }
  }
  return out;
}

// Every tensor, the image first.
std::vector<Map> ByDefinition(const Network& network, const std::vector<uint8_t>& image) {
  std::vector<Map> maps = {{network.input, {}}};
  for (size_t i = 0; i < image.size(); ++i) {
    maps[0].values.push_back(image[i] - network.mean[i % network.input.channels]);
  }
  for (const Op& op : network.ops) {
    maps.push_back(
        std::visit([&](const auto& kind) { return Apply(kind, maps[op.input], maps); }, op.kind));
  }
  return maps;
}

void ExpectTheDefinition(const Network& network, uint32_t seed) {
  auto interpreter = Interpreter::Make(network);
  ASSERT_THAT(interpreter, IsOk());
  std::mt19937 random(seed + 1000);
  for (int round = 0; round < 3; ++round) {
    const auto image = RandomImage(network.input, random);
    const auto logits = interpreter->Run(image);
    ASSERT_THAT(logits, IsOk());
    const std::vector<Map> maps = ByDefinition(network, image);
    for (size_t op = 0; op < network.ops.size(); ++op) {
      ASSERT_EQ(interpreter->ValuesOf(op), maps[op + 1].values)
          << "operation " << op << ", seed " << seed;
    }
    EXPECT_EQ(std::vector<int32_t>(logits->begin(), logits->end()), maps.back().values);
  }
}

class InterpreterOfSeed : public ::testing::TestWithParam<uint32_t> {};

TEST_P(InterpreterOfSeed, GivesEveryIntegerOfTheDefinition) {
  ExpectTheDefinition(RandomNetwork(1, GetParam()), GetParam());
  ExpectTheDefinition(RandomNetwork(3, GetParam()), GetParam());
  ExpectTheDefinition(RandomSkipNetwork(GetParam()), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Seeds, InterpreterOfSeed, ::testing::Range(0U, 6U));

TEST(InterpreterTest, GivesEveryIntegerOfTheDefinitionAtAnyStride) {
  uint32_t seed = 0;
  for (const uint32_t channels : {1, 3}) {
    for (const uint32_t stride : {4, 5, 9, 37, 38, 255, 256, 1024}) {
      ++seed;
      ExpectTheDefinition(RandomStrideNetwork(channels, stride, seed), seed);
    }
  }
}

TEST(InterpreterTest, ThresholdExtremesMakeAChannelConstant) {
  std::mt19937 random(/*seed=*/3);
  Network network = RandomNetwork(1, 0);
  auto& last = std::get<ToBits>(std::get<BinaryConv>(network.ops[4].kind).output);
  for (size_t o = 0; o < last.thresholds.size(); ++o) {
    last.thresholds[o] = o % 2 == 0 ? -1 : INT32_MAX;
  }
  auto& dense = std::get<Dense>(network.ops[6].kind);
  dense.biases = {0, 0, 0};
  for (size_t i = 0; i < dense.weights.size(); ++i) dense.weights[i] = i % 2 == 0 ? 1 : 0;
  auto interpreter = Interpreter::Make(network);
  const auto layers = Describe(network);
  const Shape& summed = (*layers)[5].in;
  const auto logits = interpreter->Run(RandomImage(network.input, random));
  // Seventeen channels with weight 1, each -1 everywhere.
  EXPECT_EQ((*logits)[0], -17 * static_cast<int32_t>(summed.height * summed.width));
}

TEST(InterpreterTest, ChecksumsFollowEveryLayerAndTheImage) {
  std::mt19937 random(/*seed=*/4);
  const Network network = RandomNetwork(1, 1);
  auto interpreter = Interpreter::Make(network);
  const auto image = RandomImage(network.input, random);
  std::vector<uint32_t> first;
  std::vector<uint32_t> again;
  std::vector<uint32_t> other;
  ASSERT_THAT(interpreter->Run(image, &first), IsOk());
  ASSERT_THAT(interpreter->Run(RandomImage(network.input, random), &other), IsOk());
  ASSERT_THAT(interpreter->Run(image, &again), IsOk());
  EXPECT_EQ(first.size(), network.ops.size());
  EXPECT_EQ(first, again);
  EXPECT_NE(first[0], other[0]);
}

TEST(InterpreterTest, RefusesAnImageOfAnotherSize) {
  auto interpreter = Interpreter::Make(RandomNetwork(1, 1));
  const std::vector<uint8_t> image(interpreter->image_bytes() - 1);
  EXPECT_EQ(interpreter->Run(image).status().reason(), "BAD_IMAGE_SIZE");
}

TEST(WinnerTest, IsTheFirstOfTheLargest) {
  EXPECT_EQ(Winner(std::vector<int32_t>{1, 5, 5, 2}), 1U);
}

}  // namespace
}  // namespace bitfoundry::packed
