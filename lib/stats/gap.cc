#include "stats/gap.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/status.h"
#include "stats/binomial.h"

namespace bitfoundry::stats {
namespace {

// A group's effective counts, `times` as large.
struct Group {
  double n = 0;
  double successes = 0;
};

std::vector<Group> Grown(std::span<const Count> groups, double times) {
  BF_CHECK(groups.size() >= 2);
  std::vector<Group> grown;
  for (const Count& count : groups) {
    BF_CHECK(count.successes >= 0 && count.successes <= count.n && count.design_effect >= 1);
    const double n = count.effective_n() * times;
    const double rate =
        count.n == 0 ? 0 : static_cast<double>(count.successes) / static_cast<double>(count.n);
    grown.push_back({n, count.successes == count.n ? n : n * rate});
  }
  return grown;
}

// The largest gap between two groups, with each rate's bounds at `tail`: at most, and at least.
double Upper(const std::vector<Group>& groups, double tail) {
  double gap = 0;
  for (size_t i = 0; i < groups.size(); ++i) {
    const double high = RateOfAtMost(groups[i].n, groups[i].successes, tail);
    for (size_t j = 0; j < groups.size(); ++j) {
      if (i == j) continue;
      gap = std::max(gap, high - RateOfAtLeast(groups[j].n, groups[j].successes, tail));
    }
  }
  return gap;
}

double Lower(const std::vector<Group>& groups, double tail) {
  double high = 0;
  double low = 1;
  for (const Group& group : groups) {
    high = std::max(high, RateOfAtLeast(group.n, group.successes, tail));
    low = std::min(low, RateOfAtMost(group.n, group.successes, tail));
  }
  return std::max(0.0, high - low);
}

double BonferroniTail(const std::vector<Group>& groups, double alpha) {
  return alpha / (2 * static_cast<double>(groups.size()));
}

// The smallest alpha in (1e-12, 1] at which `shown` is true, which it stays above; 1 if none.
template <typename Shown>
double SmallestAlpha(const Shown& shown) {
  double log_low = std::log(1e-12);
  double log_high = 0;
  if (shown(1e-12)) return 1e-12;
  while (log_high - log_low > 1e-10) {
    const double middle = (log_low + log_high) / 2;
    (shown(std::exp(middle)) ? log_high : log_low) = middle;
  }
  return std::exp(log_high);
}

}  // namespace

Gap BoundGap(std::span<const Count> groups, double alpha) {
  BF_CHECK(alpha > 0 && alpha < 0.5);
  const std::vector<Group> counts = Grown(groups, 1);
  Gap gap;
  double high = -1;
  double low = 2;
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i].n == 0) continue;
    const double rate = counts[i].successes / counts[i].n;
    if (rate > high) high = rate, gap.highest = i;
    if (rate < low) low = rate, gap.lowest = i;
  }
  gap.observed = std::max(0.0, high - low);
  gap.lower = Lower(counts, BonferroniTail(counts, alpha));
  gap.upper = Upper(counts, alpha / 2);
  return gap;
}

PValues TestGap(std::span<const Count> groups, double max_gap) {
  BF_CHECK(max_gap > 0 && max_gap < 1);
  const std::vector<Group> counts = Grown(groups, 1);
  return {SmallestAlpha([&](double alpha) { return Upper(counts, alpha / 2) <= max_gap; }),
          SmallestAlpha([&](double alpha) {
            return Lower(counts, BonferroniTail(counts, alpha)) >= max_gap;
          })};
}

std::optional<int64_t> GapTrialsNeeded(std::span<const Count> groups, double max_gap,
                                       double alpha) {
  BF_CHECK(max_gap > 0 && max_gap < 1 && alpha > 0 && alpha < 0.5);
  double total = 0;
  for (const Count& count : groups) {
    if (count.n == 0) return std::nullopt;
    total += static_cast<double>(count.n);
  }
  const auto settled = [&](double times) {
    const std::vector<Group> grown = Grown(groups, times);
    return Upper(grown, alpha / 2) <= max_gap ||
           Lower(grown, BonferroniTail(grown, alpha)) >= max_gap;
  };
  if (settled(1)) return 0;
  double open = 1;
  double enough = static_cast<double>(kMaxTrialsNeeded) / total;
  if (enough <= 1 || !settled(enough)) return std::nullopt;
  while ((enough - open) * total > 0.5) {
    const double middle = (open + enough) / 2;
    (settled(middle) ? enough : open) = middle;
  }
  return static_cast<int64_t>(std::ceil((enough - 1) * total));
}

}  // namespace bitfoundry::stats
