#include "stats/hypergeometric.h"

#include <algorithm>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>

namespace bitfoundry::stats {
namespace {

double LogChoose(int64_t n, int64_t k) {
  using boost::math::policies::policy;
  using boost::math::policies::promote_double;
  const auto log_factorial = [](int64_t i) {
    return boost::math::lgamma(static_cast<double>(i) + 1, policy<promote_double<false>>());
  };
  return log_factorial(n) - log_factorial(k) - log_factorial(n - k);
}

}  // namespace

double AtLeastDrawn(int64_t total, int64_t marked, int64_t drawn, int64_t k) {
  const int64_t most = std::min(marked, drawn);
  if (k <= std::max<int64_t>(0, drawn - (total - marked))) return 1;
  if (k > most) return 0;
  // The first term, then each by its ratio to the one before.
  const double first =
      LogChoose(marked, k) + LogChoose(total - marked, drawn - k) - LogChoose(total, drawn);
  double term = 1;
  double sum = 1;
  for (int64_t x = k; x < most && term > 1e-17 * sum; ++x) {
    term *= static_cast<double>(marked - x) * static_cast<double>(drawn - x) /
            (static_cast<double>(x + 1) * static_cast<double>(total - marked - drawn + x + 1));
    sum += term;
  }
  return std::min(1.0, std::exp(first) * sum);
}

}  // namespace bitfoundry::stats
