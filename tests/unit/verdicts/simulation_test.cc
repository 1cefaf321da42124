// How often verdicts are wrong, where the truth is known.
#include <random>

#include "tests/unit/verdicts/judge_test.h"

namespace bitfoundry::verdicts {
namespace {

constexpr size_t kSlices = 20;
constexpr size_t kRows = 200;  // of a slice

// What became of all releases, and of all tests of all releases.
struct Tally {
  std::map<v1::Outcome, int> releases;
  std::map<v1::Outcome, int> tests;
  int refused_by_point = 0;  // releases, by the observed rates alone
};

// Each test asks for an accuracy of at least 0.95 on a slice of its own. The slices' true rates are
// `first` and, of all others, `rate`.
Tally Simulate(double first, double rate, int releases, uint64_t seed) {
  snapshot::Snapshot data;
  data.classes = {"no_person", "person"};
  std::string yaml = "suite: s\nversion: 1\nslices:\n";
  std::string tests = "tests:\n";
  for (size_t s = 0; s < kSlices; ++s) {
    const std::string name = "s" + std::to_string(s);
    yaml += "  " + name + ": meta.session == '" + name + "'\n";
    tests += "  - { id: " + name + ", slice: " + name + ", metric: accuracy, at_least: 0.95 }\n";
    for (size_t i = 0; i < kRows; ++i) {
      snapshot::Row row;
      row.name = std::to_string(1'000'000 + data.rows.size());
      row.part = snapshot::Part::kTest;
      row.posterior = 1;
      row.session = name;
      data.rows.push_back(row);
    }
  }
  const auto suite = ParseSuite(yaml + tests, "suite.yaml");
  EXPECT_THAT(suite, testing::IsOk());

  std::mt19937_64 random(seed);
  std::bernoulli_distribution wrong_in_first(1 - first);
  std::bernoulli_distribution wrong(1 - rate);
  Evidence evidence{.data = data, .rows = TestRows(data), .predictions = {}};
  Tally tally;
  for (int release = 0; release < releases; ++release) {
    std::vector<size_t>& predictions = evidence.predictions[""];
    predictions.clear();
    while (predictions.size() < data.rows.size()) {
      predictions.push_back((predictions.size() < kRows ? wrong_in_first : wrong)(random) ? 1 : 0);
    }
    const auto judged = Judge(*suite, evidence, {"2026-01-01", [](const auto&) { return 0; }});
    ++tally.releases[Overall(judged)];
    bool all_reach_it = true;
    for (const Judged& test : judged) {
      ++tally.tests[test.result.outcome()];
      all_reach_it = all_reach_it && test.result.rate() >= 0.95;
    }
    tally.refused_by_point += all_reach_it ? 0 : 1;
  }
  return tally;
}

TEST(Simulation, OfFineReleasesFivePercentAtMostAreCalledBroken) {
  Tally tally = Simulate(0.96, 0.96, 2000, /*seed=*/1);
  EXPECT_LE(tally.releases[v1::FAIL], 100);
  EXPECT_EQ(tally.releases[v1::ERROR], 0);
  EXPECT_GE(tally.releases[v1::INCONCLUSIVE], 1900);  // 200 rows cannot tell 0.96 from 0.95
  EXPECT_GE(tally.refused_by_point, 1900);            // what a gate without intervals does
}

TEST(Simulation, OfReleasesOnTheLimitFivePercentAtMostAreCalledBrokenAndOfTheirTestsProven) {
  Tally tally = Simulate(0.95, 0.95, 1000, /*seed=*/2);
  EXPECT_LE(tally.releases[v1::FAIL], 50);
  EXPECT_LE(tally.tests[v1::PASS], 1000);  // of 20,000
  EXPECT_GT(tally.tests[v1::PASS], 0);
}

TEST(Simulation, ABrokenSliceAmongFineOnesIsFound) {
  Tally tally = Simulate(0.85, 0.99, 200, /*seed=*/3);
  EXPECT_GE(tally.releases[v1::FAIL], 190);
  EXPECT_LE(tally.tests[v1::FAIL], 200 + 10);  // that one alone
}

}  // namespace
}  // namespace bitfoundry::verdicts
