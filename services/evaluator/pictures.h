// The pictures of a report: what the network saw, and what spoke for its answer.
#pragma once

#include <string>

#include "services/evaluator/explanations.h"

namespace bitfoundry::evaluator {

// The pictures of one test, the first of each kind explained; empty if there are none.
std::string Pictures(const verdicts::Subject& subject, const verdicts::Evaluated& evaluated,
                     const Explanations& explanations, size_t test);

// What the maps are, and their averages by slice; empty if nothing was explained.
std::string WhereItLooks(const verdicts::Subject& subject, const Explanations& explanations);

}  // namespace bitfoundry::evaluator
