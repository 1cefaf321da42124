#include "packed/plan.h"

#include <algorithm>
#include <numeric>

namespace bitfoundry::packed {
namespace {

// Tensors that share one place, from the step that makes the first to the last step that needs one.
struct Block {
  uint64_t bytes = 0;
  size_t first = 0;
  size_t last = 0;
  uint64_t offset = 0;

  bool Meets(const Block& other) const { return first <= other.last && other.first <= last; }
};

// The lowest offset at which `block` overlaps none of `placed`, which are in order of offset.
uint64_t LowestGap(const Block& block, const std::vector<const Block*>& placed) {
  uint64_t offset = 0;
  for (const Block* other : placed) {
    if (!block.Meets(*other)) continue;
    if (offset + block.bytes <= other->offset) break;
    offset = std::max(offset, other->offset + other->bytes);
  }
  return offset;
}

}  // namespace

Plan PlanArena(const std::vector<Layer>& layers, uint64_t align) {
  std::vector<size_t> last_use(layers.size() + 1);  // of each tensor, as a step
  for (size_t i = 0; i < layers.size(); ++i) {
    last_use[layers[i].input] = last_use[layers[i].add] = i;
  }
  last_use[layers.size()] = layers.size() - 1;

  std::vector<Block> blocks;
  std::vector<size_t> block_of(layers.size());
  for (size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = layers[i];
    const uint32_t skip = layer.add;
    const bool in_place = skip != 0 && last_use[skip] == i && skip != layer.input &&
                          layers[skip - 1].out == layer.out;
    if (in_place) {
      block_of[i] = block_of[skip - 1];
    } else {
      block_of[i] = blocks.size();
      blocks.push_back({(layer.out_bytes + align - 1) / align * align, i, i, 0});
    }
    blocks[block_of[i]].last = last_use[i + 1];
  }

  std::vector<size_t> order(blocks.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](size_t b) { return blocks[b].bytes; });
  std::vector<const Block*> placed;
  Plan plan;
  for (const size_t b : order) {
    Block& block = blocks[b];
    block.offset = LowestGap(block, placed);
    placed.insert(std::ranges::upper_bound(placed, block.offset, {},
                                           [](const Block* p) { return p->offset; }),
                  &block);
    plan.bytes = std::max(plan.bytes, block.offset + block.bytes);
  }
  for (const size_t b : block_of) plan.offsets.push_back(blocks[b].offset);
  return plan;
}

}  // namespace bitfoundry::packed
