#include "verdicts/judge.h"

#include <gtest/gtest.h>

#include <string>

#include "base/digest.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::verdicts {
namespace {

// `right` of `n` samples of each group predicted as labelled; groups are told apart by tag.group.
class JudgeTest : public ::testing::Test {
 protected:
  JudgeTest() {
    data_.classes = {"no_person", "person"};
    predictions_[""] = {};
  }

  void Add(const std::string& group, int label, int n, int right) {
    for (int i = 0; i < n; ++i) {
      snapshot::Row row;
      row.name = Sha256(group + std::to_string(label) + "/" + std::to_string(i));
      row.part = snapshot::Part::kTest;
      row.class_index = label;
      row.posterior = 1;
      row.tags["group"] = group;
      data_.rows.push_back(row);
      predictions_[""].push_back(static_cast<size_t>(i < right ? label : 1 - label));
    }
  }

  std::vector<Judged> Run(const std::string& slices, const std::string& tests) {
    const auto suite =
        ParseSuite("suite: s\nversion: 1\ndefaults: { positive: person }\nslices:\n" + slices +
                       "tests:\n" + tests,
                   "suite.yaml");
    EXPECT_THAT(suite, testing::IsOk());
    if (!suite.ok()) return {};
    return Judge(*suite, {.data = data_, .rows = TestRows(data_), .predictions = predictions_},
                 {"2026-01-01", [](const std::string&) { return 0; }});
  }
  v1::TestResult One(const std::string& test, const std::string& slices = "  x: 'true'\n") {
    return Run(slices, "  - " + test + "\n")[0].result;
  }

