// What each kind of test asks, and when it is closed.
#include <cmath>

#include "stats/clusters.h"
#include "stats/gap.h"
#include "tests/unit/verdicts/judge_test.h"

namespace bitfoundry::verdicts {
namespace {

using KindsTest = JudgeTest;

// ---- Against what was shipped

constexpr char kNoLoss[] = "{ id: t, slice: all, vs: shipped, metric: accuracy, max_loss: 0 }";

TEST_F(KindsTest, CountsWhatWasLostAndWhatWasGained) {
  Add("a", 1, 1000, 900);
  baseline_ = predictions_[""];
  for (size_t i = 0; i < 12; ++i) predictions_[""][i] = 0;      // 12 lost
  for (size_t i = 998; i < 1000; ++i) predictions_[""][i] = 1;  // 2 gained
  const auto lost = One(kNoLoss);
  EXPECT_EQ(lost.losses(), 12);
  EXPECT_EQ(lost.gains(), 2);
  EXPECT_EQ(lost.outcome(), v1::FAIL);
  EXPECT_NEAR(lost.p_broken(), 0.0065, 1e-4);  // McNemar's, exact
  EXPECT_NEAR(lost.measured(), 0.01, 1e-12);
  EXPECT_GT(lost.lower(), 0);

  std::swap(baseline_, predictions_[""]);
  const auto gained = One(kNoLoss);
  EXPECT_EQ(gained.losses(), 2);
  EXPECT_EQ(gained.gains(), 12);
  EXPECT_EQ(gained.outcome(), v1::PASS);
}

TEST_F(KindsTest, CannotShowThatNothingIsLostWhereNothingChanged) {
  Add("a", 1, 100, 90);
  baseline_ = predictions_[""];
  EXPECT_EQ(One(kNoLoss).outcome(), v1::INCONCLUSIVE);
  EXPECT_EQ(One("{ id: t, slice: all, vs: shipped, metric: accuracy, max_loss: 0.1 }").outcome(),
            v1::PASS);
}

TEST_F(KindsTest, IsClosedWithoutABaselineUnlessThisIsTheFirstRelease) {
  Add("a", 1, 100, 90);
  const auto closed = One(kNoLoss);
  EXPECT_EQ(closed.outcome(), v1::ERROR);
  EXPECT_EQ(closed.reason(),
            "nothing was shipped yet by a suite of this name to be held against: name a baseline, "
            "or say first_release: true");
  const std::string test = kNoLoss;
  const auto first = One(test.substr(0, test.size() - 2) + ", first_release: true }");
  EXPECT_EQ(first.outcome(), v1::PASS);
  EXPECT_EQ(first.p_holds(), 0);
  EXPECT_EQ(first.reason(), "first release: there is nothing to be held against");
  const std::string few = ", first_release: true, min_n: 101 }";  // closed as it will be later
  EXPECT_EQ(One(test.substr(0, test.size() - 2) + few).outcome(), v1::ERROR);
  const std::string released =
      "  - " + test.substr(0, test.size() - 2) + ", first_release: true }\n";
  EXPECT_EQ(Overall(Run("  x: 'true'\n", released)), v1::ERROR) << "nothing was shown";
  EXPECT_EQ(Overall(Run("  x: 'true'\n", released + "  - { id: r, slice: all, metric: recall, "
                                                    "at_least: 0.8 }\n")),
            v1::PASS);
  baseline_ = predictions_[""];
  for (size_t i = 0; i < 40; ++i) predictions_[""][i] = 0;  // from then on it is like any other
  EXPECT_EQ(One(test.substr(0, test.size() - 2) + ", first_release: true }").outcome(), v1::FAIL);
}

TEST_F(KindsTest, CallsAnAlarmALossEvenIfTheClassIsWrongEitherWay) {
  data_.classes = {"no_person", "person", "dog"};
  Add("a", 0, 40, 40);
  baseline_ = predictions_[""];
  for (size_t i = 0; i < 20; ++i) predictions_[""][i] = 2;  // a dog is no alarm
  const std::string fpr = "{ id: t, slice: all, vs: shipped, metric: fpr, max_loss: 0.1 }";
  EXPECT_EQ(One(fpr).losses(), 0);
  for (size_t i = 0; i < 20; ++i) predictions_[""][i] = 1;
  EXPECT_EQ(One(fpr).losses(), 20);
}

// ---- Groups

TEST_F(KindsTest, HoldsTheBestServedGroupAgainstTheWorst) {
  Add("a", 1, 500, 475);
  Add("b", 1, 500, 400);
  Add("c", 1, 500, 450);
  const std::string test = "{ id: t, across: tag.group, metric: recall, max_gap: ";
  const auto wide = One(test + "0.05 }");
  EXPECT_EQ(wide.outcome(), v1::FAIL);
  EXPECT_NEAR(wide.measured(), 0.15, 1e-12);
  ASSERT_EQ(wide.groups_size(), 3);
  EXPECT_EQ(wide.groups(1).name(), "b");
  EXPECT_EQ(wide.groups(1).successes(), 400);
  EXPECT_EQ(wide.n(), 1500);
  const auto bounds =
      stats::BoundGap(std::vector<stats::Count>{{500, 475}, {500, 400}, {500, 450}}, 0.05);
  EXPECT_EQ(wide.lower(), bounds.lower);
  EXPECT_EQ(wide.upper(), bounds.upper);
  EXPECT_EQ(One(test + "0.3 }").outcome(), v1::PASS);
  EXPECT_GT(One(test + "0.16 }").labels_needed(), 0);
}

TEST_F(KindsTest, IsClosedOnASmallGroupAndOnOneAlone) {
  Add("a", 1, 500, 475);
  const std::string test = "{ id: t, across: tag.group, metric: recall, max_gap: 0.3, min_n: 30 }";
  EXPECT_EQ(One(test).reason(),
            "fewer than two groups of tag.group among the 500 rows of the "
            "slice");
  Add("b", 1, 29, 29);
  EXPECT_EQ(One(test).outcome(), v1::ERROR);
  EXPECT_EQ(
      One(test).reason(),
      "the group 'b' has only 29 samples labelled 'person'; at least 30 are wanted: label more, or "
      "take a slice without it");
  Add("b", 1, 1, 1);
  EXPECT_EQ(One(test).outcome(), v1::PASS);
  Add("empty", 0, 60, 60);  // nobody is in it: nobody can say that it is served alike
  EXPECT_THAT(One(test).reason(), ::testing::HasSubstr("'empty' has only 0 samples labelled"));
}

// A group in which the model never says "person" has no precision, and is no reason to pass.
TEST_F(KindsTest, IsClosedOnAGroupThatTheMetricCountsNothingOf) {
  Add("a", 1, 200, 190);
  Add("a", 0, 200, 190);
  Add("b", 1, 200, 190);
  Add("b", 0, 200, 190);
  const std::string test =
      "{ id: t, slice: all, across: tag.group, metric: precision, max_gap: 0.15, min_n: 30 }";
  EXPECT_EQ(One(test).outcome(), v1::PASS);
  Add("bright", 1, 100, 0);
  Add("bright", 0, 100, 100);
  EXPECT_EQ(One(test).outcome(), v1::ERROR);
  EXPECT_THAT(One(test).reason(), ::testing::HasSubstr("the group 'bright' has only 0 samples"));
}

TEST_F(KindsTest, SaysHowManyRowsLackWhatTheyAreSortedBy) {
  Add("a", 1, 500, 475);
  Add("b", 1, 500, 470);
  for (size_t i = 0; i < 1000; ++i) data_.rows[i].attributes["x"] = static_cast<double>(i % 97);
  for (size_t i = 0; i < 300; ++i) data_.rows[i].tags.clear();
  for (size_t i = 0; i < 40; ++i) data_.rows[i].attributes.clear();
  const auto gap = One("{ id: t, across: tag.group, metric: recall, max_gap: 0.1 }");
  EXPECT_EQ(gap.n(), 700);
  EXPECT_EQ(gap.unknown_rows(), 300);
  const auto scan = One("{ id: t, scan: shortcut, on: attr.x, max_gap: 0.3 }");
  EXPECT_EQ(scan.n(), 960);
  EXPECT_EQ(scan.unknown_rows(), 40);
}

TEST_F(KindsTest, IsClosedOnPrecisionWhereNobodyCouldBeTakenWrongly) {
  Add("a", 1, 200, 160);
  Add("b", 1, 200, 160);
  const std::string test = "{ id: t, slice: all, metric: precision, at_least: 0.9, min_n: 5 }";
  EXPECT_EQ(One(test).outcome(), v1::ERROR);
  EXPECT_EQ(One(test).reason(),
            "precision is shown by samples labelled other than 'person': there are 0, at least 5 "
            "are wanted");
  Add("a", 0, 5, 5);  // 98.8 % are people: so precise is who says so of everybody
  EXPECT_EQ(One(test).outcome(), v1::ERROR);
  EXPECT_EQ(One(test).reason(),
            "98.8 % of these samples are labelled 'person', which is the precision of a model that "
            "calls all of them so: take a slice of which the limit asks more");
  Add("a", 0, 60, 60);
  EXPECT_EQ(One(test).outcome(), v1::PASS);
  EXPECT_EQ(One("{ id: t, across: tag.group, metric: precision, max_gap: 0.3 }").reason(),
            "precision is shown by samples labelled other than 'person': there are 0 in the group "
            "'b', at least 1 are wanted");
}

// ---- Clusters

// Sessions of `size` samples of class 1, `right` of each right.
void AddSessions(snapshot::Snapshot& data, std::vector<size_t>& predictions,
                 const std::vector<int>& right, int size) {
  for (size_t s = 0; s < right.size(); ++s) {
    for (int i = 0; i < size; ++i) {
      snapshot::Row row;
      row.name = Sha256(std::to_string(data.rows.size()));
      row.part = snapshot::Part::kTest;
      row.class_index = 1;
      row.posterior = 1;
      row.session = "s" + std::to_string(s);
      data.rows.push_back(row);
      predictions.push_back(i < right[s] ? 1 : 0);
    }
  }
}

TEST_F(KindsTest, TakesFramesOfOneSessionForWhatTheyProve) {
  AddSessions(data_, predictions_[""], {50, 50, 50, 50, 50, 50, 50, 20, 50, 50}, 50);
  const std::string test = "{ id: t, slice: all, metric: recall, at_least: 0.9";
  EXPECT_EQ(One(test + " }").outcome(), v1::PASS);  // 470 of 500, as if they were independent
  const auto clustered = One(test + ", cluster: meta.session }");
  EXPECT_EQ(clustered.outcome(), v1::INCONCLUSIVE);
  EXPECT_EQ(clustered.cluster(), "meta.session");
  EXPECT_EQ(clustered.clusters(), 10);
  std::vector<stats::Count> groups(10, {50, 50});
  groups[7].successes = 20;
  EXPECT_EQ(clustered.design_effect(), stats::Cluster(groups).design_effect);
  EXPECT_EQ(clustered.lower(), stats::LowerBound({500, 470, clustered.design_effect()}, 0.05));
}

TEST_F(KindsTest, IsClosedOnTooFewClustersAndOnRowsOutsideAny) {
  AddSessions(data_, predictions_[""], {50, 50, 50, 50}, 50);
  baseline_ = predictions_[""];
  const std::string few =
      "only 4 groups of meta.session: from fewer than 5 nobody can say how much rows of one group "
      "resemble each other";
  defaults_ = ", cluster: meta.session";
  EXPECT_EQ(One("{ id: t, slice: all, metric: recall, at_least: 0.1 }").reason(), few);
  EXPECT_EQ(One("{ id: t, slice: all, vs: shipped, metric: recall, max_loss: 0.5 }").reason(), few);
  for (size_t i = 0; i < 200; ++i) data_.rows[i].tags["half"] = i % 2 == 0 ? "a" : "b";
  EXPECT_EQ(One("{ id: t, across: tag.half, metric: recall, max_gap: 0.5 }").reason(),
            "only 4 groups of meta.session in the group 'a': from fewer than 5 nobody can say how "
            "much rows of one group resemble each other");
  defaults_ = ", cluster: tag.half";
  data_.rows[0].tags.clear();
  EXPECT_EQ(One("{ id: t, slice: all, metric: recall, at_least: 0.1 }").reason(),
            "1 of these rows have no tag.half: nobody can say which of them belong together");
}

TEST_F(KindsTest, CountsClustersWhereverTestsAreLeftToChance) {
  std::vector<int> right(40, 25);
  for (size_t i = 0; i < 40; i += 4) right[i] = 15;
  AddSessions(data_, predictions_[""], right, 25);
  baseline_ = std::vector<size_t>(1000, 1);
  for (size_t i = 0; i < 1000; ++i) {
    data_.rows[i].tags["half"] = i < 500 ? "a" : "b";
    data_.rows[i].attributes["x"] = i < 500 ? 1 : 2;
    in_box_[i] = 0.7;
  }
  for (const char* test : {"{ id: t, across: tag.half, metric: recall, max_gap: 0.3",
                           "{ id: t, slice: all, vs: shipped, metric: recall, max_loss: 0.2",
                           "{ id: t, scan: shortcut, on: attr.x, max_gap: 0.3",
                           "{ id: t, slice: all, metric: saliency_in_box, at_least: 0.6"}) {
    const auto alone = One(std::string(test) + " }");
    const auto clustered = One(std::string(test) + ", cluster: meta.session }");
    EXPECT_EQ(clustered.clusters(), 40) << test;
    EXPECT_GT(clustered.design_effect(), 1) << test;
    EXPECT_GT(clustered.p_holds(), alone.p_holds()) << test;
  }
}

// ---- Invariance, saliency, firmware

TEST_F(KindsTest, CountsASampleAsFlippedIfAnyTransformFlipsIt) {
  Add("a", 1, 100, 90);
  predictions_["darken(0.5,0)"] = predictions_[""];
  predictions_["darken(0.8,0)"] = predictions_[""];
  predictions_["darken(0.5,0)"][3] = 0;
  predictions_["darken(0.8,0)"][3] = 0;
  predictions_["darken(0.8,0)"][95] = 1;  // wrong before, right now: flipped all the same
  const auto result =
      One("{ id: t, slice: all, metric: flip_rate, at_most: 0.2, transform: ['darken(0.5,0)', "
          "'darken(0.8,0)'] }");
  EXPECT_EQ(result.successes(), 2);
  EXPECT_EQ(result.n(), 100);
  EXPECT_EQ(result.transform(), "darken(0.5,0), darken(0.8,0)");
  EXPECT_EQ(result.outcome(), v1::PASS);
}

TEST_F(KindsTest, BoundsTheMeanShareOfSaliencyInsideTheBox) {
  Add("a", 1, 200, 200);
  for (size_t i = 0; i < 100; ++i) in_box_[2 * i] = i % 2 == 0 ? 0.6 : 0.8;
  const std::string test = "{ id: t, slice: all, metric: saliency_in_box, at_least: ";
  const auto pass = One(test + "0.55 }");
  EXPECT_EQ(pass.outcome(), v1::PASS);
  EXPECT_EQ(pass.n(), 100);
  EXPECT_NEAR(pass.measured(), 0.7, 1e-12);
  EXPECT_NEAR(pass.lower(), 0.7 - std::sqrt(std::log(20) / 200), 1e-12);  // Hoeffding's
  EXPECT_EQ(One(test + "0.9 }").outcome(), v1::FAIL);
  const auto open = One(test + "0.6 }");
  EXPECT_EQ(open.labels_needed(), 50);  // ln 20 / (2 * 0.1^2) = 149.8
  EXPECT_EQ(open.reason(), "at the observed rate, 50 more samples with a box would settle it");
  EXPECT_EQ(One(test + "0.65 }").reason(),
            "the mean is too near the limit: it would take 600 samples with a box, and 200 are "
            "looked at");
  EXPECT_EQ(One(test + "0.55, min_n: 101 }").reason(),
            "only 100 samples with a box, among 200 rows in the slice (0 more could not be "
            "decided); at least 101 are wanted");
  in_box_.clear();
  EXPECT_EQ(One(test + "0.55 }").outcome(), v1::ERROR);
}

TEST_F(KindsTest, HoldsFirmwareToItsFigures) {
  Add("a", 1, 1, 1);
  cores_[emulate::Core::kM4].figures = {{Figure::kFlashBytes, 1000}, {Figure::kArenaBytes, 65}};
  const auto tests = Run("  x: 'true'\n",
                         "  - { id: t, on: m4, fits: { flash_bytes: 1000, arena_bytes: 64 } }\n"
                         "  - { id: u, on: m55, fits: { flash_bytes: 1000 } }\n");
  EXPECT_EQ(tests[0].result.outcome(), v1::PASS);
  EXPECT_EQ(tests[0].result.p_broken(), 1);
  EXPECT_EQ(tests[0].result.p_holds(), 0);
  EXPECT_EQ(tests[1].result.outcome(), v1::FAIL);
  EXPECT_EQ(tests[1].result.measured(), 65);
  EXPECT_EQ(tests[2].result.outcome(), v1::ERROR);
  EXPECT_EQ(tests[2].result.reason(), "was not emulated");
  cores_[emulate::Core::kM4].error = "no compiler";
  EXPECT_EQ(One("{ id: t, on: m4, fits: { flash_bytes: 1000 } }").reason(), "no compiler");
}

TEST_F(KindsTest, AsksEveryBitOfAnEmulatedCore) {
  Add("a", 1, 1, 1);
  const std::string test = "{ id: t, equal_on: m4 }";
  cores_[emulate::Core::kM4] = {.images = 8, .equal = 8};
  EXPECT_EQ(One(test).outcome(), v1::PASS);
  cores_[emulate::Core::kM4] = {
      .images = 8, .equal = 7, .difference = "golden image 3 gives another layer 2"};
  EXPECT_EQ(One(test).outcome(), v1::FAIL);
  EXPECT_EQ(One(test).reason(), "golden image 3 gives another layer 2");
  cores_[emulate::Core::kM4] = {};
  EXPECT_EQ(One(test).outcome(), v1::ERROR);
}

}  // namespace
}  // namespace bitfoundry::verdicts
