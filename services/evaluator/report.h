// The HTML report of a verdict: one file that needs nothing else. The same verdict on the same data
// gives the same bytes (there is no clock in it), so a replay can be compared by digest.
#pragma once

#include <string>

#include "services/evaluator/explanations.h"

namespace bitfoundry::evaluator {

// Everything that comes from outside (names, tags, expressions) is escaped, and the page forbids
// itself to load or run anything.
std::string RenderReport(const verdicts::Subject& subject, const verdicts::Evaluated& evaluated,
                         const Explanations& explanations);

}  // namespace bitfoundry::evaluator
