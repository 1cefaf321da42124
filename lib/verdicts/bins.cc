#include "verdicts/bins.h"

#include <algorithm>
#include <cstdio>
#include <tuple>
#include <utility>

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
    if (std::ranges::find(bins, bin) == bins.end()) bins.push_back(bin);
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

std::vector<Bin> Widened(std::span<const Bin> bins, std::span<const size_t> places,
                         std::span<const double> values, size_t least) {
  const auto value = [&](size_t rank) { return values[places[rank]]; };
  const auto ranks = [&](const Bin& bin) {  // that it holds: from, and to the one after the last
    const auto of = [&](size_t place) { return values[place]; };
    return std::pair(
        static_cast<size_t>(std::ranges::lower_bound(places, bin.low, {}, of) - places.begin()),
        static_cast<size_t>(std::ranges::upper_bound(places, bin.high, {}, of) - places.begin()));
  };
  std::vector<Bin> widened;
  for (Bin bin : bins) {
    auto [from, to] = ranks(bin);
    if (from >= to) continue;
    while (to - from < least && (from > 0 || to < places.size())) {
      const bool down = to == places.size() ||
                        (from > 0 && value(from) - value(from - 1) <= value(to) - value(to - 1));
      if (down) bin.low = value(--from);
      if (!down) bin.high = value(to++);
    }
    std::tie(from, to) = ranks(bin);  // with all that are equal to the last it took
    if (to - from < least || places.size() - (to - from) < least) continue;
    if (std::ranges::find(widened, bin) == widened.end()) widened.push_back(bin);
  }
  return widened;
}

}  // namespace bitfoundry::verdicts
