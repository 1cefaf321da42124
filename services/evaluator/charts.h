// Intervals as small drawings (SVG) beside the figures of a test.
#pragma once

#include <string>

#include "bitfoundry/v1/evaluator.pb.h"

namespace bitfoundry::evaluator {

// The limit and what was shown, on a line that is zoomed to hold both: the side that the limit
// forbids is red, the interval is the bar, the observed value the dot, the limit the upright line,
// and what the labels' own error lets a perfect model reach the dashed one. A figure of firmware is
// a bar from 0 instead. Empty where there is nothing to draw.
std::string LimitChart(const v1::TestResult& test);

// A table of the groups of a test with their intervals, on one scale.
std::string GroupTable(const v1::TestResult& test);

}  // namespace bitfoundry::evaluator
