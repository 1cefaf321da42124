#include "verdicts/bins.h"

#include <algorithm>

namespace bitfoundry::verdicts {

std::vector<Bin> BinsOf(std::span<const double> sorted, size_t size) {
  const size_t n = sorted.size();
  std::vector<Bin> equals(n);  // by rank: those of the same value
  for (size_t i = 0; i < n; ++i) {
    equals[i].from = i > 0 && sorted[i] == sorted[i - 1] ? equals[i - 1].from : i;
  }
  for (size_t i = n; i-- > 0;) {
    equals[i].to = i + 1 < n && sorted[i] == sorted[i + 1] ? equals[i + 1].to : i + 1;
  }
  std::vector<Bin> bins;
  const auto add = [&](size_t from) {
    const size_t last = from + size - 1;
    Bin bin{equals[from].from, equals[last].to};
    if (bin.size() > 2 * size) {
      if (bin.from < from) bin.from = equals[from].to;
      if (bin.to > last + 1) bin.to = equals[last].from;
    }
    if (bin.from < bin.to) bins.push_back(bin);
  };
  for (size_t from = 0; from + size <= n; from += std::max<size_t>(1, size / 2)) add(from);
  add(n - size);
  for (size_t i = 0; i < n; i = equals[i].to) {
    if (equals[i].size() >= size) bins.push_back(equals[i]);
  }
  std::ranges::sort(bins);
  bins.erase(std::unique(bins.begin(), bins.end()), bins.end());
  return bins;
}

}  // namespace bitfoundry::verdicts
