// Expressions on columns, against what they mean row by row.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <charconv>
#include <functional>
#include <numeric>
#include <optional>
#include <random>

#include "slices/expression.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::slices {
namespace {

using snapshot::Row;
using snapshot::Snapshot;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Data {
  Snapshot snapshot;
  std::vector<size_t> places;
  std::vector<size_t> predictions;
};

// What an expression says of the row at a place in Data::places; nothing: unknown.
using Meaning = std::function<std::optional<bool>(const Data&, size_t)>;

// An expression twice: as text, and as its definition.
struct Said {
  std::string text;
  Meaning meaning;
};

const Row& RowOf(const Data& data, size_t i) { return data.snapshot.rows[data.places[i]]; }

using Field = std::function<std::optional<double>(const Data&, size_t)>;

std::vector<double> ValuesOf(const Data& data, const Field& field) {
  std::vector<double> values;
  for (size_t i = 0; i < data.places.size(); ++i) {
    if (const auto value = field(data, i)) values.push_back(*value);
  }
  std::sort(values.begin(), values.end());
  return values;
}

class Generator {
 public:
  explicit Generator(uint32_t seed) : random_(seed) {}

  size_t Upto(size_t n) { return random_() % (n + 1); }

  Data Rows(size_t n) {
    Data data;
    data.snapshot.classes = {"cat", "dog", "none"};
    for (size_t i = 0; i < n; ++i) {
      Row row{.class_index = static_cast<int>(Upto(2)),
              .camera = "c" + std::to_string(Upto(2)),
              .session = "s" + std::to_string(Upto(3)),
              .position = static_cast<int64_t>(Upto(9))};
      if (Upto(2) > 0) row.tags["pose"] = "p" + std::to_string(Upto(3));
      if (Upto(2) > 0) row.tags["m"] = Upto(3) == 0 ? "far" : std::to_string(Upto(9));
      if (Upto(3) > 0) row.attributes["a"] = static_cast<double>(Upto(9));
      row.attributes["b"] = static_cast<double>(Upto(1000)) / 10;
      data.snapshot.rows.push_back(row);
      if (Upto(4) > 0) data.places.push_back(i);
    }
    data.predictions.resize(data.places.size());
    for (size_t& prediction : data.predictions) prediction = Upto(2);
    return data;
  }

  Said Any(int depth) {
    const size_t kind = depth == 0 ? 4 : Upto(4);
    if (kind >= 3) return Atom();
    const Said a = Any(depth - 1);
    if (kind == 0) {
      return {"!(" + a.text + ")", [=](const Data& d, size_t i) {
                const auto x = a.meaning(d, i);
                return x ? std::optional(!*x) : std::nullopt;
              }};
    }
    const Said b = Any(depth - 1);
    const bool decides = kind == 2;  // true decides ||, false decides &&
    return {"(" + a.text + (decides ? " || " : " && ") + b.text + ")",
            [=](const Data& d, size_t i) -> std::optional<bool> {
              const auto x = a.meaning(d, i);
              const auto y = b.meaning(d, i);
              if (x == decides || y == decides) return decides;
              return x && y ? std::optional(!decides) : std::nullopt;
            }};
  }

 private:
  Said Atom() {
    switch (Upto(6)) {
      case 0:
        return {"label != prediction", [](const Data& d, size_t i) {
                  return static_cast<size_t>(RowOf(d, i).class_index) != d.predictions[i];
                }};
      case 1:
        return {"has_tag('pose')",
                [](const Data& d, size_t i) { return RowOf(d, i).tags.contains("pose"); }};
      case 2:
      case 3:
        return Words();
      default:
        return Numbers();
    }
  }

