#include "bnn/train.h"

#include <gtest/gtest.h>

#include <random>

#include "bnn/checkpoint.h"
#include "packed/format.h"
#include "packed/interpreter.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::bnn {
namespace {

using ::bitfoundry::testing::IsOk;
using ::bitfoundry::testing::StatusIs;

constexpr size_t kImages = 96;

Recipe TinyRecipe() {
  Recipe r;
  r.name = "tiny";
  r.epochs = 3;
  r.batch = 16;
  r.threads = 1;
  r.augment = {.flip = true, .shift = 1, .brightness = 10, .contrast = 10};
  r.stem = {.channels = 32, .kernel = 3, .stride = 2, .pool = false};
  r.blocks = {{.channels = 32, .kernel = 3, .stride = 1, .pool = true}, {.channels = 64, .kernel = 1}};
  return r;
}

// Class 1 is a bright square on noise, class 0 noise alone.
class TrainTest : public ::testing::Test {
 protected:
  explicit TrainTest(packed::Shape shape = {16, 16, 1}) : shape_(shape) {
    std::mt19937 random(/*seed=*/7);
    const size_t bytes = size_t{shape.height} * shape.width * shape.channels;
    pixels_.resize(kImages * bytes);
    for (uint8_t& p : pixels_) p = static_cast<uint8_t>(random() % 256);
    for (size_t i = 0; i < kImages; ++i) {
      classes_.push_back(static_cast<int32_t>(i % 2));
      if (classes_[i] == 0) continue;
      for (size_t p = bytes / 4; p < bytes / 2; ++p) pixels_[i * bytes + p] |= 0x80;
    }
  }

  Examples AllExamples() const { return {shape_, pixels_, classes_, 2}; }

  packed::Shape shape_;
  std::vector<uint8_t> pixels_;
  std::vector<int32_t> classes_;
};

TEST_F(TrainTest, LearnsAndPacksToTheSameLogits) {
  Recipe recipe = TinyRecipe();
  recipe.epochs = 12;
  const auto trained = Train(AllExamples(), recipe, "", {});
  ASSERT_THAT(trained, IsOk());
  EXPECT_GT(trained->progress.train_accuracy, 0.9);
  EXPECT_EQ(trained->progress.epoch, 12);

  const auto exported = Export(trained->checkpoint, pixels_);
  ASSERT_THAT(exported, IsOk());
  EXPECT_EQ(exported->verified, static_cast<int64_t>(kImages));

  // Through the file and back, and against SignForward once more.
  const auto bytes = packed::Serialize(exported->network);
  ASSERT_THAT(bytes, IsOk());
  auto interpreter = packed::Interpreter::Make(*packed::Parse(*bytes));
  const auto wanted = SignForward(trained->checkpoint, pixels_);
  ASSERT_THAT(wanted, IsOk());
  size_t right = 0;
  for (size_t i = 0; i < kImages; ++i) {
    const auto logits = interpreter->Run(std::span(pixels_).subspan(i * 256, 256));
    EXPECT_EQ((*logits)[0], (*wanted)[2 * i]);
    EXPECT_EQ((*logits)[1], (*wanted)[2 * i + 1]);
    right += packed::Winner(*logits) == static_cast<size_t>(classes_[i]) ? 1 : 0;
  }
  EXPECT_GT(right, kImages * 9 / 10);
}

}  // namespace
}  // namespace bitfoundry::bnn
