// Ranges of an attribute that a scan looks at, large and small, because shortcuts hide in small
// ones: 3 % of the images that are dark are invisible in any average.
#pragma once

#include <cstddef>
#include <span>
#include <vector>

namespace bitfoundry::verdicts {

// Ranks of values in their order: from `from` up to the one before `to`.
struct Bin {
  size_t from = 0;
  size_t to = 0;

  size_t size() const { return to - from; }
  auto operator<=>(const Bin&) const = default;
};

// Bins of about `size` values, each beginning where the one before is half through, from the lowest
// to the highest. Equal values stay together: a bin takes in all that are equal to its ends, unless
// it would be more than twice as large, when it leaves them out. Of `size` or more that are equal
// there is a bin.
//
//   sorted  at least `size` values
//   size    at least 1
std::vector<Bin> BinsOf(std::span<const double> sorted, size_t size);

// From each value on the smallest bin of at least `size` values, and the largest of at most `size`
// but at least `least`; equal values stay together.
std::vector<Bin> EveryBinOf(std::span<const double> sorted, size_t size, size_t least);

}  // namespace bitfoundry::verdicts
