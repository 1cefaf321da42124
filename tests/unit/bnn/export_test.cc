// The definition (LibTorch, float64) against the packed network, on networks made to be nasty
// rather than trained.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "base/digest.h"
#include "bnn/checkpoint.h"
#include "bnn/fold.h"
#include "bnn/train.h"
#include "packed/interpreter.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::bnn {
namespace {

using ::bitfoundry::testing::IsOk;
using ::testing::HasSubstr;

constexpr size_t kImages = 24;

class ExportTest : public ::testing::Test {
 protected:
  ExportTest() {
    checkpoint_.recipe.name = "nasty";
    checkpoint_.recipe.stem = {.channels = 32, .kernel = 3, .stride = 1, .pool = true};
    checkpoint_.recipe.blocks = {{.channels = 64, .kernel = 3, .stride = 1, .pool = true},
                                 {.channels = 32, .kernel = 1, .stride = 2, .pool = false}};
    checkpoint_.image = {14, 11, 1};
    checkpoint_.class_count = 3;
    checkpoint_.examples = Sha256("none");
    Fill(/*seed=*/1);
  }

  // Random values; each norm is near the middle of its sums, so that bits really vary.
  void Fill(uint32_t seed) {
    const packed::Shape& image = checkpoint_.image;
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    pixels_.resize(kImages * image.height * image.width * image.channels);
    for (uint8_t& p : pixels_) p = static_cast<uint8_t>(random() % 256);
    checkpoint_.tensors =
        NetworkTensors(checkpoint_.recipe, checkpoint_.image, checkpoint_.class_count);
    for (NamedTensor& t : checkpoint_.tensors) {
      int64_t count = 1;
      for (const int64_t side : t.shape) count *= side;
      t.values.resize(static_cast<size_t>(count));
      for (float& v : t.values) v = normal(random);
      if (t.name.ends_with(".var")) {
        // A stream has no room for a stem that is blown up by a variance of almost 0.
        for (float& v : t.values) v = 10 * v * v + (checkpoint_.recipe.residual ? 1.0F : 0.0F);
      }
    }
  }

  std::vector<float>& Values(std::string_view name) {
    return const_cast<NamedTensor*>(checkpoint_.Find(name))->values;
  }

  // Exports, which compares every integer. The logits are compared here once more.
  void ExpectEqual() {
    const std::string bytes = SerializeCheckpoint(checkpoint_);
    const auto exported = Export(bytes, pixels_);
    ASSERT_THAT(exported, IsOk()) << CanonicalJson(checkpoint_.recipe);
    EXPECT_EQ(exported->verified, kImages);
    auto interpreter = packed::Interpreter::Make(exported->network);
    ASSERT_THAT(interpreter, IsOk());
    const auto wanted = SignForward(bytes, pixels_);
    ASSERT_THAT(wanted, IsOk());
    const size_t image_bytes = interpreter->image_bytes();
    for (size_t i = 0; i < kImages; ++i) {
      const auto logits =
          interpreter->Run(std::span(pixels_).subspan(i * image_bytes, image_bytes));
      for (size_t k = 0; k < 3; ++k) EXPECT_EQ((*logits)[k], (*wanted)[3 * i + k]);
    }
  }

  // A stream with everything that there is: a skip that is averaged and repeated, one around a 1x1
  // convolution that is none, pools.
  void UseStream() {
    checkpoint_.recipe.residual = true;
    checkpoint_.recipe.stem = {.channels = 16, .kernel = 3, .stride = 1, .pool = true};
    checkpoint_.recipe.blocks = {{.channels = 48, .kernel = 3, .stride = 2},
                                 {.channels = 33, .kernel = 1, .pool = true},
                                 {.channels = 33, .kernel = 3}};
    checkpoint_.image = {16, 24, 3};
    Fill(/*seed=*/1);
  }

  // Each threshold of the stream becomes 1 more than what comes in at the first pixel of image 0.
  void PutOffsetsBesideValuesThatOccur() {
    for (size_t i = 1; i <= checkpoint_.recipe.blocks.size(); ++i) {
      const auto folded = Fold(checkpoint_);
      ASSERT_THAT(folded, IsOk());
      const packed::Network network = Pack(*folded);
      auto interpreter = packed::Interpreter::Make(network);
      ASSERT_THAT(interpreter->Run(std::span(pixels_).first(interpreter->image_bytes())), IsOk());
      size_t sign = 0;
      for (size_t seen = 0; seen < i; ++sign) {
        seen += std::holds_alternative<packed::Binarize>(network.ops[sign].kind) ? 1 : 0;
      }
      const std::vector<int32_t> stream = interpreter->ValuesOf(network.ops[sign - 1].input - 1);
      std::vector<float>& offsets = Values("conv" + std::to_string(i) + ".offset");
      for (size_t c = 0; c < offsets.size(); ++c) {
        offsets[c] = static_cast<float>((stream[c] + 0.5) * folded->unit);
      }
    }
  }

