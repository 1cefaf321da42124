// The operations of a packed network, each planned for one CPU and one place in the arena: what
// packed/engine.h runs one after the other.
#pragma once

#include <cstring>
#include <memory>
#include <new>

#include "packed/kernels.h"
#include "packed/network.h"

namespace bitfoundry::packed {

constexpr size_t kCacheLine = 64;  // bytes; also a vector of AVX-512

constexpr size_t RoundUp(size_t n, size_t to) { return (n + to - 1) / to * to; }

// Zeroed memory on a boundary of a cache line.
class Memory {
 public:
  Memory() = default;
  explicit Memory(size_t bytes)
      : bytes_(static_cast<uint8_t*>(::operator new(RoundUp(bytes, kCacheLine), kAlignment))) {
    std::memset(bytes_.get(), 0, bytes);
  }
  uint8_t* get() const { return bytes_.get(); }

 private:
  static constexpr std::align_val_t kAlignment{kCacheLine};
  struct Free {
    void operator()(uint8_t* bytes) const { ::operator delete(bytes, kAlignment); }
  };
  std::unique_ptr<uint8_t[], Free> bytes_;
};

// What a stage needs of memory that no other stage reads.
struct Scratch {
  size_t lines = 0;  // bytes each
  size_t patches = 0;
  size_t ready = 0;
  size_t sums = 0;

  void Cover(const Scratch& other) {
    lines = std::max(lines, other.lines);
    patches = std::max(patches, other.patches);
    ready = std::max(ready, other.ready);
    sums = std::max(sums, other.sums);
  }
};

// The memory of one thread, and the image at hand.
struct Frame {
  Frame(size_t arena_bytes, const Scratch& scratch)
      : arena(arena_bytes),
        lines(scratch.lines),
        patches(scratch.patches),
        ready(scratch.ready),
        sums(scratch.sums) {}

  const uint8_t* image = nullptr;
  Memory arena;
  Memory lines;
  Memory patches;
  Memory ready;
  Memory sums;
};

// A tensor in the arena.
template <typename Value>
Value* At(const Frame& frame, size_t offset) {
  return reinterpret_cast<Value*>(frame.arena.get() + offset);
}

// One operation, planned.
class Stage {
 public:
  virtual ~Stage() = default;
  virtual void Run(const Frame& frame) const = 0;
  virtual Scratch scratch() const { return {}; }
};

// What a stage is made from.
struct Site {
  const Kernels& kernels;
  const Layer& layer;
  size_t in;  // offsets in the arena
  size_t skip;
  size_t out;
  uint32_t skip_channels;  // 0: none
  // The operation that takes the integers to bits, or null, and where those go: done on the way.
  const Binarize* binarize = nullptr;
  size_t bits = 0;
};

// The returned stage refers to nothing of its arguments but the kernels.
std::unique_ptr<Stage> MakeStage(const Site& site, const Op& op, const Network& network);

}  // namespace bitfoundry::packed
