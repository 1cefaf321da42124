// Every operator of the runtime x shapes that straddle words x strides x edges, on emulated cores,
// against the reference interpreter. Many layers make one network, and many networks one program:
// each layer's output has a checksum of its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <span>

#include "emulate/emulate.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/packed/random_network.h"

namespace bitfoundry::emulate {

// So that a failed EXPECT says more than "a struct of 48 bytes".
void PrintTo(const Difference& d, std::ostream* out) {
  *out << "network " << d.network << ", image " << d.image << ": " << d.where;
}

namespace {

using packed::Network;
using packed::Shape;
using ::testing::IsEmpty;
using testing::IsOk;

// About the edges of words, one word and several.
constexpr uint32_t kChannels[] = {1, 33, 31, 64, 65, 32, 97, 95, 5, 96};

// What `networks` give on the core, with one kernel for all binary layers or the chosen ones.
void ExpectEqual(Core core, const std::vector<Network>& networks,
                 std::optional<packed::Kernel> kernel = {}) {
  std::vector<Case> cases;
  for (const Network& network : networks) {
    const auto golden = RandomGolden(network, 2, static_cast<uint32_t>(cases.size()));
    ASSERT_THAT(golden, IsOk()) << "network " << cases.size();
    cases.push_back({network, *golden});
  }
  packed::FirmwareOptions options;
  options.kernel = kernel;
  const auto prepared = Prepare(core, std::move(cases), options);
  ASSERT_THAT(prepared, IsOk());
  const auto report = emulate::Run(*prepared);
  ASSERT_THAT(report, IsOk());
  EXPECT_THAT(Compare(*prepared, *report), IsEmpty());
}

class Operators : public ::testing::TestWithParam<Core> {};
INSTANTIATE_TEST_SUITE_P(Cores, Operators,
                         ::testing::Values(Core::kM0Plus, Core::kM4, Core::kM7, Core::kM55,
                                           Core::kRv32),
                         [](const auto& core) { return std::string(Name(core.param)); });

// Networks, grown layer by layer, with sound weights whatever the layer.
class Grower {
 public:
  Grower(const Shape& input, uint32_t seed) : random_(seed) {
    network_.input = input;
    network_.mean = {120};
    if (input.channels == 3) network_.mean = {120, 0, 255};
  }

  void StemToBits(uint32_t channels, uint32_t kernel, uint32_t stride) {
    network_.Then(
        packed::testing::RandomStem(network_.input.channels, channels, kernel, stride, random_));
    channels_ = channels;
  }

  void StemToInts(uint32_t channels, uint32_t kernel, uint32_t stride) {
    packed::Stem stem =
        packed::testing::RandomStem(network_.input.channels, channels, kernel, stride, random_);
    stem.output = packed::ToInts{packed::testing::RandomIntegers(channels, -9, 9, random_),
                                 packed::testing::RandomIntegers(channels, -9000, 9000, random_),
                                 12, random_() % 2 == 0, 0};
    network_.Then(std::move(stem));
    channels_ = channels;
  }

  void ConvToBits(uint32_t channels, uint32_t kernel, uint32_t stride) {
    packed::BinaryConv conv =
        packed::testing::RandomConv(channels_, channels, kernel, stride, random_);
    MakeSomeExtreme(std::get<packed::ToBits>(conv.output).thresholds,
                    static_cast<int32_t>(kernel * kernel * channels_));
    network_.Then(std::move(conv));
    channels_ = channels;
  }

  uint32_t ConvToInts(uint32_t channels, uint32_t kernel, uint32_t stride, uint32_t add) {
    channels_ = channels;
    return network_.Then(
        packed::testing::RandomConvToInts(InBits(), channels, kernel, stride, add, random_));
  }

  void Binarize() {
    network_.Then(packed::Binarize{packed::testing::RandomIntegers(channels_, -40, 40, random_)});
    bits_ = channels_;
  }

  template <typename Kind>
  void Then(const Kind& kind) {
    network_.Then(kind);
  }

  void DenseToBits(uint32_t channels, uint32_t pixels) {
    packed::BinaryDense dense{channels,
                              packed::testing::RandomBits(channels * pixels, channels_, random_),
                              packed::testing::RandomToBits(channels, pixels * channels_, random_)};
    network_.Then(std::move(dense));
    channels_ = channels;
  }

