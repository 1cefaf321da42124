// Binary products by counting bits, for CPUs that can: the arithmetic of packed/kernels.h. Included
// after kernels_loops.h, by a file that has defined also, in the unnamed namespace:
//
//   Select(d, a, b)   d ? a : b, bit by bit
//   Counter           counts bits: Add(e), Add(ones, twos), and Total() in each lane
#pragma once

namespace bitfoundry::packed {
namespace {

// One row a filter: each word is counted.
struct RowTile {
  template <uint32_t patches>
  [[gnu::always_inline]] static void Run(const Patches& p, uint32_t first, const Filters& filters,
                                         const uint8_t* weights, int32_t* sums, size_t stride) {
    const uint8_t* const row = p.row[0] + first * p.step;
    for (uint32_t v = 0; v < kBlock; v += kLanes) {
      Counter differing[patches] = {};
      for (uint32_t w = 0; w < filters.words; ++w) {
        const Ints filter = Load<Ints>(weights + (w * kBlock + v) * 4);
#pragma GCC unroll 4
        for (uint32_t i = 0; i < patches; ++i) {
          differing[i].Add(filter ^ Spread(row + i * p.step + w * 4));
        }
      }
#pragma GCC unroll 4
      for (uint32_t i = 0; i < patches; ++i) {
        const Ints sum = static_cast<int32_t>(filters.bits) - 2 * differing[i].Total();
        Store(sums + i * stride + v, sum);
      }
    }
  }
};

// Three rows a filter, stored as (x1, x1^x2, x1^x2^x3): see packed/kernels.h.
struct TripleTile {
  template <uint32_t patches>
  [[gnu::always_inline]] static void Run(const Patches& p, uint32_t first, const Filters& filters,
                                         const uint8_t* weights, int32_t* sums, size_t stride) {
    const uint8_t* const row0 = p.row[0] + first * p.step;
    const uint8_t* const row1 = p.row[1] + first * p.step;
    const uint8_t* const row2 = p.row[2] + first * p.step;
    for (uint32_t v = 0; v < kBlock; v += kLanes) {
      Counter differing[patches] = {};
      const uint8_t* at = weights + v * 4;
      for (size_t w = 0; w < size_t{filters.words} * 4; w += 4, at += 3 * kBlock * 4) {
        const Ints f1 = Load<Ints>(at);
        const Ints f12 = Load<Ints>(at + kBlock * 4);
        const Ints f123 = Load<Ints>(at + 2 * kBlock * 4);
#pragma GCC unroll 4
        for (uint32_t i = 0; i < patches; ++i) {
          const Ints e1 = f1 ^ Spread(row0 + i * p.step + w);
          const Ints d = f12 ^ Spread(row1 + i * p.step + w);
          const Ints ones = f123 ^ Spread(row2 + i * p.step + w);
          differing[i].Add(ones, Select(d, ~ones, e1));
        }
      }
#pragma GCC unroll 4
      for (uint32_t i = 0; i < patches; ++i) {
        const Ints sum = static_cast<int32_t>(filters.bits) - 2 * differing[i].Total();
        Store(sums + i * stride + v, sum);
      }
    }
  }
};

void MultiplyBinary(const Patches& patches, const Filters& filters, int32_t* sums, size_t stride) {
  if (filters.rows == 3) {
    Multiply<TripleTile>(patches, filters, sums, stride);
  } else {
    Multiply<RowTile>(patches, filters, sums, stride);
  }
}

void PackFilters(const uint32_t* weights, const Filters& shape, uint8_t* packed) {
  __builtin_memset(packed, 0, BlockedBytes(shape));
  for (uint32_t f = 0; f < shape.count; ++f, weights += shape.rows * shape.words) {
    for (uint32_t w = 0; w < shape.words; ++w) {
      uint32_t word = 0;
      for (uint32_t r = 0; r < shape.rows; ++r) {
        word ^= weights[r * shape.words + w];
        Store(packed + BlockedIndex(shape, f, r, w) * 4, word);
      }
    }
  }
}

void ReadyLines(const uint32_t* lines, size_t words, size_t line, uint32_t rows, uint8_t* room,
                const uint8_t** row) {
  row[0] = reinterpret_cast<const uint8_t*>(lines);
  if (rows == 1) return;
  auto* const two = reinterpret_cast<uint32_t*>(room);
  auto* const three = two + words;
  for (size_t i = 0; i + 2 * line < words; ++i) {
    two[i] = lines[i] ^ lines[i + line];
    three[i] = two[i] ^ lines[i + 2 * line];
  }
  row[1] = room;
  row[2] = room + words * 4;
}

}  // namespace
}  // namespace bitfoundry::packed
