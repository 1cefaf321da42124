#include "bnn/recipe.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

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
  const Recipe recipe = DefaultRecipe();
  const auto parsed = ParseRecipe(CanonicalJson(recipe));
  ASSERT_THAT(parsed, IsOk());
  EXPECT_EQ(*parsed, recipe);
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
  EXPECT_THAT(ErrorOf(R"({"name":"x","stem":{},"blocks":[{},{"channels":48}]})"),
              HasSubstr("blocks[1].channels has to be a multiple of 32"));
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
