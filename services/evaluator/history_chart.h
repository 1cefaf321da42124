// One test over the versions, as a small drawing (SVG).
#pragma once

#include <string>

#include "bitfoundry/v1/evaluator.pb.h"

namespace bitfoundry::evaluator {

// Versions from left to right: what was measured as a mark whose shape is the outcome (disc pass,
// cross fail, ring inconclusive, bar error), between its bounds; the limit as a line, the side that
// it forbids shaded. What is not comparable is pale, and no line leads to it. `kind` is that of the
// test. Empty where there is nothing to draw.
std::string HistoryChart(const v1::BoardTest& row, const std::string& kind, bool at_most,
                         int versions);

}  // namespace bitfoundry::evaluator
