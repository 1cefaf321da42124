#include "packed/interpreter.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"
#include "tests/unit/packed/random_network.h"

namespace bitfoundry::packed {
namespace {

using ::bitfoundry::testing::IsOk;
using testing::RandomImage;
using testing::RandomNetwork;

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

// `weight(o, tap, c)` is a filter's value; `bit(o, sum)` whether -1 comes out.
template <typename Weight, typename Bit>
Map Convolve(const Map& in, uint32_t channels, uint32_t kernel, uint32_t stride, int32_t padding,
             Weight weight, Bit bit) {
  Map out{{(in.shape.height - 1) / stride + 1, (in.shape.width - 1) / stride + 1, channels}, {}};
  for (int64_t y = 0; y < out.shape.height; ++y) {
    for (int64_t x = 0; x < out.shape.width; ++x) {
      for (size_t o = 0; o < channels; ++o) {
        int32_t sum = 0;
        for (size_t tap = 0; tap < size_t{kernel} * kernel; ++tap) {
          const int64_t row = y * stride + static_cast<int64_t>(tap / kernel) - kernel / 2;
          const int64_t column = x * stride + static_cast<int64_t>(tap % kernel) - kernel / 2;
          for (size_t c = 0; c < in.shape.channels; ++c) {
            sum += weight(o, tap, c) * in.At(row, column, c, padding);
          }
        }
        out.values.push_back(bit(o, sum) ? -1 : 1);
      }
    }
  }
  return out;
}

Map Apply(const Stem& op, const Map& in) {
  return Convolve(
      in, op.channels, op.kernel, op.stride, 0,
      [&](size_t o, size_t tap, size_t c) {
        return op.weights[(o * op.kernel * op.kernel + tap) * in.shape.channels + c];
      },
      [&](size_t o, int32_t sum) { return sum < op.thresholds[o]; });
}

Map Apply(const BinaryConv& op, const Map& in) {
  const size_t words = in.shape.channels / 32;
  const auto count = static_cast<int32_t>(op.kernel * op.kernel * in.shape.channels);
  return Convolve(
      in, op.channels, op.kernel, op.stride, 1,
      [&](size_t o, size_t tap, size_t c) {
        const uint32_t word = op.weights[(o * op.kernel * op.kernel + tap) * words + c / 32];
        return (word >> (c % 32) & 1) != 0 ? -1 : 1;
      },
      [&](size_t o, int32_t sum) { return (count - sum) / 2 > op.thresholds[o]; });
}

Map Apply(const MaxPool&, const Map& in) {
  Map out{{in.shape.height / 2, in.shape.width / 2, in.shape.channels}, {}};
  for (int64_t y = 0; y < out.shape.height; ++y) {
    for (int64_t x = 0; x < out.shape.width; ++x) {
      for (size_t c = 0; c < in.shape.channels; ++c) {
        int32_t largest = -1;
        for (const int64_t i : {0, 1, 2, 3}) {
          largest = std::max(largest, in.At(2 * y + i / 2, 2 * x + i % 2, c, 0));
        }
        out.values.push_back(largest);
      }
    }
  }
  return out;
}

Map Apply(const GlobalSum&, const Map& in) {
  Map out{{1, 1, in.shape.channels}, std::vector<int32_t>(in.shape.channels)};
  for (size_t i = 0; i < in.values.size(); ++i) out.values[i % in.shape.channels] += in.values[i];
  return out;
}

Map Apply(const Dense& op, const Map& in) {
  Map out{{1, 1, op.classes}, op.biases};
  for (size_t k = 0; k < op.classes; ++k) {
    for (size_t c = 0; c < in.values.size(); ++c) {
      out.values[k] += op.weights[k * in.values.size() + c] * in.values[c];
    }
  }
  return out;
}

std::vector<int32_t> ByDefinition(const Network& network, const std::vector<uint8_t>& image) {
  Map map{network.input, {}};
  for (const uint8_t p : image) map.values.push_back(p - network.mean);
  for (const Op& op : network.ops) {
    map = std::visit([&](const auto& o) { return Apply(o, map); }, op);
  }
  return map.values;
}

class InterpreterOfSeed : public ::testing::TestWithParam<uint32_t> {};

TEST_P(InterpreterOfSeed, AgreesWithTheDefinition) {
  for (const uint32_t channels : {1U, 3U}) {
    const Network network = RandomNetwork(channels, GetParam());
    auto interpreter = Interpreter::Make(network);
    ASSERT_THAT(interpreter, IsOk());
    std::mt19937 random(GetParam() + 1000);
    for (int round = 0; round < 5; ++round) {
      const auto image = RandomImage(network.input, random);
      const auto logits = interpreter->Run(image);
      ASSERT_THAT(logits, IsOk());
      EXPECT_EQ(std::vector<int32_t>(logits->begin(), logits->end()), ByDefinition(network, image));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, InterpreterOfSeed, ::testing::Range(0U, 6U));

TEST(InterpreterTest, ThresholdExtremesMakeAChannelConstant) {
  std::mt19937 random(/*seed=*/3);
  Network network = RandomNetwork(1, 0);
  auto& last = std::get<BinaryConv>(network.ops[4]);
  for (size_t o = 0; o < last.channels; ++o) last.thresholds[o] = o % 2 == 0 ? -1 : INT32_MAX;
  auto& dense = std::get<Dense>(network.ops[6]);
  dense.biases = {0, 0, 0};
  for (size_t i = 0; i < dense.weights.size(); ++i) dense.weights[i] = i % 2 == 0 ? 1 : 0;
  auto interpreter = Interpreter::Make(network);
  const auto layers = Describe(network);
  const Shape& summed = (*layers)[5].in;
  const auto logits = interpreter->Run(RandomImage(network.input, random));
  // Sixteen channels with weight 1, each -1 everywhere.
  EXPECT_EQ((*logits)[0], -16 * static_cast<int32_t>(summed.height * summed.width));
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