  snapshot::Snapshot data_;
  std::map<std::string, std::vector<size_t>> predictions_;
};

TEST_F(JudgeTest, CountsEachMetricAsItIsDefined) {
  Add("a", 1, 100, 90);   // 90 true positives, 10 false negatives
  Add("b", 0, 200, 195);  // 195 true negatives, 5 false positives
  const auto count = [&](const std::string& metric) {
    const auto result = One("{ id: t, slice: all, metric: " + metric + ", at_least: 0.5 }");
    return std::to_string(result.successes()) + "/" + std::to_string(result.n());
  };
  EXPECT_EQ(count("accuracy"), "285/300");
  EXPECT_EQ(count("recall"), "90/100");
  EXPECT_EQ(count("fnr"), "10/100");
  EXPECT_EQ(count("precision"), "90/95");
  EXPECT_EQ(count("fpr"), "5/200");
}

TEST_F(JudgeTest, PassesOnlyWhenTheBoundClears) {
  Add("a", 1, 59, 59);
  EXPECT_EQ(One("{ id: t, slice: all, metric: recall, at_least: 0.95 }").outcome(), v1::PASS);
  EXPECT_EQ(One("{ id: t, slice: all, metric: fnr, at_most: 0.05 }").outcome(), v1::PASS);
  EXPECT_EQ(One("{ id: t, slice: all, metric: recall, at_least: 0.96 }").outcome(),
            v1::INCONCLUSIVE);
}

TEST_F(JudgeTest, FailsOnlyWhenTheOppositeBoundShowsIt) {
  Add("a", 1, 200, 170);
  EXPECT_EQ(One("{ id: t, slice: all, metric: recall, at_least: 0.95 }").outcome(), v1::FAIL);
  EXPECT_EQ(One("{ id: t, slice: all, metric: recall, at_least: 0.88 }").outcome(),
            v1::INCONCLUSIVE);
}

TEST_F(JudgeTest, SaysHowManyLabelsWouldSettleAnOpenTest) {
  Add("a", 1, 20, 20);
  const auto open = One("{ id: t, slice: all, metric: recall, at_least: 0.95 }");
  EXPECT_EQ(open.labels_needed(), 39);
  EXPECT_EQ(open.reason(),
            "at the observed rate, 39 more samples labelled 'person' would settle it");
  EXPECT_NEAR(open.lower(), 0.8609, 1e-4);
}

TEST_F(JudgeTest, IsClosedOnTooFewSamplesAndAnEmptySlice) {
  Add("a", 1, 40, 40);
  const auto few = One("{ id: t, slice: all, metric: recall, at_least: 0.5, min_n: 41 }");
  EXPECT_EQ(few.outcome(), v1::ERROR);
  EXPECT_EQ(few.reason(),
            "only 40 samples labelled 'person', among 40 rows in the slice (0 more could not be "
            "decided); at least 41 are wanted");
  const std::string nobody = "  x: tag.group == 'z'\n";
  EXPECT_EQ(One("{ id: t, slice: x, metric: recall, at_least: 0.5 }", nobody).outcome(), v1::ERROR);
}

TEST_F(JudgeTest, IsClosedOnANameThatNoSampleHas) {
  Add("a", 1, 40, 40);
  const auto result =
      One("{ id: t, slice: x, metric: recall, at_least: 0.5 }", "  x: '!(attr.height < 3)'\n");
  EXPECT_EQ(result.outcome(), v1::ERROR);
  EXPECT_EQ(result.reason(),
            "suite.yaml:5:9: no sample has the attribute 'height'; none is known here");
}

TEST_F(JudgeTest, LeavesRowsOfUnknownMembershipOutAndCountsThem) {
  Add("a", 1, 40, 40);
  Add("b", 1, 40, 0);
  for (size_t i = 0; i < 50; ++i) data_.rows[i].attributes["height"] = i < 40 ? 10 : 90;
  const auto result =
      One("{ id: t, slice: x, metric: recall, at_least: 0.5 }", "  x: attr.height < 50\n");
  EXPECT_EQ(result.n(), 40);
  EXPECT_EQ(result.unknown_rows(), 30);
  EXPECT_EQ(result.outcome(), v1::PASS);
}

TEST_F(JudgeTest, SeesNothingOfTheTrainPart) {
  Add("a", 1, 40, 40);
  Add("b", 1, 40, 0);
  for (size_t i = 40; i < 80; ++i) data_.rows[i].part = snapshot::Part::kTrain;
  predictions_[""].resize(40);
  EXPECT_EQ(One("{ id: t, slice: all, metric: recall, at_least: 0.5 }").n(), 40);
}

TEST_F(JudgeTest, NamesTheRowsOfASliceByDigestSoThatARetaggedImageShows) {
  Add("a", 1, 40, 40);
  const std::string test = "{ id: t, slice: x, metric: recall, at_least: 0.5 }";
  const std::string slice = "  x: tag.group == 'a'\n";
  const std::string before = One(test, slice).rows_digest();
  EXPECT_EQ(One(test, slice).rows_digest(), before);
  data_.rows[7].tags["group"] = "b";
  EXPECT_NE(One(test, slice).rows_digest(), before);
}

TEST_F(JudgeTest, UsesThePredictionsOfTheTestsTransform) {
  Add("a", 1, 40, 40);
  predictions_["darken(0.2,3)"] = std::vector<size_t>(40, 0);
  const std::string test = "{ id: t, slice: all, metric: recall, at_least: 0.5, transform: ";
  EXPECT_EQ(One(test + "none }").outcome(), v1::PASS);
  EXPECT_EQ(One(test + "'darken(0.2, 3)' }").outcome(), v1::FAIL);
}

TEST_F(JudgeTest, AddsUpOnlyWhatBlocksAndTheWorstFirst) {
  Add("a", 1, 100, 100);
  Add("b", 0, 100, 60);
  const std::string pass = "  - { id: p, slice: all, metric: recall, at_least: 0.9 }\n";
  const std::string fail = "  - { id: f, slice: all, metric: fpr, at_most: 0.1 }\n";
  const std::string open = "  - { id: o, slice: all, metric: fpr, at_most: 0.41 }\n";
  const std::string error = "  - { id: e, slice: all, metric: fpr, at_most: 0.4, min_n: 101 }\n";
  const auto overall = [&](const std::string& tests) {
    return Overall(Run("  x: 'true'\n", tests));
  };
  EXPECT_EQ(overall(pass), v1::PASS);
  EXPECT_EQ(overall(pass + open), v1::INCONCLUSIVE);
  EXPECT_EQ(overall(pass + open + fail), v1::FAIL);
  EXPECT_EQ(overall(fail + error + pass), v1::ERROR);
  const std::string warned =
      "  - { id: w, slice: all, metric: fpr, at_most: 0.1, severity: warn }\n";
  EXPECT_EQ(overall(pass + warned), v1::PASS);
}

}  // namespace
}  // namespace bitfoundry::verdicts
