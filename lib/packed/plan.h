// Where each tensor lies in the one block of memory, the arena, in which a network runs.
#pragma once

#include <cstdint>
#include <vector>

#include "packed/network.h"

namespace bitfoundry::packed {

struct Plan {
  std::vector<uint64_t> offsets;  // of each layer's output, in bytes, a multiple of `align`
  uint64_t bytes = 0;             // of the arena; the image lies elsewhere, where the camera put it
};

// Tensors that are alive together do not overlap, except that a sum lands on its own skip: the
// output of an operation whose `add` is used there for the last time and has the same shape takes
// its place. Greedy by size, after Pisarchyk and Lee, "Efficient Memory Management for Deep Neural
// Net Inference", 2020, https://arxiv.org/abs/2001.03288.
//
//   layers  from Describe()
//   align   of offsets and of the arena's size, a power of two
Plan PlanArena(const std::vector<Layer>& layers, uint64_t align = 16);

}  // namespace bitfoundry::packed
