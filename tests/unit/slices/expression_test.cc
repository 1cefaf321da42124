#include "slices/expression.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "slices/nearest.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::slices {
namespace {

using testing::IsOk;

enum class Truth { kFalse, kUnknown, kTrue };

snapshot::Snapshot OneRow() {
  snapshot::Snapshot data;
  data.classes = {"no_person", "person"};
  data.rows = {{.class_index = 1,
                .camera = "door",
                .session = "may",
                .position = 12,
                .tags = {{"motion", "away"}, {"distance_m", "7.5"}, {"reach", "7.5 m"}},
                .attributes = {{"box_height_px", 48}, {"brightness", 0.25}}}};
  return data;
}

Truth Eval(const std::string& text, const snapshot::Snapshot& data = OneRow()) {
  const auto expression = Expression::Parse(text);
  EXPECT_THAT(expression, IsOk()) << text;
  if (!expression.ok()) return Truth::kUnknown;
  const Selection selected = expression->Select(Columns::Of(data, std::vector<size_t>{0}));
  return selected.Count() == 1     ? Truth::kTrue
         : selected.Unknown() == 1 ? Truth::kUnknown
                                   : Truth::kFalse;
}

std::string ErrorOf(const std::string& text, const Origin& origin = {}) {
  return Expression::Parse(text, origin).status().message();
}

TEST(Expression, PicksByLabelTagAttributeAndCaptureFact) {
  EXPECT_EQ(Eval(R"(label == "person" && tag.motion == "away" && attr.box_height_px < 60)"),
            Truth::kTrue);
  EXPECT_EQ(Eval(R"(label != 'person')"), Truth::kFalse);
  EXPECT_EQ(Eval(R"(meta.camera in ["hall", "door"])"), Truth::kTrue);
  EXPECT_EQ(Eval(R"(attr.box_height_px in [47, 48.0])"), Truth::kTrue);
  EXPECT_EQ(Eval(R"(has_tag("motion") && !has_tag("pose"))"), Truth::kTrue);
  EXPECT_EQ(Eval("meta.session != 'june'"), Truth::kTrue);
  EXPECT_EQ(Eval("true"), Truth::kTrue);
  EXPECT_EQ(Eval("false"), Truth::kFalse);
}

TEST(Expression, OrdersNumbersWithTheEndsWhereTheyBelong) {
  EXPECT_EQ(Eval("attr.box_height_px < 48"), Truth::kFalse);
  EXPECT_EQ(Eval("attr.box_height_px <= 48"), Truth::kTrue);
  EXPECT_EQ(Eval("attr.box_height_px > 48"), Truth::kFalse);
  EXPECT_EQ(Eval("attr.box_height_px >= 48"), Truth::kTrue);
  EXPECT_EQ(Eval("attr.brightness > -1e-3"), Truth::kTrue);
}

TEST(Expression, HoldsBothEndsOfARangeUnlessToldOtherwise) {
  EXPECT_EQ(Eval("attr.box_height_px in 48..60"), Truth::kTrue);
  EXPECT_EQ(Eval("attr.box_height_px in 40..48"), Truth::kTrue);
  EXPECT_EQ(Eval("attr.box_height_px in 40..<48"), Truth::kFalse);
  EXPECT_EQ(Eval("attr.box_height_px in 48..<48.5"), Truth::kTrue);
  EXPECT_EQ(Eval("attr.box_height_px in [1, 2..3, 47.5..<49]"), Truth::kTrue);
  EXPECT_EQ(Eval("attr.brightness in -1e-3..0.25"), Truth::kTrue);
  EXPECT_EQ(Eval("attr.blur in 0..1"), Truth::kUnknown);
}

TEST(Expression, ReadsARecordedFactAsANumberWhereItIsComparedWithOne) {
  EXPECT_EQ(Eval("meta.distance_m > 7"), Truth::kTrue);
  EXPECT_EQ(Eval("meta.distance_m == 7.50"), Truth::kTrue);
  EXPECT_EQ(Eval("meta.distance_m == '7.50'"), Truth::kFalse);
  EXPECT_EQ(Eval("meta.distance_m in ['7.5']"), Truth::kTrue);
  EXPECT_EQ(Eval("meta.distance_m in [7.5]"), Truth::kTrue);
  EXPECT_EQ(Eval("meta.position in 10..12"), Truth::kTrue);
  EXPECT_EQ(Eval("meta.reach > 7"), Truth::kUnknown) << "7.5 m is not a number";
  EXPECT_EQ(Eval("meta.reach == '7.5 m'"), Truth::kTrue);
}

TEST(Expression, BindsNotBeforeAndBeforeOr) {
  EXPECT_EQ(Eval("true || false && false"), Truth::kTrue);
  EXPECT_EQ(Eval("(true || false) && false"), Truth::kFalse);
  EXPECT_EQ(Eval("!true || true"), Truth::kTrue);
  EXPECT_EQ(Eval("!(true || true)"), Truth::kFalse);
}

TEST(Expression, IsUnknownWhereTheSampleLacksWhatIsCompared) {
  for (const char* text :
       {"tag.pose == 'back'", "tag.pose != 'back'", "!(tag.pose == 'back')", "attr.blur < 1",
        "attr.blur >= 1", "prediction == 'person'", "label != prediction", "meta.height_m > 1",
        "attr.blur < quantile(1)", "true && tag.pose == 'back'", "false || tag.pose == 'back'"}) {
    EXPECT_EQ(Eval(text), Truth::kUnknown) << text;
  }
  EXPECT_EQ(Eval("false && tag.pose == 'back'"), Truth::kFalse);
  EXPECT_EQ(Eval("true || tag.pose == 'back'"), Truth::kTrue);
}

TEST(Expression, TreatsAnAttributeThatIsNotANumberAsMissing) {
  snapshot::Snapshot data = OneRow();
  data.rows[0].attributes["box_height_px"] = std::nan("");
  EXPECT_EQ(Eval("attr.box_height_px < 60", data), Truth::kUnknown);
  EXPECT_EQ(Eval("attr.box_height_px >= 60", data), Truth::kUnknown);
}

// Kleene's tables by their definition: replace each unknown by both values; if the result does not
// depend on it, it is known.
TEST(Expression, IsKnownExactlyWhenNoMissingValueCouldChangeIt) {
  const std::vector<std::pair<std::string, Truth>> atoms = {
      {"true", Truth::kTrue}, {"false", Truth::kFalse}, {"tag.pose == 'x'", Truth::kUnknown}};
  for (const auto& [a, va] : atoms) {
    for (const auto& [b, vb] : atoms) {
      bool and_true = false, and_false = false, or_true = false, or_false = false;
      for (const bool x : {false, true}) {
        for (const bool y : {false, true}) {
          if ((va != Truth::kUnknown && x != (va == Truth::kTrue)) ||
              (vb != Truth::kUnknown && y != (vb == Truth::kTrue))) {
            continue;
          }
          ((x && y) ? and_true : and_false) = true;
          ((x || y) ? or_true : or_false) = true;
        }
      }
      const auto truth = [](bool t, bool f) {
        return t && f ? Truth::kUnknown : t ? Truth::kTrue : Truth::kFalse;
      };
      EXPECT_EQ(Eval(a + " && " + b), truth(and_true, and_false)) << a << " && " << b;
      EXPECT_EQ(Eval(a + " || " + b), truth(or_true, or_false)) << a << " || " << b;
    }
  }
}

TEST(Expression, SaysWhereAndWhatWasExpected) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"",
       "1:1: expected a condition, like label == \"person\" or tag.pose == \"back\", found the "
       "end"},
      {"label = 'person'", "1:7: write ==, not a single ="},
      {"meta.position >== 3", "1:15: write >=, not >=="},
      {"meta.position =< 3", "1:15: write <=, not =<"},
      {"label <> 'person'", "1:7: write !=, not <>"},
      {"label == 'person' & true", "1:19: write &&, not a single &"},
      {"label == 'person' and true",
       "1:19: expected && or || or the end, found 'and'; write && for and, || for or, ! for not"},
      {"not true", "1:1: write && for and, || for or, ! for not"},
      {"labl == 'person'", "1:1: unknown name 'labl'; did you mean 'label'?"},
      {"tags.motion == 'away'", "1:1: unknown name 'tags'; did you mean 'tag'?"},
      {"label.person", "1:1: 'label' has no parts; write label == \"person\""},
      {"tag == 'x'", "1:1: expected a name after 'tag.', like tag.motion"},
      {"label == person", "1:10: expected a text in quotes: this field is text; found 'person'"},
      {"label < 'person'", "1:7: text has no order: '<' is for numbers; use ==, != or in"},
      {"tag.distance_m > 7",
       "1:16: text has no order: '>' is for numbers; use ==, != or in; as a number it is "
       "meta.distance_m"},
      {"tag.distance_m in [7]",
       "1:20: expected a text in quotes: this field is text; found '7'; as a number it is "
       "meta.distance_m"},
      {"meta.camera >= 3", "1:13: text has no order: '>=' is for numbers; use ==, != or in"},
      {"meta.position == '3'",
       "1:18: expected a number: this field is a number; found the text \"3\""},
      {"meta.distance_m in [1, '2']",
       "1:24: expected a number: this field is a number; found the text \"2\""},
      {"label == label", "1:10: expected a text in quotes: this field is text; found 'label'"},
      {"label in prediction", "1:10: expected [, found 'prediction'"},
      {"attr.blur < '3'", "1:13: expected a number: this field is a number; found the text \"3\""},
      {"attr.blur < quantle(0.5)",
       "1:13: expected a number: this field is a number; found 'quantle'; did you mean "
       "'quantile'?"},
      {"attr.blur < quantile(5)",
       "1:22: expected a share between 0 and 1, like quantile(0.05), found '5'"},
      {"attr.blur in 3",
       "1:15: expected a range like 2..7 (with 7) or 2..<7 (without), or a set like [2, 7], found "
       "the end"},
      {"attr.blur in 7..2", "1:14: this range is empty"},
      {"attr.blur in [1, 2..<2]", "1:18: this range is empty"},
      {"attr.blur in quantile(0.9)..quantile(0.1)", "1:14: this range is empty"},
      {"attr.blur in 2..", "1:17: expected a number: this field is a number; found the end"},
      {"label", "1:6: expected ==, != or in, found the end"},
      {"attr.blur", "1:10: expected ==, !=, <, <=, >, >= or in, found the end"},
      {"attr.blur < 3x", "1:14: expected && or || or the end, found 'x'"},
      {"attr.blur < 1.2.3", "1:13: '1.2.3' is not a number"},
      {"(true", "1:6: expected ), found the end"},
      {"label in ['a' 'b']", "1:15: expected ], found the text \"b\""},
      {"label in []", "1:11: expected a text in quotes: this field is text; found ']'"},
      {"has_tag(x)", "1:9: expected a tag's name in quotes, found 'x'"},
      {"label == 'person", "1:10: a text begins here and does not end"},
      {"true ||\n  # false", "2:3: '#' is not part of the language"},
      {"label == 'pérson' x", "1:19: expected && or || or the end, found 'x'"},
  };
  for (const auto& [text, message] : cases) EXPECT_EQ(ErrorOf(text), message) << text;
}

