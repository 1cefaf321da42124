// A board, for the eyes of people and of pipelines.
#pragma once

#include <string>

#include "base/status.h"
#include "bitfoundry/v1/evaluator.pb.h"

namespace bitfoundry::cli {

// The board in one of these forms, ending in a line feed: table, json, markdown.
// Errors: kInvalidArgument for any other.
Result<std::string> FormatBoard(const v1::Board& board, const std::string& form);

}  // namespace bitfoundry::cli
