// The HTML report of a verdict: one file that needs nothing else. The same verdict on the same data
// gives the same bytes (there is no clock in it), so a replay can be compared by digest.
#pragma once

#include <string>

#include "verdicts/judge.h"

namespace bitfoundry::evaluator {

inline constexpr size_t kPicturesPerTest = 12;  // right, and as many wrong

// verdict   everything but its id, report and time; its tests are those of `tests`
// tests     with the rows that each picture is taken from
// Everything that comes from outside (names, tags, expressions) is escaped, and the page forbids
// itself to load or run anything.
std::string RenderReport(const v1::Verdict& verdict, const verdicts::Suite& suite,
                         const std::vector<verdicts::Judged>& tests,
                         const verdicts::Evidence& evidence);

}  // namespace bitfoundry::evaluator
