#include "verdicts/bins.h"

#include <algorithm>

namespace bitfoundry::verdicts {

namespace {

// By rank: those of the same value.
std::vector<Bin> EqualsOf(std::span<const double> sorted) {
  const size_t n = sorted.size();
  std::vector<Bin> equals(n);
  for (size_t i = 0; i < n; ++i) {
    equals[i].from = i > 0 && sorted[i] == sorted[i - 1] ? equals[i - 1].from : i;
  }
  for (size_t i = n; i-- > 0;) {
    equals[i].to = i + 1 < n && sorted[i] == sorted[i + 1] ? equals[i + 1].to : i + 1;
  }
  return equals;
}

}  // namespace

std::vector<Bin> BinsOf(std::span<const double> sorted, size_t size) {
  const size_t n = sorted.size();
  const std::vector<Bin> equals = EqualsOf(sorted);
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

std::vector<Bin> EveryBinOf(std::span<const double> sorted, size_t size, size_t least) {
  const std::vector<Bin> equals = EqualsOf(sorted);
  std::vector<Bin> bins;
  for (size_t from = 0; from + size <= sorted.size(); from = equals[from].to) {
    const Bin& last = equals[from + size - 1];
    bins.push_back({from, last.to});
    const bool is_cut = last.to > from + size;  // the last of the equal values are beyond
    if (is_cut && last.from >= from + least) bins.push_back({from, last.from});
  }
  return bins;
}

}  // namespace bitfoundry::verdicts
