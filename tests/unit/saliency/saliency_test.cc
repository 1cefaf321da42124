#include "saliency/saliency.h"

#include <gtest/gtest.h>

#include "packed/interpreter.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/packed/random_network.h"

namespace bitfoundry::saliency {
namespace {

using ::bitfoundry::testing::IsOk;

constexpr uint32_t kSide = 24;
constexpr Box kSquare{6, 4, 5, 7};

// Counts dark pixels: class 1 has more to say with each, and an erased pixel is not dark.
packed::Network DarkCounter() {
  packed::Network n;
  n.input = {kSide, kSide, 1};
  n.mean = {128};
  n.Then(packed::Stem{1, 1, 1, {1}, packed::ToBits{{0}}});
  n.Then(packed::GlobalSum{});
  n.Then(packed::Dense{2, {1, -1}, {-500, 500}});
  return n;
}

// Bright, with a dark square.
std::vector<uint8_t> DarkSquare() {
  std::vector<uint8_t> image(kSide * kSide, 200);
  for (uint32_t y = 0; y < kSquare.height; ++y) {
    std::fill_n(&image[(kSquare.top + y) * kSide + kSquare.left], kSquare.width, uint8_t{10});
  }
  return image;
}

Explainer Make(const packed::Network& network, packed::EngineOptions options = {}) {
  auto explainer = Explainer::Make(network, options);
  EXPECT_THAT(explainer, IsOk());
  return *std::move(explainer);
}

int32_t Margin(const packed::Network& network, std::span<const uint8_t> image, size_t of_class) {
  auto interpreter = packed::Interpreter::Make(network);
  const std::vector<int32_t> logits = {interpreter->Run(image)->begin(),
                                       interpreter->Run(image)->end()};
  int32_t other = INT32_MIN;
  for (size_t k = 0; k < logits.size(); ++k) {
    if (k != of_class) other = std::max(other, logits[k]);
  }
  return logits[of_class] - other;
}

TEST(SaliencyTest, OcclusionIsItsDefinition) {
  const packed::Network network = packed::testing::RandomNetwork(3, 1);
  const auto [height, width, channels] = network.input;
  std::mt19937 random(/*seed=*/7);
  const auto image = packed::testing::RandomImage(network.input, random);
  Explainer explainer = Make(network);
  const auto map = explainer.Occlusion(image, 2, {.patch = 5, .stride = 4});
  ASSERT_THAT(map, IsOk());

  std::vector<double> sums(size_t{height} * width);
  std::vector<double> counts(sums.size());
  for (uint32_t top : {0U, 4U, 8U, 12U, 16U, 18U}) {  // 23 rows: the last square ends at the edge
    for (uint32_t left : {0U, 4U, 8U, 12U, 13U}) {    // 18 columns
      std::vector<uint8_t> erased = image;
      for (uint32_t i = 0; i < 25; ++i) {
        const size_t pixel = (top + i / 5) * size_t{width} + left + i % 5;
        for (size_t c = 0; c < channels; ++c) erased[pixel * channels + c] = network.mean[c];
      }
      const int32_t drop = Margin(network, image, 2) - Margin(network, erased, 2);
      for (uint32_t i = 0; i < 25; ++i) {
        const size_t pixel = (top + i / 5) * size_t{width} + left + i % 5;
        sums[pixel] += drop;
        counts[pixel] += 1;
      }
    }
  }
  for (size_t i = 0; i < sums.size(); ++i) EXPECT_DOUBLE_EQ(map->values[i], sums[i] / counts[i]);
}

TEST(SaliencyTest, FindsWhatTheAnswerHangsOn) {
  Explainer explainer = Make(DarkCounter());
  const auto image = DarkSquare();
  const auto occlusion = explainer.Occlusion(image, 1, {.patch = 1, .stride = 1});
  ASSERT_THAT(occlusion, IsOk());
  EXPECT_EQ(EnergyInside(*occlusion, kSquare), 1);
  EXPECT_EQ(EnergyInside(*occlusion, {0, 0, 6, kSide}), 0);
  const auto rise = explainer.Rise(image, 1, {.masks = 4000});
  ASSERT_THAT(rise, IsOk());
  // Masks are smooth, so that what they find is too; chance would be 35 of 576.
  EXPECT_GT(EnergyInside(*rise, {3, 1, 11, 13}), 0.75);
  const auto strongest = std::ranges::max_element(rise->values) - rise->values.begin();
  EXPECT_EQ(image[static_cast<size_t>(strongest)], 10);
}

TEST(SaliencyTest, IsTheSameOnEveryCpuAndWithAnyNumberOfThreads) {
  const packed::Network network = packed::testing::RandomSkipNetwork(1);
  std::mt19937 random(/*seed=*/9);
  const auto image = packed::testing::RandomImage(network.input, random);
  Explainer plain = Make(network, {.cpu = packed::Cpu::kPortable});
  Explainer best = Make(network, {.threads = 3});
  EXPECT_EQ(plain.Occlusion(image, 0)->values, best.Occlusion(image, 0)->values);
  EXPECT_EQ(plain.Rise(image, 0, {.masks = 300})->values,
            best.Rise(image, 0, {.masks = 300})->values);
  EXPECT_NE(plain.Rise(image, 0, {.masks = 300, .seed = 2})->values,
            plain.Rise(image, 0, {.masks = 300, .seed = 3})->values);
}

TEST(SaliencyTest, CurvesTellAGoodMapFromABadOne) {
  // A class that is said only where something dark is.
  packed::Network network = DarkCounter();
  std::get<packed::Dense>(network.ops.back().kind).biases = {0, 2 * (576 - 2 * 20)};
  Explainer explainer = Make(network);
  const auto image = DarkSquare();
  const auto good = explainer.Occlusion(image, 1, {.patch = 1, .stride = 1});
  Heatmap bad = *good;
  for (double& value : bad.values) value = -value;
  const auto deleted = explainer.Deletion(image, 1, *good);
  const auto deleted_badly = explainer.Deletion(image, 1, bad);
  const auto inserted = explainer.Insertion(image, 1, *good);
  const auto inserted_badly = explainer.Insertion(image, 1, bad);
  ASSERT_THAT(deleted, IsOk());
  ASSERT_THAT(inserted, IsOk());
  EXPECT_EQ(deleted->values.front(), 1);
  EXPECT_EQ(deleted->values.back(), 0);
  EXPECT_EQ(inserted->values.front(), 0);
  EXPECT_EQ(inserted->values.back(), 1);
  EXPECT_LT(deleted->area, 0.1);
  EXPECT_GT(deleted_badly->area, 0.9);
  EXPECT_GT(inserted->area, 0.9);
  EXPECT_LT(inserted_badly->area, 0.1);
  EXPECT_EQ(explainer.Deletion(image, 0, *good).status().reason(), "NOT_THE_ANSWER");
}

TEST(SaliencyTest, RefusesWhatDoesNotFit) {
  Explainer explainer = Make(DarkCounter());
  const auto image = DarkSquare();
  EXPECT_EQ(explainer.Occlusion(std::span(image).first(5), 0).status().reason(), "BAD_IMAGE_SIZE");
  EXPECT_EQ(explainer.Occlusion(image, 2).status().reason(), "BAD_CLASS");
  for (const OcclusionOptions options : {OcclusionOptions{0, 1}, {25, 1}, {8, 0}, {4, 5}}) {
    EXPECT_EQ(explainer.Occlusion(image, 0, options).status().reason(), "BAD_OPTIONS");
  }
  for (const RiseOptions options : {RiseOptions{0, 7}, {100'001, 7}, {10, 1}, {10, 33}}) {
    EXPECT_EQ(explainer.Rise(image, 0, options).status().reason(), "BAD_OPTIONS");
  }
}

TEST(SaliencyTest, TheMeanOfMapsIsTakenPixelByPixel) {
  const Heatmap a{1, 2, {1, 5}};
  const Heatmap b{1, 2, {3, -5}};
  EXPECT_EQ(Mean(std::vector{a, b}).values, (std::vector<double>{2, 0}));
  EXPECT_EQ(EnergyInside(b, {0, 0, 1, 1}), 1);  // what speaks against the class does not count
  EXPECT_EQ(EnergyInside({1, 1, {0}}, {0, 0, 1, 1}), 0);
}

}  // namespace
}  // namespace bitfoundry::saliency
