// Compiled with AVX-512 F, BW, VL and VPOPCNTDQ.
#include <immintrin.h>

#include "packed/kernels.h"

namespace bitfoundry::packed {
namespace {

typedef int32_t Ints __attribute__((vector_size(64)));

inline __m512i M(Ints a) { return reinterpret_cast<__m512i>(a); }
inline Ints I(__m512i a) { return reinterpret_cast<Ints>(a); }

inline uint32_t LessBits(Ints a, Ints b) { return _mm512_cmplt_epi32_mask(M(a), M(b)); }

inline Ints MultiplyPairs(Ints a, Ints b) { return I(_mm512_madd_epi16(M(a), M(b))); }

inline Ints Select(Ints d, Ints a, Ints b) {
  return I(_mm512_ternarylogic_epi32(M(d), M(a), M(b), 0xca));
}

class Counter {
 public:
  void Add(Ints e) { ones_ += I(_mm512_popcnt_epi32(M(e))); }
  void Add(Ints ones, Ints twos) {
    ones_ += I(_mm512_popcnt_epi32(M(ones)));
    twos_ += I(_mm512_popcnt_epi32(M(twos)));
  }
  Ints Total() const { return ones_ + 2 * twos_; }

 private:
  Ints ones_ = {};
  Ints twos_ = {};
};

}  // namespace
}  // namespace bitfoundry::packed

#include "packed/kernels_loops.h"
// The order matters.
#include "packed/kernels_counting.h"

namespace bitfoundry::packed {

const Kernels kAvx512Kernels = {
    .cpu = Cpu::kAvx512,
    .name = "avx512",
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
    .add_bits = AddBits,
    .add_ints = AddInts,
};

}  // namespace bitfoundry::packed
