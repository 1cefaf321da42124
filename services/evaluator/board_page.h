// A board as one page of HTML, in the report's style: it loads and runs nothing.
#pragma once

#include <string>

#include "bitfoundry/v1/evaluator.pb.h"

namespace bitfoundry::evaluator {

// What comes from outside is escaped. No outcome is told by colour alone.
std::string RenderBoard(const v1::Board& board);

}  // namespace bitfoundry::evaluator