  Said Words() {
    using Text = std::function<std::optional<std::string>(const Data&, size_t)>;
    const std::vector<std::tuple<std::string, Text, std::string>> fields = {
        {"label",
         [](auto& d, size_t i) {
           return d.snapshot.classes[static_cast<size_t>(RowOf(d, i).class_index)];
         },
         "cat"},
        {"prediction", [](auto& d, size_t i) { return d.snapshot.classes[d.predictions[i]]; },
         "dog"},
        {"meta.camera", [](auto& d, size_t i) { return RowOf(d, i).camera; }, "c1"},
        {"meta.session", [](auto& d, size_t i) { return RowOf(d, i).session; }, "s3"},
        {"tag.pose", Tag("pose"), "p2"},
        {"meta.pose", Tag("pose"), "p0"},
        {"meta.m", Tag("m"), "7"}};
    const auto& [name, text, word] = fields[Upto(fields.size() - 1)];
    const bool set = Upto(1) == 0;
    return {name + (set ? " in ['no such', '" + word + "']" : " == \"" + word + "\""),
            [text = text, word = word](const Data& d, size_t i) {
              const auto value = text(d, i);
              return value ? std::optional(*value == word) : std::nullopt;
            }};
  }
  static std::function<std::optional<std::string>(const Data&, size_t)> Tag(const char* name) {
    return [=](const Data& d, size_t i) {
      const auto found = RowOf(d, i).tags.find(name);
      return found == RowOf(d, i).tags.end() ? std::nullopt : std::optional(found->second);
    };
  }

  // A number, as text and by its definition.
  std::pair<std::string, std::function<double(const Data&, const Field&)>> Number() {
    if (Upto(1) == 0) {
      const size_t value = Upto(10);
      return {std::to_string(value),
              [=](const Data&, const Field&) { return static_cast<double>(value); }};
    }
    const size_t percent = Upto(100);
    return {"quantile(" + std::to_string(percent) + "e-2)", [=](const Data& d, const Field& field) {
              const std::vector<double> values = ValuesOf(d, field);
              for (size_t k = 1; k <= values.size(); ++k) {
                if (k * 100 >= percent * values.size()) return values[k - 1];
              }
              return 0.0;
            }};
  }

  Said Numbers() {
    const auto tagged = [](const Data& d, size_t i) -> std::optional<double> {
      const auto text = Tag("m")(d, i);
      if (!text || *text == "far") return std::nullopt;
      return std::stod(*text);
    };
    const auto attribute = [](const char* name) -> Field {
      return [=](const Data& d, size_t i) {
        const auto found = RowOf(d, i).attributes.find(name);
        return found == RowOf(d, i).attributes.end() ? std::nullopt : std::optional(found->second);
      };
    };
    const std::vector<std::pair<std::string, Field>> fields = {
        {"attr.a", attribute("a")},
        {"attr.b", attribute("b")},
        {"meta.m", tagged},
        {"meta.position",
         [](auto& d, size_t i) { return static_cast<double>(RowOf(d, i).position); }}};
    const auto [name, field] = fields[Upto(fields.size() - 1)];
    const auto [low_text, low] = Number();
    const std::vector<std::pair<std::string, std::function<bool(double, double)>>> compares = {
        {" < ", std::less<>()},      {" <= ", std::less_equal<>()},
        {" > ", std::greater<>()},   {" >= ", std::greater_equal<>()},
        {" == ", std::equal_to<>()}, {" != ", std::not_equal_to<>()}};
    const size_t which = Upto(compares.size() + 1);
    if (which < compares.size()) {
      const auto [sign, compare] = compares[which];
      return {name + sign + low_text,
              [field = field, low = low, compare = compare](const Data& d, size_t i) {
                const auto x = field(d, i);
                return x ? std::optional(compare(*x, low(d, field))) : std::nullopt;
              }};
    }
    const bool open = which == compares.size();
    return {name + " in [" + low_text + ", 4" + (open ? "..<" : "..") + "6]",
            [field = field, low = low, open](const Data& d, size_t i) -> std::optional<bool> {
              const auto x = field(d, i);
              if (!x) return std::nullopt;
              return *x == low(d, field) || (*x >= 4 && (open ? *x < 6 : *x <= 6));
            }};
  }

