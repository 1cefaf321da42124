#include "stats/clusters.h"

#include <algorithm>
#include <vector>

#include "base/status.h"

namespace bitfoundry::stats {
namespace {

double Real(int64_t v) { return static_cast<double>(v); }

// A group's samples, each with a value: how many, their sum and their squares' sum.
struct Moments {
  double n = 0;
  double sum = 0;
  double squares = 0;
};

struct Total : Moments {
  int64_t groups = 0;
  double squared_sizes = 0;
};

Total Add(const std::vector<Moments>& groups) {
  Total total;
  for (const Moments& group : groups) {
    if (group.n == 0) continue;
    ++total.groups;
    total.n += group.n;
    total.sum += group.sum;
    total.squared_sizes += group.n * group.n;
  }
  return total;
}

// By the analysis of variance: the mean squares between and within groups. Cut off below 0.
double EstimatedIcc(const std::vector<Moments>& groups, const Total& total) {
  const double mean = total.sum / total.n;
  double between = 0;
  double within = 0;
  for (const Moments& group : groups) {
    if (group.n == 0) continue;
    const double deviation = group.sum / group.n - mean;
    between += group.n * deviation * deviation;
    within += group.squares - group.sum * group.sum / group.n;
  }
  const double degrees = Real(total.groups) - 1;
  between /= degrees;
  within /= total.n - Real(total.groups);
  const double size = (total.n - total.squared_sizes / total.n) / degrees;
  const double variance = between + (size - 1) * within;
  return variance > 0 ? std::clamp((between - within) / variance, 0.0, 1.0) : 0;
}

// `telling`: how many groups say something about how alike their samples are.
Clustering ClusterOf(const std::vector<Moments>& groups, int64_t telling) {
  const Total total = Add(groups);
  Clustering clustering;
  clustering.groups = total.groups;
  if (total.n == Real(total.groups)) return clustering;  // each sample by itself
  clustering.too_few_groups = total.groups < kMinGroups;
  if (total.groups > 1) {
    clustering.estimated_icc = EstimatedIcc(groups, total);
    const double weight = Real(std::max<int64_t>(telling, 1));
    clustering.icc = (1 + weight * clustering.estimated_icc) / (1 + weight);
  } else {
    clustering.icc = 1;  // there is nothing to compare it with
  }
  clustering.design_effect = 1 + (total.squared_sizes / total.n - 1) * clustering.icc;
  return clustering;
}

}  // namespace

Clustering Cluster(std::span<const Count> groups) {
  std::vector<Moments> moments;
  int64_t with_success = 0;
  int64_t with_failure = 0;
  for (const Count& group : groups) {
    BF_CHECK(group.successes >= 0 && group.successes <= group.n);
    moments.push_back({Real(group.n), Real(group.successes), Real(group.successes)});
    with_success += group.successes > 0;
    with_failure += group.successes < group.n;
  }
  return ClusterOf(moments, std::min(with_success, with_failure));
}

Clustering Cluster(std::span<const Paired> groups) {
  std::vector<Moments> moments;
  int64_t changed = 0;
  for (const Paired& group : groups) {
    BF_CHECK(group.losses >= 0 && group.gains >= 0 && group.losses + group.gains <= group.n);
    moments.push_back(
        {Real(group.n), Real(group.gains - group.losses), Real(group.gains + group.losses)});
    changed += group.losses + group.gains > 0;
  }
  return ClusterOf(moments, changed);
}

}  // namespace bitfoundry::stats
