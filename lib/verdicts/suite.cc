#include "verdicts/suite.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "slices/nearest.h"

namespace bitfoundry::verdicts {
namespace {

constexpr const char* kMetricNames[] = {"accuracy", "recall", "precision", "fpr", "fnr"};

using Names = std::vector<std::string>;

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

  Status CheckKeys(const YAML::Node& map, const std::string& what, const Names& known) const;
  Result<std::string> Text(const YAML::Node& map, const char* key) const;
  Result<double> Number(const YAML::Node& map, const char* key, double least, double most) const;
  Result<int64_t> Whole(const YAML::Node& map, const char* key, int64_t least) const;
  Result<std::string> Word(const YAML::Node& map, const char* key, const Names& known) const;
  slices::Origin TextAt(const YAML::Node& scalar) const;

  Status ReadDefaults(const YAML::Node& defaults);
  Status ReadSlices(const YAML::Node& slices);
  Result<DataTest> ReadTest(const YAML::Node& node) const;
  Status ReadLimit(const YAML::Node& node, DataTest& test) const;
  Status ReadShared(const YAML::Node& node, DataTest& test) const;

  const std::string& yaml_;
  const std::string file_;
  Suite suite_;
  DataTest defaults_;  // what a test has that does not say otherwise
};

Status Reader::CheckKeys(const YAML::Node& map, const std::string& what, const Names& known) const {
  if (!map.IsMap()) return Invalid(map, what + " is a mapping, like { key: value }");
  std::set<std::string> seen;
  for (const auto& entry : map) {
    if (!entry.first.IsScalar()) return Invalid(entry.first, "a key is a plain word");
    const std::string& key = entry.first.Scalar();
    if (!Contains(known, key)) {
      // { transform: darken(0.25, 3) } is a key "3)": YAML ended the value at the comma.
      const bool cut = key.ends_with(")");
      return Invalid(entry.first, "unknown key '" + key + "' in " + what +
                                      (cut ? "; inside { } a comma ends a text: quote the text"
                                           : slices::Suggest(key, known)));
    }
    if (!seen.insert(key).second) return Invalid(entry.first, "'" + key + "' is there twice");
  }
  return Status();
}

Result<std::string> Reader::Text(const YAML::Node& map, const char* key) const {
  const YAML::Node value = map[key];
  if (!value) return Invalid(map, std::string("'") + key + "' is missing");
  if (!value.IsScalar() || value.Scalar().empty()) {
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
  BF_TRY(CheckKeys(defaults, "defaults", {"alpha", "positive", "min_n", "severity"}));
  if (defaults["alpha"]) suite_.alpha = BF_TRY(Number(defaults, "alpha", 0.0001, 0.5));
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
  test.side = at_least ? stats::Side::kAtLeast : stats::Side::kAtMost;
  test.limit = BF_TRY(Number(node, key, 0, 1));
  if (test.limit == 0 || test.limit == 1) {
    const bool vacuous = at_least == (test.limit == 0);
    return Invalid(node[key], vacuous ? "this holds for every model: it tests nothing"
                                      : "no number of samples can prove this: take a bound "
                                        "strictly between 0 and 1");
  }
  return Status();
}

Result<DataTest> Reader::ReadTest(const YAML::Node& node) const {
  BF_TRY(CheckKeys(node, "a test",
                   {"id", "slice", "metric", "positive", "at_least", "at_most", "min_n",
                    "transform", "severity"}));
  DataTest test = defaults_;
  test.id = BF_TRY(Text(node, "id"));
  for (const DataTest& other : suite_.tests) {
    if (other.id == test.id) return Invalid(node["id"], "two tests have the id '" + test.id + "'");
  }

  Names known;
  for (const Slice& slice : suite_.slices) known.push_back(slice.name);
  const std::string slice = BF_TRY(Word(node, "slice", known));
  test.slice = static_cast<size_t>(std::find(known.begin(), known.end(), slice) - known.begin());

  const Names metrics(std::begin(kMetricNames), std::end(kMetricNames));
  const std::string metric = BF_TRY(Word(node, "metric", metrics));
  test.metric =
      static_cast<Metric>(std::find(metrics.begin(), metrics.end(), metric) - metrics.begin());

  BF_TRY(ReadLimit(node, test));
  BF_TRY(ReadShared(node, test));
  if (test.metric == Metric::kAccuracy) {
    test.positive.clear();
  } else if (test.positive.empty()) {
    return Invalid(
        node, "test '" + test.id + "' needs 'positive': the class that " + metric + " is about");
  }
  if (node["transform"]) {
    const std::string text = BF_TRY(Text(node, "transform"));
    const auto transform = ParseTransform(text);
    if (!transform.ok()) return Invalid(node["transform"], transform.status().message());
    test.transform = *transform;
  }
  return test;
}

Result<Suite> Reader::Run() {
  const YAML::Node root = YAML::Load(yaml_);
  BF_TRY(CheckKeys(root, "a suite", {"suite", "version", "defaults", "slices", "tests"}));
  suite_.name = BF_TRY(Text(root, "suite"));
  suite_.version = BF_TRY(Whole(root, "version", 1));
  if (root["defaults"]) BF_TRY(ReadDefaults(root["defaults"]));
  BF_TRY(ReadSlices(root["slices"]));

  const YAML::Node tests = root["tests"];
  if (!tests || !tests.IsSequence() || tests.size() == 0) {
    return Invalid(tests ? tests : root, "'tests' is a list of at least one test");
  }
  if (tests.size() > kMaxSuiteTests) {
    return Invalid(tests, "more than " + std::to_string(kMaxSuiteTests) + " tests");
  }
  for (const auto& node : tests) {
    DataTest test = BF_TRY(ReadTest(node));
    suite_.tests.push_back(std::move(test));
  }
  if (std::none_of(suite_.tests.begin(), suite_.tests.end(),
                   [](const DataTest& test) { return test.blocks; })) {
    return Invalid(tests, "no test has severity block: every model would pass");
  }
  return std::move(suite_);
}

}  // namespace

const char* ToString(Metric metric) { return kMetricNames[static_cast<size_t>(metric)]; }

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

Status CheckNames(const Suite& suite, const slices::Vocabulary& vocabulary) {
  for (const Slice& slice : suite.slices) {
    const Status status = slice.expression.Check(vocabulary);
    if (!status.ok()) return Status(Code::kInvalidArgument, "SUITE_INVALID", status.message());
  }
  for (const DataTest& test : suite.tests) {
    if (test.positive.empty() || Contains(vocabulary.classes, test.positive)) continue;
    return Status(Code::kInvalidArgument, "SUITE_INVALID",
                  test.positive_at.ToString() + ": unknown class '" + test.positive + "'" +
                      slices::Suggest(test.positive, vocabulary.classes));
  }
  return Status();
}

}  // namespace bitfoundry::verdicts
