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
  r.blocks = {{.channels = 32, .kernel = 3, .stride = 1, .pool = true},
              {.channels = 64, .kernel = 1}};
  return r;
}

// With all that a stream can have: ReLU, a skip that is halved and repeated, a pool, a transition.
Recipe TinyStream() {
  Recipe r = TinyRecipe();
  r.residual = true;
  r.relu = true;
  r.stem = {.channels = 12};
  r.blocks = {{.channels = 12},
              {.channels = 24, .stride = 2, .pool = true},
              {.channels = 40, .kernel = 1},
              {.channels = 40}};
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

// Runs to the end from a checkpoint, or from the start.
Trained Finish(const Examples& examples, const Recipe& recipe, const std::string& from) {
  auto trained = Train(examples, recipe, from, {});
  EXPECT_THAT(trained, IsOk());
  return trained.ok() ? *std::move(trained) : Trained();
}

void ExpectSame(const Trained& a, const Trained& b) {
  EXPECT_EQ(a.checkpoint, b.checkpoint);
  EXPECT_EQ(a.progress.step, b.progress.step);
  EXPECT_EQ(a.progress.loss, b.progress.loss);
  EXPECT_EQ(a.progress.train_accuracy, b.progress.train_accuracy);
}

TEST_F(TrainTest, AStreamLearnsAndPacksToTheSameIntegers) {
  Recipe recipe = TinyStream();
  recipe.epochs = 12;
  std::vector<double> losses;
  Hooks hooks;
  hooks.on_checkpoint = [&](const Progress& p, std::string_view) {
    losses.push_back(p.loss);
    return Status();
  };
  const auto trained = Train(AllExamples(), recipe, "", hooks);
  ASSERT_THAT(trained, IsOk());
  EXPECT_LT(losses.back(), losses.front() / 2);
  EXPECT_GT(trained->progress.train_accuracy, 0.9);
  const auto exported = Export(trained->checkpoint, pixels_);
  ASSERT_THAT(exported, IsOk());
  EXPECT_EQ(exported->verified, static_cast<int64_t>(kImages));
  EXPECT_LT(exported->stream_unit, 1.0 / 16);
  // What it learned survives the integers.
  const auto logits = SignForward(trained->checkpoint, pixels_);
  ASSERT_THAT(logits, IsOk());
  size_t right = 0;
  for (size_t i = 0; i < kImages; ++i) {
    right += ((*logits)[2 * i] < (*logits)[2 * i + 1]) == (classes_[i] == 1) ? 1 : 0;
  }
  EXPECT_GT(right, kImages * 9 / 10);
}

TEST_F(TrainTest, ResumedFromAnyEpochEndsInTheBytesOfAnUndisturbedRun) {
  for (const Recipe& recipe : {TinyRecipe(), TinyStream()}) {
    std::vector<std::string> checkpoints;
    Hooks hooks;
    hooks.on_checkpoint = [&](const Progress&, std::string_view bytes) {
      checkpoints.emplace_back(bytes);
      return Status();
    };
    const auto undisturbed = Train(AllExamples(), recipe, "", hooks);
    ASSERT_THAT(undisturbed, IsOk());
    ASSERT_EQ(checkpoints.size(), 3U);
    EXPECT_EQ(checkpoints.back(), undisturbed->checkpoint);
    for (const std::string& checkpoint : checkpoints) {
      ExpectSame(Finish(AllExamples(), recipe, checkpoint), *undisturbed);
    }
    EXPECT_NE(checkpoints[1], checkpoints[2]);
  }
}

TEST_F(TrainTest, StoppedInTheMiddleOfAnEpochEndsInTheSameBytesToo) {
  std::string saved;
  Hooks hooks;
  hooks.on_step = [](const Progress& p) {
    return p.step == 15 ? Order::kCheckpointAndStop : Order::kContinue;
  };
  hooks.on_checkpoint = [&](const Progress&, std::string_view bytes) {
    saved = bytes;
    return Status();
  };
  EXPECT_THAT(Train(AllExamples(), TinyRecipe(), "", hooks), StatusIs(Code::kCancelled));
  const auto position = ParseCheckpoint(saved);
  ASSERT_THAT(position, IsOk());
  EXPECT_EQ(position->epoch, 2);
  EXPECT_EQ(position->step_in_epoch, 3);
  ExpectSame(Finish(AllExamples(), TinyRecipe(), saved), Finish(AllExamples(), TinyRecipe(), ""));
}

TEST_F(TrainTest, StopsWithoutACheckpointWhenToldSo) {
  int64_t steps = 0;
  int checkpoints = 0;
  Hooks hooks;
  hooks.on_step = [&](const Progress& p) {
    steps = p.step;
    return p.step == 2 ? Order::kStop : Order::kContinue;
  };
  hooks.on_checkpoint = [&](const Progress&, std::string_view) {
    ++checkpoints;
    return Status();
  };
  EXPECT_THAT(Train(AllExamples(), TinyRecipe(), "", hooks), StatusIs(Code::kCancelled));
  EXPECT_EQ(steps, 2);
  EXPECT_EQ(checkpoints, 0);
}

TEST_F(TrainTest, AnotherSeedGivesAnotherNetwork) {
  Recipe other = TinyRecipe();
  other.seed = 2;
  const auto a = ParseCheckpoint(Finish(AllExamples(), TinyRecipe(), "").checkpoint);
  const auto b = ParseCheckpoint(Finish(AllExamples(), other, "").checkpoint);
  EXPECT_NE(a->Find("conv1.weight")->values, b->Find("conv1.weight")->values);
}

TEST_F(TrainTest, RefusesACheckpointOfAnotherRecipeOrOfOtherExamples) {
  const std::string checkpoint = Finish(AllExamples(), TinyRecipe(), "").checkpoint;
  Recipe other = TinyRecipe();
  other.learning_rate = 0.02;
  EXPECT_EQ(Train(AllExamples(), other, checkpoint, {}).status().reason(), "OTHER_CHECKPOINT");
  pixels_[0] ^= 1;
  EXPECT_EQ(Train(AllExamples(), TinyRecipe(), checkpoint, {}).status().reason(),
            "OTHER_CHECKPOINT");
}

TEST_F(TrainTest, RefusesExamplesThatDoNotAddUp) {
  const auto reason = [](const Examples& e) {
    return Train(e, TinyRecipe(), "", {}).status().reason();
  };
  Examples e = AllExamples();
  e.pixels = e.pixels.first(e.pixels.size() - 1);
  EXPECT_EQ(reason(e), "BAD_EXAMPLES");
  classes_[5] = 2;
  EXPECT_EQ(reason(AllExamples()), "BAD_EXAMPLES");
  EXPECT_EQ(reason({shape_, {}, {}, 2}), "BAD_EXAMPLES");
}

TEST_F(TrainTest, RefusesARecipeWhosePoolsLeaveNothing) {
  Recipe recipe = TinyRecipe();
  recipe.blocks.assign(4, {.channels = 32, .pool = true});
  EXPECT_EQ(Train(AllExamples(), recipe, "", {}).status().reason(), "BAD_RECIPE");
}

class ColourTest : public TrainTest {
 protected:
  ColourTest() : TrainTest({13, 17, 3}) {}
};

TEST_F(ColourTest, OddSidesAndThreeChannelsPackToTheSameLogits) {
  const auto trained = Train(AllExamples(), TinyRecipe(), "", {});
  ASSERT_THAT(trained, IsOk());
  const auto exported = Export(trained->checkpoint, pixels_);
  ASSERT_THAT(exported, IsOk());
  EXPECT_EQ(exported->verified, static_cast<int64_t>(kImages));
}

}  // namespace
}  // namespace bitfoundry::bnn
