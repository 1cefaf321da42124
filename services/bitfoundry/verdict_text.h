// A verdict, for the eyes of people and of release pipelines.
#pragma once

#include <string>

#include "base/status.h"
#include "bitfoundry/v1/evaluator.pb.h"

namespace bitfoundry::cli {

// The verdict in one of these forms, ending in a line feed:
//   table     like a test runner's, for a terminal
//   json      the message of evaluator.proto, its names as they are there
//   junit     JUnit XML: a slice is a test suite. What blocks and did not pass is a failure or an
//             error, inconclusive included; what only warns or is waived is skipped, with its
//             message
//   markdown  for a comment on a change
//   model-card  what an artefact's MODEL_CARD.md lacks: how it was judged, and what was not shown
//   github    workflow commands, which annotate the suite's file: an error for what blocks, a
//             warning for the rest; at most 50
//
// Errors: kInvalidArgument for any other form.
Result<std::string> FormatVerdict(const v1::Verdict& verdict, const std::string& form);

// What `bitfoundry evaluate` exits with: 0 pass, 1 fail, 2 inconclusive, 3 error.
int ExitCode(v1::Outcome outcome);

}  // namespace bitfoundry::cli
