#include "stats/proportion.h"

#include <boost/math/special_functions/beta.hpp>

#include "base/status.h"

namespace bitfoundry::stats {
namespace {

// Clopper and Pearson's bounds, extended to fractions of a success.
double Lower(double n, double k, double alpha) {
  return k <= 0 ? 0.0 : boost::math::ibeta_inv(k, n - k + 1, alpha);
}

double Upper(double n, double k, double alpha) {
  return k >= n ? 1.0 : boost::math::ibeta_inv(k + 1, n - k, 1 - alpha);
}

void Check(Count count, double alpha) {
  BF_CHECK(count.successes >= 0 && count.successes <= count.n);
  BF_CHECK(alpha > 0 && alpha <= 0.5);
}

}  // namespace

double LowerBound(Count count, double alpha) {
  Check(count, alpha);
  return Lower(static_cast<double>(count.n), static_cast<double>(count.successes), alpha);
}

double UpperBound(Count count, double alpha) {
  Check(count, alpha);
  return Upper(static_cast<double>(count.n), static_cast<double>(count.successes), alpha);
}

Decision Decide(Count count, Side side, double limit, double alpha) {
  const double lower = LowerBound(count, alpha);
  const double upper = UpperBound(count, alpha);
  const bool holds = side == Side::kAtLeast ? lower >= limit : upper <= limit;
  const bool broken = side == Side::kAtLeast ? upper < limit : lower > limit;
  return holds ? Decision::kHolds : broken ? Decision::kBroken : Decision::kOpen;
}

std::optional<int64_t> TrialsNeeded(Count count, double limit, double alpha) {
  Check(count, alpha);
  if (count.n == 0) return std::nullopt;
  const double rate = static_cast<double>(count.successes) / static_cast<double>(count.n);
  const auto settled = [&](int64_t n) {
    const double trials = static_cast<double>(n);
    const double k = rate == 1 ? trials : rate * trials;  // 1 has no rounding error to lose
    return Lower(trials, k, alpha) >= limit || Upper(trials, k, alpha) <= limit;
  };

  if (settled(count.n)) return 0;
  if (!settled(kMaxTrialsNeeded)) return std::nullopt;
  int64_t open = count.n;  // bisection: the bounds close in on the rate as n grows
  int64_t enough = kMaxTrialsNeeded;
  while (enough - open > 1) {
    const int64_t middle = open + (enough - open) / 2;
    (settled(middle) ? enough : open) = middle;
  }
  return enough - count.n;
}

}  // namespace bitfoundry::stats
