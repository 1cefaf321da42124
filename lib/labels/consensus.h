// What several opinions on one sample amount to.
//
// Naive Bayes: every class is equally likely beforehand, and annotators err independently of each
// other, spreading their errors evenly over the other classes. It is the one-coin special case of
// Dawid and Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm",
// Applied Statistics 28 (1979), with the reliabilities given instead of estimated.
#pragma once

#include <span>

namespace bitfoundry::labels {

// Written beside every label that this rule made. Raise it when the rule or a number changes.
inline constexpr char kRule[] = "naive_bayes/1";

// How often a person is right: 3 % is a common rate of slips. Not measured; gold tasks will.
inline constexpr double kPersonReliability = 0.97;

// A posterior from which on a label is settled. One person's answer settles; two that disagree
// do not, and a third decides.
inline constexpr double kSettledFrom = 0.9;

struct Opinion {
  int class_index = 0;     // in [0, class_count)
  double reliability = 0;  // the probability that it is right; taken as 0.001 to 0.999
};

struct Belief {
  int class_index = 0;   // the most probable class, the lowest of equals
  double posterior = 0;  // its probability

  bool settled() const { return posterior >= kSettledFrom; }
};

// The belief after `opinions`, whose order does not matter; without any, 1 / class_count.
// class_count is at least 2.
Belief Consensus(std::span<const Opinion> opinions, int class_count);

}  // namespace bitfoundry::labels
