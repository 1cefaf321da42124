#include "stats/label_error.h"

#include "base/status.h"

namespace bitfoundry::stats {

double ExpectedLabelError(std::span<const double> posteriors) {
  double error = 0;
  for (const double posterior : posteriors) {
    BF_CHECK(posterior >= 0 && posterior <= 1);
    error += 1 - posterior;
  }
  return posteriors.empty() ? 0 : error / static_cast<double>(posteriors.size());
}

double Ceiling(Side side, double label_error) {
  BF_CHECK(label_error >= 0 && label_error <= 1);
  return side == Side::kAtLeast ? 1 - label_error : label_error;
}

bool WithinReach(Side side, double limit, double label_error) {
  const double ceiling = Ceiling(side, label_error);
  return side == Side::kAtLeast ? limit <= ceiling : limit >= ceiling;
}

}  // namespace bitfoundry::stats
