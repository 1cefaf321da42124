#include "stats/decision.h"

#include <algorithm>
#include <numeric>

#include "base/status.h"

namespace bitfoundry::stats {

Decision Decide(PValues p, double alpha) {
  BF_CHECK(alpha > 0 && alpha < 0.5);  // or both could be shown
  return p.holds <= alpha    ? Decision::kHolds
         : p.broken <= alpha ? Decision::kBroken
                             : Decision::kOpen;
}

std::vector<Decision> DecideFamily(std::span<const PValues> tests, double alpha) {
  std::vector<double> alarms;
  for (const PValues& p : tests) alarms.push_back(p.broken);
  alarms = Holm(alarms);
  std::vector<Decision> decisions;
  for (size_t i = 0; i < tests.size(); ++i) {
    decisions.push_back(Decide({tests[i].holds, alarms[i]}, alpha));
  }
  return decisions;
}

std::vector<double> Holm(std::span<const double> p_values) {
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return p_values[a] < p_values[b]; });
  std::vector<double> adjusted(p_values.size());
  double so_far = 0;  // whoever follows one that is kept is kept as well
  for (size_t rank = 0; rank < order.size(); ++rank) {
    const double tests_left = static_cast<double>(order.size() - rank);
    so_far = std::max(so_far, std::min(1.0, tests_left * p_values[order[rank]]));
    adjusted[order[rank]] = so_far;
  }
  return adjusted;
}

}  // namespace bitfoundry::stats
