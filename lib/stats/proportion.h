// What n trials with k successes say about the rate behind them: exact one-sided bounds and tests,
// how many more trials would decide a question that is still open, and how many to plan for. Pure
// functions.
//
// Source: C. J. Clopper and E. S. Pearson, "The use of confidence or fiducial limits illustrated in
// the case of the binomial", Biometrika 26 (1934) 404-413. The bounds are quantiles of the beta
// distribution, whose inverse is Boost.Math's. "Exact" means never optimistic: whatever the true
// rate is, it lies beyond one bound in at most `alpha` of all draws. (A normal approximation says
// that 20 of 20 has no error at all.)
#pragma once

#include <cstdint>
#include <optional>

#include "stats/decision.h"

namespace bitfoundry::stats {

// `successes` of `n` trials; 0 <= successes <= n.
struct Count {
  int64_t n = 0;
  int64_t successes = 0;

  // How many trials are worth one independent one (stats/clusters.h); at least 1. All that
  // follows takes n and successes divided by it.
  double design_effect = 1;

  double effective_n() const { return static_cast<double>(n) / design_effect; }
};

// The rate is at least this, with confidence 1 - alpha. 0 when nothing succeeded or n is 0.
//
//   alpha  in (0, 0.5]
double LowerBound(Count count, double alpha);

// The rate is at most this, with confidence 1 - alpha. 1 when everything succeeded or n is 0.
double UpperBound(Count count, double alpha);

// Whether the rate reaches (kAtLeast) or stays within (kAtMost) a limit.
enum class Side { kAtLeast, kAtMost };

// The exact binomial test against the limit: its p-values are the alphas at which a bound reaches
// it.
//
//   limit  in (0, 1)
PValues TestRate(Count count, Side side, double limit);

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

// The probability that n independent trials of true rate `rate` show that it is at least `limit`.
//
//   limit, rate  in (0, 1)
double PowerToCertify(int64_t n, double limit, double rate, double alpha);

// Sample sizes. Power goes up and down with n like a saw: one trial more can raise the number of
// successes that are asked for and so make the proof less likely. M. R. Chernick and C. Y. Liu,
// "The saw-toothed behavior of power versus sample size and software solutions", The American
// Statistician 56 (2002) 149-155.
struct SampleSize {
  int64_t least = 0;   // the smallest n with this power
  int64_t always = 0;  // this n and every larger one has it: what to plan for
};

inline constexpr int64_t kMaxPlannedTrials = 100'000;

// How many trials to plan for, so that a true rate of `rate` is shown to be at least `limit` with
// probability `power`. For "at most", give 1 - limit and 1 - rate. Nothing if rate <= limit or more
// than kMaxPlannedTrials would be wanted.
std::optional<SampleSize> TrialsToCertify(double limit, double rate, double power, double alpha);

}  // namespace bitfoundry::stats
