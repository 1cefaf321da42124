#include "slices/nearest.h"

#include <algorithm>

namespace bitfoundry::slices {
namespace {

// Damerau's distance, restricted: no part of the text is edited twice.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) {
    for (size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      d[i][j] = std::min(
          {d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::string Nearest(std::string_view name, const std::vector<std::string>& candidates) {
  constexpr size_t kLongest = 128;  // nobody mistypes a novel; keeps the table small
  if (name.size() > kLongest) return "";
  std::string best;
  size_t best_distance = std::max<size_t>(1, name.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kLongest) continue;
    const size_t distance = Distance(name, candidate);
    if (distance >= best_distance) continue;
    best_distance = distance;
    best = candidate;
  }
  return best;
}

std::string Suggest(std::string_view name, const std::vector<std::string>& candidates) {
  const std::string near = Nearest(name, candidates);
  if (!near.empty()) return "; did you mean '" + near + "'?";
  constexpr size_t kShown = 8;
  std::string known;
  for (size_t i = 0; i < candidates.size() && i < kShown; ++i) {
    known += (i == 0 ? "" : ", ") + candidates[i];
  }
  if (candidates.size() > kShown) known += ", ...";
  return candidates.empty() ? "; none is known here" : "; known: " + known;
}

}  // namespace bitfoundry::slices
