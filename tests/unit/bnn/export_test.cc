// SignForward (LibTorch, float64, nothing folded) against the packed network, on networks made to
// be nasty rather than trained.
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

constexpr packed::Shape kImage = {14, 11, 1};

class ExportTest : public ::testing::Test {
 protected:
  ExportTest() {
    checkpoint_.recipe.name = "nasty";
    checkpoint_.recipe.stem = {.channels = 32, .kernel = 3, .stride = 1, .pool = true};
    checkpoint_.recipe.blocks = {{.channels = 64, .kernel = 3, .stride = 1, .pool = true},
                                 {.channels = 32, .kernel = 1, .stride = 2, .pool = false}};
    checkpoint_.image = kImage;
    checkpoint_.class_count = 3;
    checkpoint_.examples = Sha256("none");
    Fill(/*seed=*/1);
    std::mt19937 random(/*seed=*/2);
    pixels_.resize(40 * kImage.height * kImage.width);
    for (uint8_t& p : pixels_) p = static_cast<uint8_t>(random() % 256);
  }

  // Random values; each norm is near the middle of its sums, so that bits really vary.
  void Fill(uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    checkpoint_.tensors =
        NetworkTensors(checkpoint_.recipe, checkpoint_.image, checkpoint_.class_count);
    for (NamedTensor& t : checkpoint_.tensors) {
      int64_t count = 1;
      for (const int64_t side : t.shape) count *= side;
      t.values.resize(static_cast<size_t>(count));
      for (float& v : t.values) v = normal(random);
      if (t.name.ends_with(".var")) {
        for (float& v : t.values) v = 10 * v * v;
      }
    }
  }

  std::vector<float>& Values(std::string_view name) {
    return const_cast<NamedTensor*>(checkpoint_.Find(name))->values;
  }

  // Exports; the comparison with SignForward is Export's own, and is made once more here.
  void ExpectEqualLogits() {
    const std::string bytes = SerializeCheckpoint(checkpoint_);
    const auto exported = Export(bytes, pixels_);
    ASSERT_THAT(exported, IsOk());
    EXPECT_EQ(exported->verified, 40);
    auto interpreter = packed::Interpreter::Make(exported->network);
    ASSERT_THAT(interpreter, IsOk());
    const auto wanted = SignForward(bytes, pixels_);
    ASSERT_THAT(wanted, IsOk());
    const size_t image_bytes = interpreter->image_bytes();
    for (size_t i = 0; i < 40; ++i) {
      const auto logits =
          interpreter->Run(std::span(pixels_).subspan(i * image_bytes, image_bytes));
      for (size_t k = 0; k < 3; ++k) EXPECT_EQ((*logits)[k], (*wanted)[3 * i + k]);
    }
  }

  Checkpoint checkpoint_;
  std::vector<uint8_t> pixels_;
};

TEST_F(ExportTest, RandomNetworksGiveEqualLogits) {
  for (uint32_t seed = 1; seed <= 8; ++seed) {
    Fill(seed);
    ExpectEqualLogits();
  }
}

TEST_F(ExportTest, GammaMayBeNegativeZeroOrTiny) {
  const float gammas[] = {-1, 0, -0.0F, 1e-38F, -1e-38F, 1e-45F, -1e-45F, 1e30F, -1e30F};
  for (const char* name : {"conv0.gamma", "conv1.gamma", "conv2.gamma"}) {
    std::vector<float>& values = Values(name);
    for (size_t i = 0; i < values.size(); ++i) values[i] = gammas[i % std::size(gammas)];
  }
  ExpectEqualLogits();
  for (const char* name : {"conv0.beta", "conv1.beta", "conv2.beta"}) {
    std::vector<float>& values = Values(name);
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = i % 3 == 0 ? 0 : i % 3 == 1 ? -0.0F : 0.1F;
  }
  ExpectEqualLogits();
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
  ExpectEqualLogits();
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

TEST_F(ExportTest, AZeroNetworkIsStillANetwork) {
  for (NamedTensor& t : checkpoint_.tensors) std::fill(t.values.begin(), t.values.end(), 0.0F);
  ExpectEqualLogits();
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
