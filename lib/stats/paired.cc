#include "stats/paired.h"

#include <algorithm>
#include <boost/math/distributions/normal.hpp>
#include <cmath>
#include <vector>

#include "base/status.h"
#include "stats/binomial.h"
#include "stats/proportion.h"

namespace bitfoundry::stats {
namespace {

double Real(int64_t v) { return static_cast<double>(v); }

void Check(Paired pairs) {
  BF_CHECK(pairs.losses >= 0 && pairs.gains >= 0 && pairs.losses + pairs.gains <= pairs.n);
  BF_CHECK(pairs.design_effect >= 1);
}

// Tango's statistic: how far the observed loss lies above `margin`, in standard deviations at the
// likeliest shares that have exactly this loss. margin is not 0, so the variance is not either.
double Score(double n, double losses, double gains, double margin) {
  const double b = (2 * n - losses + gains) * margin - losses - gains;
  const double c = -gains * margin * (1 - margin);
  const double root = std::sqrt(std::max(b * b - 8 * n * c, 0.0));
  const double gain_share = std::max((root - b) / (4 * n), std::max(0.0, -margin));
  return (losses - gains - n * margin) / std::sqrt(n * (2 * gain_share + margin * (1 - margin)));
}

// The outcomes that speak at least as clearly against "the loss is `margin` or more" as these
// pairs: by number of losses, from how many gains on.
class Region {
 public:
  Region(Paired pairs, double margin) : n_(pairs.n), margin_(margin) {
    const double seen = Score(Real(n_), Real(pairs.losses), Real(pairs.gains), margin) + 1e-9;
    int64_t gains = 0;  // never fewer where there are more losses
    for (int64_t losses = 0; losses <= n_; ++losses) {
      while (gains <= n_ - losses && Score(Real(n_), Real(losses), Real(gains), margin) > seen) {
        ++gains;
      }
      least_gains_.push_back(gains);
      log_factorial_.push_back(std::lgamma(Real(losses + 1)));
    }
  }

  // The region's probability where the rarer of loss and gain has the share `rarer`.
  double Probability(double rarer) const {
    const double loss = rarer + std::max(0.0, margin_);
    const double gain = rarer + std::max(0.0, -margin_);
    if (loss + gain >= 1) return 1;
    const double coin = gain / (1 - loss);  // what is not lost is gained with this probability
    const double spread = 10 * std::sqrt(Real(n_) * loss * (1 - loss)) + 25;  // beyond: < 1e-20
    const auto first = static_cast<int64_t>(std::max(0.0, Real(n_) * loss - spread));
    const auto last = static_cast<int64_t>(std::min(Real(n_), Real(n_) * loss + spread));

    // `below` is P(fewer than `gains` of the n - losses others), carried from one number of losses
    // to the next by P(m - 1, g) = P(m, g) + coin * mass(m - 1, g - 1) and P(m, g + 1) = P(m, g) +
    // mass(m, g).
    int64_t gains = LeastGains(first);
    double below = gains == 0           ? 0
                   : gains > n_ - first ? 1
                                        : 1 - AtLeast(Real(n_ - first), Real(gains), coin);
    double sum = 0;
    for (int64_t losses = first; losses <= last; ++losses) {
      const int64_t others = n_ - losses;
      if (losses > first && gains > 0) below += coin * Mass(others, gains - 1, coin);
      for (; gains < LeastGains(losses); ++gains) below += Mass(others, gains, coin);
      if (gains <= others) sum += Mass(n_, losses, loss) * std::max(0.0, 1 - below);
    }
    return std::min(sum, 1.0);
  }

 private:
  int64_t LeastGains(int64_t losses) const { return least_gains_[static_cast<size_t>(losses)]; }

  // P(k of n) at this rate.
  double Mass(int64_t n, int64_t k, double rate) const {
    if (k > n) return 0;
    if (rate <= 0) return k == 0 ? 1 : 0;
    const auto log = [&](int64_t v) { return log_factorial_[static_cast<size_t>(v)]; };
    return std::exp(log(n) - log(k) - log(n - k) + Real(k) * std::log(rate) +
                    Real(n - k) * std::log1p(-rate));
  }

