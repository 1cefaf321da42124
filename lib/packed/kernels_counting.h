// Binary products by counting bits, for CPUs that can: the arithmetic of packed/kernels.h. Included
// after kernels_loops.h, by a file that has defined also, in the unnamed namespace:
//
//   Twos(d, ones, e1)   d ? ~ones : e1, bit by bit
//   Counter             counts bits: Add(e), Add(ones, twos); Minus(): minus their number
#pragma once

namespace bitfoundry::packed {
namespace {

// One row a filter: each word is counted.
struct RowTile {
  template <uint32_t patches>
  [[gnu::always_inline]] static void Run(const Patches& p, size_t offset, const Filters& filters,
                                         const uint8_t* weights, int32_t* sums, size_t stride) {
    for (uint32_t v = 0; v < kBlock; v += kLanes) {
      const uint8_t* row = p.row[0] + offset;
      Counter differing[patches] = {};
      for (uint32_t w = 0; w < filters.words; ++w, row += 4) {
        const Ints filter = Load<Ints>(weights + (w * kBlock + v) * 4);
#pragma GCC unroll 8
        for (uint32_t i = 0; i < patches; ++i) {
          differing[i].Add(filter ^ Spread(row + i * p.step));
        }
      }
#pragma GCC unroll 8
      for (uint32_t i = 0; i < patches; ++i) {
        Store(sums + i * stride + v, differing[i].Minus());
      }
    }
  }
};

// Three rows a filter, stored as (x1, x1^x2, x1^x2^x3): see packed/kernels.h. Rows of `kWords`
// words, or of any number if that is 0.
template <uint32_t kWords>
struct TripleTile {
  template <uint32_t patches>
  [[gnu::always_inline]] static void Run(const Patches& p, size_t offset, const Filters& filters,
                                         const uint8_t* weights, int32_t* sums, size_t stride) {
    for (uint32_t v = 0; v < kBlock; v += kLanes) {
      const uint8_t* row0 = p.row[0] + offset;
      const uint8_t* row1 = p.row[1] + offset;
      const uint8_t* row2 = p.row[2] + offset;
      const uint8_t* at = weights + v * 4;
      Counter differing[patches] = {};
      const uint32_t words = kWords == 0 ? filters.words : kWords;
#pragma GCC unroll 3
      for (uint32_t w = 0; w < words; ++w) {
        const Ints f1 = Load<Ints>(at);
        const Ints f12 = Load<Ints>(at + kBlock * 4);
        const Ints f123 = Load<Ints>(at + 2 * kBlock * 4);
#pragma GCC unroll 8
        for (uint32_t i = 0; i < patches; ++i) {
          const Ints e1 = f1 ^ Spread(row0 + i * p.step);
          const Ints d = f12 ^ Spread(row1 + i * p.step);
          const Ints ones = f123 ^ Spread(row2 + i * p.step);
          differing[i].Add(ones, Twos(d, ones, e1));
        }
        row0 += 4;
        row1 += 4;
        row2 += 4;
        at += 3 * kBlock * 4;
      }
#pragma GCC unroll 8
      for (uint32_t i = 0; i < patches; ++i) {
        Store(sums + i * stride + v, differing[i].Minus());
      }
    }
  }
};

void MultiplyBinary(const Patches& patches, const Filters& filters, int32_t* sums, size_t stride) {
  if (filters.rows == 1) {
    Multiply<RowTile>(patches, filters, sums, stride);
  } else if (filters.words == 2) {  // 16 channels, joined
    Multiply<TripleTile<2>>(patches, filters, sums, stride);
  } else if (filters.words == 3) {  // 32 channels
    Multiply<TripleTile<3>>(patches, filters, sums, stride);
  } else {
    Multiply<TripleTile<0>>(patches, filters, sums, stride);
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
