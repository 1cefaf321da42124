#include "stats/proportion.h"

#include <algorithm>

#include "base/status.h"
#include "stats/binomial.h"

namespace bitfoundry::stats {
namespace {

void Check(Count count, double alpha) {
  BF_CHECK(count.successes >= 0 && count.successes <= count.n && count.design_effect >= 1);
  BF_CHECK(alpha > 0 && alpha <= 0.5);
}

double EffectiveSuccesses(Count count) {
  return count.successes == count.n ? count.effective_n()
                                    : static_cast<double>(count.successes) / count.design_effect;
}

}  // namespace

double LowerBound(Count count, double alpha) {
  Check(count, alpha);
  return RateOfAtLeast(count.effective_n(), EffectiveSuccesses(count), alpha);
}

double UpperBound(Count count, double alpha) {
  Check(count, alpha);
  return RateOfAtMost(count.effective_n(), EffectiveSuccesses(count), alpha);
}

PValues TestRate(Count count, Side side, double limit) {
  Check(count, 0.5);
  BF_CHECK(limit > 0 && limit < 1);
  const double n = count.effective_n();
  const double k = EffectiveSuccesses(count);
  const double many = AtLeast(n, k, limit);
  const double few = AtMost(n, k, limit);
  return side == Side::kAtLeast ? PValues{many, few} : PValues{few, many};
}

Decision Decide(Count count, Side side, double limit, double alpha) {
  return Decide(TestRate(count, side, limit), alpha);
}

std::optional<int64_t> TrialsNeeded(Count count, double limit, double alpha) {
  Check(count, alpha);
  if (count.n == 0) return std::nullopt;
  const double rate = static_cast<double>(count.successes) / static_cast<double>(count.n);
  const auto settled = [&](int64_t n) {
    const double trials = static_cast<double>(n) / count.design_effect;
    const double k = rate == 1 ? trials : rate * trials;  // 1 has no rounding error to lose
    return AtLeast(trials, k, limit) <= alpha || AtMost(trials, k, limit) <= alpha;
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

namespace {

// The fewest successes of n that show the limit, given that `from` or more are asked for; n + 1 if
// even n do not.
int64_t Critical(int64_t n, int64_t from, double limit, double alpha) {
  int64_t k = from;
  while (k <= n && AtLeast(static_cast<double>(n), static_cast<double>(k), limit) > alpha) ++k;
  return k;
}

double PowerAt(int64_t n, int64_t critical, double rate) {
  return critical > n ? 0 : AtLeast(static_cast<double>(n), static_cast<double>(critical), rate);
}

}  // namespace

double PowerToCertify(int64_t n, double limit, double rate, double alpha) {
  BF_CHECK(n >= 0 && limit > 0 && limit < 1 && rate > 0 && rate < 1 && alpha > 0 && alpha <= 0.5);
  return PowerAt(n, Critical(n, 0, limit, alpha), rate);
}

std::optional<SampleSize> TrialsToCertify(double limit, double rate, double power, double alpha) {
  BF_CHECK(limit > 0 && limit < 1 && power > 0 && power < 1 && alpha > 0 && alpha <= 0.5);
  if (rate <= limit) return std::nullopt;
  SampleSize size;
  int64_t critical = 0;  // never falls as n grows
  // The teeth of the saw shrink, so twice the last n that fell short is far past them all.
  for (int64_t n = 1; n <= 2 * size.always + 100 || size.least == 0; ++n) {
    if (size.always > kMaxPlannedTrials || n > 2 * kMaxPlannedTrials + 100) return std::nullopt;
    critical = Critical(n, critical, limit, alpha);
    const bool enough = rate == 1 ? critical <= n : PowerAt(n, critical, rate) >= power;
    if (enough && size.least == 0) size.least = n;
    if (!enough) size.always = n + 1;
  }
  size.always = std::max(size.always, size.least);
  return size;
}

}  // namespace bitfoundry::stats
