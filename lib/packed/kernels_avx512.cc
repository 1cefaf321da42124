// Compiled with AVX-512 F, BW, VL, VNNI and VPOPCNTDQ.
#include <immintrin.h>

#include "packed/kernels.h"

namespace bitfoundry::packed {
namespace {

typedef int32_t Ints __attribute__((vector_size(64)));
constexpr uint32_t kTile = 8;
typedef int16_t Shorts __attribute__((vector_size(32)));

inline __m512i M(Ints a) { return reinterpret_cast<__m512i>(a); }
inline Ints I(__m512i a) { return reinterpret_cast<Ints>(a); }

inline Ints Widen(Shorts s) { return I(_mm512_cvtepi16_epi32(reinterpret_cast<__m256i>(s))); }
inline Shorts Narrow(Ints i) { return reinterpret_cast<Shorts>(_mm512_cvtepi32_epi16(M(i))); }

inline uint32_t LessBits(Ints a, Ints b) { return _mm512_cmplt_epi32_mask(M(a), M(b)); }

inline uint32_t LessBits(Shorts a, Shorts b) {
  return _mm256_cmplt_epi16_mask(reinterpret_cast<__m256i>(a), reinterpret_cast<__m256i>(b));
}

inline Ints AddPairs(Ints sum, Ints a, Ints b) {
  return I(_mm512_dpwssd_epi32(M(sum), M(a), M(b)));
}

inline Ints Twos(Ints d, Ints ones, Ints e1) {
  return I(_mm512_ternarylogic_epi32(M(d), M(ones), M(e1), 0x3a));
}

class Counter {
 public:
  void Add(Ints e) { minus_ -= I(_mm512_popcnt_epi32(M(e))); }
  // A count is at most 32, one byte, so that a product of bytes doubles and subtracts it at once.
  void Add(Ints ones, Ints twos) {
    Add(ones);
    const __m512i count = _mm512_popcnt_epi32(M(twos));
    minus_ = I(_mm512_dpbusd_epi32(M(minus_), count, _mm512_set1_epi32(0xfe)));  // -2, low byte
  }
  Ints Minus() const { return minus_; }

 private:
  Ints minus_ = {};
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
    .sum_bits = SumBits,
    .sum_ints = SumInts,
    .join_pixels = JoinPixels,
};

}  // namespace bitfoundry::packed
