#include "labels/consensus.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/status.h"

namespace bitfoundry::labels {

Belief Consensus(std::span<const Opinion> opinions, int class_count) {
  BF_CHECK(class_count >= 2);
  // Each opinion multiplies the odds of its class by right / wrong; logarithms cannot overflow.
  std::vector<double> log_odds(static_cast<size_t>(class_count), 0.0);
  for (const Opinion& opinion : opinions) {
    BF_CHECK(opinion.class_index >= 0 && opinion.class_index < class_count);
    const double right = std::clamp(opinion.reliability, 0.001, 0.999);
    const double wrong = (1 - right) / (class_count - 1);
    log_odds[static_cast<size_t>(opinion.class_index)] += std::log(right / wrong);
  }
  const auto best = std::max_element(log_odds.begin(), log_odds.end());
  double sum = 0;
  for (const double odds : log_odds) sum += std::exp(odds - *best);
  return {.class_index = static_cast<int>(best - log_odds.begin()), .posterior = 1 / sum};
}

}  // namespace bitfoundry::labels