  int64_t n_;
  double margin_;
  std::vector<int64_t> least_gains_;
  std::vector<double> log_factorial_;
};

// The highest point of f over [low, high], from a grid and then by golden section.
template <typename F>
double Highest(const F& f, double low, double high, double step) {
  double best = low;
  double highest = f(low);
  for (double x = low + step; x < high + step; x += step) {
    const double y = f(std::min(x, high));
    if (y > highest) highest = y, best = std::min(x, high);
  }
  double a = std::max(low, best - step);
  double b = std::min(high, best + step);
  for (int i = 0; i < 10; ++i) {
    const double x = b - (b - a) * 0.618034;
    const double y = a + (b - a) * 0.618034;
    const double fx = f(x);
    const double fy = f(y);
    highest = std::max({highest, fx, fy});
    (fx > fy ? b : a) = fx > fy ? y : x;
  }
  return highest;
}

// The p-value of "the loss is below margin"; margin in (-1, 1) and not 0.
double BelowP(Paired pairs, double margin) {
  if (pairs.n == 0) return 1;
  const Count changed{pairs.n, pairs.losses + pairs.gains};
  const double least = LowerBound(changed, kNuisanceRisk / 2);
  const double most = UpperBound(changed, kNuisanceRisk / 2);
  const auto rarer = [&](double share) { return std::max(0.0, (share - std::abs(margin)) / 2); };
  if (most < std::abs(margin))
    return kNuisanceRisk;  // so large a loss needs more changes than that
  const Region region(pairs, margin);
  // Over the root of the share the probability is equally smooth everywhere: a standard deviation
  // of its estimate is about 1 / sqrt(8 n).
  const double step = 0.25 / std::sqrt(8 * Real(pairs.n));
  const double p = Highest([&](double root) { return region.Probability(root * root); },
                           std::sqrt(rarer(least)), std::sqrt(rarer(most)), step);
  return std::min(1.0, p + kNuisanceRisk);
}

int64_t Down(int64_t count, double by) {
  return static_cast<int64_t>(std::floor(Real(count) / by));
}
int64_t Up(int64_t count, double by) { return static_cast<int64_t>(std::ceil(Real(count) / by)); }

double HoldsP(Paired pairs, double margin) {
  const double by = pairs.design_effect;
  Paired effective{Down(pairs.n, by), Up(pairs.losses, by), Down(pairs.gains, by)};
  effective.n = std::max(effective.n, effective.losses + effective.gains);
  return BelowP(effective, margin);
}

Paired Swapped(Paired pairs) {
  std::swap(pairs.losses, pairs.gains);
  return pairs;
}

// The margin in [low, high] where p falls to alpha, from the side where it is above.
double Crossing(Paired pairs, double low, double high, double alpha) {
  while (high - low > 1e-6) {
    double middle = (low + high) / 2;
    if (middle == 0) middle = (low + middle) / 2;
    (HoldsP(pairs, middle) > alpha ? low : high) = middle;
  }
  return high;
}

}  // namespace

double McNemar(Paired pairs) {
  Check(pairs);
  const double by = pairs.design_effect;
  return AtLeast(Real(pairs.losses + pairs.gains) / by, Real(pairs.losses) / by, 0.5);
}

PValues TestLoss(Paired pairs, double max_loss) {
  Check(pairs);
  BF_CHECK(max_loss >= 0 && max_loss < 1);
  if (max_loss == 0) return {McNemar(Swapped(pairs)), McNemar(pairs)};
  return {HoldsP(pairs, max_loss), HoldsP(Swapped(pairs), -max_loss)};
}

LossBounds BoundLoss(Paired pairs, double alpha) {
  Check(pairs);
  BF_CHECK(alpha > kNuisanceRisk && alpha < 0.5);
  if (pairs.n == 0) return {};
  const double loss = pairs.loss();
  return {-Crossing(Swapped(pairs), -loss, 1, alpha), Crossing(pairs, loss, 1, alpha)};
}

std::optional<int64_t> PairsNeeded(Paired pairs, double max_loss, double alpha) {
  const PValues now = TestLoss(pairs, max_loss);
  if (Decide(now, alpha) != Decision::kOpen) return 0;
  const double n = Real(pairs.n) / pairs.design_effect;
  const double losses = Real(pairs.losses) / pairs.design_effect;
  const double gains = Real(pairs.gains) / pairs.design_effect;
  if (n == 0 || (max_loss == 0 && losses + gains == 0)) return std::nullopt;
  const double score = max_loss == 0 ? (losses - gains) / std::sqrt(losses + gains)
                                     : Score(n, losses, gains, max_loss);
  const double wanted = boost::math::quantile(boost::math::normal(), 1 - alpha);
  const double times = std::pow(wanted / score, 2);
  if (!(Real(pairs.n) * times < Real(kMaxPairsNeeded))) return std::nullopt;
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(Real(pairs.n) * (times - 1))));
}

}  // namespace bitfoundry::stats