  void DenseToInts(uint32_t channels, uint32_t pixels) {
    packed::BinaryDense dense{channels,
                              packed::testing::RandomBits(channels * pixels, channels_, random_),
                              packed::testing::RandomToInts(channels, 0, random_)};
    network_.Then(std::move(dense));
    channels_ = channels;
  }

  Network Finish(uint32_t classes = 3) {
    network_.Then(packed::GlobalSum{1});
    network_.Then(packed::testing::RandomDense(channels_, classes, random_));
    return network_;
  }

 private:
  uint32_t InBits() const { return bits_; }

  // Channels that are constant, one by a little and one by as much as can be.
  void MakeSomeExtreme(std::vector<int32_t>& thresholds, int32_t k) {
    const int32_t extremes[] = {
        -1, 0, k - 1, k, std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max()};
    for (size_t i = 0; i < thresholds.size(); i += 7) thresholds[i] = extremes[random_() % 6];
  }

  std::mt19937 random_;
  Network network_;
  uint32_t channels_ = 0;  // of the last layer
  uint32_t bits_ = 0;      // of the last layer of bits
};

TEST_P(Operators, StemsOfEveryKernelAndStride) {
  std::vector<Network> networks;
  uint32_t seed = 0;
  for (const uint32_t colours : {1, 3}) {
    for (const uint32_t kernel : {1, 3, 5, 7}) {
      for (const uint32_t stride : {1, 2, 3, 4}) {
        const uint32_t channels = kChannels[seed % std::size(kChannels)];
        const Shape input = {seed % 5 == 0 ? 1 : 5 + seed % 4, 7 + seed % 3, colours};
        Grower to_bits(input, ++seed);
        to_bits.StemToBits(channels, kernel, stride);
        networks.push_back(to_bits.Finish());
        Grower to_ints(input, ++seed);
        to_ints.StemToInts(channels, kernel, stride);
        networks.push_back(to_ints.Finish());
      }
    }
  }
  ExpectEqual(GetParam(), networks);
}

TEST_P(Operators, StemsOfWindowsThatAreFarApart) {
  std::vector<Network> networks;
  uint32_t seed = 0;
  for (const uint32_t stride : {5, 8, 37, 255, 256, 610, 1024}) {
    for (const uint32_t colours : {1, 3}) {
      networks.push_back(packed::testing::RandomStrideNetwork(colours, stride, ++seed));
    }
  }
  ExpectEqual(GetParam(), networks);
}

// A second look at the image, added to the first.
TEST_P(Operators, StemsThatAreAddedToAnother) {
  std::vector<Network> networks;
  for (const uint32_t colours : {1, 3}) {
    std::mt19937 random(colours);
    Network n;
    n.input = {9, 7, colours};
    n.mean = {120};
    const auto stem = [&](uint32_t kernel, uint32_t add) {
      packed::Stem op = packed::testing::RandomStem(colours, 33, kernel, 2, random);
      op.output =
          packed::ToInts{packed::testing::RandomIntegers(33, -9, 9, random),
                         packed::testing::RandomIntegers(33, -900, 900, random), 12, false, add};
      return op;
    };
    const uint32_t first = n.Then(stem(3, 0));
    n.ops.push_back({0, stem(5, first)});
    n.Then(packed::GlobalSum{1});
    n.Then(packed::testing::RandomDense(33, 3, random));
    networks.push_back(n);
  }
  ExpectEqual(GetParam(), networks);
}

// Through many channel counts, so that each meets another; at stride 2 until one pixel is left.
std::vector<Network> Walks() {
  std::vector<Network> networks;
  uint32_t seed = 100;
  for (const uint32_t kernel : {1, 3}) {
    for (const uint32_t stride : {1, 2}) {
      const Shape input = stride == 1 ? Shape{4, 5, 1} : Shape{35, 18, 1};
      const std::span walk(kChannels, kernel == 1 ? std::size(kChannels) : 6);
      Grower bits(input, ++seed);
      bits.StemToBits(64, 1, 1);
      for (const uint32_t channels : walk) bits.ConvToBits(channels, kernel, stride);
      networks.push_back(bits.Finish());

      Grower ints(input, ++seed);
      ints.StemToInts(5, 1, 1);
      for (const uint32_t channels : walk) {
        ints.Binarize();
        uint32_t last = ints.ConvToInts(channels, kernel, stride, 0);
        ints.Binarize();
        last = ints.ConvToInts(channels, kernel, 1, last);  // in place
        ints.Binarize();
        ints.ConvToInts(2 * channels, 1, 1, last);  // its skip is repeated
      }
      networks.push_back(ints.Finish());
    }
  }
  return networks;
}

TEST_P(Operators, BinaryConvolutionsByRows) {
  ExpectEqual(GetParam(), Walks(), packed::Kernel::kRows);
}
TEST_P(Operators, BinaryConvolutionsByLean) {
  ExpectEqual(GetParam(), Walks(), packed::Kernel::kLean);
}
TEST_P(Operators, BinaryConvolutionsByFast) {
  ExpectEqual(GetParam(), Walks(), packed::Kernel::kFast);
}

// The map's size decides how many words a window has: all remainders by three, one to many planes.
TEST_P(Operators, BinaryDenseLayersByEveryKernel) {
  std::vector<Network> networks;
  uint32_t seed = 200;
  for (const auto& [height, width] : {std::pair(1U, 1U), {1U, 2U}, {5U, 3U}, {9U, 8U}}) {
    for (const uint32_t channels : {1, 33, 64, 97}) {
      Grower grower({height, width, 1}, ++seed);
      grower.StemToBits(channels, 1, 1);
      grower.DenseToBits(seed % 2 == 0 ? 33 : 5, height * width);
      grower.DenseToBits(70, 1);
      grower.DenseToInts(45, 1);
      networks.push_back(grower.Finish());
    }
  }
  for (const packed::Kernel kernel : packed::kKernels) ExpectEqual(GetParam(), networks, kernel);
}

// Almost as far as fast and lean count, and beyond.
TEST(LargeWindows, OfBinaryDenseLayersByEveryKernel) {
  Grower most({45, 45, 1}, 1);  // 64,800 bits
  most.StemToBits(32, 1, 1);
  most.DenseToBits(33, 45 * 45);
  const Network near = most.Finish();
  for (const packed::Kernel kernel : packed::kKernels) ExpectEqual(Core::kM4, {near}, kernel);
  Grower more({46, 46, 1}, 2);  // 67,712 bits
  more.StemToBits(32, 1, 1);
  more.DenseToBits(5, 46 * 46);
  ExpectEqual(Core::kM4, {more.Finish()});
}

TEST_P(Operators, PoolsOfBitsAndIntegers) {
  std::vector<Network> networks;
  uint32_t seed = 300;
  for (const uint32_t channels : {1, 32, 33, 97}) {
    const auto grow = [&](bool bits, const auto& pools) {
      Grower grower({19, 17, 1}, ++seed);
      bits ? grower.StemToBits(channels, 3, 1) : grower.StemToInts(channels, 3, 1);
      pools(grower);
      networks.push_back(grower.Finish(seed % 12 + 2));
    };
    const auto max_pools = [](Grower& g) {  // 19x17, 18x16, 16x14, 8x7, 3x2, 1x1
      g.Then(packed::MaxPool{2, 1});
      g.Then(packed::MaxPool{3, 1});
      g.Then(packed::MaxPool{2, 2});
      g.Then(packed::MaxPool{3, 2});
      g.Then(packed::MaxPool{2, 4});
    };
    const auto average_pools = [](Grower& g) {  // 19x17, 6x5, 5x4, 2x2, 1x1
      g.Then(packed::AveragePool{3, 3, 0});
      g.Then(packed::AveragePool{2, 1, 2});
      g.Then(packed::AveragePool{2, 2, 1});
      g.Then(packed::AveragePool{2, 3, 3});
    };
    for (const bool bits : {true, false}) {
      grow(bits, max_pools);
      grow(bits, average_pools);
      grow(bits, [](Grower& g) { g.Then(packed::MaxPool{8, 3}); });
      grow(bits, [](Grower& g) { g.Then(packed::AveragePool{8, 4, 5}); });
      grow(bits, [](Grower& g) { g.Then(packed::MaxPool{2, 15}); });
      grow(bits, [](Grower& g) { g.Then(packed::AveragePool{3, 300, 3}); });
      grow(bits, [](Grower&) {});
    }
  }
  ExpectEqual(GetParam(), networks);
}

}  // namespace
}  // namespace bitfoundry::emulate