  Checkpoint checkpoint_;
  std::vector<uint8_t> pixels_;
};

TEST_F(ExportTest, RandomWeightsGiveEqualIntegers) {
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    Fill(seed);
    ExpectEqual();
  }
}

// Chains and streams, with and without ReLU, of any shape that a recipe takes.
TEST_F(ExportTest, RandomNetworksGiveEqualIntegers) {
  std::mt19937 random(/*seed=*/3);
  const int32_t channels[] = {1, 2, 4, 8, 16, 31, 32, 33, 48, 62, 64, 66, 96};
  const auto draw = [&](int32_t kernels) -> Convolution {
    return {.channels = channels[random() % std::size(channels)],
            .kernel = 1 + 2 * static_cast<int32_t>(random() % static_cast<uint32_t>(kernels)),
            .stride = 1 + static_cast<int32_t>(random() % 2),
            .pool = random() % 4 == 0};
  };
  Recipe& recipe = checkpoint_.recipe;
  for (int tested = 0; tested < 60;) {
    recipe.residual = random() % 3 != 0;
    recipe.relu = random() % 2 == 0;
    recipe.stem = draw(4);
    recipe.blocks.resize(1 + random() % 4);
    for (Convolution& block : recipe.blocks) block = draw(2);
    checkpoint_.image = {random() % 2 == 0 ? 12U : 16U, 16, random() % 2 == 0 ? 1U : 3U};
    if (!SummedPixels(recipe, static_cast<int32_t>(checkpoint_.image.height), 16, 3).ok()) continue;
    Fill(static_cast<uint32_t>(random()));
    ExpectEqual();
    ++tested;
  }
}

TEST_F(ExportTest, ChannelCountsMayStraddleWords) {
  for (const bool relu : {false, true}) {
    checkpoint_.recipe.relu = relu;
    checkpoint_.recipe.stem = {.channels = 1};
    checkpoint_.recipe.blocks = {{.channels = 31},
                                 {.channels = 33, .pool = true},
                                 {.channels = 48, .kernel = 1},
                                 {.channels = 65, .stride = 2}};
    Fill(/*seed=*/4);
    ExpectEqual();
  }
}

TEST_F(ExportTest, GammaMayBeNegativeZeroOrTinyInAStreamToo) {
  UseStream();
  const float gammas[] = {-1, 0, -0.0F, 1e-38F, -1e-38F, 1e-45F, -1e-45F, 1.5F};
  for (const bool relu : {false, true}) {
    checkpoint_.recipe.relu = relu;
    for (const char* name : {"conv0.gamma", "conv1.gamma", "conv2.gamma", "conv3.gamma"}) {
      std::vector<float>& values = Values(name);
      for (size_t i = 0; i < values.size(); ++i) values[i] = gammas[i % std::size(gammas)];
    }
    ExpectEqual();
  }
}

TEST_F(ExportTest, GammaMayBeNegativeZeroOrTiny) {
  const float gammas[] = {-1, 0, -0.0F, 1e-38F, -1e-38F, 1e-45F, -1e-45F, 1e30F, -1e30F};
  for (const char* name : {"conv0.gamma", "conv1.gamma", "conv2.gamma"}) {
    std::vector<float>& values = Values(name);
    for (size_t i = 0; i < values.size(); ++i) values[i] = gammas[i % std::size(gammas)];
  }
  ExpectEqual();
  for (const char* name : {"conv0.beta", "conv1.beta", "conv2.beta"}) {
    std::vector<float>& values = Values(name);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = i % 3 == 0 ? 0 : i % 3 == 1 ? -0.0F : 0.1F;
  }
  ExpectEqual();
  checkpoint_.recipe.relu = true;
  ExpectEqual();
}

