// A suite of data unit tests, as people write it: a YAML file (docs/verdicts.md describes it).
//
//   suite: person            version: 1
//   defaults: { alpha: 0.05, positive: person, min_n: 30 }
//   slices:
//     far: label == "person" && attr.box_height_px < 60
//   tests:
//     - { id: far_found, slice: far, metric: recall, at_least: 0.9 }
//
// A suite that could pass by mistake is refused before anything runs: unknown keys, metrics,
// slices and classes, a limit that nothing proves or that nothing breaks, no test that blocks.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "slices/expression.h"
#include "stats/proportion.h"
#include "verdicts/transform.h"

namespace bitfoundry::verdicts {

inline constexpr size_t kMaxSuiteBytes = size_t{256} << 10;
inline constexpr size_t kMaxSuiteTests = 200;

// What is counted among the rows of a slice: successes / n, with "positive" as the test names it.
enum class Metric {
  kAccuracy,   // predicted as labelled / all
  kRecall,     // predicted positive / labelled positive
  kPrecision,  // labelled positive / predicted positive
  kFpr,        // predicted positive / labelled other
  kFnr,        // predicted other / labelled positive
};
const char* ToString(Metric metric);

struct Slice {
  std::string name;
  slices::Expression expression;
};

struct DataTest {
  std::string id;
  size_t slice = 0;  // in Suite::slices
  Metric metric = Metric::kAccuracy;
  std::string positive;  // class; empty for accuracy
  slices::Origin positive_at = {};
  stats::Side side = stats::Side::kAtLeast;
  double limit = 0;   // strictly between 0 and 1
  int64_t min_n = 1;  // fewer samples that count are an error
  Transform transform = {};
  bool blocks = true;  // severity block; else warn
};

struct Suite {
  std::string name;
  int64_t version = 0;
  double alpha = 0.05;  // of each one-sided bound
  std::vector<Slice> slices;
  std::vector<DataTest> tests;
};

// Reads a suite. The slice "all" is always there: every row.
//
//   file    its name, for messages
//   errors  kInvalidArgument SUITE_INVALID: "suite.yaml:12:7: ..." with what was meant, if a known
//           word is near
Result<Suite> ParseSuite(const std::string& yaml, const std::string& file);

// OK if the data has every class, tag and attribute that the suite uses.
// Errors: kInvalidArgument SUITE_INVALID, with the position in the file.
Status CheckNames(const Suite& suite, const slices::Vocabulary& vocabulary);

}  // namespace bitfoundry::verdicts