TEST(Expression, CountsPositionsFromWhereItsTextBegins) {
  EXPECT_EQ(ErrorOf("labl == 'x'", {"suite.yaml", 12, 7}),
            "suite.yaml:12:7: unknown name 'labl'; did you mean 'label'?");
}

TEST(Expression, RefusesToNestWithoutEndAndToGrowWithoutEnd) {
  EXPECT_THAT(Expression::Parse(std::string(60, '!') + "true"), IsOk());
  EXPECT_NE(ErrorOf(std::string(1000, '!') + "true").find("nested more than 64 deep"),
            std::string::npos);
  EXPECT_NE(ErrorOf(std::string(1000, '(')).find("nested more than 64 deep"), std::string::npos);
  EXPECT_NE(ErrorOf(std::string(5000, ' ') + "true").find("longer than 4096"), std::string::npos);
}

TEST(Expression, ChecksEachNameAgainstWhatTheDataSetHas) {
  const Vocabulary vocabulary{.classes = {"no_person", "person"},
                              .tags = {"distance_m", "motion"},
                              .attributes = {"box_height_px"},
                              .meta = {"camera", "distance_m", "motion"},
                              .numbers = {"distance_m"},
                              .texts = {{"motion", {"away", "sideways"}}, {"camera", {"door1"}}}};
  const auto check = [&](const std::string& text) {
    return Expression::Parse(text)->Check(vocabulary).message();
  };
  EXPECT_EQ(check("label == 'person' && tag.motion == 'x' && attr.box_height_px < 3"), "");
  EXPECT_EQ(check("label == 'persn'"),
            "1:1: no sample has the class 'persn'; did you mean "
            "'person'?");
  EXPECT_EQ(check("true && attr.box_heigth_px < 3"),
            "1:9: no sample has the attribute 'box_heigth_px'; did you mean 'box_height_px'?");
  EXPECT_EQ(check("!has_tag('textile')"),
            "1:10: no sample has the tag 'textile'; known: distance_m, "
            "motion");
  EXPECT_EQ(check("meta.site == 'x'"),
            "1:1: no sample has the capture fact 'site'; known: camera, distance_m, motion");
  EXPECT_EQ(check("meta.distanc_m > 7"),
            "1:1: no sample has the capture fact 'distanc_m'; did you mean 'distance_m'?");
  EXPECT_EQ(check("label == 'person' && !(tag.motion in ['away', 'sidewys'])"),
            "1:24: no sample has 'sidewys' there; did you mean 'sideways'?");
  EXPECT_EQ(check("meta.camera != 'dor1'"),
            "1:1: no sample has 'dor1' there; did you mean 'door1'?");
  EXPECT_EQ(check("tag.motion in ['away', 'SIDEWAYS']"),
            "1:1: no sample has 'SIDEWAYS' there; did you mean 'sideways'?");
  EXPECT_EQ(check("tag.motion == 'toward'"), "") << "nothing is like it: one may come";
  EXPECT_EQ(check("meta.camera == 'door2'"), "") << "another door";
  EXPECT_EQ(check("meta.motion > 7"),
            "1:1: no sample has the numeric capture fact 'motion'; known: distance_m");

  const auto check_values = [&](const std::string& text) {
    return Expression::Parse(text)->CheckValues(vocabulary).message();
  };
  EXPECT_EQ(check_values("tag.motion == 'away' || tag.motion != 'sideways'"), "");
  EXPECT_EQ(check_values("label == 'person' && tag.motion in ['away', 'toward']"),
            "1:22: no sample has 'toward' there; known: away, sideways");
  EXPECT_EQ(check_values("meta.camera != 'door2'"),
            "1:1: no sample has 'door2' there; did you mean 'door1'?");
}

