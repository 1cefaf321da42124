// Ranges of an attribute that a scan looks at: twentieths of the data, and its tails, because that
// is where shortcuts hide: 3 % of the images that are dark are invisible in any average.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

namespace bitfoundry::verdicts {

struct Bin {
  double low = 0;  // both ends belong to it
  double high = 0;

  bool Holds(double value) const { return value >= low && value <= high; }
  std::string ToString() const;  // "12.5..14"
  bool operator==(const Bin&) const = default;
};

// Of the values at `places`: 20 of about equal size, and the lowest and highest 0.5, 1, 2 and 5 %.
// Bins that hold the same are there once.
//
//   values  by place, none NaN at `places`
std::vector<Bin> BinsOf(std::span<const size_t> places, std::span<const double> values);

// The bins for some of these places: one that holds fewer than `least` of them takes in the nearest
// others until it does. Those that hold none, or leave fewer than `least` outside, are left out;
// what is the same then is there once.
//
//   places  in order of their values
std::vector<Bin> Widened(std::span<const Bin> bins, std::span<const size_t> places,
                         std::span<const double> values, size_t least);

}  // namespace bitfoundry::verdicts
