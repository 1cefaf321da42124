// What samples are worth that come in groups: frames of one session, shots of one camera. Two
// frames of one session are right or wrong together more often than two frames of two, so n of them
// prove less than n independent ones: as much as n / design_effect. Pure functions.
//
//   icc            how alike two samples of one group are: 0 not at all, 1 one sample says it all
//   design_effect  1 + (m - 1) icc, where m is the mean size of a sample's group: sum n_i^2 / n
//
// Sources: the correlation within groups (ICC) by the analysis of variance, M. S. Ridout, C. G. B.
// Demetrio and D. Firth, "Estimating intraclass correlation for binary data", Biometrics 55 (1999)
// 137-148; the design effect, L. Kish, "Survey Sampling" (1965); n and successes divided by it, J.
// N. K. Rao and A. J. Scott, "A simple method for the analysis of clustered binary data",
// Biometrics 48 (1992) 577-585; then Clopper and Pearson as ever (stats/proportion.h).
//
// One thing is added, because the textbook's recipe fails where networks are tested. Where all goes
// well the failures are few, and so is what they say about how alike frames are: of 10 sessions of
// 100 frames, truly at 0.98 with an ICC of 0.1, its 95 % bound is right in 81 % of draws, and at no
// failure at all it takes every frame for independent. So the estimate is averaged with an ICC of
// 1, which is the worst: it weighs as much as one group does, the estimate as much as the groups
// that say something, which are those that have a failure (or a success, if fewer have one), and
// one at least. docs/benchmarks.md has the simulation: right in 93 to 100 % over all that was
// tried. Groups of one sample each lose nothing. A consequence: failures in several groups are
// evidence that frames fail one by one, and two of them can prove more than none.
#pragma once

#include <cstdint>
#include <span>

#include "stats/paired.h"
#include "stats/proportion.h"

namespace bitfoundry::stats {

// With fewer groups no method is to be trusted, this one included.
inline constexpr int64_t kMinGroups = 5;

struct Clustering {
  int64_t groups = 0;           // that have a sample
  double estimated_icc = 0;     // by the analysis of variance, at least 0
  double icc = 0;               // averaged as above: what is used
  double design_effect = 1;     // for Count and Paired; at least 1
  bool too_few_groups = false;  // samples share groups, and these are fewer than kMinGroups: say so
};

// Of one count for each group; its design_effect is not looked at.
Clustering Cluster(std::span<const Count> groups);

// Of one comparison for each group: how alike the differences are (-1 loss, 0 no change, 1 gain).
Clustering Cluster(std::span<const Paired> groups);

}  // namespace bitfoundry::stats
