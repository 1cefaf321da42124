// From evidence to outcomes. Pure: the same evidence and suite give the same verdict.
//
// pass          it has been shown that the limit is kept: the exact one-sided bound clears it
// fail          it has been shown that it is not. An alarm, so corrected for the number of tests
//               (stats/decision.h): twenty good slices do not make one false alarm
// inconclusive  neither; with how many more samples would settle it at the observed rate
// error         the test could not be made: a name that the data lacks, an empty slice, fewer
//               samples than min_n, no baseline, a limit that the labels' own error forbids, rows
//               that were judged too often. Closed, never open
#pragma once

#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "bitfoundry/v1/evaluator.pb.h"
#include "emulate/machine.h"
#include "snapshot/snapshot.h"
#include "verdicts/suite.h"

namespace bitfoundry::verdicts {

// Class indices that a network said of each of Evidence::rows, by the text of the transform.
using Predictions = std::map<std::string, std::vector<size_t>>;

// What an emulated core did with the golden images.
struct Emulated {
  std::string error;     // empty: it ran
  std::string firmware;  // options of `artefact pull` that give it: "--core m4 --flash 131072"
  std::map<Figure, double> figures;
  int32_t images = 0;
  int32_t equal = 0;       // of them, every layer and logit
  std::string difference;  // the first, in words
};

// All that there is to judge by; what the suite does not ask for may be missing.
struct Evidence {
  const snapshot::Snapshot& data;
  std::vector<size_t> rows;  // in data.rows: the test part, in order
  Predictions predictions;
  bool has_baseline = false;
  Predictions baseline = {};             // untransformed
  std::map<size_t, double> in_box = {};  // place in rows -> share of saliency in the box
  std::map<std::string, std::vector<size_t>> explained = {};  // test -> the places drawn for it
  std::map<emulate::Core, Emulated> cores = {};
  std::map<std::string, std::string> unanswered = {};  // test id -> why the model cannot be asked
};

// What is not in the data.
struct Circumstances {
  std::string date;  // "2026-12-01"
  // How many verdicts judged the rows of this digest before, whatever the model.
  std::function<int32_t(const std::string& rows_digest)> evaluations;
};

// The rows of the part that tests are about.
std::vector<size_t> TestRows(const snapshot::Snapshot& data);

// The names that those rows have.
slices::Vocabulary VocabularyOf(const snapshot::Snapshot& data, const std::vector<size_t>& rows);

// The SHA-256 over the sorted names of these of Evidence::rows, each followed by a line feed.
std::string RowsDigest(const Evidence& evidence, std::span<const size_t> places);

struct Judged {
  v1::TestResult result;
  std::vector<size_t> members;  // of the slice: places in Evidence::rows
  std::vector<size_t> counted;  // those among them that the metric counts
};

// OK if the data has every class, tag, meta field and attribute that the suite uses.
// Errors: kInvalidArgument SUITE_INVALID, with the position in the file.
Status CheckNames(const Suite& suite, const slices::Vocabulary& vocabulary);

// One for each test, in the suite's order.
std::vector<Judged> Judge(const Suite& suite, const Evidence& evidence,
                          const Circumstances& circumstances);

// Of the tests that block and are not waived: error before fail before inconclusive before pass.
// Only fail and inconclusive can be waived; that alone is no pass, and nor is a regression that
// passes because nothing was shipped before.
v1::Outcome Overall(const std::vector<Judged>& tests);

}  // namespace bitfoundry::verdicts
