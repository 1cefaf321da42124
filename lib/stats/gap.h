// Whether groups of people are served alike: the gap between the highest and the lowest rate of
// several independent groups. Pure functions.
//
// Each rate is bounded by Clopper and Pearson, exactly, and the gap by the difference of bounds.
// That errs on the safe side, as two bounds seldom err at once, and holds at any n and any rate;
// intervals for a difference that are narrower (R. G. Newcombe, "Interval estimation for the
// difference between independent proportions", Statistics in Medicine 17 (1998) 873-890) are right
// only on average.
//
//   holds   every pair's gap is shown to be within the limit. All of them have to be, so each may
//   be
//           tested at alpha (R. L. Berger 1982, see stats/decision.h): its two bounds at alpha / 2
//   broken  some pair's gap is shown to be beyond it. Any may be, so all 2 g bounds of g groups
//   have
//           to be right at once: each at alpha / (2 g), by Bonferroni
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "stats/proportion.h"

namespace bitfoundry::stats {

// The largest difference between two groups' rates.
struct Gap {
  size_t highest = 0;  // places in the groups: those with the highest and lowest observed rate
  size_t lowest = 0;   // among groups with a sample; both 0 if there is none
  double observed = 0;
  double lower = 0;  // with confidence 1 - alpha each: at least, and at most, this
  double upper = 1;
};

// groups: two or more, independent of each other; one without samples proves nothing
Gap BoundGap(std::span<const Count> groups, double alpha);

// Whether the gap is at most `max_gap`, in (0, 1). The p-values are the alphas at which BoundGap's
// bounds reach it.
PValues TestGap(std::span<const Count> groups, double max_gap);

// About how many more samples in all would settle an open question, if every group grew by the same
// factor and kept its rate. Nothing if the gap is on the limit, a group is empty, or more than
// kMaxTrialsNeeded would be wanted in all.
std::optional<int64_t> GapTrialsNeeded(std::span<const Count> groups, double max_gap, double alpha);

}  // namespace bitfoundry::stats