  std::mt19937 random_;
};

TEST(Evaluation, SaysOfEachRowWhatTheExpressionMeans) {
  Generator generator(/*seed=*/11);
  size_t truths[3] = {0, 0, 0};
  for (int round = 0; round < 2000; ++round) {
    const Data data = generator.Rows(std::vector<size_t>{0, 1, 64, 90, 200}[generator.Upto(4)]);
    const Said said = generator.Any(/*depth=*/3);
    const auto expression = Expression::Parse(said.text);
    ASSERT_THAT(expression, ::bitfoundry::testing::IsOk()) << said.text;
    const Columns columns = Columns::Of(data.snapshot, data.places);
    const Selection selected = expression->Select(columns, data.predictions);
    std::vector<size_t> certain;
    size_t unknown = 0;
    for (size_t i = 0; i < data.places.size(); ++i) {
      const auto truth = said.meaning(data, i);
      if (truth == true) certain.push_back(i);
      if (!truth) ++unknown;
      ++truths[truth ? (*truth ? 2 : 0) : 1];
    }
    ASSERT_EQ(selected.Rows(), certain) << said.text;
    ASSERT_EQ(selected.Count(), certain.size());
    ASSERT_EQ(selected.Unknown(), unknown) << said.text;
  }
  for (const size_t n : truths) EXPECT_GT(n, 10000U);  // all three are met often
}

Snapshot Counting(size_t n) {
  Snapshot data;
  data.classes = {"x", "y"};
  for (size_t i = 0; i < n; ++i) {
    data.rows.push_back({.attributes = {{"rank", static_cast<double>((i * 37) % n + 1)}}});
  }
  return data;
}

std::vector<size_t> AllOf(const Snapshot& data) {
  std::vector<size_t> places(data.rows.size());
  std::iota(places.begin(), places.end(), size_t{0});
  return places;
}

TEST(Evaluation, FindsTheNearestRankWhateverTheShareRoundsTo) {
  const Snapshot data = Counting(100);  // the ranks 1 to 100, and 37 is prime to 100
  const Columns columns = Columns::Of(data, AllOf(data));
  for (size_t percent = 0; percent <= 100; ++percent) {
    const std::string share = std::to_string(percent) + "e-2";
    const auto below = Expression::Parse("attr.rank <= quantile(" + share + ")");
    EXPECT_EQ(below->Select(columns).Count(), std::max<size_t>(percent, 1)) << share;
  }
}

TEST(Evaluation, TakesQuantilesOfTheRowsItIsGivenAlone) {
  const Snapshot data = Counting(100);
  std::vector<size_t> places;
  for (size_t i = 0; i < 100; ++i) {
    if (data.rows[i].attributes.at("rank") > 90) places.push_back(i);
  }
  const Columns columns = Columns::Of(data, places);
  EXPECT_EQ(Expression::Parse("attr.rank < quantile(0.5)")->Select(columns).Count(), 4U);
}

TEST(Evaluation, SelectsNothingFromNothing) {
  const Snapshot data = Counting(3);
  const Selection none =
      Expression::Parse("true || attr.rank < quantile(0.5) || meta.position == quantile(0)")
          ->Select(Columns::Of(data, {}));
  EXPECT_EQ(none.Count() + none.Unknown(), 0U);
  EXPECT_THAT(none.Rows(), IsEmpty());
}

TEST(Columns, NameWhatTheirRowsHaveAndNothingElse) {
  Snapshot data = Counting(2);
  data.rows[0].tags = {{"distance_m", "8"}, {"pose", "back"}};
  data.rows[1].tags = {{"elsewhere", "1"}};
  data.rows[1].attributes["other"] = 1;
  const Vocabulary names = Columns::Of(data, std::vector<size_t>{0}).Names();
  EXPECT_THAT(names.classes, ElementsAre("x", "y"));
  EXPECT_THAT(names.tags, ElementsAre("distance_m", "pose"));
  EXPECT_THAT(names.attributes, ElementsAre("rank"));
  EXPECT_THAT(names.meta, ElementsAre("camera", "distance_m", "pose", "position", "session"));
  EXPECT_THAT(names.numbers, ElementsAre("distance_m", "position"));
  EXPECT_THAT(names.texts.at("pose"), ElementsAre("back"));
  EXPECT_FALSE(names.texts.contains("elsewhere"));
}

}  // namespace
}  // namespace bitfoundry::slices
