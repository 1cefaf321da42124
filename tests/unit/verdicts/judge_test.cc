// How tests make a verdict.
#include "tests/unit/verdicts/judge_test.h"

#include "stats/proportion.h"

namespace bitfoundry::verdicts {
namespace {

TEST_F(JudgeTest, CountsEachMetricAsItIsDefined) {
  Add("a", 1, 100, 90);   // 90 true positives, 10 false negatives
  Add("b", 0, 200, 195);  // 195 true negatives, 5 false positives
  const auto count = [&](const std::string& metric, const std::string& limit = "at_least") {
    const auto result = One("{ id: t, slice: all, metric: " + metric + ", " + limit + ": 0.5 }");
    return std::to_string(result.successes()) + "/" + std::to_string(result.n());
  };
  EXPECT_EQ(count("accuracy"), "285/300");
  EXPECT_EQ(count("recall"), "90/100");
  EXPECT_EQ(count("fnr", "at_most"), "10/100");
  EXPECT_EQ(count("precision"), "90/95");
  EXPECT_EQ(count("fpr", "at_most"), "5/200");
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

// ---- What labels and rows allow

TEST_F(JudgeTest, RefusesALimitBeyondTheLabelsOwnError) {
  Add("a", 1, 400, 400);
  Add("a", 0, 600, 600);
  for (size_t i = 0; i < 400; ++i) data_.rows[i].posterior = 0.97;
  for (size_t i = 400; i < 1000; ++i) data_.rows[i].posterior = 0.99;
  const auto ceiling = [&](const std::string& asks) {
    return One("{ id: t, slice: all, metric: " + asks + " }").ceiling();
  };
  EXPECT_NEAR(ceiling("recall, at_least: 0.9"), 0.97, 1e-12);
  EXPECT_NEAR(ceiling("fnr, at_most: 0.1"), 0.03, 1e-12);
  EXPECT_NEAR(ceiling("fpr, at_most: 0.1"), 0.01, 1e-12);
  EXPECT_NEAR(ceiling("accuracy, at_least: 0.9"), 1 - (12 + 6) / 1000.0, 1e-12);
  // Of the 388 + 6 rows that are positive in truth, 6 are labelled other.
  EXPECT_NEAR(ceiling("precision, at_least: 0.9"), 388.0 / 394, 1e-12);

  const auto beyond = One("{ id: t, slice: all, metric: recall, at_least: 0.98 }");
  EXPECT_EQ(beyond.outcome(), v1::ERROR);
  EXPECT_EQ(beyond.reason(),
            "the limit is beyond 97.0 %, which is all that a perfect model reaches while 3.0 % of "
            "these labels are expected to be wrong: ask for more opinions on them, or for less");
  EXPECT_EQ(One("{ id: t, slice: all, metric: fpr, at_most: 0.005 }").outcome(), v1::ERROR);
  EXPECT_EQ(One("{ id: t, slice: all, metric: recall, at_least: 0.96 }").outcome(), v1::PASS);
}

TEST_F(JudgeTest, RefusesRowsThatWereJudgedTooOften) {
  Add("a", 1, 100, 100);
  defaults_ = ", max_evaluations: 3";
  const std::string test = "{ id: t, slice: all, metric: recall, at_least: 0.9 }";
  evaluations_ = 2;
  EXPECT_EQ(One(test).outcome(), v1::PASS);
  EXPECT_EQ(One(test).evaluations(), 3);
  evaluations_ = 3;
  EXPECT_EQ(One(test).outcome(), v1::ERROR);
  EXPECT_EQ(One(test).reason(),
            "these rows were judged 3 times before, and max_evaluations is 3: label others");
}

TEST_F(JudgeTest, NamesRowsByTheDigestOfTheirSortedNames) {
  Add("a", 1, 3, 3);
  std::vector<std::string> names;
  for (const auto& row : data_.rows) names.push_back(row.name);
  std::sort(names.begin(), names.end());
  EXPECT_EQ(One("{ id: t, slice: all, metric: recall, at_least: 0.5 }").rows_digest(),
            Sha256(names[0] + "\n" + names[1] + "\n" + names[2] + "\n"));
}

// ---- Waivers

TEST_F(JudgeTest, WaivesUntilADayAndNeverAnError) {
  Add("a", 1, 100, 100);
  Add("b", 0, 100, 60);
  const std::string tests =
      "  - { id: p, slice: all, metric: recall, at_least: 0.9 }\n"
      "  - { id: f, slice: all, metric: fpr, at_most: 0.1 }\n";
  const std::string waiver =
      "waivers:\n  - { test: f, until: 2026-01-31, by: A. Person, reason: known }\n";
  date_ = "2026-01-31";
  const auto waived = Run("  x: 'true'\n", tests + waiver);
  EXPECT_EQ(waived[1].result.outcome(), v1::FAIL);  // it is still said
  EXPECT_EQ(waived[1].result.waived_by(), "A. Person");
  EXPECT_EQ(waived[1].result.waived_until(), "2026-01-31");
  EXPECT_EQ(waived[1].result.waiver_reason(), "known");
  EXPECT_EQ(waived[0].result.waived_by(), "");
  EXPECT_EQ(Overall(waived), v1::PASS);

  date_ = "2026-02-01";
  const auto ended = Run("  x: 'true'\n", tests + waiver);
  EXPECT_EQ(Overall(ended), v1::FAIL);
  EXPECT_EQ(ended[1].result.reason(), "the waiver by A. Person ended after 2026-01-31");

  date_ = "2026-01-01";
  const std::string error = "  - { id: f, slice: all, metric: fpr, at_most: 0.1, min_n: 101 }\n";
  const auto refused =
      Run("  x: 'true'\n",
          "  - { id: p, slice: all, metric: recall, at_least: 0.9 }\n" + error + waiver);
  EXPECT_EQ(Overall(refused), v1::ERROR);
  EXPECT_EQ(refused[1].result.waived_by(), "");
  // What is waived proves nothing: with nothing else that blocks, nothing was shown.
  EXPECT_EQ(Overall(Run("  x: 'true'\n",
                        "  - { id: f, slice: all, metric: fpr, at_most: 0.1 }\n" + waiver)),
            v1::ERROR);
}

TEST_F(JudgeTest, WaivesAllTestsOfAnEntryOrOne) {
  Add("a", 1, 100, 90);
  baseline_ = std::vector<size_t>(100, 1);
  const std::string tests =
      "  - { id: n, foreach: slices, vs: shipped, metric: accuracy, max_loss: 0 }\n";
  const auto by = [&](const std::string& test) {
    const auto judged = Run("  x: 'true'\n", tests + "waivers: [{ test: " + test +
                                                 ", until: 2026-01-31, by: A, reason: b }]\n");
    return judged[0].result.waived_by() + "," + judged[1].result.waived_by();
  };
  EXPECT_EQ(by("n"), "A,A");
  EXPECT_EQ(by("n/x"), ",A");
}

TEST_F(JudgeTest, IsClosedOnASliceThatDecidesTheFigure) {
  Add("a", 1, 200, 100);
  const std::string slices = "  right: label == prediction\n  found: prediction == \"person\"\n";
  for (const char* test :
       {"{ id: t, slice: right, metric: accuracy, at_least: 0.9 }",
        "{ id: t, slice: found, metric: recall, at_least: 0.9 }",
        "{ id: t, slice: found, metric: precision, at_least: 0.5 }",
        "{ id: t, slice: right, across: tag.group, metric: recall, max_gap: 0.2 }",
        "{ id: t, slice: right, scan: shortcut, on: attr.x, max_gap: 0.2 }"}) {
    for (snapshot::Row& row : data_.rows) row.attributes["x"] = 1;
    const auto closed = One(test, slices);
    EXPECT_EQ(closed.outcome(), v1::ERROR) << test;
    EXPECT_EQ(closed.reason(),
              "the slice depends on the prediction, which decides the figure: nothing would be "
              "shown; take a slice that does not");
  }
}

TEST_F(JudgeTest, AModelMayPickWhatAWarningIsAbout) {
  Add("a", 1, 200, 100);
  predictions_["darken(0.5,0)"] = predictions_[""];
  const std::string slices = "  found: prediction == \"person\"\n";
  const std::string test =
      "{ id: t, slice: found, metric: flip_rate, at_most: 0.1, transform: 'darken(0.5,0)'";
  const std::string other = "  - { id: o, slice: all, metric: recall, at_least: 0.1 }\n";
  const auto warning = Run(slices, "  - " + test + ", severity: warn }\n" + other);
  EXPECT_EQ(warning[0].result.outcome(), v1::PASS);
  const auto closed = One(test + " }", slices);
  EXPECT_EQ(closed.outcome(), v1::ERROR);
  EXPECT_EQ(closed.reason(),
            "the slice depends on the prediction: the model would pick what it is judged on; say "
            "severity: warn, or take a slice that does not");
}

TEST_F(JudgeTest, IsClosedOnASliceThatNamesAValueThatNobodyHas) {
  Add("north", 1, 100, 100);
  Add("south", 1, 100, 50);
  const auto closed = One("{ id: t, slice: x, metric: recall, at_least: 0.9 }",
                          "  x: tag.group in [\"north\", \"elsewhere\"]\n");
  EXPECT_EQ(closed.outcome(), v1::ERROR);
  EXPECT_EQ(closed.reason(),
            "suite.yaml:5:6: no sample has 'elsewhere' there; known: north, south");
}

// ---- Many tests

std::string Repeated(int times, const std::string& metric) {
  std::string tests;
  for (int i = 0; i < times; ++i) {
    tests += "  - { id: t" + std::to_string(i) + ", slice: all, metric: " + metric + " }\n";
  }
  return tests;
}

TEST_F(JudgeTest, TakesAnAlarmAmongManyTestsForChance) {
  Add("a", 1, 200, 184);  // p = 0.044 against 0.95
  const std::string alarm = "  - { id: a, slice: all, metric: recall, at_least: 0.95 }\n";
  EXPECT_EQ(Run("  x: 'true'\n", alarm)[0].result.outcome(), v1::FAIL);
  const auto one = Run("  x: 'true'\n", alarm + Repeated(19, "recall, at_least: 0.93"))[0].result;
  EXPECT_EQ(one.outcome(), v1::INCONCLUSIVE);
  const int32_t needed = one.labels_needed();
  EXPECT_EQ(one.reason(),
            "alone this would be an alarm, among 20 tests one like it may be chance; at the "
            "observed rate, " +
                std::to_string(needed) + " more samples labelled 'person' would settle it");
  // At that size it is an alarm whatever the other tests show.
  const auto p_of = [](int64_t n) {
    return stats::TestRate({n, n * 184 / 200}, stats::Side::kAtLeast, 0.95).broken;
  };
  EXPECT_LE(p_of(200 + needed), 0.05 / 20);
  EXPECT_GT(p_of(200 + needed * 8 / 10), 0.05 / 20);
}

TEST_F(JudgeTest, NeedsNoCorrectionToShip) {
  Add("a", 1, 59, 59);  // proves 95 %, and not more
  for (const Judged& test : Run("  x: 'true'\n", Repeated(20, "recall, at_least: 0.95"))) {
    EXPECT_EQ(test.result.outcome(), v1::PASS);
  }
}

TEST_F(JudgeTest, CountsFiguresThatNothingIsLeftToChanceInOutOfTheFamily) {
  Add("a", 1, 200, 184);
  cores_[emulate::Core::kM4].figures = {{Figure::kFlashBytes, 1}};
  std::string tests = "  - { id: a, slice: all, metric: recall, at_least: 0.95 }\n";
  for (int i = 0; i < 19; ++i) {
    tests += "  - { id: f" + std::to_string(i) + ", on: m4, fits: { flash_bytes: 2 } }\n";
  }
  EXPECT_EQ(Run("  x: 'true'\n", tests)[0].result.outcome(), v1::FAIL);
}

}  // namespace
}  // namespace bitfoundry::verdicts
