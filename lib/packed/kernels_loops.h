// What the kernels of every CPU have in common, written in the compiler's own vectors. Included by
// each kernels_<cpu>.cc after it has defined, in the unnamed namespace of this one:
//
//   Ints                  a vector of int32_t
//   LessBits(a, b)        bit i of the result: a[i] < b[i], of Ints and of Shorts
//   kTile                 patches at once, so that weights are loaded once for so many: 4 or 8
//   Shorts                as many int16_t
//   Widen(s), Narrow(i)   one from the other
//   AddPairs(sum, a, b)   for each lane, sum + the products of its two 16-bit halves
#pragma once

namespace bitfoundry::packed {
namespace {

constexpr uint32_t kLanes = sizeof(Ints) / 4;
constexpr uint32_t kBlock = 16;  // filters whose weights lie side by side
static_assert(kBlock % kLanes == 0);

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
  [[gnu::always_inline]] static void Run(const Patches& p, size_t offset, const Filters& filters,
                                         const uint8_t* weights, int32_t* sums, size_t stride) {
    for (uint32_t v = 0; v < kBlock; v += kLanes) {
      Ints acc[patches] = {};
      for (uint32_t r = 0; r < filters.rows; ++r) {
        const uint8_t* row = p.row[r] + offset;
        for (uint32_t w = 0; w < filters.words; ++w, row += 4) {
          const size_t index = (size_t{w} * filters.rows + r) * kBlock + v;
          const Ints weight = Load<Ints>(weights + index * 4);
#pragma GCC unroll 8
          for (uint32_t i = 0; i < patches; ++i) {
            acc[i] = AddPairs(acc[i], weight, Spread(row + i * p.step));
          }
        }
      }
#pragma GCC unroll 8
      for (uint32_t i = 0; i < patches; ++i) Store(sums + i * stride + v, acc[i]);
    }
  }
};

// All patches meet the filters of a tile.
template <typename Tile>
[[gnu::always_inline]] inline void Sweep(const Patches& p, const Filters& filters,
                                         const uint8_t* weights, int32_t* sums, size_t stride) {
  for (uint32_t line = 0; line < p.lines; ++line) {
    size_t offset = line * p.line_step;
    uint32_t left = p.count;
    for (; left >= kTile; left -= kTile, offset += kTile * p.step, sums += kTile * stride) {
      Tile::template Run<kTile>(p, offset, filters, weights, sums, stride);
    }
    if (kTile > 4 && left >= 4) {
      Tile::template Run<4>(p, offset, filters, weights, sums, stride);
      left -= 4, offset += 4 * p.step, sums += 4 * stride;
    }
    for (; left > 0; --left, offset += p.step, sums += stride) {
      Tile::template Run<1>(p, offset, filters, weights, sums, stride);
    }
  }
}

// All patches meet all blocks of filters.
template <typename Tile>
void Multiply(const Patches& patches, const Filters& filters, int32_t* sums, size_t stride) {
  const size_t block_bytes = size_t{kBlock} * filters.rows * filters.words * 4;
  const uint8_t* weights = filters.packed;
  for (uint32_t f = 0; f < filters.count; f += kBlock, weights += block_bytes) {
    Sweep<Tile>(patches, filters, weights, sums + f, stride);
  }
}

// ---- What becomes of sums

constexpr uint32_t Smaller(uint32_t a, uint32_t b) { return a < b ? a : b; }

[[gnu::always_inline]] inline Ints LoadInts(const int32_t* from) { return Load<Ints>(from); }
[[gnu::always_inline]] inline Ints LoadInts(const int16_t* from) {
  return Widen(Load<Shorts>(from));
}

// One word of bits: values[c] < thresholds[c] for at most `channels` of 32.
template <typename Value>
[[gnu::always_inline]] inline uint32_t LessWord(const Value* values, const int32_t* thresholds,
                                                uint32_t channels) {
  uint32_t word = 0;
  for (uint32_t c = 0; c < Smaller(channels, 32); c += kLanes) {
    word |= LessBits(LoadInts(values + c), LoadInts(thresholds + c)) << c;
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

typedef uint32_t Words __attribute__((vector_size(sizeof(Ints))));  // arithmetic that may wrap

int16_t Scale(int32_t sum, const Scaling& s, uint32_t c) {
  int32_t x = sum;
  if (s.relu) {
    x = sum * (1 << s.doubled) + s.offset;
    if (x < 0) x = 0;
  }
  const uint32_t y = static_cast<uint32_t>(s.scales[c]) * static_cast<uint32_t>(x) +
                     static_cast<uint32_t>(s.biases[c]);
  return static_cast<int16_t>(static_cast<int32_t>(y) >> s.shift);
}

// Thresholds of integers of 16 bits: a bit is 1 where the integer is less than `less`, or in
// `always`.
struct ShortThresholds {
  Shorts less;
  uint32_t always;
};

ShortThresholds Shorten(Ints thresholds) {
  const Ints most = Ints{} + INT16_MAX;
  const Ints least = Ints{} + INT16_MIN;
  Ints clamped = thresholds < most ? thresholds : most;
  clamped = clamped > least ? clamped : least;
  return {Narrow(clamped), LessBits(most, thresholds)};
}

// Channels c to c + kLanes of every pixel; `bits` at their place in its first word.
template <bool relu, bool with_bits>
void ScaleVectors(const int32_t* sums, size_t stride, uint32_t pixels, const Scaling& s,
                  const int16_t* skip, int16_t* out, uint32_t c, uint8_t* bits) {
  const auto scale = Load<Words>(s.scales + c);
  const auto bias = Load<Words>(s.biases + c);
  const ShortThresholds t = Shorten(with_bits ? LoadInts(s.thresholds + c) : Ints{});
  const auto shift = static_cast<int32_t>(s.shift);
  const auto doubled = static_cast<int32_t>(s.doubled);
  const size_t out_step = s.channels;
  const size_t skip_step = s.skip_channels;
  const size_t bits_step = (s.channels + 31) / 32 * 4;
  if (skip_step != 0) skip += c % s.skip_channels;
  sums += c;
  out += c;
#pragma GCC unroll 4
  for (uint32_t p = 0; p < pixels; ++p, sums += stride, out += out_step, skip += skip_step) {
    Ints x = Load<Ints>(sums);
    if (relu) {
      x = (x << doubled) + s.offset;
      x = x > 0 ? x : 0;
    }
    const Words scaled = scale * reinterpret_cast<Words>(x) + bias;
    Shorts y = Narrow(reinterpret_cast<Ints>(scaled) >> shift);
    if (skip_step != 0) y += Load<Shorts>(skip);
    Store(out, y);
    if (with_bits) {
      const uint32_t less = LessBits(y, t.less) | t.always;
      __builtin_memcpy(bits, &less, kLanes / 8);
      bits += bits_step;
    }
  }
}

void ToInts(const int32_t* sums, size_t stride, uint32_t pixels, const Scaling& s,
            const int16_t* skip, int16_t* out, uint32_t* bits) {
  const bool by_vectors = s.skip_channels % kLanes == 0 || s.skip_channels == s.channels;
  const uint32_t vectors_end = by_vectors ? s.channels / kLanes * kLanes : 0;
  const bool bits_on_the_way = kLanes % 8 == 0 && vectors_end == s.channels && bits != nullptr;
  const auto scale =
      s.relu ? (bits_on_the_way ? ScaleVectors<true, true> : ScaleVectors<true, false>)
             : (bits_on_the_way ? ScaleVectors<false, true> : ScaleVectors<false, false>);
  uint32_t c = 0;
  for (; c < vectors_end; c += kLanes) {
    uint8_t* const at = bits_on_the_way ? reinterpret_cast<uint8_t*>(bits) + c / 8 : nullptr;
    scale(sums, stride, pixels, s, skip, out, c, at);
  }
  for (uint32_t p = 0; p < pixels && c < s.channels; ++p) {
    for (uint32_t k = c; k < s.channels; ++k) {
      int16_t y = Scale(sums[p * stride + k], s, k);
      if (s.skip_channels != 0) {
        y = static_cast<int16_t>(y + skip[size_t{p} * s.skip_channels + k % s.skip_channels]);
      }
      out[size_t{p} * s.channels + k] = y;
    }
  }
  if (bits != nullptr && !bits_on_the_way) {
    Binarize(out, pixels, s.channels, s.thresholds, bits);
  }
}

// ---- Maps

void SumBitsOfOne(const uint32_t* words, const Windows& w, int32_t* sums) {
  const uint32_t step = (w.channels + 31) / 32;
  const auto pixels = static_cast<int32_t>(w.height * w.width);
  Ints lane = {};
  for (uint32_t i = 0; i < kLanes; ++i) lane[i] = static_cast<int32_t>(i);
  for (uint32_t c = 0; c < w.channels; c += kLanes) {
    Ints negative = {};
    for (uint32_t y = 0; y < w.height; ++y) {
      const uint32_t* const row = words + size_t{y} * w.line * step + c / 32;
      for (uint32_t x = 0; x < w.width; ++x) {
        const Ints word = Ints{} + static_cast<int32_t>(row[x * step] >> (c % 32));
        negative += word >> lane & 1;
      }
    }
    Store(sums + c, pixels - 2 * negative);
  }
}

void SumBits(const uint32_t* words, const Windows& w, int32_t* sums) {
  const size_t step = size_t{w.step} * ((w.channels + 31) / 32);
  for (uint32_t i = 0; i < w.count; ++i, words += step, sums += RoundUp(w.channels, kFilterGroup)) {
    SumBitsOfOne(words, w, sums);
  }
}

void SumIntsOfOne(const int16_t* values, const Windows& w, int32_t* sums) {
  const uint32_t vectors_end = w.channels / kLanes * kLanes;
  for (uint32_t c = 0; c < vectors_end; c += kLanes) {
    Ints sum = {};
    for (uint32_t y = 0; y < w.height; ++y) {
      const int16_t* const row = values + size_t{y} * w.line * w.channels + c;
      for (uint32_t x = 0; x < w.width; ++x) sum += Widen(Load<Shorts>(row + x * w.channels));
    }
    Store(sums + c, sum);
  }
  for (uint32_t c = vectors_end; c < w.channels; ++c) {
    sums[c] = 0;
    for (uint32_t y = 0; y < w.height; ++y) {
      const int16_t* const row = values + size_t{y} * w.line * w.channels + c;
      for (uint32_t x = 0; x < w.width; ++x) sums[c] += row[x * w.channels];
    }
  }
}

void SumInts(const int16_t* values, const Windows& w, int32_t* sums) {
  const size_t step = size_t{w.step} * w.channels;
  for (uint32_t i = 0; i < w.count;
       ++i, values += step, sums += RoundUp(w.channels, kFilterGroup)) {
    SumIntsOfOne(values, w, sums);
  }
}

void JoinPixels(const uint32_t* pixels, size_t count, uint32_t channels, uint32_t* out) {
  if (3 * channels <= 32) {
    for (size_t i = 0; i + 2 < count; ++i) {
      out[i] = pixels[i] | pixels[i + 1] << channels | pixels[i + 2] << (2 * channels);
    }
    return;
  }
  for (size_t i = 0; i + 2 < count; ++i) {
    const uint64_t joined = uint64_t{pixels[i]} | uint64_t{pixels[i + 1]} << channels |
                            uint64_t{pixels[i + 2]} << (2 * channels);
    __builtin_memcpy(out + 2 * i, &joined, 8);
  }
}

}  // namespace
}  // namespace bitfoundry::packed
