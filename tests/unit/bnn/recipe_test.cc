#include "bnn/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <utility>

#include "tests/support/status_matchers.h"

namespace bitfoundry::bnn {
namespace {

using ::bitfoundry::testing::IsOk;
using ::testing::HasSubstr;

constexpr char kShortest[] = R"({"name":"x","stem":{},"blocks":[{"channels":64}]})";

std::string ErrorOf(const std::string& json) {
  const auto recipe = ParseRecipe(json);
  EXPECT_EQ(recipe.status().reason(), "BAD_RECIPE") << json;
  return recipe.status().message();
}

// kShortest with one more field.
std::string With(const std::string& field) { return "{" + field + "," + (kShortest + 1); }

TEST(RecipeTest, IsReadBackFromItsCanonicalForm) {
  Recipe quick = ResNet20Recipe();
  quick.relu = true;
  for (const Recipe& recipe : {DefaultRecipe(), ResNet20Recipe(), quick}) {
    const auto parsed = ParseRecipe(CanonicalJson(recipe));
    ASSERT_THAT(parsed, IsOk());
    EXPECT_EQ(*parsed, recipe);
  }
}

TEST(RecipeTest, KeepsTheCanonicalFormThatItHadBeforeStreams) {
  EXPECT_EQ(CanonicalJson(*ParseRecipe(With(R"("residual":false,"relu":false)"))),
            CanonicalJson(*ParseRecipe(kShortest)));
  EXPECT_THAT(CanonicalJson(ResNet20Recipe()), HasSubstr(R"("residual":true)"));
}

TEST(RecipeTest, ResNet20SumsEightByEightPixels) {
  EXPECT_EQ(*SummedPixels(ResNet20Recipe(), 32, 32, 3), 64);
}

// docs/recipes.md shows recipes as indented lines.
TEST(RecipeTest, TheRecipesInTheDocumentationAreThese) {
  std::ifstream file(BF_SOURCE_DIR "/docs/recipes.md");
  std::vector<Recipe> shown;
  std::string json;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("    ")) json += line;
    if (!line.empty() || json.empty()) continue;
    const auto recipe = ParseRecipe(std::exchange(json, ""));
    ASSERT_THAT(recipe, IsOk());
    EXPECT_THAT(SummedPixels(*recipe, 64, 64, 3), IsOk());
    shown.push_back(*recipe);
  }
  ASSERT_EQ(shown.size(), 3U);
  EXPECT_EQ(shown[0], DefaultRecipe());
  EXPECT_EQ(shown[1], ResNet20Recipe());
}

TEST(RecipeTest, SaysWhereASkipCannotFollow) {
  Recipe r = ResNet20Recipe();
  EXPECT_THAT(SummedPixels(r, 34, 34, 3).status().message(),
              HasSubstr("blocks[12].stride is 2, but the skip cannot halve 17x17"));
  r.blocks[3].channels = 24;
  EXPECT_THAT(SummedPixels(r, 32, 32, 3).status().message(),
              HasSubstr("blocks[3].channels has to be a multiple of the 16 that come in"));
  r.blocks[3].kernel = 1;  // has no skip; but the next block cannot repeat 24 channels
  EXPECT_THAT(SummedPixels(r, 32, 32, 3).status().message(), HasSubstr("blocks[4].channels"));
  r.residual = false;
  EXPECT_THAT(SummedPixels(r, 34, 34, 3), IsOk());
}

TEST(RecipeTest, HasOneCanonicalForm) {
  const auto a = ParseRecipe(R"({"name":"x","seed":7,"stem":{},"blocks":[{}]})");
  const auto b = ParseRecipe(R"( {"blocks": [{"kernel": 3}], "stem": {}, "seed":7, "name":"x"})");
  ASSERT_THAT(a, IsOk());
  ASSERT_THAT(b, IsOk());
  EXPECT_EQ(CanonicalJson(*a), CanonicalJson(*b));
}

TEST(RecipeTest, TakesSeedsOfAllSixtyFourBits) {
  const auto recipe = ParseRecipe(With(R"("seed":18446744073709551615)"));
  ASSERT_THAT(recipe, IsOk());
  EXPECT_EQ(recipe->seed, UINT64_MAX);
}

TEST(RecipeTest, SaysWhichFieldIsWrongAndWhatItTakes) {
  EXPECT_THAT(ErrorOf(With(R"("epoch":3)")), HasSubstr("epoch is not a field"));
  EXPECT_THAT(ErrorOf(With(R"("epochs":0)")), HasSubstr("epochs has to be an integer from 1 to"));
  EXPECT_THAT(ErrorOf(With(R"("epochs":2.5)")), HasSubstr("epochs"));
  EXPECT_THAT(ErrorOf(With(R"("epochs":-1)")), HasSubstr("epochs"));
  EXPECT_THAT(ErrorOf(With(R"("learning_rate":0)")), HasSubstr("learning_rate"));
  EXPECT_THAT(ErrorOf(With(R"("learning_rate":"fast")")), HasSubstr("learning_rate"));
  EXPECT_THAT(ErrorOf(With(R"("augment":{"shift":99})")), HasSubstr("augment.shift"));
  EXPECT_THAT(ErrorOf(R"({"name":"x","stem":{},"blocks":[{},{"channels":0}]})"),
              HasSubstr("blocks[1].channels has to be an integer from 1 to 1024"));
  EXPECT_THAT(ErrorOf(With(R"("residual":1)")), HasSubstr("residual has to be true or false"));
  EXPECT_THAT(ErrorOf(R"({"name":"x","stem":{"kernel":4},"blocks":[{}]})"),
              HasSubstr("stem.kernel has to be odd"));
  EXPECT_THAT(ErrorOf(R"({"name":"x","stem":{},"blocks":[{"kernel":5}]})"),
              HasSubstr("blocks[0].kernel"));
  EXPECT_THAT(ErrorOf(R"({"name":"X Y","stem":{},"blocks":[{}]})"), HasSubstr("name"));
  EXPECT_THAT(ErrorOf(R"({"stem":{},"blocks":[{}]})"), HasSubstr("name"));
  EXPECT_THAT(ErrorOf(R"({"name":"x","blocks":[{}]})"), HasSubstr("stem is missing"));
  EXPECT_THAT(ErrorOf(R"({"name":"x","stem":{},"blocks":[]})"), HasSubstr("blocks"));
  EXPECT_THAT(ErrorOf(R"({"name":"x","stem":[],"blocks":[{}]})"), HasSubstr("stem"));
  ErrorOf("");
  ErrorOf("[1]");
  ErrorOf(std::string(20'000, '['));
}

}  // namespace
}  // namespace bitfoundry::bnn
