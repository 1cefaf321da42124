#include "stats/binomial.h"

#include <boost/math/special_functions/beta.hpp>

namespace bitfoundry::stats {
namespace {

using boost::math::policies::policy;
using boost::math::policies::promote_double;
constexpr policy<promote_double<false>> kInDouble;

}  // namespace

double AtLeast(double n, double k, double rate) {
  return k <= 0 ? 1.0 : boost::math::ibeta(k, n - k + 1, rate, kInDouble);
}

double AtMost(double n, double k, double rate) {
  return k >= n ? 1.0 : boost::math::ibetac(k + 1, n - k, rate, kInDouble);
}

double RateOfAtLeast(double n, double k, double alpha) {
  return k <= 0 ? 0.0 : boost::math::ibeta_inv(k, n - k + 1, alpha, kInDouble);
}

double RateOfAtMost(double n, double k, double alpha) {
  return k >= n ? 1.0 : boost::math::ibetac_inv(k + 1, n - k, alpha, kInDouble);
}

}  // namespace bitfoundry::stats
