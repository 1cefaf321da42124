// What n trials with k successes say about the rate behind them: exact one-sided bounds, and how
// many more trials would decide a question that is still open. Pure functions.
//
// Source: C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in
// the case of the binomial", Biometrika 26 (1934) 404-413. The bounds are quantiles of the beta
// distribution, whose inverse is Boost.Math's. "Exact" means never optimistic: whatever the true
// rate is, it lies beyond one bound in at most `alpha` of all draws. (A normal approximation says
// that 20 of 20 has no error at all.) Trials are taken to be independent.
#pragma once

#include <cstdint>
#include <optional>

namespace bitfoundry::stats {

// `successes` of `n` trials; 0 <= successes <= n.
struct Count {
  int64_t n = 0;
  int64_t successes = 0;
};

// The rate is at least this, with confidence 1 - alpha. 0 when nothing succeeded or n is 0.
//
//   alpha  in (0, 0.5]
double LowerBound(Count count, double alpha);

// The rate is at most this, with confidence 1 - alpha. 1 when everything succeeded or n is 0.
double UpperBound(Count count, double alpha);

// Whether the rate reaches (kAtLeast) or stays within (kAtMost) a limit.
enum class Side { kAtLeast, kAtMost };
enum class Decision { kHolds, kBroken, kOpen };

// kHolds when the bound on the far side of the rate clears the limit, kBroken when the opposite
// bound shows that the rate is on the wrong side of it, kOpen otherwise. Each of the two sure
// answers is wrong with probability alpha at most.
Decision Decide(Count count, Side side, double limit, double alpha);

inline constexpr int64_t kMaxTrialsNeeded = 100'000'000;

// How many more trials would turn kOpen into a sure answer if the rate stayed as observed (between
// whole successes the bounds are interpolated by the beta distribution). 0 if it is not open.
// Nothing if no number would, or none up to kMaxTrialsNeeded in all: the rate is (nearly) on the
// limit, or n is 0 and there is no rate to go by.
std::optional<int64_t> TrialsNeeded(Count count, double limit, double alpha);

}  // namespace bitfoundry::stats
