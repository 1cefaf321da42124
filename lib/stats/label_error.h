// How much of a limit the labels themselves allow. Labels are wrong now and then, and where they
// are, a network that is right counts as wrong: with 2.2 % label error a perfect one measures 97.8
// %. A limit beyond that is not strict but impossible, or passed only by a network that has learnt
// the labels' mistakes. Pure functions.
//
// Source: C. G. Northcutt, A. Athalye and J. Mueller, "Pervasive label errors in test sets
// destabilize machine learning benchmarks", NeurIPS 2021, https://arxiv.org/abs/2103.14749; the
// expected error of labels with posteriors, A. P. Dawid and A. M. Skene, Applied Statistics 28
// (1979) 20-28.
//
// Which labels: the error is that of the rows that the metric counts where these are chosen by
// label (recall, fpr, fnr, accuracy). Precision counts the rows predicted positive; a perfect
// network predicts those that are positive in truth, so there it is the share of these that are
// labelled other.
#pragma once

#include <span>

#include "stats/proportion.h"

namespace bitfoundry::stats {

// The share of labels expected to be wrong: the mean of 1 - posterior. 0 if there are none.
//
// After an audit, LowerBound of the labels found wrong instead: then a limit is refused only if it
// is shown to be out of reach.
//
//   posteriors  of the class that is the label, each in [0, 1]
double ExpectedLabelError(std::span<const double> posteriors);

// What a perfect network measures: 1 - label_error if more is better, label_error if less is.
double Ceiling(Side side, double label_error);

// False if the limit is beyond it: refuse it, with the figure.
bool WithinReach(Side side, double limit, double label_error);

}  // namespace bitfoundry::stats
