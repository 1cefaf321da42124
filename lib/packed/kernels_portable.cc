#include "packed/kernels.h"

namespace bitfoundry::packed {
namespace {

typedef int32_t Ints __attribute__((vector_size(16)));
constexpr uint32_t kTile = 4;
typedef int16_t Shorts __attribute__((vector_size(8)));

inline Ints Widen(Shorts s) { return __builtin_convertvector(s, Ints); }
inline Shorts Narrow(Ints i) { return __builtin_convertvector(i, Shorts); }

template <typename Vector>
inline uint32_t LessBits(Vector a, Vector b) {
  uint32_t bits = 0;
  for (uint32_t i = 0; i < 4; ++i) bits |= uint32_t{a[i] < b[i]} << i;
  return bits;
}

inline Ints AddPairs(Ints sum, Ints a, Ints b) {
  return sum + (a << 16 >> 16) * (b << 16 >> 16) + (a >> 16) * (b >> 16);
}

inline Ints Twos(Ints d, Ints ones, Ints e1) { return e1 ^ (d & ~(ones ^ e1)); }

class Counter {
 public:
  void Add(Ints e) { total_ += OfBytes(InBytes(e)); }
  void Add(Ints ones, Ints twos) { total_ += OfBytes(InBytes(ones) + 2 * InBytes(twos)); }
  Ints Minus() const { return -reinterpret_cast<Ints>(total_); }

 private:
  typedef uint32_t Words __attribute__((vector_size(16)));

  // The bits of each byte, at most 8.
  static Words InBytes(Ints e) {
    const auto bits = reinterpret_cast<Words>(e);
    const Words pairs = bits - (bits >> 1 & 0x55555555);
    const Words nibbles = (pairs & 0x33333333) + (pairs >> 2 & 0x33333333);
    return (nibbles + (nibbles >> 4)) & 0x0f0f0f0f;
  }

  // The sum of four bytes, at most 24 each.
  static Words OfBytes(Words bytes) {
    bytes += bytes >> 8;
    bytes += bytes >> 16;
    return bytes & 0xff;
  }

  Words total_ = {};
};

}  // namespace
}  // namespace bitfoundry::packed

#include "packed/kernels_loops.h"
// The order matters.
#include "packed/kernels_counting.h"

namespace bitfoundry::packed {

const Kernels kPortableKernels = {
    .cpu = Cpu::kPortable,
    .name = "portable",
    .filter_bytes = BlockedBytes,
    .pack_filters = PackFilters,
    .ready_lines = ReadyLines,
    .word_bytes = 4,
    .binary = MultiplyBinary,
    .stem_bytes = BlockedBytes,
    .pack_stem = PackStem,
    .stem = Multiply<StemTile>,
    .to_bits = ToBits,
    .to_ints = ToInts,
    .binarize = Binarize,
    .sum_bits = SumBits,
    .sum_ints = SumInts,
    .join_pixels = JoinPixels,
};

}  // namespace bitfoundry::packed
