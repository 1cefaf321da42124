// From p-values to decisions, for one test and for a family of tests. Pure functions.
//
// Each test of this room asks whether a limit is kept and answers with two p-values: how likely
// data at least so favourable would be if the limit were just not kept, and data at least so
// unfavourable if it were just kept. "Just" is the least favourable case, so each is never
// optimistic.
//
// To ship, all tests of a suite have to hold. A release that should not ship breaks at least one
// limit, and that test alone is wrong with probability alpha at most: each may be tested at alpha.
// An alarm is another matter: of 20 tests at alpha, one or more call a faultless network broken
// in up to 1 - (1 - alpha)^20 of all releases. Alarms are therefore corrected, proofs are not.
//
// Sources: R. L. Berger, "Multiparameter hypothesis testing and acceptance sampling",
// Technometrics 24 (1982) 295-300, for the intersection-union test; S. Holm, "A simple sequentially
// rejective multiple test procedure", Scandinavian Journal of Statistics 6 (1979) 65-70, for the
// alarms: whatever the tests have to do with each other, the probability of one or more false
// alarms is alpha at most.
#pragma once

#include <span>
#include <vector>

namespace bitfoundry::stats {

struct PValues {
  double holds = 1;   // small: that the limit is kept has been shown
  double broken = 1;  // small: that it is not kept has been shown
};

enum class Decision { kHolds, kBroken, kOpen };

// One test by itself: each of the two sure answers is wrong with probability alpha at most.
//
//   alpha  in (0, 0.5)
Decision Decide(PValues p, double alpha);

// The tests of a suite, in their order: kHolds as above, kBroken by Holm across all of them.
std::vector<Decision> DecideFamily(std::span<const PValues> tests, double alpha);

// Holm's adjusted p-values, in the order given: at most alpha where his procedure rejects.
//
//   p_values  each in [0, 1]
std::vector<double> Holm(std::span<const double> p_values);

}  // namespace bitfoundry::stats
