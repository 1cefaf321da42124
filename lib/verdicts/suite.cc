#include "verdicts/suite.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <optional>
#include <set>

#include "slices/nearest.h"
#include "verdicts/keys.h"

namespace bitfoundry::verdicts {
namespace {

constexpr const char* kMetricNames[] = {"accuracy", "error", "recall",    "precision",
                                        "fpr",      "fnr",   "flip_rate", "saliency_in_box"};
constexpr const char* kFigureNames[] = {"flash_bytes", "arena_bytes", "stack_bytes",
                                        "instructions"};

bool NeedsPositive(Metric metric) {
  return metric == Metric::kRecall || metric == Metric::kPrecision || metric == Metric::kFpr ||
         metric == Metric::kFnr;
}

using Names = std::vector<std::string>;

// By these a test says of which kind it is.
const Names kKindKeys = {"fits", "equal_on", "scan", "across", "vs"};

// "2026-12-01", and there is such a day.
bool IsDate(const std::string& text) {
  const std::string form = "0000-00-00";
  if (text.size() != form.size()) return false;
  for (size_t i = 0; i < form.size(); ++i) {
    if (form[i] == '-' ? text[i] != '-' : text[i] < '0' || text[i] > '9') return false;
  }
  const auto number = [&](size_t from, size_t count) {
    return std::stoi(text.substr(from, count));
  };
  return std::chrono::year_month_day(std::chrono::year(number(0, 4)),
                                     std::chrono::month(static_cast<unsigned>(number(5, 2))),
                                     std::chrono::day(static_cast<unsigned>(number(8, 2))))
      .ok();
}

bool Contains(const Names& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Reads one file. yaml-cpp throws; ParseSuite catches.
class Reader {
 public:
  Reader(const std::string& yaml, std::string file) : yaml_(yaml), file_(std::move(file)) {}

  Result<Suite> Run();
  Status Invalid(const YAML::Mark& mark, const std::string& message) const {
    return Status(Code::kInvalidArgument, "SUITE_INVALID", At(mark).ToString() + ": " + message);
  }

 private:
  slices::Origin At(const YAML::Mark& mark) const {
    return {file_, std::max(mark.line, 0) + 1, std::max(mark.column, 0) + 1};
  }
  Status Invalid(const YAML::Node& node, const std::string& message) const {
    return Invalid(node.Mark(), message);
  }

  Status CheckKeys(const YAML::Node& map, const std::string& what, const Names& known,
                   const Names& elsewhere = {}) const;
  Result<std::string> Text(const YAML::Node& map, const char* key) const;
  Result<double> Number(const YAML::Node& map, const char* key, double least, double most) const;
  Result<int64_t> Whole(const YAML::Node& map, const char* key, int64_t least) const;
  Result<std::string> Word(const YAML::Node& map, const char* key, const Names& known) const;
  slices::Origin TextAt(const YAML::Node& scalar) const;

  Status ReadDefaults(const YAML::Node& defaults);
  Status ReadSlices(const YAML::Node& slices);
  Status ReadTests(const YAML::Node& tests);
  Status ReadWaivers(const YAML::Node& waivers);

  // One entry makes one test, or several.
  Result<std::vector<DataTest>> ReadTest(const YAML::Node& node) const;
  Result<std::vector<DataTest>> ReadBound(const YAML::Node& node, DataTest test) const;
  Result<std::vector<DataTest>> ReadRegression(const YAML::Node& node, DataTest test) const;
  Result<std::vector<DataTest>> ReadGap(const YAML::Node& node, DataTest test) const;
  Result<std::vector<DataTest>> ReadShortcut(const YAML::Node& node, DataTest test) const;
  Result<std::vector<DataTest>> ReadFits(const YAML::Node& node, DataTest test) const;
  Result<std::vector<DataTest>> ReadSameBits(const YAML::Node& node, DataTest test) const;

  Result<size_t> SliceOf(const YAML::Node& node) const;
  Status ReadMetric(const YAML::Node& node, DataTest& test) const;
  Status ReadLimit(const YAML::Node& node, DataTest& test) const;
  Status ReadMost(const YAML::Node& node, const char* key, DataTest& test) const;
  Status ReadTransforms(const YAML::Node& node, DataTest& test) const;
  Status ReadShared(const YAML::Node& node, DataTest& test) const;
  Result<Field> ReadField(const YAML::Node& node, const Names& sources) const;
  Result<emulate::Core> ReadCore(const YAML::Node& node) const;
  Result<std::vector<YAML::Node>> List(const YAML::Node& map, const char* key) const;

  const std::string& yaml_;
  const std::string file_;
  Suite suite_;
  DataTest defaults_;  // what a test has that does not say otherwise
};

// `elsewhere`: keys that would be right if the rest were another.
Status Reader::CheckKeys(const YAML::Node& map, const std::string& what, const Names& known,
                         const Names& elsewhere) const {
  if (!map.IsMap()) return Invalid(map, what + " is a mapping, like { key: value }");
  Names meant = known;
  meant.insert(meant.end(), elsewhere.begin(), elsewhere.end());
  std::set<std::string> seen;
  YAML::Node unknown;  // the first, or the first that can be put right
  bool near = false;
  for (const auto& entry : map) {
    if (!entry.first.IsScalar()) return Invalid(entry.first, "a key is a plain word");
    const std::string& key = entry.first.Scalar();
    if (!seen.insert(key).second) return Invalid(entry.first, "'" + key + "' is there twice");
    if (near || Contains(known, key)) continue;
    near = !slices::Nearest(key, meant).empty();
    if (near || unknown.IsNull()) unknown.reset(entry.first);
  }
  if (unknown.IsNull()) return Status();
  // { transform: darken(0.25, 3) } is a key "3)": YAML ended the value at the comma.
  const bool cut = unknown.Scalar().ends_with(")");
  return Invalid(unknown, "unknown key '" + unknown.Scalar() + "' in " + what +
                              (cut ? "; inside { } a comma ends a text: quote the text"
                                   : slices::Suggest(unknown.Scalar(), meant)));
}

Result<std::string> Reader::Text(const YAML::Node& map, const char* key) const {
  const YAML::Node value = map[key];
  if (!value) return Invalid(map, std::string("'") + key + "' is missing");
  if (!value.IsScalar() || value.Scalar().find_first_not_of(" \t\r\n") == std::string::npos) {
    return Invalid(value, std::string("'") + key + "' is a text");
  }
  return value.Scalar();
}

Result<double> Reader::Number(const YAML::Node& map, const char* key, double least,
                              double most) const {
  const std::string text = BF_TRY(Text(map, key));
  double number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || stop != text.data() + text.size()) {
    return Invalid(map[key], std::string("'") + key + "' is a number, not '" + text + "'");
  }
  if (!(number >= least && number <= most)) {
    const auto show = [](double v) { return YAML::Dump(YAML::Node(v)); };
    return Invalid(map[key], std::string("'") + key + "' is from " + show(least) + " to " +
                                 show(most) + ", not " + text);
  }
  return number;
}

Result<int64_t> Reader::Whole(const YAML::Node& map, const char* key, int64_t least) const {
  const std::string text = BF_TRY(Text(map, key));
  int64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || stop != text.data() + text.size() || number < least ||
      number > 1'000'000'000) {
    return Invalid(map[key], std::string("'") + key + "' is a whole number of at least " +
                                 std::to_string(least) + ", not '" + text + "'");
  }
  return number;
}

Result<std::string> Reader::Word(const YAML::Node& map, const char* key, const Names& known) const {
  const std::string word = BF_TRY(Text(map, key));
  if (Contains(known, word)) return word;
  return Invalid(map[key],
                 std::string("unknown ") + key + " '" + word + "'" + slices::Suggest(word, known));
}

// Where the characters of a scalar begin: past its quote. (Inside a folded scalar, or behind an
// escape, a position in the text is off; the line it begins on is right.)
slices::Origin Reader::TextAt(const YAML::Node& scalar) const {
  slices::Origin at = At(scalar.Mark());
  const auto pos = static_cast<size_t>(std::max(scalar.Mark().pos, 0));
  const bool quoted = pos < yaml_.size() && (yaml_[pos] == '\'' || yaml_[pos] == '"');
  if (quoted) ++at.column;
  return at;
}

Status Reader::ReadDefaults(const YAML::Node& defaults) {
  BF_TRY(CheckKeys(defaults, "defaults", KeysOf<v1::SuiteSpec::Defaults>()));
  if (defaults["alpha"]) suite_.alpha = BF_TRY(Number(defaults, "alpha", 0.001, 0.25));
  if (defaults["max_evaluations"]) {
    suite_.max_evaluations = BF_TRY(Whole(defaults, "max_evaluations", 1));
  }
  return ReadShared(defaults, defaults_);
}

// What both a test and the defaults may say.
Status Reader::ReadShared(const YAML::Node& node, DataTest& test) const {
  if (node["positive"]) {
    test.positive = BF_TRY(Text(node, "positive"));
    test.positive_at = TextAt(node["positive"]);
  }
  if (node["min_n"]) test.min_n = BF_TRY(Whole(node, "min_n", 1));
  if (node["severity"]) {
    const std::string severity = BF_TRY(Word(node, "severity", {"block", "warn"}));
    test.blocks = severity == "block";
  }
  if (node["cluster"]) test.cluster = BF_TRY(ReadField(node["cluster"], {"tag", "meta"}));
  return Status();
}

Status Reader::ReadSlices(const YAML::Node& slices) {
  suite_.slices.push_back({"all", *slices::Expression::Parse("true")});
  if (!slices) return Status();
  if (!slices.IsMap()) return Invalid(slices, "slices is a mapping of names to expressions");
  for (const auto& entry : slices) {
    const std::string name = entry.first.IsScalar() ? entry.first.Scalar() : "";
    if (name.empty()) return Invalid(entry.first, "the name of a slice is a word");
    if (name == "all") return Invalid(entry.first, "the slice 'all' is built in: every row");
    for (const Slice& slice : suite_.slices) {
      if (slice.name == name)
        return Invalid(entry.first, "the slice '" + name + "' is there twice");
    }
    if (!entry.second.IsScalar()) {
      return Invalid(entry.second,
                     "the slice '" + name + "' is an expression, like label == \"a\"");
    }
    auto expression = slices::Expression::Parse(entry.second.Scalar(), TextAt(entry.second));
    if (!expression.ok()) {
      return Status(Code::kInvalidArgument, "SUITE_INVALID", expression.status().message());
    }
    suite_.slices.push_back({name, *std::move(expression)});
  }
  return Status();
}

Status Reader::ReadLimit(const YAML::Node& node, DataTest& test) const {
  const bool at_least = static_cast<bool>(node["at_least"]);
  if (at_least == static_cast<bool>(node["at_most"])) {
    return Invalid(node, "test '" + test.id + "' needs one of at_least and at_most");
  }
  const char* key = at_least ? "at_least" : "at_most";
  const bool high = test.metric == Metric::kAccuracy || test.metric == Metric::kRecall ||
                    test.metric == Metric::kPrecision || test.metric == Metric::kSaliencyInBox;
  if (high != at_least) {
    return Invalid(node, "a model is the better, the " + std::string(high ? "higher" : "lower") +
                             " its " + ToString(test.metric) + ": write " +
                             (high ? "at_least" : "at_most") + " for " + key);
  }
  test.side = at_least ? stats::Side::kAtLeast : stats::Side::kAtMost;
  test.limit = BF_TRY(Number(node, key, 0, 1));
  if (test.limit < kNearestLimit || test.limit > 1 - kNearestLimit) {
    const bool vacuous = at_least == (test.limit < 0.5);
    return Invalid(node[key], vacuous ? "this holds for every model: it tests nothing"
                                      : "no number of samples can prove this: take a bound "
                                        "strictly between 0 and 1");
  }
  return Status();
}

// "tag.motion".
Result<Field> Reader::ReadField(const YAML::Node& node, const Names& sources) const {
  const std::string text = node.IsScalar() ? node.Scalar() : "";
  const size_t dot = text.find('.');
  if (dot == std::string::npos || dot + 1 == text.size() ||
      !Contains(sources, text.substr(0, dot))) {
    std::string wanted;
    for (const std::string& source : sources) {
      wanted += (wanted.empty() ? "" : " or ") + source + ".NAME";
    }
    return Invalid(node, "'" + text + "' is not " + wanted);
  }
  // The other capture facts are tags under another name, and numbers: no groups.
  const Names capture = {"meta.camera", "meta.session"};
  if (text.starts_with("meta.") && !Contains(capture, text)) {
    return Invalid(node, "rows go by meta.camera, meta.session or a tag, not by '" + text + "'" +
                             slices::Suggest(text, capture));
  }
  return Field{text, TextAt(node)};
}

Result<emulate::Core> Reader::ReadCore(const YAML::Node& node) const {
  auto core = emulate::ParseCore(node.IsScalar() ? node.Scalar() : "");
  if (!core.ok()) return Invalid(node, core.status().message());
  return *core;
}

// One value, or a list of some.
Result<std::vector<YAML::Node>> Reader::List(const YAML::Node& map, const char* key) const {
  const YAML::Node value = map[key];
  std::vector<YAML::Node> items;
  if (value && value.IsSequence()) {
    for (const auto& item : value) items.push_back(item);
  } else if (value && value.IsScalar()) {
    items.push_back(value);
  }
  if (items.empty()) return Invalid(value ? value : map, std::string("'") + key + "' is a list");
  return items;
}

Result<size_t> Reader::SliceOf(const YAML::Node& node) const {
  Names known;
  for (const Slice& slice : suite_.slices) known.push_back(slice.name);
  const std::string slice = BF_TRY(Word(node, "slice", known));
  return static_cast<size_t>(std::find(known.begin(), known.end(), slice) - known.begin());
}

Status Reader::ReadMetric(const YAML::Node& node, DataTest& test) const {
  const Names metrics(std::begin(kMetricNames), std::end(kMetricNames));
  const std::string metric = BF_TRY(Word(node, "metric", metrics));
  test.metric =
      static_cast<Metric>(std::find(metrics.begin(), metrics.end(), metric) - metrics.begin());
  if (!NeedsPositive(test.metric)) {
    test.positive.clear();
  } else if (test.positive.empty()) {
    return Invalid(
        node, "test '" + test.id + "' needs 'positive': the class that " + metric + " is about");
  }
  return Status();
}

// A limit from above, like max_gap.
Status Reader::ReadMost(const YAML::Node& node, const char* key, DataTest& test) const {
  test.side = stats::Side::kAtMost;
  test.limit = BF_TRY(Number(node, key, 0, 1));
  if (test.limit >= kNearestLimit && test.limit <= 1 - kNearestLimit) return Status();
  return Invalid(node[key], std::string("'") + key + "' is strictly between 0 and 1");
}

Status Reader::ReadTransforms(const YAML::Node& node, DataTest& test) const {
  if (!node["transform"]) return Status();
  for (const YAML::Node& item : BF_TRY(List(node, "transform"))) {
    if (!item.IsScalar()) return Invalid(item, "a transform is a text, like darken(0.25, 3)");
    const auto transform = ParseTransform(item.Scalar());
    if (!transform.ok()) return Invalid(item, transform.status().message());
    if (!transform->text.empty()) test.transforms.push_back(*transform);
  }
  if (test.transforms.size() > kMaxTransforms) {
    return Invalid(node["transform"],
                   "at most " + std::to_string(kMaxTransforms) + " transforms in one test");
  }
  if (test.transforms.size() > 1 && test.metric != Metric::kFlipRate) {
    return Invalid(node["transform"], "several transforms go with the metric flip_rate alone");
  }
  return Status();
}

Result<std::vector<DataTest>> Reader::ReadBound(const YAML::Node& node, DataTest test) const {
  BF_TRY(CheckKeys(node, "a test", KeysOf(Kind::kBound), kKindKeys));
  test.slice = BF_TRY(SliceOf(node));
  BF_TRY(ReadMetric(node, test));
  BF_TRY(ReadLimit(node, test));
  BF_TRY(ReadTransforms(node, test));
  if (test.metric == Metric::kFlipRate && test.transforms.empty()) {
    return Invalid(node, "test '" + test.id + "' needs 'transform': what may flip the answer");
  }
  if (test.metric == Metric::kSaliencyInBox && !test.transforms.empty()) {
    return Invalid(node["transform"], "saliency_in_box looks at images as they are");
  }
  if (test.metric == Metric::kSaliencyInBox && test.min_n > kMaxExplained) {
    return Invalid(node, "saliency_in_box looks at " + std::to_string(kMaxExplained) +
                             " samples at most, and min_n is " + std::to_string(test.min_n));
  }
  return std::vector{std::move(test)};
}

Result<std::vector<DataTest>> Reader::ReadRegression(const YAML::Node& node, DataTest test) const {
  BF_TRY(CheckKeys(node, "a test against what was shipped", KeysOf(Kind::kRegression)));
  test.kind = Kind::kRegression;
  BF_TRY(Word(node, "vs", {"shipped"}));
  BF_TRY(ReadMetric(node, test));
  if (test.metric != Metric::kAccuracy && test.metric != Metric::kRecall &&
      test.metric != Metric::kFpr && test.metric != Metric::kFnr) {
    return Invalid(node["metric"],
                   "a regression is of accuracy, recall, fpr or fnr: the same "
                   "samples have to count for both models");
  }
  test.side = stats::Side::kAtMost;
  test.limit = BF_TRY(Number(node, "max_loss", 0, 0.5));
  if (node["first_release"]) {
    test.first_release = BF_TRY(Word(node, "first_release", {"true", "false"})) == "true";
  }
  const auto check = [&](const Slice& slice, const YAML::Node& at) {
    return !slice.expression.UsesPrediction()
               ? Status()
               : Invalid(at, "the slice '" + slice.name +
                                 "' depends on the prediction: it does not hold the same samples "
                                 "for both models");
  };
  if (!node["foreach"]) {
    test.slice = BF_TRY(SliceOf(node));
    BF_TRY(check(suite_.slices[test.slice], node["slice"]));
    return std::vector{std::move(test)};
  }
  BF_TRY(Word(node, "foreach", {"slices"}));
  if (node["slice"]) return Invalid(node["slice"], "either 'slice' or 'foreach'");
  std::vector<DataTest> tests(suite_.slices.size(), test);
  for (size_t i = 0; i < tests.size(); ++i) {
    BF_TRY(check(suite_.slices[i], node["foreach"]));
    tests[i].slice = i;
    tests[i].id += "/" + suite_.slices[i].name;
  }
  return tests;
}

Result<std::vector<DataTest>> Reader::ReadGap(const YAML::Node& node, DataTest test) const {
  BF_TRY(CheckKeys(node, "a test of groups", KeysOf(Kind::kGap)));
  test.kind = Kind::kGap;
  if (node["slice"]) test.slice = BF_TRY(SliceOf(node));
  test.across = BF_TRY(ReadField(node["across"], {"tag", "meta"}));
  BF_TRY(ReadMetric(node, test));
  if (test.metric == Metric::kFlipRate || test.metric == Metric::kSaliencyInBox) {
    return Invalid(node["metric"], "groups are compared by a rate of right or wrong answers");
  }
  BF_TRY(ReadMost(node, "max_gap", test));
  return std::vector{std::move(test)};
}

Result<std::vector<DataTest>> Reader::ReadShortcut(const YAML::Node& node, DataTest test) const {
  BF_TRY(CheckKeys(node, "a scan", KeysOf(Kind::kShortcut)));
  test.kind = Kind::kShortcut;
  BF_TRY(Word(node, "scan", {"shortcut"}));
  if (node["slice"]) test.slice = BF_TRY(SliceOf(node));
  if (test.positive.empty()) {
    return Invalid(node, "test '" + test.id + "' needs 'positive': the class of the shortcut");
  }
  BF_TRY(ReadMost(node, "max_gap", test));
  std::vector<DataTest> tests;
  for (const YAML::Node& item : BF_TRY(List(node, "on"))) {
    tests.push_back(test);
    tests.back().attribute = BF_TRY(ReadField(item, {"attr"}));
    tests.back().id += "/" + tests.back().attribute.text.substr(5);
  }
  return tests;
}

Result<std::vector<DataTest>> Reader::ReadFits(const YAML::Node& node, DataTest test) const {
  BF_TRY(CheckKeys(node, "a test of firmware", KeysOf(Kind::kFits)));
  test.kind = Kind::kFits;
  test.side = stats::Side::kAtMost;
  if (!node["on"]) return Invalid(node, "'on' is missing");
  const std::vector<YAML::Node> cores = BF_TRY(List(node, "on"));
  if (cores.size() > 1) return Invalid(node["on"], "'fits' is on one core: write a test for each");
  test.core = BF_TRY(ReadCore(cores[0]));
  const Names figures(std::begin(kFigureNames), std::end(kFigureNames));
  BF_TRY(CheckKeys(node["fits"], "fits", figures));
  std::vector<DataTest> tests;
  for (size_t i = 0; i < figures.size(); ++i) {
    if (!node["fits"][figures[i]]) continue;
    tests.push_back(test);
    tests.back().figure = static_cast<Figure>(i);
    tests.back().limit = static_cast<double>(BF_TRY(Whole(node["fits"], figures[i].c_str(), 1)));
    tests.back().id += "/" + figures[i];
  }
  if (tests.empty()) return Invalid(node["fits"], "'fits' names at least one figure");
  return tests;
}

Result<std::vector<DataTest>> Reader::ReadSameBits(const YAML::Node& node, DataTest test) const {
  BF_TRY(CheckKeys(node, "a test of equal outputs", KeysOf(Kind::kSameBits)));
  test.kind = Kind::kSameBits;
  std::vector<DataTest> tests;
  for (const YAML::Node& item : BF_TRY(List(node, "equal_on"))) {
    tests.push_back(test);
    tests.back().core = BF_TRY(ReadCore(item));
    tests.back().id += "/" + item.Scalar();
  }
  return tests;
}

Result<std::vector<DataTest>> Reader::ReadTest(const YAML::Node& node) const {
  if (!node.IsMap()) return Invalid(node, "a test is a mapping, like { key: value }");
  DataTest test = defaults_;
  test.id = BF_TRY(Text(node, "id"));
  test.line = static_cast<int>(At(node.Mark()).line);
  if (test.id.find('/') != std::string::npos) return Invalid(node["id"], "an id has no '/'");
  BF_TRY(ReadShared(node, test));
  if (node["fits"]) return ReadFits(node, std::move(test));
  if (node["equal_on"]) return ReadSameBits(node, std::move(test));
  if (node["scan"]) return ReadShortcut(node, std::move(test));
  if (node["across"]) return ReadGap(node, std::move(test));
  if (node["vs"]) return ReadRegression(node, std::move(test));
  return ReadBound(node, std::move(test));
}

Status Reader::ReadTests(const YAML::Node& tests) {
  std::set<std::string> entries;
  for (const auto& node : tests) {
    for (DataTest& test : BF_TRY(ReadTest(node))) {
      const bool twice = entries.contains(node["id"].Scalar());
      if (twice || std::any_of(suite_.tests.begin(), suite_.tests.end(),
                               [&](const DataTest& other) { return other.id == test.id; })) {
        return Invalid(node["id"],
                       "two tests have the id '" + (twice ? node["id"].Scalar() : test.id) + "'");
      }
      suite_.tests.push_back(std::move(test));
    }
    entries.insert(node["id"].Scalar());
    if (suite_.tests.size() > kMaxSuiteTests) {
      return Invalid(node, "more than " + std::to_string(kMaxSuiteTests) + " tests");
    }
  }
  if (std::none_of(suite_.tests.begin(), suite_.tests.end(),
                   [](const DataTest& test) { return test.blocks; })) {
    return Invalid(tests, "no test has severity block: every model would pass");
  }
  return Status();
}

Status Reader::ReadWaivers(const YAML::Node& waivers) {
  if (!waivers) return Status();
  if (!waivers.IsSequence()) return Invalid(waivers, "'waivers' is a list");
  std::set<std::string> ids;
  for (const DataTest& test : suite_.tests) {
    ids.insert(test.id);
    ids.insert(test.id.substr(0, test.id.find('/')));
  }
  const Names known(ids.begin(), ids.end());
  for (const auto& node : waivers) {
    BF_TRY(CheckKeys(node, "a waiver", KeysOf<v1::SuiteSpec::Waiver>()));
    Waiver waiver;
    waiver.test = BF_TRY(Word(node, "test", known));
    if (std::ranges::count(suite_.waivers, waiver.test, &Waiver::test) > 0) {
      return Invalid(node["test"], "a second waiver of '" + waiver.test + "'");
    }
    waiver.until = BF_TRY(Text(node, "until"));
    waiver.by = BF_TRY(Text(node, "by"));
    waiver.reason = BF_TRY(Text(node, "reason"));
    if (!IsDate(waiver.until)) {
      return Invalid(node["until"],
                     "'until' is a day, like 2026-12-01, not '" + waiver.until + "'");
    }
    suite_.waivers.push_back(std::move(waiver));
  }
  return Status();
}

Result<Suite> Reader::Run() {
  const std::vector<YAML::Node> documents = YAML::LoadAll(yaml_);
  const YAML::Node root = documents.empty() ? YAML::Node() : documents[0];
  if (documents.size() > 1) {
    return Invalid(documents[1], "another document begins: a suite is one, without '---' in it");
  }
  BF_TRY(CheckKeys(root, "a suite", KeysOf<v1::SuiteSpec>()));
  suite_.name = BF_TRY(Text(root, "suite"));
  constexpr const char* kBlanks = " \t\r\n";
  if (suite_.name.find_first_of(kBlanks) == 0 ||
      suite_.name.find_last_of(kBlanks) + 1 == suite_.name.size()) {
    return Invalid(root["suite"], "the suite's name begins or ends with a blank");
  }
  suite_.version = BF_TRY(Whole(root, "version", 1));
  if (root["defaults"]) BF_TRY(ReadDefaults(root["defaults"]));
  BF_TRY(ReadSlices(root["slices"]));
  const YAML::Node tests = root["tests"];
  if (!tests || !tests.IsSequence() || tests.size() == 0) {
    return Invalid(tests ? tests : root, "'tests' is a list of at least one test");
  }
  BF_TRY(ReadTests(tests));
  BF_TRY(ReadWaivers(root["waivers"]));
  return std::move(suite_);
}

}  // namespace

const char* ToString(Metric metric) { return kMetricNames[static_cast<size_t>(metric)]; }
const char* ToString(Figure figure) { return kFigureNames[static_cast<size_t>(figure)]; }

bool Suite::NeedsBaseline() const {
  return std::any_of(tests.begin(), tests.end(),
                     [](const DataTest& test) { return test.kind == Kind::kRegression; });
}

Result<Suite> ParseSuite(const std::string& yaml, const std::string& file) {
  Reader reader(yaml, file);
  if (yaml.size() > kMaxSuiteBytes) {
    return reader.Invalid(YAML::Mark(),
                          "longer than " + std::to_string(kMaxSuiteBytes >> 10) + " KiB");
  }
  try {
    return reader.Run();
  } catch (const YAML::Exception& e) {
    return reader.Invalid(e.mark, "not YAML: " + e.msg);
  }
}

}  // namespace bitfoundry::verdicts