// Every sum that a channel can give hits the threshold exactly for one of the 64 channels: y is 0
// there, which has to mean +1 on both sides, whatever the sign of gamma.
TEST_F(ExportTest, TiesGoToPlusOne) {
  for (const char* layer : {"conv0", "conv1", "conv2"}) {
    const std::string prefix(layer);
    std::vector<float>& mean = Values(prefix + ".mean");
    for (size_t i = 0; i < mean.size(); ++i) {
      mean[i] = 2 * static_cast<float>(i % 32) - 32;
      Values(prefix + ".gamma")[i] = i % 2 == 0 ? 0.7F : -0.7F;
      Values(prefix + ".beta")[i] = 0;
    }
  }
  // A stem whose unit is exact: its sums are integers / 128.
  for (float& w : Values("conv0.weight")) w = w < 0 ? -127 : 127;
  std::vector<float>& stem_mean = Values("conv0.mean");
  for (size_t i = 0; i < stem_mean.size(); ++i) {
    stem_mean[i] = 127 * (static_cast<float>(i) - 16) / 128;
  }
  ExpectEqual();
  checkpoint_.recipe.relu = true;
  ExpectEqual();
  checkpoint_.recipe.relu = false;
  // And it was a tie: with `y <= 0` for -1 instead, some thresholds would be others.
  const auto folded = Fold(checkpoint_);
  ASSERT_THAT(folded, IsOk());
  const auto network = Pack(*folded);
  const auto& conv = std::get<packed::BinaryConv>(network.ops[2].kind);
  const auto& thresholds = std::get<packed::ToBits>(conv.output).thresholds;
  // acc = 288 - 2n = mean has a solution n, the last one that gives +1 with gamma > 0.
  EXPECT_EQ(thresholds[0], (288 - -32) / 2);
  EXPECT_EQ(thresholds[2], (288 - -28) / 2);
  // With gamma < 0 the weights are flipped: acc' = -acc.
  EXPECT_EQ(thresholds[1], (288 + -30) / 2);
}

TEST_F(ExportTest, OffsetsFoldIntoThresholdsWithTiesToPlusOne) {
  UseStream();
  Values("conv1.offset")[0] = 0;  // x = 0 is +1
  Values("conv1.offset")[1] = -0.0F;
  Values("conv1.offset")[2] = 1e-30F;  // x = 0 is -1
  Values("conv1.offset")[3] = 1e30F;   // everything is -1
  Values("conv1.offset")[4] = -1e30F;  // everything is +1
  ExpectEqual();
  const auto network = Pack(*Fold(checkpoint_));
  const auto& sign = std::get<packed::Binarize>(network.ops[2].kind);
  EXPECT_THAT(std::vector(sign.thresholds.begin(), sign.thresholds.begin() + 5),
              ::testing::ElementsAre(0, 0, 1, 32768, -32768));
}

TEST_F(ExportTest, AStreamIsBatchNormRoundedToItsUnit) {
  UseStream();
  const auto folded = Fold(checkpoint_);
  ASSERT_THAT(folded, IsOk());
  EXPECT_LT(folded->unit, 1.0 / 64);
  const FoldedConvolution& c = folded->convolutions[1];
  for (size_t o = 0; o < c.gamma.size(); ++o) {
    for (int32_t acc = -144; acc <= 144; ++acc) {
      const double wanted = (acc - c.mean[o]) * c.inv[o] * c.gamma[o] + c.beta[o];
      const auto got = static_cast<double>(
          packed::RoundShift(int64_t{acc} * c.ints.scales[o] + c.ints.biases[o], c.ints.shift));
      EXPECT_NEAR(got, wanted / folded->unit, 0.51);
    }
  }
}

TEST_F(ExportTest, TheUnitIsTheFinestThatFits) {
  UseStream();
  const double unit = Fold(checkpoint_)->unit;
  for (const char* name : {"conv0", "conv1", "conv2", "conv3"}) {
    for (const char* of : {".gamma", ".beta"}) {
      for (float& v : Values(std::string(name) + of)) v *= 4;
    }
  }
  EXPECT_EQ(Fold(checkpoint_)->unit, 4 * unit);
}

TEST_F(ExportTest, RefusesAStreamThatDoesNotFit) {
  UseStream();
  Values("conv1.gamma")[3] = 1e6F;
  EXPECT_EQ(Export(SerializeCheckpoint(checkpoint_), {}).status().reason(), "OVERFLOW");
  Values("conv1.gamma")[3] = 1e30F;
  EXPECT_EQ(Export(SerializeCheckpoint(checkpoint_), {}).status().reason(), "OVERFLOW");
}

