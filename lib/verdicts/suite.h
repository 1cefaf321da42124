// A suite of data unit tests, as people write it: a YAML file (docs/verdicts.md describes it).
//
//   suite: person            version: 1
//   defaults: { alpha: 0.05, positive: person, min_n: 30, cluster: meta.session }
//   slices:
//     far: label == "person" && attr.box_height_px < 60
//   tests:
//     - { id: far_found, slice: far, metric: recall, at_least: 0.9 }
//     - { id: no_regress, foreach: slices, vs: shipped, metric: accuracy, max_loss: 0.01 }
//     - { id: alike, slice: all, across: tag.motion, metric: recall, max_gap: 0.1 }
//     - { id: light, scan: shortcut, on: [attr.brightness], max_gap: 0.2, severity: warn }
//     - { id: fits, on: m4, fits: { flash_bytes: 131072, arena_bytes: 49152 } }
//     - { id: same_bits, equal_on: [m4, m55] }
//   waivers:
//     - { test: far_found, until: 2026-12-01, by: A. Person, reason: more labels are on their way }
//
// One to one with it is the message v1::SuiteSpec (verdicts/spec.h).
//
// A suite that could pass by mistake is refused before anything runs: unknown keys, metrics,
// slices and classes, a limit that nothing proves or that nothing breaks, no test that blocks, a
// waiver without reason or date.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "emulate/machine.h"
#include "slices/expression.h"
#include "stats/proportion.h"
#include "verdicts/transform.h"

namespace bitfoundry::verdicts {

inline constexpr size_t kMaxSuiteBytes = size_t{256} << 10;
inline constexpr size_t kMaxSuiteTests = 200;
inline constexpr size_t kMaxTransforms = 16;   // of one test
inline constexpr double kNearestLimit = 1e-6;  // to 0 and 1: nearer ones, nothing can break or show
inline constexpr int64_t kMaxExplained = 200;  // rows of a test of saliency

// What a test asks.
enum class Kind {
  kBound,       // a metric on a slice clears a limit
  kRegression,  // of the samples that the baseline gets right, not too many are lost
  kGap,         // groups of a slice do not differ by more than a limit
  kShortcut,    // nor do samples of one label over the range of an attribute
  kFits,        // a figure of the firmware stays within a limit
  kSameBits,    // an emulated core gives the same outputs, layer by layer
};

// What is counted among the rows of a slice: successes / n, with "positive" as the test names it.
enum class Metric {
  kAccuracy,       // predicted as labelled / all
  kError,          // predicted otherwise / all
  kRecall,         // predicted positive / labelled positive
  kPrecision,      // labelled positive / predicted positive
  kFpr,            // predicted positive / labelled other
  kFnr,            // predicted other / labelled positive
  kFlipRate,       // predicted otherwise after one of the transforms / all
  kSaliencyInBox,  // mean share of the saliency that lies inside the object's box
};
const char* ToString(Metric metric);

// A figure of the firmware for an emulated core.
enum class Figure { kFlashBytes, kArenaBytes, kStackBytes, kInstructions };
const char* ToString(Figure figure);

// "tag.motion" or "meta.session": by which rows are put into groups.
struct Field {
  std::string text;
  slices::Origin at = {};
};

struct Slice {
  std::string name;
  slices::Expression expression;
};

struct DataTest {
  std::string id;  // "no_regress/far" where one entry makes several
  int line = 0;    // on which its entry begins in the file
  Kind kind = Kind::kBound;
  size_t slice = 0;  // in Suite::slices
  Metric metric = Metric::kAccuracy;
  std::string positive;  // class; empty for accuracy
  slices::Origin positive_at = {};
  stats::Side side = stats::Side::kAtLeast;
  double limit = 0;   // of a rate strictly between 0 and 1; of a figure a whole number
  int64_t min_n = 1;  // fewer samples that count are an error
  std::vector<Transform> transforms;        // kFlipRate: one or more; else at most one
  bool blocks = true;                       // severity block; else warn
  std::optional<Field> cluster;             // rows of one group count as fewer
  bool first_release = false;               // kRegression: passes where nothing was shipped yet
  Field across;                             // kGap
  Field attribute;                          // kShortcut: "attr.brightness"
  emulate::Core core = emulate::Core::kM4;  // kFits, kSameBits
  Figure figure = Figure::kFlashBytes;      // kFits

  // The transform of the images that are judged: "" is none.
  std::string view() const {
    return metric == Metric::kFlipRate || transforms.empty() ? "" : transforms[0].text;
  }
};

// A test that does not block until a day has passed, in UTC.
struct Waiver {
  std::string test;   // id, or the part of it before "/"
  std::string until;  // "2026-12-01": the last day
  std::string by;
  std::string reason;
};

struct Suite {
  std::string name;
  int64_t version = 0;
  double alpha = 0.05;          // of each one-sided bound
  int64_t max_evaluations = 0;  // of the same rows, by any model; 0: any number
  std::vector<Slice> slices;
  std::vector<DataTest> tests;
  std::vector<Waiver> waivers;

  bool NeedsBaseline() const;
};

// Reads a suite. The slice "all" is always there: every row.
//
//   file    its name, for messages
//   errors  kInvalidArgument SUITE_INVALID: "suite.yaml:12:7: ..." with what was meant, if a known
//           word is near
Result<Suite> ParseSuite(const std::string& yaml, const std::string& file);

}  // namespace bitfoundry::verdicts