// Outside text: whatever it is, there is an answer or an error, never a crash.
TEST(Expression, SurvivesAnyText) {
  const std::vector<std::string> pieces = {
      "label", "tag.a", "attr.b", "meta.c",  "..", "..<", "quantile", "prediction", "==",   "!=",
      "<",     "(",     ")",      "!",       "&&", "||",  "in",       "[",          "]",    ",",
      "'x'",   "3",     "\"",     "has_tag", " ",  "\n",  ".",        "true",       "\xff", "-"};
  std::mt19937 random(7);
  const snapshot::Snapshot data = OneRow();
  const Columns columns = Columns::Of(data, std::vector<size_t>{0});
  int accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    std::string text;
    const size_t length = random() % 12;
    for (size_t i = 0; i < length; ++i) text += pieces[random() % pieces.size()] + " ";
    const auto expression = Expression::Parse(text);
    if (!expression.ok()) continue;
    ++accepted;
    (void)expression->Select(columns);
  }
  EXPECT_GT(accepted, 20);
}

TEST(Expression, KnowsWhetherTheModelDecidesWhichRowsItPicks) {
  const auto uses = [](const char* text) { return Expression::Parse(text)->UsesPrediction(); };
  EXPECT_TRUE(uses("label == 'x' && prediction == 'y'"));
  EXPECT_TRUE(uses("!(prediction in ['x', 'y'])"));
  EXPECT_TRUE(uses("label != prediction"));
  EXPECT_FALSE(uses("label == 'x' && tag.prediction == 'y'"));
  EXPECT_FALSE(uses("true"));
}

TEST(Nearest, FindsASlipAndLeavesStrangersAlone) {
  EXPECT_EQ(Nearest("acuracy", {"recall", "accuracy"}), "accuracy");
  EXPECT_EQ(Nearest("recal", {"recall", "accuracy"}), "recall");
  EXPECT_EQ(Nearest("slcie", {"slice"}), "slice");
  EXPECT_EQ(Nearest("f1", {"fpr", "recall"}), "");
  EXPECT_EQ(Suggest("f1_score", {"fpr", "recall"}), "; known: fpr, recall");
}

}  // namespace
}  // namespace bitfoundry::slices