// Moves every threshold, or every bias by what is one integer after the shift; false if there are
// none.
bool PlantMistake(packed::Kind& kind) {
  std::vector<int32_t>* values = nullptr;
  int32_t step = 1;
  if (auto* sign = std::get_if<packed::Binarize>(&kind)) values = &sign->thresholds;
  const auto in_output = [&](packed::Output& output) {
    if (auto* bits = std::get_if<packed::ToBits>(&output)) values = &bits->thresholds;
    if (auto* ints = std::get_if<packed::ToInts>(&output)) {
      values = &ints->biases;
      step <<= ints->shift;
    }
  };
  if (auto* stem = std::get_if<packed::Stem>(&kind)) in_output(stem->output);
  if (auto* conv = std::get_if<packed::BinaryConv>(&kind)) in_output(conv->output);
  if (values == nullptr) return false;
  for (int32_t& v : *values) v -= step;
  return true;
}

TEST_F(ExportTest, AMistakeInAnyOperationIsCaughtWhereItIsMade) {
  for (const bool stream : {false, true}) {
    if (stream) {
      UseStream();
      PutOffsetsBesideValuesThatOccur();
    }
    const auto folded = Fold(checkpoint_);
    ASSERT_THAT(folded, IsOk());
    const packed::Network network = Pack(*folded);
    const auto layers = packed::Describe(network);
    EXPECT_EQ(*Verify(*folded, network, pixels_), kImages);
    int planted = 0;
    for (size_t op = 0; op < network.ops.size(); ++op) {
      packed::Network wrong = network;
      if (!PlantMistake(wrong.ops[op].kind)) continue;
      const Status status = Verify(*folded, wrong, pixels_).status();
      EXPECT_EQ(status.reason(), "UNEQUAL");
      EXPECT_THAT(status.message(), HasSubstr(", " + (*layers)[op].name + ", row "));
      ++planted;
    }
    EXPECT_EQ(planted, stream ? 7 : 3);
  }
}

TEST_F(ExportTest, AZeroNetworkIsStillANetwork) {
  for (const bool stream : {false, true}) {
    if (stream) UseStream();
    for (NamedTensor& t : checkpoint_.tensors) std::fill(t.values.begin(), t.values.end(), 0.0F);
    ExpectEqual();
  }
}

TEST_F(ExportTest, RefusesValuesThatAreNotFinite) {
  Values("conv1.beta")[3] = NAN;
  EXPECT_EQ(Export(SerializeCheckpoint(checkpoint_), {}).status().reason(), "DIVERGED");
}

TEST_F(ExportTest, RefusesABiasThatDoesNotFit) {
  Values("head.bias")[0] = 1e12F;
  EXPECT_EQ(Export(SerializeCheckpoint(checkpoint_), {}).status().reason(), "OVERFLOW");
}

TEST_F(ExportTest, RefusesTensorsThatAreMissingOrOfAnotherShape) {
  Checkpoint fewer = checkpoint_;
  fewer.tensors.pop_back();
  EXPECT_EQ(Export(SerializeCheckpoint(fewer), {}).status().reason(), "BAD_CHECKPOINT");
  Checkpoint reshaped = checkpoint_;
  reshaped.tensors[0].shape = {32, 9};
  EXPECT_EQ(Export(SerializeCheckpoint(reshaped), {}).status().reason(), "BAD_CHECKPOINT");
}

TEST_F(ExportTest, RefusesPartsOfImages) {
  EXPECT_EQ(
      Export(SerializeCheckpoint(checkpoint_), std::span(pixels_).first(100)).status().reason(),
      "BAD_EXAMPLES");
}

TEST_F(ExportTest, ACheckpointIsReadBackAndAnyChangeIsNoticed) {
  const std::string bytes = SerializeCheckpoint(checkpoint_);
  const auto parsed = ParseCheckpoint(bytes);
  ASSERT_THAT(parsed, IsOk());
  EXPECT_EQ(SerializeCheckpoint(*parsed), bytes);
  for (size_t i = 0; i < bytes.size(); i += 1 + bytes.size() / 500) {
    std::string changed = bytes;
    changed[i] = static_cast<char>(changed[i] ^ 4);
    EXPECT_EQ(ParseCheckpoint(changed).status().reason(), "BAD_CHECKPOINT") << i;
    EXPECT_EQ(ParseCheckpoint(bytes.substr(0, i)).status().reason(), "BAD_CHECKPOINT") << i;
  }
}

}  // namespace
}  // namespace bitfoundry::bnn
