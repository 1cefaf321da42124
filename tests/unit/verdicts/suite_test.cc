#include "verdicts/suite.h"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <numeric>
#include <random>
#include <string>

#include "tests/support/status_matchers.h"

namespace bitfoundry::verdicts {
namespace {

using testing::IsOk;

constexpr char kGood[] = R"(
suite: person
version: 3
defaults: { alpha: 0.05, positive: person, min_n: 30 }
slices:
  far: label == "person" && attr.box_height_px < 60
  empty: 'label == "no_person"'
tests:
  - { id: everything, slice: all, metric: accuracy, at_least: 0.9 }
  - { id: far_found, slice: far, metric: recall, at_least: 0.8, min_n: 50, severity: warn }
  - id: false_alarms
    slice: empty
    metric: fpr
    at_most: 0.05
    transform: darken(0.25, 3)
)";

std::string ErrorOf(const std::string& yaml) {
  const auto suite = ParseSuite(yaml, "suite.yaml");
  EXPECT_FALSE(suite.ok()) << yaml;
  if (suite.ok()) return "";
  EXPECT_EQ(suite.status().reason(), "SUITE_INVALID");
  return suite.status().message();
}

// The good suite with one piece replaced.
std::string With(const std::string& piece, const std::string& by) {
  std::string yaml = kGood;
  const size_t at = yaml.find(piece);
  EXPECT_NE(at, std::string::npos) << piece;
  return yaml.replace(at, piece.size(), by);
}

TEST(Suite, ReadsWhatItSays) {
  const auto suite = ParseSuite(kGood, "suite.yaml");
  ASSERT_THAT(suite, IsOk());
  EXPECT_EQ(suite->name, "person");
  EXPECT_EQ(suite->version, 3);
  ASSERT_EQ(suite->slices.size(), 3U);
  EXPECT_EQ(suite->slices[0].name, "all");
  EXPECT_EQ(suite->slices[1].name, "far");
  ASSERT_EQ(suite->tests.size(), 3U);
  const DataTest& far = suite->tests[1];
  EXPECT_EQ(far.metric, Metric::kRecall);
  EXPECT_EQ(far.positive, "person");
  EXPECT_EQ(far.min_n, 50);
  EXPECT_FALSE(far.blocks);
  const DataTest& alarms = suite->tests[2];
  EXPECT_EQ(alarms.side, stats::Side::kAtMost);
  EXPECT_EQ(alarms.limit, 0.05);
  EXPECT_EQ(alarms.min_n, 30);
  EXPECT_EQ(alarms.view(), "darken(0.25,3)");
  EXPECT_TRUE(alarms.blocks);
}

TEST(Suite, NamesThePlaceOfAMistakeAndWhatWasMeant) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {With("defaults:", "default:"),
       "suite.yaml:4:1: unknown key 'default' in a suite; did you mean 'defaults'?"},
      {With("severity: warn", "severty: warn"),
       "suite.yaml:10:76: unknown key 'severty' in a test; did you mean 'severity'?"},
      {With("severity: warn", "severity: wran"),
       "suite.yaml:10:86: unknown severity 'wran'; did you mean 'warn'?"},
      {With("metric: recall", "metric: recal"),
       "suite.yaml:10:42: unknown metric 'recal'; did you mean 'recall'?"},
      {With("slice: far,", "slice: fra,"),
       "suite.yaml:10:29: unknown slice 'fra'; did you mean 'far'?"},
      {With("id: far_found", "id: everything"),
       "suite.yaml:10:11: two tests have the id 'everything'"},
      {With("at_most: 0.05", "at_most: 5"), "suite.yaml:14:14: 'at_most' is from 0 to 1, not 5"},
      {With("at_most: 0.05", "at_most: 5%"), "suite.yaml:14:14: 'at_most' is a number, not '5%'"},
      {With("at_least: 0.9 }", "at_least: 1 }"),
       "suite.yaml:9:63: no number of samples can prove this: take a bound strictly between 0 and "
       "1"},
      {With("at_least: 0.9 }", "at_least: 0 }"),
       "suite.yaml:9:63: this holds for every model: it tests nothing"},
      {With("at_least: 0.9 }", "at_least: 0.9, at_most: 0.95 }"),
       "suite.yaml:9:5: test 'everything' needs one of at_least and at_most"},
      {With("label == \"person\" &&", "lable == \"person\" &&"),
       "suite.yaml:6:8: unknown name 'lable'; did you mean 'label'?"},
      {With("'label == \"no_person\"'", "'label = \"no_person\"'"),
       "suite.yaml:7:17: write ==, not a single ="},
      {With("  empty:", "  far:"), "suite.yaml:7:3: the slice 'far' is there twice"},
      {With("  empty:", "  all:"), "suite.yaml:7:3: the slice 'all' is built in: every row"},
      {With("darken(0.25, 3)", "darken(4, 3)"),
       "suite.yaml:15:16: the gain of darken is above 0 and at most 1"},
      {With("darken(0.25, 3)", "darkn(0.2, 3)"),
       "suite.yaml:15:16: unknown transform 'darkn'; did you mean 'darken'?"},
      {With("darken(0.25, 3)", "darken(0.25, 3) 4"),
       "suite.yaml:15:16: 'darken(0.25, 3) 4' is not a transform; did you mean 'darken(0.25, 3)'?"},
      {With("darken(0.25, 3)", '"' + std::string(240'000, ' ') + "x\""),
       "suite.yaml:15:16: a transform has at most 200 characters"},
      {With("severity: warn }", "transform: darken(0.25, 3) }"),
       "suite.yaml:10:100: unknown key '3)' in a test; inside { } a comma ends a text: quote the "
       "text"},
      {With("positive: person, ", ""),
       "suite.yaml:10:5: test 'far_found' needs 'positive': the class that recall is about"},
      {With("min_n: 30", "min_n: 0"),
       "suite.yaml:4:51: 'min_n' is a whole number of at least 1, not '0'"},
      {With("alpha: 0.05", "alpha: 0.95"),
       "suite.yaml:4:20: 'alpha' is from 0.001 to 0.25, not 0.95"},
      {With("min_n: 30 }", "min_n: 30, severity: warn }"),
       "suite.yaml:9:3: no test has severity block: every model would pass"},
      {With("version: 3", "version: [3"),
       "suite.yaml:4:9: not YAML: end of sequence flow not found"},
      {"", "suite.yaml:1:1: a suite is a mapping, like { key: value }"},
      {"suite: x\nversion: 1\n", "suite.yaml:1:1: 'tests' is a list of at least one test"},
      {std::string(300 << 10, ' '), "suite.yaml:1:1: longer than 256 KiB"},
  };
  for (const auto& [yaml, message] : cases) EXPECT_EQ(ErrorOf(yaml), message) << yaml;
}

TEST(Suite, IsCheckedAgainstTheNamesOfTheData) {
  const auto suite = ParseSuite(kGood, "suite.yaml");
  ASSERT_THAT(suite, IsOk());
  EXPECT_THAT(CheckNames(*suite, {{"no_person", "person"}, {}, {"box_height_px"}, {}}), IsOk());
  EXPECT_EQ(CheckNames(*suite, {{"no_person", "person"}, {}, {"box_height"}, {}}).message(),
            "suite.yaml:6:29: no sample has the attribute 'box_height_px'; did you mean "
            "'box_height'?");
  EXPECT_EQ(CheckNames(*suite, {{"no_person", "persons"}, {}, {"box_height_px"}, {}}).message(),
            "suite.yaml:6:8: no sample has the class 'person'; did you mean 'persons'?");
}

TEST(Suite, OfTheDemoFitsTheNamesThatItsDataHas) {
  std::ifstream file(BF_SOURCE_DIR "/scripts/demo_suite.yaml");
  const std::string yaml((std::istreambuf_iterator<char>(file)), {});
  const auto suite = ParseSuite(yaml, "demo_suite.yaml");
  ASSERT_THAT(suite, IsOk());
  EXPECT_THAT(CheckNames(*suite, {{"no_person", "person"},
                                  {"distractor", "motion"},
                                  {"box_height_px"},
                                  {"camera", "session"}}),
              IsOk());
}

// Outside text: whatever it is, it is read or refused with a place.
TEST(Suite, SurvivesAnyText) {
  std::mt19937 random(11);
  const std::string pieces = "{}[]:,-'\"|>&*!#%@ \n\tax0.=";
  int read = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string yaml = kGood;
    for (int slips = 0; slips < 1 + round % 4; ++slips) {
      yaml[random() % yaml.size()] = pieces[random() % pieces.size()];
    }
    const auto suite = ParseSuite(yaml, "suite.yaml");
    read += suite.ok() ? 1 : 0;
    if (!suite.ok()) {
      ASSERT_EQ(suite.status().message().rfind("suite.yaml:", 0), 0U);
    }
  }
  EXPECT_GT(read, 100);
  EXPECT_LT(read, 2900);
  ErrorOf(std::string(100'000, '['));
  ErrorOf(std::string(100'000, '!'));
  ErrorOf("suite: &a [*a, *a]");
}

TEST(Transform, DarkensByTheGainAndAddsNoiseOfTheStatedSize) {
  const auto transform = ParseTransform("darken(0.5, 4)");
  ASSERT_THAT(transform, IsOk());
  const std::vector<uint8_t> image(64 * 64, 100);
  const auto dark = Apply(*transform, "name", image);
  const double mean = std::accumulate(dark.begin(), dark.end(), 0.0) / 4096;
  double squares = 0;
  for (const uint8_t value : dark) squares += (value - mean) * (value - mean);
  EXPECT_NEAR(mean, 50, 0.3);
  EXPECT_NEAR(std::sqrt(squares / 4096), 4, 0.2);
}

TEST(Transform, IsTheSameForTheSameSampleAndAnotherForAnother) {
  const auto transform = ParseTransform("darken(0.5,4)");
  const std::vector<uint8_t> image(64, 100);
  EXPECT_EQ(Apply(*transform, "a", image), Apply(*transform, "a", image));
  EXPECT_NE(Apply(*transform, "a", image), Apply(*transform, "b", image));
  EXPECT_EQ(Apply(*ParseTransform("none"), "a", image), image);
}

// Frozen bits: a verdict on darkened images replays only if these never change.
TEST(Transform, GivesTheBitsThatItAlwaysGave) {
  const std::vector<uint8_t> image = {0, 10, 100, 200, 255, 255, 0, 128};
  EXPECT_EQ(Apply(*ParseTransform("darken(0.25,3)"), "sample", image),
            (std::vector<uint8_t>{0, 4, 25, 50, 66, 60, 0, 34}));
}

}  // namespace
}  // namespace bitfoundry::verdicts
