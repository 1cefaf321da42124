// What the kernels of every CPU have in common, written in the compiler's own vectors. Included by
// each kernels_<cpu>.cc after it has defined, in the unnamed namespace of this one:
//
//   Ints                  a vector of int32_t
//   LessBits(a, b)        bit i of the result: a[i] < b[i]
//   MultiplyPairs(a, b)   for each lane, the sum of the products of its two 16-bit halves
#pragma once

namespace bitfoundry::packed {
namespace {

constexpr uint32_t kLanes = sizeof(Ints) / 4;
constexpr uint32_t kBlock = 16;  // filters whose weights lie side by side
constexpr uint32_t kTile = 4;    // patches at once, so that a weight is loaded once
static_assert(kBlock % kLanes == 0);

typedef int16_t Shorts __attribute__((vector_size(sizeof(Ints) / 2)));

template <typename Vector>
[[gnu::always_inline]] inline Vector Load(const void* from) {
  Vector vector;
  __builtin_memcpy(&vector, from, sizeof(Vector));
  return vector;
}

template <typename Vector>
[[gnu::always_inline]] inline void Store(void* to, Vector vector) {
  __builtin_memcpy(to, &vector, sizeof(Vector));
}

// The 32 bits at `from` in every lane.
[[gnu::always_inline]] inline Ints Spread(const uint8_t* from) {
  return Ints{} + Load<int32_t>(from);
}

constexpr uint32_t RoundUp(uint32_t n, uint32_t to) { return (n + to - 1) / to * to; }

// ---- Weights of 32 bits, [block][word][row][16]

size_t BlockedBytes(const Filters& shape) {
  return size_t{RoundUp(shape.count, kBlock)} * shape.rows * shape.words * 4;
}

// Where a weight lies, counted in weights.
size_t BlockedIndex(const Filters& shape, uint32_t filter, uint32_t row, uint32_t word) {
  const size_t in_block = (size_t{word} * shape.rows + row) * kBlock + filter % kBlock;
  return size_t{filter / kBlock} * shape.rows * shape.words * kBlock + in_block;
}

void PackStem(const int8_t* weights, uint32_t values, const Filters& shape, uint8_t* packed) {
  __builtin_memset(packed, 0, BlockedBytes(shape));
  for (uint32_t f = 0; f < shape.count; ++f) {
    for (uint32_t r = 0; r < shape.rows; ++r) {
      for (uint32_t v = 0; v < values; ++v) {
        const int16_t weight = *weights++;
        const size_t index = BlockedIndex(shape, f, r, v / 2);
        __builtin_memcpy(packed + index * 4 + v % 2 * 2, &weight, 2);
      }
    }
  }
}

// ---- Tiles: some patches meet one block of filters. `weights` are the block's.

struct StemTile {
  template <uint32_t patches>
  [[gnu::always_inline]] static void Run(const Patches& p, uint32_t first, const Filters& filters,
                                         const uint8_t* weights, int32_t* sums, size_t stride) {
    for (uint32_t v = 0; v < kBlock; v += kLanes) {
      Ints acc[patches] = {};
      for (uint32_t r = 0; r < filters.rows; ++r) {
        const uint8_t* const row = p.row[r] + first * p.step;
        for (uint32_t w = 0; w < filters.words; ++w) {
          const size_t index = (size_t{w} * filters.rows + r) * kBlock + v;
          const Ints weight = Load<Ints>(weights + index * 4);
#pragma GCC unroll 4
          for (uint32_t i = 0; i < patches; ++i) {
            acc[i] += MultiplyPairs(weight, Spread(row + i * p.step + w * 4));
          }
        }
      }
#pragma GCC unroll 4
      for (uint32_t i = 0; i < patches; ++i) Store(sums + i * stride + v, acc[i]);
    }
  }
};

template <typename Tile>
void Multiply(const Patches& patches, const Filters& filters, int32_t* sums, size_t stride) {
  const uint8_t* weights = filters.packed;
  for (uint32_t f = 0; f < filters.count; f += kBlock) {
    uint32_t i = 0;
    for (; i + kTile <= patches.count; i += kTile) {
      Tile::template Run<kTile>(patches, i, filters, weights, sums + i * stride + f, stride);
    }
    for (; i < patches.count; ++i) {
      Tile::template Run<1>(patches, i, filters, weights, sums + i * stride + f, stride);
    }
    weights += size_t{kBlock} * filters.rows * filters.words * 4;
  }
}

// ---- What becomes of sums

constexpr uint32_t Smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

// One word of bits: values[c] < thresholds[c] for at most `channels` of 32.
template <typename Value>
[[gnu::always_inline]] inline uint32_t LessWord(const Value* values, const int32_t* thresholds,
                                                uint32_t channels) {
  uint32_t word = 0;
  for (uint32_t c = 0; c < Smaller(channels, 32); c += kLanes) {
    typedef Value Vector __attribute__((vector_size(kLanes * sizeof(Value))));
    const Ints value = __builtin_convertvector(Load<Vector>(values + c), Ints);
    word |= LessBits(value, Load<Ints>(thresholds + c)) << c;
  }
  return word;
}

void ToBits(const int32_t* sums, size_t stride, uint32_t pixels, uint32_t channels,
            const int32_t* thresholds, uint32_t* out) {
  for (uint32_t p = 0; p < pixels; ++p, sums += stride) {
    for (uint32_t c = 0; c < channels; c += 32) {
      *out++ = LessWord(sums + c, thresholds + c, channels - c);
    }
  }
}

void Binarize(const int16_t* values, uint32_t pixels, uint32_t channels, const int32_t* thresholds,
              uint32_t* out) {
  for (uint32_t p = 0; p < pixels; ++p, values += channels) {
    for (uint32_t c = 0; c < channels; c += 32) {
      *out++ = LessWord(values + c, thresholds + c, channels - c);
    }
  }
}

int16_t Scale(int32_t sum, const Scaling& s, uint32_t c) {
  const int32_t v = s.relu && sum < 0 ? 0 : sum;
  return static_cast<int16_t>((s.scales[c] * v + s.biases[c]) >> s.shift);
}

// Channels c to c + kLanes of every pixel.
void ScaleVectors(const int32_t* sums, size_t stride, uint32_t pixels, const Scaling& s,
                  const int16_t* skip, int16_t* out, uint32_t c) {
  const Ints scale = Load<Ints>(s.scales + c);
  const Ints bias = Load<Ints>(s.biases + c);
  const Ints low = Ints{} + (s.relu ? 0 : INT32_MIN);
  if (s.skip_channels != 0) skip += c % s.skip_channels;
  for (uint32_t p = 0; p < pixels; ++p) {
    const Ints sum = Load<Ints>(sums + p * stride + c);
    const Ints scaled = (scale * (sum > low ? sum : low) + bias) >> static_cast<int32_t>(s.shift);
    Shorts y = __builtin_convertvector(scaled, Shorts);
    if (s.skip_channels != 0) y += Load<Shorts>(skip + size_t{p} * s.skip_channels);
    Store(out + size_t{p} * s.channels + c, y);
  }
}

void ToInts(const int32_t* sums, size_t stride, uint32_t pixels, const Scaling& s,
            const int16_t* skip, int16_t* out) {
  uint32_t c = 0;
  if (s.skip_channels % kLanes == 0 || s.skip_channels == s.channels) {
    for (; c + kLanes <= s.channels; c += kLanes) {
      ScaleVectors(sums, stride, pixels, s, skip, out, c);
    }
  }
  for (uint32_t p = 0; p < pixels; ++p) {
    for (uint32_t k = c; k < s.channels; ++k) {
      int16_t y = Scale(sums[p * stride + k], s, k);
      if (s.skip_channels != 0) {
        y = static_cast<int16_t>(y + skip[size_t{p} * s.skip_channels + k % s.skip_channels]);
      }
      out[size_t{p} * s.channels + k] = y;
    }
  }
}

// ---- Maps

void AddBits(const uint32_t* words, uint32_t pixels, uint32_t channels, int32_t* sums) {
  const uint32_t step = (channels + 31) / 32;
  Ints lane = {};
  for (uint32_t i = 0; i < kLanes; ++i) lane[i] = static_cast<int32_t>(i);
  for (uint32_t c = 0; c < channels; c += kLanes) {
    Ints negative = {};
    for (uint32_t p = 0; p < pixels; ++p) {
      const Ints word = Ints{} + static_cast<int32_t>(words[p * step + c / 32] >> (c % 32));
      negative += word >> lane & 1;
    }
    const Ints sum = Load<Ints>(sums + c) + static_cast<int32_t>(pixels) - 2 * negative;
    Store(sums + c, sum);
  }
}

void AddInts(const int16_t* values, uint32_t pixels, uint32_t channels, int32_t* sums) {
  for (uint32_t p = 0; p < pixels; ++p, values += channels) {
    for (uint32_t c = 0; c < channels; ++c) sums[c] += values[c];
  }
}

}  // namespace
}  // namespace bitfoundry::packed
