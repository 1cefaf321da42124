// Two networks on the same samples: does the candidate lose what the shipped one gets right? Pure
// functions. Samples that both get right, or both wrong, say nothing about that; what counts are
//
//   losses  right before, wrong now          gains  wrong before, right now
//
// and the loss is (losses - gains) / n: the drop of the rate. Comparing two rates as if they came
// from different samples throws this away: of 1,000 samples 12 losses and 2 gains are within such a
// margin, and here p = 0.0065.
//
// Sources. No loss at all: Q. McNemar, "Note on the sampling error of the difference between
// correlated proportions or percentages", Psychometrika 12 (1947) 153-157, in the exact form: given
// that a sample changed, it is a coin toss which way.
// A loss of d at most: the coin is not fair, and how unfair depends on how many samples change,
// which is not known. The test orders outcomes by the score statistic of T. Tango, "Equivalence
// test and confidence interval for the difference in proportions for the paired-sample design",
// Statistics in Medicine 17 (1998) 891-908, and takes the probability of what was seen or worse, by
// summing the trinomial distribution, at the least favourable share of changed samples: K. Sidik,
// "Exact unconditional tests for testing non-inferiority in matched-pairs design", Statistics in
// Medicine 22 (2003) 265-278. Shares that the data rule out at kNuisanceRisk are left out, and that
// much is added to p: R. L. Berger and D. D. Boos, "P values maximized over a confidence set for
// the nuisance parameter", JASA 89 (1994) 1012-1016. Chosen because the plain score test errs too
// often where changes are few, and because the bounds of two Clopper-Pearson intervals, one
// subtracted from the other, are about twice as wide.
#pragma once

#include <cstdint>
#include <optional>

#include "stats/decision.h"

namespace bitfoundry::stats {

// losses, gains >= 0; losses + gains <= n.
struct Paired {
  int64_t n = 0;
  int64_t losses = 0;
  int64_t gains = 0;
  double design_effect = 1;  // as in Count; counts divided by it are rounded to what shows less

  double loss() const {
    return n == 0 ? 0 : static_cast<double>(losses - gains) / static_cast<double>(n);
  }
};

// McNemar's exact one-sided test of "nothing was lost": the probability of so many losses or more
// among the changed samples if losses and gains were equally likely. 1 if nothing changed.
double McNemar(Paired pairs);

inline constexpr double kNuisanceRisk = 1e-4;  // no p-value but McNemar's is below it

// Whether the loss is at most `max_loss`. At 0 the p-value of kBroken is McNemar's, and that of
// kHolds his too, the other way round.
//
//   max_loss  in [0, 1)
PValues TestLoss(Paired pairs, double max_loss);

// With confidence 1 - alpha each: the loss is at least `lower`, and at most `upper`. To within
// 1e-6, outwards.
//
//   alpha  in (kNuisanceRisk, 0.5)
struct LossBounds {
  double lower = -1;
  double upper = 1;
};
LossBounds BoundLoss(Paired pairs, double alpha);

// About how many more pairs would settle an open question if losses and gains kept their shares: by
// the score statistic, which grows with the root of n. Nothing if the loss is on the limit, if
// max_loss is 0 and no sample changed, or if more than kMaxPairsNeeded would be wanted.
inline constexpr int64_t kMaxPairsNeeded = 100'000'000;
std::optional<int64_t> PairsNeeded(Paired pairs, double max_loss, double alpha);

}  // namespace bitfoundry::stats
