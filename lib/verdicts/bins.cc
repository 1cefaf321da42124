#include "verdicts/bins.h"

#include <algorithm>
#include <cstdio>

namespace bitfoundry::verdicts {
namespace {

constexpr size_t kTwentieths = 20;
constexpr double kTails[] = {0.005, 0.01, 0.02, 0.05};

}  // namespace

std::string Bin::ToString() const {
  char text[64];
  std::snprintf(text, sizeof text, "%.4g..%.4g", low, high);
  return text;
}

std::vector<Bin> BinsOf(std::span<const size_t> places, std::span<const double> values) {
  std::vector<double> sorted;
  for (const size_t place : places) sorted.push_back(values[place]);
  std::sort(sorted.begin(), sorted.end());
  std::vector<Bin> bins;
  const auto add = [&](size_t from, size_t to) {  // ranks; to is not part of it
    if (from >= to) return;
    const Bin bin{sorted[from], sorted[to - 1]};
    const bool known = std::any_of(bins.begin(), bins.end(), [&](const Bin& other) {
      return other.low == bin.low && other.high == bin.high;
    });
    if (!known) bins.push_back(bin);
  };
  const size_t n = sorted.size();
  for (size_t i = 0; i < kTwentieths; ++i) add(n * i / kTwentieths, n * (i + 1) / kTwentieths);
  for (const double share : kTails) {
    const auto count = static_cast<size_t>(static_cast<double>(n) * share);
    add(0, count);
    add(n - count, n);
  }
  return bins;
}

}  // namespace bitfoundry::verdicts
