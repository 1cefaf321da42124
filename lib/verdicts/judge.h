// From predictions to outcomes. Pure: the same data, predictions and suite give the same verdict.
//
// pass          the exact one-sided bound clears the limit
// fail          the opposite bound shows that the limit does not hold
// inconclusive  neither; with how many more samples would settle it at the observed rate
// error         the test could not be made: a name that the data lacks, an empty slice, fewer
//               samples than min_n. Closed, never open
#pragma once

#include <map>
#include <string>
#include <vector>

#include "bitfoundry/v1/evaluator.pb.h"
#include "snapshot/snapshot.h"
#include "verdicts/suite.h"

namespace bitfoundry::verdicts {

// What the network said: a class index for each of `rows`, by the text of the transform. Every
// transform of the suite is there.
struct Evidence {
  const snapshot::Snapshot& data;
  std::vector<size_t> rows;  // in data.rows: the test part, in order
  std::map<std::string, std::vector<size_t>> predictions;
};

// The rows of the part that tests are about.
std::vector<size_t> TestRows(const snapshot::Snapshot& data);

// The names that those rows have.
slices::Vocabulary VocabularyOf(const snapshot::Snapshot& data, const std::vector<size_t>& rows);

struct Judged {
  v1::TestResult result;
  std::vector<size_t> members;  // of the slice: places in Evidence::rows
  std::vector<size_t> counted;  // those among them that the metric counts
};

// One for each test, in the suite's order.
std::vector<Judged> Judge(const Suite& suite, const Evidence& evidence);

// Of the tests that block: error before fail before inconclusive before pass.
v1::Outcome Overall(const std::vector<Judged>& tests);

}  // namespace bitfoundry::verdicts
