// Data whose truth is known, for tests and benchmarks of lib/stats.
#pragma once

#include <cstdint>
#include <random>
#include <span>
#include <vector>

#include "stats/proportion.h"

namespace bitfoundry::testing {

// How many of n succeed at this rate.
inline int64_t Successes(int64_t n, double rate, std::mt19937_64& random) {
  std::bernoulli_distribution right(rate);
  int64_t successes = 0;
  for (int64_t i = 0; i < n; ++i) successes += right(random);
  return successes;
}

// Groups of the given sizes, whose rates are drawn from the beta distribution with mean `rate` such
// that two samples of one group have correlation `icc`.
inline std::vector<stats::Count> BetaBinomialGroups(std::span<const int64_t> sizes, double rate,
                                                    double icc, std::mt19937_64& random) {
  std::vector<stats::Count> groups;
  for (const int64_t n : sizes) {
    double own = rate;
    if (icc > 0) {
      const double scale = (1 - icc) / icc;
      const double a = std::gamma_distribution<double>(rate * scale)(random);
      const double b = std::gamma_distribution<double>((1 - rate) * scale)(random);
      own = a + b > 0 ? a / (a + b) : 1;
    }
    groups.push_back({n, Successes(n, own, random)});
  }
  return groups;
}

inline stats::Count Total(std::span<const stats::Count> groups) {
  stats::Count total;
  for (const stats::Count& group : groups) {
    total.n += group.n;
    total.successes += group.successes;
  }
  return total;
}

}  // namespace bitfoundry::testing
