// Compiled with AVX2. A byte of a vector is one of 32 filters: four bits of it are looked up in the
// sixteen counts that four bits of the patch give, and counts of up to 56 bits add up in a byte.
#include <immintrin.h>

#include "packed/kernels.h"

namespace bitfoundry::packed {
namespace {

typedef int32_t Ints __attribute__((vector_size(32)));
constexpr uint32_t kTile = 4;
typedef int16_t Shorts __attribute__((vector_size(16)));

inline __m256i M(Ints a) { return reinterpret_cast<__m256i>(a); }
inline Ints I(__m256i a) { return reinterpret_cast<Ints>(a); }

inline Ints Widen(Shorts s) { return I(_mm256_cvtepi16_epi32(reinterpret_cast<__m128i>(s))); }
inline Shorts Narrow(Ints i) {
  const __m256i halves = _mm256_packs_epi32(M(i), M(i));
  return reinterpret_cast<Shorts>(_mm256_castsi256_si128(_mm256_permute4x64_epi64(halves, 8)));
}

inline uint32_t LessBits(Ints a, Ints b) {
  const __m256i less = _mm256_cmpgt_epi32(M(b), M(a));
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(less)));
}

inline uint32_t LessBits(Shorts a, Shorts b) {
  const __m128i less = _mm_cmplt_epi16(reinterpret_cast<__m128i>(a), reinterpret_cast<__m128i>(b));
  return static_cast<uint32_t>(_mm_movemask_epi8(_mm_packs_epi16(less, _mm_setzero_si128())));
}

inline Ints AddPairs(Ints sum, Ints a, Ints b) { return sum + I(_mm256_madd_epi16(M(a), M(b))); }

}  // namespace
}  // namespace bitfoundry::packed

#include "packed/kernels_loops.h"

namespace bitfoundry::packed {
namespace {

constexpr uint32_t kNibbles = 8;      // in a word
constexpr uint32_t kWordsAByte = 7;   // whose counts fit a byte: 7 * 32 < 256
constexpr uint32_t kWordBytes = 256;  // of one word of a group of filters

struct Table {
  alignas(64) uint8_t differing[16][16];  // bits between two numbers of four bits
};

constexpr Table MakeTable() {
  Table table = {};
  for (uint32_t a = 0; a < 16; ++a) {
    for (uint32_t b = 0; b < 16; ++b) {
      for (uint32_t e = a ^ b; e != 0; e >>= 1) table.differing[a][b] += e & 1;
    }
  }
  return table;
}

constexpr Table kTable = MakeTable();

size_t FilterBytes(const Filters& shape) {
  return size_t{RoundUp(shape.count, kFilterGroup)} * shape.rows * shape.words * kNibbles;
}

// [group of 32][row][word][8][32], four bits a byte.
void PackFilters(const uint32_t* weights, const Filters& shape, uint8_t* packed) {
  __builtin_memset(packed, 0, FilterBytes(shape));
  const size_t words = size_t{shape.rows} * shape.words;
  for (uint32_t f = 0; f < shape.count; ++f) {
    uint8_t* const group = packed + f / kFilterGroup * words * kWordBytes;
    for (size_t w = 0; w < words; ++w) {
      for (uint32_t n = 0; n < kNibbles; ++n) {
        group[(w * kNibbles + n) * kFilterGroup + f % kFilterGroup] = weights[w] >> (4 * n) & 15;
      }
    }
    weights += words;
  }
}

// sums -= counts; counts = 0.
template <uint32_t patches, uint32_t groups>
[[gnu::always_inline]] inline void Subtract(__m256i (&counts)[patches][groups], int32_t* sums,
                                            size_t stride) {
#pragma GCC unroll 4
  for (uint32_t i = 0; i < patches; ++i) {
#pragma GCC unroll 2
    for (uint32_t g = 0; g < groups; ++g) {
      uint8_t bytes[kFilterGroup];
      Store(bytes, counts[i][g]);
      counts[i][g] = _mm256_setzero_si256();
      int32_t* const at = sums + i * stride + g * kFilterGroup;
      for (uint32_t c = 0; c < kFilterGroup; c += kLanes) {
        const __m128i eight = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(bytes + c));
        Store(at + c, Load<Ints>(at + c) - I(_mm256_cvtepu8_epi32(eight)));
      }
    }
  }
}

// Four bits become the offset of their row in the table.
void ReadyLines(const uint32_t* lines, size_t words, size_t line, uint32_t rows, uint8_t* room,
                const uint8_t** row) {
  const auto* const bytes = reinterpret_cast<const uint8_t*>(lines);
  for (size_t i = 0; i < words * 4; ++i) {
    room[2 * i] = static_cast<uint8_t>(bytes[i] << 4);
    room[2 * i + 1] = bytes[i] & 0xf0;
  }
  for (uint32_t r = 0; r < rows; ++r) row[r] = room + r * line * kNibbles;
}

// Some patches meet one or two groups of filters.
template <uint32_t groups>
struct LookUpTile {
  template <uint32_t patches>
  [[gnu::always_inline]] static void Run(const Patches& p, size_t offset, const Filters& filters,
                                         const uint8_t* weights, int32_t* sums, size_t stride) {
    const size_t group_bytes = size_t{filters.rows} * filters.words * kWordBytes;
    for (uint32_t i = 0; i < patches; ++i) {
      for (uint32_t c = 0; c < groups * kFilterGroup; c += kLanes) {
        Store(sums + i * stride + c, Ints{});
      }
    }
    __m256i counts[patches][groups] = {};
    uint32_t words_left = kWordsAByte;
    for (uint32_t r = 0; r < filters.rows; ++r) {
      const uint8_t* nibble = p.row[r] + offset;
      for (uint32_t w = 0; w < filters.words; ++w) {
        for (uint32_t n = 0; n < kNibbles; ++n, ++nibble, weights += kFilterGroup) {
#pragma GCC unroll 4
          for (uint32_t i = 0; i < patches; ++i) {
            const uint8_t* const row = kTable.differing[0] + nibble[i * p.step];
            const __m256i table = _mm256_broadcastsi128_si256(Load<__m128i>(row));
#pragma GCC unroll 2
            for (uint32_t g = 0; g < groups; ++g) {
              const __m256i filter = Load<__m256i>(weights + g * group_bytes);
              counts[i][g] = _mm256_add_epi8(counts[i][g], _mm256_shuffle_epi8(table, filter));
            }
          }
        }
        if (--words_left == 0) {
          Subtract<patches, groups>(counts, sums, stride);
          words_left = kWordsAByte;
        }
      }
    }
    Subtract<patches, groups>(counts, sums, stride);
  }
};

void MultiplyBinary(const Patches& patches, const Filters& filters, int32_t* sums, size_t stride) {
  const size_t group_bytes = size_t{filters.rows} * filters.words * kWordBytes;
  const uint8_t* weights = filters.packed;
  uint32_t f = 0;
  for (; f + kFilterGroup < filters.count; f += 2 * kFilterGroup, weights += 2 * group_bytes) {
    Sweep<LookUpTile<2>>(patches, filters, weights, sums + f, stride);
  }
  if (f < filters.count) Sweep<LookUpTile<1>>(patches, filters, weights, sums + f, stride);
}

}  // namespace

const Kernels kAvx2Kernels = {
    .cpu = Cpu::kAvx2,
    .name = "avx2",
    .filter_bytes = FilterBytes,
    .pack_filters = PackFilters,
    .ready_lines = ReadyLines,
    .word_bytes = kNibbles,
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
