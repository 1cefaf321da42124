// The binomial distribution's tails and their inverses, extended to fractions of a success by the
// incomplete beta function: what the rest of this room is made of. Pure functions.
//
// Source: Boost.Math's ibeta, in double precision throughout (its default, long double, is another
// type on another processor).
#pragma once

namespace bitfoundry::stats {

// P(at least k of n), and P(at most k of n), when each succeeds with probability `rate`.
//
//   n     >= 0, k <= n (any k <= 0 is 0)
//   rate  in [0, 1]
double AtLeast(double n, double k, double rate);
double AtMost(double n, double k, double rate);

// The rate at which AtLeast(n, k, rate) is alpha; 0 if k is 0. And that at which AtMost is; 1 if k
// is n.
double RateOfAtLeast(double n, double k, double alpha);
double RateOfAtMost(double n, double k, double alpha);

}  // namespace bitfoundry::stats
