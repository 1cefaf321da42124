// The scan for shortcuts: what it finds, what it lets pass, and when it is closed.
#include <gmock/gmock.h>

#include <random>

#include "tests/unit/verdicts/judge_test.h"

namespace bitfoundry::verdicts {
namespace {

using ShortcutTest = JudgeTest;

// 10,000 images, half of them with a person, 3 % dark; 95 % of the dark have a person
// (`dark_people`). The model is right in 97 %, but says person in the dark (`learnt`).
void AddDark(snapshot::Snapshot& data, std::vector<size_t>& predictions, double dark_people,
             bool learnt, uint32_t seed) {
  std::mt19937 random(seed);
  const auto chance = [&](double p) { return static_cast<double>(random()) < p * 4294967296.0; };
  for (int i = 0; i < 10'000; ++i) {
    const bool dark = i < 300;
    snapshot::Row row;
    row.name = std::to_string(i);
    row.part = snapshot::Part::kTest;
    row.posterior = 1;
    row.class_index = chance(dark ? dark_people : 0.4861) ? 1 : 0;
    row.attributes["brightness"] =
        (dark ? 0 : 0.3) + static_cast<double>(random()) / 4294967296.0 * (dark ? 0.2 : 0.7);
    row.attributes["entropy"] = static_cast<double>(random() % 4096);
    const auto label = static_cast<size_t>(row.class_index);
    predictions.push_back(dark && learnt ? 1 : chance(0.97) ? label : 1 - label);
    data.rows.push_back(row);
  }
}

constexpr char kScan[] =
    "{ id: t, scan: shortcut, on: [attr.brightness, attr.entropy], max_gap: 0.1 }";

TEST_F(ShortcutTest, FindsTheDarkBinThatTheModelTakesForAPerson) {
  for (uint32_t seed = 1; seed <= 10; ++seed) {
    data_.rows.clear();
    predictions_[""].clear();
    AddDark(data_, predictions_[""], 0.95, /*learnt=*/true, seed);
    const auto tests = Run("  x: 'true'\n", std::string("  - ") + kScan + "\n");
    const v1::TestResult& brightness = tests[0].result;
    EXPECT_EQ(brightness.outcome(), v1::FAIL) << seed;
    ASSERT_EQ(brightness.groups_size(), 2);
    const std::string& bin = brightness.groups(0).name();  // "... in LOW..HIGH"
    EXPECT_EQ(bin.rfind("not person, attr.brightness in ", 0), 0U) << bin;
    EXPECT_LE(std::stod(bin.substr(bin.rfind("..") + 2)), 0.31) << bin;  // dark, and hardly else
    EXPECT_GE(brightness.groups(0).successes() + 4, brightness.groups(0).n());
    EXPECT_LT(brightness.groups(1).upper(), 0.1) << bin;
    EXPECT_GT(brightness.lower(), 0.1);
    EXPECT_GT(brightness.measured(), brightness.lower());
    EXPECT_LT(brightness.measured(), brightness.upper());
    EXPECT_NE(tests[1].result.outcome(), v1::FAIL) << seed;  // entropy has nothing to do with it
  }
}

TEST_F(ShortcutTest, FindsNoShortcutWhereNoneWasLearnt) {
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    for (const double dark_people : {0.5, 0.95}) {  // no shortcut in the data; one not taken
      data_.rows.clear();
      predictions_[""].clear();
      AddDark(data_, predictions_[""], dark_people, /*learnt=*/false, seed);
      for (const Judged& test : Run("  x: 'true'\n", std::string("  - ") + kScan + "\n")) {
        EXPECT_NE(test.result.outcome(), v1::FAIL) << seed;
      }
    }
  }
}

TEST_F(ShortcutTest, PassesAScanWhoseBinsAreLargeEnough) {
  AddDark(data_, predictions_[""], 0.5, /*learnt=*/false, 1);
  const auto result =
      One("{ id: t, scan: shortcut, on: attr.brightness, max_gap: 0.15, min_n: 200 }");
  EXPECT_EQ(result.outcome(), v1::PASS);
  EXPECT_THAT(
      One("{ id: t, scan: shortcut, on: attr.brightness, max_gap: 0.15, min_n: 9000 }").reason(),
      ::testing::MatchesRegex("only [0-9]+ samples labelled other than 'person'; to compare a bin "
                              "with the rest 18000 are wanted"));
}

// 19 dark people are missed, among 419: less than a twentieth, and seen all the same.
TEST_F(ShortcutTest, FindsAShortcutInABinOfItsOwnSize) {
  Add("dark", 1, 19, 0);
  Add("light", 1, 400, 390);
  Add("dark", 0, 40, 40);
  Add("light", 0, 400, 396);
  for (size_t i = 0; i < data_.rows.size(); ++i) {
    const double within = static_cast<double>(i) / 1e6;
    data_.rows[i].attributes["light"] = data_.rows[i].tags["group"] == "dark" ? within : 1 + within;
  }
  for (const char* min_n : {"1", "20", "100", "200"}) {  // more wanted samples never hide one
    const auto scan = One(std::string("{ id: t, scan: shortcut, on: attr.light, max_gap: 0.3") +
                          ", min_n: " + min_n + " }");
    EXPECT_EQ(scan.outcome(), v1::FAIL) << scan.reason();
    EXPECT_GT(scan.measured(), 0.8);
    EXPECT_GT(scan.lower(), 0.3);
    EXPECT_LE(scan.groups(0).n(), 21);
    EXPECT_LE(scan.groups(0).successes(), 2);
  }
}

// 7 dark ones of 2000 are taken for people: too few for an alarm, and too many for a pass.
TEST_F(ShortcutTest, PassesNoScanThatLeavesDoubts) {
  Add("dark", 0, 7, 0);
  Add("light", 0, 1993, 1993);
  Add("light", 1, 2000, 2000);
  for (size_t i = 0; i < data_.rows.size(); ++i) {
    data_.rows[i].attributes["light"] = static_cast<double>(i % 2000);
  }
  const std::string test = "{ id: t, scan: shortcut, on: attr.light, max_gap: 0.3 }";
  const auto open = One(test);
  EXPECT_EQ(open.outcome(), v1::INCONCLUSIVE);
  EXPECT_GT(open.upper(), 0.3);
  EXPECT_THAT(open.reason(),
              ::testing::ContainsRegex("the [0-9]+ samples labelled other than 'person' at "
                                       "attr.light 0..[0-9]+ stand out"));
  for (size_t i = 0; i < 7; ++i) predictions_[""][i] = 0;
  EXPECT_EQ(One(test).outcome(), v1::PASS);
}

TEST_F(ShortcutTest, NamesADoubtOfEitherLabel) {
  for (const int label : {0, 1}) {
    Add("dark", label, 7, 0);
    Add("light", label, 1993, 1993);
  }
  for (size_t i = 0; i < data_.rows.size(); ++i) {
    data_.rows[i].attributes["light"] = static_cast<double>(i % 2000);
  }
  const auto open = One("{ id: t, scan: shortcut, on: attr.light, max_gap: 0.3 }");
  EXPECT_EQ(open.outcome(), v1::INCONCLUSIVE);
  EXPECT_THAT(open.reason(), ::testing::ContainsRegex("labelled other than 'person' at .* and the "
                                                      "[0-9]+ samples labelled 'person' at"));
}

// In the middle of others, next to equal values and whatever alpha: 10 samples that are all called
// wrongly hold a pass back.
TEST_F(ShortcutTest, LooksForDoubtsFromEveryValueOn) {
  Add("dim", 0, 1, 1);
  Add("dark", 0, 10, 0);
  Add("light", 0, 4000, 4000);
  Add("light", 1, 400, 400);
  for (size_t i = 0; i < data_.rows.size(); ++i) {
    data_.rows[i].attributes["apart"] = static_cast<double>(i);
    const double tied = i < 1    ? 0
                        : i < 4  ? 1
                        : i < 8  ? 2
                        : i < 11 ? 3
                        : i < 20 ? 4
                        : i < 32 ? 5
                                 : 6;
    data_.rows[i].attributes["tied"] = tied < 6 ? tied : static_cast<double>(i);
  }
  for (const char* alpha : {"0.05", "0.001"}) {
    defaults_ = std::string(", alpha: ") + alpha;
    for (const char* scan : {"attr.apart, max_gap: 0.2", "attr.tied, max_gap: 0.2",
                             "attr.apart, max_gap: 0.45", "attr.tied, max_gap: 0.15"}) {
      const auto result = One(std::string("{ id: t, scan: shortcut, on: ") + scan + " }");
      EXPECT_TRUE(result.outcome() == v1::INCONCLUSIVE || result.outcome() == v1::FAIL)
          << alpha << " " << scan << ": " << v1::Outcome_Name(result.outcome());
    }
  }
}

// Beside errors everywhere, 10 of 10 wrong stand out all the same.
TEST_F(ShortcutTest, HoldsAScanBackWhereTheRestIsNotPerfect) {
  for (const int every : {10, 12, 20}) {
    data_.rows.clear();
    predictions_[""].clear();
    Add("dark", 0, 10, 0);
    Add("light", 0, 4400, 4400);
    Add("light", 1, 400, 400);
    std::mt19937 random(3);
    for (size_t i = 0; i < data_.rows.size(); ++i) {
      data_.rows[i].attributes["light"] = static_cast<double>(i);
      const auto one_in = static_cast<uint32_t>(every);
      if (i >= 10 && i < 4410 && random() % one_in == 0) predictions_[""][i] = 1;
    }
    for (const char* limit : {"0.2", "0.5"}) {
      const auto scan =
          One(std::string("{ id: t, scan: shortcut, on: attr.light, max_gap: ") + limit + " }");
      EXPECT_TRUE(scan.outcome() == v1::INCONCLUSIVE || scan.outcome() == v1::FAIL)
          << every << " " << limit;
    }
  }
}

// A rate that changes with the attribute within the limit is no shortcut, however many there are.
TEST_F(ShortcutTest, PassesAScanOfADifferenceWithinTheLimit) {
  int passed = 0;
  for (uint32_t seed = 1; seed <= 10; ++seed) {
    data_.rows.clear();
    predictions_[""].clear();
    Add("any", 0, 10'000, 10'000);
    Add("any", 1, 400, 400);
    std::mt19937 random(seed);
    for (size_t i = 0; i < data_.rows.size(); ++i) {
      data_.rows[i].attributes["light"] = static_cast<double>(i);
      if (i < 10'000 && random() % 50 < (i < 1000 ? 10 : 1)) predictions_[""][i] = 1;
    }
    const auto scan = One("{ id: t, scan: shortcut, on: attr.light, max_gap: 0.35 }");
    passed += scan.outcome() == v1::PASS ? 1 : 0;
  }
  EXPECT_GE(passed, 9);
}

// A whole session in the dark is one case, of which nobody can say how alike its frames are: it is
// no alarm, but no pass either.
TEST_F(ShortcutTest, HoldsAScanBackForOneSessionThatIsAllWrong) {
  Add("dark", 0, 15, 0);
  Add("light", 0, 2000, 2000);
  Add("light", 1, 400, 400);
  for (size_t i = 0; i < data_.rows.size(); ++i) {
    data_.rows[i].session = i < 15 ? "night" : "s" + std::to_string(i % 100);
    data_.rows[i].attributes["light"] = static_cast<double>(i);
  }
  const std::string test = "{ id: t, scan: shortcut, on: attr.light, max_gap: 0.2";
  EXPECT_EQ(One(test + " }").outcome(), v1::FAIL);
  const auto clustered = One(test + ", cluster: meta.session }");
  EXPECT_EQ(clustered.outcome(), v1::INCONCLUSIVE);
  EXPECT_THAT(clustered.reason(), ::testing::HasSubstr("groups of meta.session"));
}

// A minority beside equal values that is large enough to be compared is.
TEST_F(ShortcutTest, ComparesWhatEqualValuesLeaveOver) {
  Add("below", 0, 60, 60);
  Add("tied", 0, 3000, 3000);
  Add("light", 1, 400, 400);
  for (size_t i = 0; i < data_.rows.size(); ++i) {
    data_.rows[i].attributes["p99"] = i < 60 || i >= 3060 ? static_cast<double>(i % 500) / 1e3 : 1;
  }
  const std::string test = "{ id: t, scan: shortcut, on: attr.p99, max_gap: 0.2 }";
  EXPECT_EQ(One(test).outcome(), v1::PASS) << One(test).reason();
  for (size_t i = 0; i < 60; ++i) predictions_[""][i] = 1;
  EXPECT_EQ(One(test).outcome(), v1::FAIL);
}

// An honest model does not become suspicious by being looked at more often.
TEST_F(ShortcutTest, HoldsNoHonestScanBackForItsSize) {
  std::mt19937 random(7);
  int held_back = 0;
  for (int round = 0; round < 20; ++round) {
    data_.rows.clear();
    predictions_[""].clear();
    Add("any", 0, 20'000, 20'000);
    Add("any", 1, 20'000, 20'000);
    for (size_t i = 0; i < data_.rows.size(); ++i) {
      data_.rows[i].attributes["x"] = static_cast<double>(random());
      if (random() % 10 == 0) predictions_[""][i] = 1 - predictions_[""][i];
    }
    held_back +=
        One("{ id: t, scan: shortcut, on: attr.x, max_gap: 0.15 }").outcome() == v1::PASS ? 0 : 1;
  }
  EXPECT_LE(held_back, 4);
}

// 14 people below a value that all others share: no bin can hold what it is held against.
TEST_F(ShortcutTest, IsClosedOnAScanThatTiesKeepFromComparing) {
  const std::string test = "{ id: t, scan: shortcut, on: attr.x, max_gap: 0.3 }";
  const auto scan = [&](int found) {
    data_.rows.clear();
    predictions_[""].clear();
    Add("below", 1, 14, found);
    Add("tied", 1, 145, 142);
    Add("spread", 0, 60, 57);
    for (size_t i = 0; i < data_.rows.size(); ++i) {
      const bool tied = data_.rows[i].tags["group"] == "tied";
      data_.rows[i].attributes["x"] = tied ? 1 : static_cast<double>(i) / 1e3;
    }
    return One(test);
  };
  const auto closed = scan(14);
  EXPECT_EQ(closed.outcome(), v1::ERROR);
  EXPECT_EQ(closed.reason(),
            "159 of the samples labelled 'person' cannot be compared (attr.x in 0..1): so many "
            "have one and the same value that no bin has 22 inside and outside");
}

// 400 negatives at one value, 400 at the next, and 12 dark ones below, all taken for people.
TEST_F(ShortcutTest, DrownsNoBinInEqualValues) {
  const auto scan = [&](int right, const std::string& min_n) {
    data_.rows.clear();
    predictions_[""].clear();
    Add("dark", 0, 12, right);
    Add("tied", 0, 800, 799);
    Add("spread", 1, 800, 800);
    for (size_t i = 0; i < data_.rows.size(); ++i) {
      const double spread = static_cast<double>(i % 800) / 1e3;
      data_.rows[i].attributes["x"] = i < 12 ? spread : i < 412 ? 0.98 : i < 812 ? 1 : spread;
    }
    return One("{ id: t, scan: shortcut, on: attr.x, max_gap: 0.2, min_n: " + min_n + " }");
  };
  for (const char* min_n : {"12", "30", "300"}) {
    EXPECT_EQ(scan(0, min_n).outcome(), v1::FAIL) << min_n;
    const auto closed = scan(12, min_n);
    EXPECT_EQ(closed.outcome(), v1::ERROR) << min_n;
    EXPECT_THAT(closed.reason(), ::testing::HasSubstr("12 of the samples labelled other than"));
  }
}

TEST_F(ShortcutTest, SaysHowManySamplesWouldSettleAScan) {
  const auto scan = [&](size_t times) {
    data_.rows.clear();
    predictions_[""].clear();
    for (uint32_t seed = 1; seed <= times; ++seed) {
      AddDark(data_, predictions_[""], 0.5, /*learnt=*/false, seed);
    }
    for (size_t i = 0; i < data_.rows.size(); ++i) data_.rows[i].name = std::to_string(i);
    return One("{ id: t, scan: shortcut, on: attr.brightness, max_gap: 0.06 }");
  };
  const auto open = scan(1);
  ASSERT_EQ(open.outcome(), v1::INCONCLUSIVE);
  EXPECT_THAT(open.reason(), ::testing::HasSubstr(" more samples would settle it"));
  const auto times = static_cast<size_t>(1 + open.labels_needed() / 10'000);
  EXPECT_LT(open.lower(), 0.06);
  EXPECT_GT(open.upper(), 0.06);
  const auto shown = scan(times + 1);
  EXPECT_EQ(shown.outcome(), v1::PASS) << open.labels_needed();
  EXPECT_LE(shown.upper(), 0.06);
}

}  // namespace
}  // namespace bitfoundry::verdicts
