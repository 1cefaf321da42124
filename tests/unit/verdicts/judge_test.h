// Made-up answers to judge.
#pragma once

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/digest.h"
#include "tests/support/status_matchers.h"
#include "verdicts/judge.h"

namespace bitfoundry::verdicts {

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
    const auto suite = ParseSuite("suite: s\nversion: 1\ndefaults: { positive: person" + defaults_ +
                                      " }\nslices:\n" + slices + "tests:\n" + tests,
                                  "suite.yaml");
    EXPECT_THAT(suite, testing::IsOk());
    if (!suite.ok()) return {};
    std::map<std::string, std::vector<size_t>> explained;
    for (const auto& [place, share] : in_box_) explained["t"].push_back(place);
    return Judge(*suite,
                 {.data = data_,
                  .rows = TestRows(data_),
                  .predictions = predictions_,
                  .has_baseline = !baseline_.empty(),
                  .baseline = {{"", baseline_}},
                  .in_box = in_box_,
                  .explained = explained,
                  .cores = cores_},
                 {date_, [&](const std::string&) { return evaluations_; }});
  }
  v1::TestResult One(const std::string& test, const std::string& slices = "  x: 'true'\n") {
    return Run(slices, "  - " + test + "\n")[0].result;
  }

  snapshot::Snapshot data_;
  Predictions predictions_;
  std::vector<size_t> baseline_;
  std::map<size_t, double> in_box_;
  std::map<emulate::Core, Emulated> cores_;
  std::string defaults_;  // ", alpha: 0.1"
  std::string date_ = "2026-01-01";
  int32_t evaluations_ = 0;  // of the same rows before
};

}  // namespace bitfoundry::verdicts
