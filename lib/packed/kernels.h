// The fast arithmetic of packed networks on this machine: one table of functions for each kind of
// CPU, chosen when the program runs. packed/engine.h drives it; who runs a network wants that one.
//
// A convolution is a product of patches and filters. Patches are never copied out: the lines of a
// map are readied once, and the rows of a patch are pieces of them.
//
//   portable  counts bits by arithmetic, in vectors of whatever the compiler has
//   avx2      look-up of four bits at a time, 32 filters at once (after T-MAC, arXiv 2407.00088)
//   avx512    AVX-512 VPOPCNTDQ, 16 filters at once
//
// Three words into two counts. The differing bits of three words are ones + 2 * twos, where
// ones = e1 ^ e2 ^ e3, twos = majority(e1, e2, e3), e = patch ^ filter. All but twos is linear:
//   ones = (p1^p2^p3) ^ (f1^f2^f3),  d = (p1^p2) ^ (f1^f2),  twos = d ? ~ones : e1,
// so with lines and filters stored as (x1, x1^x2, x1^x2^x3) three words cost three XORs, one select
// and two popcounts instead of three XORs and three popcounts. The three words are those of the
// three rows of a 3x3 window.
//
// The .cc files are compiled with flags of their own. So that no function compiled for a newer CPU
// can be merged into the rest of a program, they and this header hold no inline function that is
// not in an unnamed namespace, and include nothing of the standard library that has one.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace bitfoundry::packed {

enum class Cpu { kPortable, kAvx2, kAvx512 };  // each can run what comes before it

// Filters are stored in groups; a row of sums has room for whole groups.
constexpr uint32_t kFilterGroup = 32;

// `lines` lines of `count` patches each. Row r of patch i of line l starts at
// row[r] + l * line_step + i * step.
struct Patches {
  const uint8_t* row[7];
  size_t step;  // bytes
  uint32_t count;
  size_t line_step = 0;
  uint32_t lines = 1;
};

// Binary filters of `rows` (1 or 3) rows of `words` 32-bit words; or the stem's, of `rows` rows of
// `words` pairs of 16 bits.
struct Filters {
  uint32_t rows;
  uint32_t words;
  uint32_t count;
  const uint8_t* packed;  // by Kernels::pack_*, on a boundary of 64 bytes
};

// What makes integers of sums, as ToInts of packed/network.h says:
//   y = (scale * x + bias) >> shift, where x = relu ? max((sum << doubled) + offset, 0) : sum
// `biases` have 2^(shift-1) added. scale * x may wrap if the result does not.
struct Scaling {
  const int32_t* scales;
  const int32_t* biases;
  uint32_t channels;
  uint32_t shift;
  bool relu;
  uint32_t doubled;  // 0 or 1
  int32_t offset;
  uint32_t skip_channels;     // 0: none
  const int32_t* thresholds;  // of the bits, if they are wanted
};

// Windows side by side on a map of integers or bits.
struct Windows {
  uint32_t height;  // of each, in pixels
  uint32_t width;
  uint32_t line;  // pixels from one row of the map to the next
  uint32_t channels;
  uint32_t count;
  uint32_t step;  // pixels from one window to the next
};

// Sums lie at [line][patch][stride], where stride is the count of filters rounded up to
// kFilterGroup. Thresholds fill their last group with INT32_MIN, which no sum is less than.
struct Kernels {
  Cpu cpu;
  const char* name;

  // ---- Binary products
  size_t (*filter_bytes)(const Filters& shape);
  // weights [count][rows][words] of bits, as in network.h
  void (*pack_filters)(const uint32_t* weights, const Filters& shape, uint8_t* packed);
  // Readies `words` words of lines, each `line` words long, so that row r of a patch is on line r
  // of it. `room` has 8 * words bytes. rows[r] becomes where row r of the first patch starts; word
  // i of a line lies i * word_bytes from there.
  void (*ready_lines)(const uint32_t* lines, size_t words, size_t line, uint32_t rows,
                      uint8_t* room, const uint8_t** row);
  size_t word_bytes;
  // sums = minus the differing bits
  void (*binary)(const Patches& patches, const Filters& filters, int32_t* sums, size_t stride);

  // ---- The stem: sums of 16-bit pixel times 8-bit weight
  size_t (*stem_bytes)(const Filters& shape);
  // weights [count][rows][values], where words = (values + 1) / 2
  void (*pack_stem)(const int8_t* weights, uint32_t values, const Filters& shape, uint8_t* packed);
  void (*stem)(const Patches& patches, const Filters& filters, int32_t* sums, size_t stride);

  // ---- What becomes of sums
  // bit = sum < threshold; gives [pixels][(channels + 31) / 32] words
  void (*to_bits)(const int32_t* sums, size_t stride, uint32_t pixels, uint32_t channels,
                  const int32_t* thresholds, uint32_t* out);
  // gives [pixels][channels]; `skip` [pixels][skip_channels] may be `out`; and, unless `bits` is
  // null, what binarize makes of them, where bits beyond the channels may be left as they are
  void (*to_ints)(const int32_t* sums, size_t stride, uint32_t pixels, const Scaling& scaling,
                  const int16_t* skip, int16_t* out, uint32_t* bits);

  // ---- Maps
  // bit = value < threshold; it, and to_ints with bits, may read 64 bytes past the last integer
  void (*binarize)(const int16_t* values, uint32_t pixels, uint32_t channels,
                   const int32_t* thresholds, uint32_t* out);
  // sums[i][c] = the sum of channel c over window i, bits as -1 and +1; rows of whole groups
  void (*sum_bits)(const uint32_t* words, const Windows& windows, int32_t* sums);
  void (*sum_ints)(const int16_t* values, const Windows& windows, int32_t* sums);
  // out[i] = the bits of pixels i, i + 1, i + 2 side by side, for i + 2 < count: three pixels of at
  // most 21 channels, one word each, take one word, or two if they have more than 32 bits
  void (*join_pixels)(const uint32_t* pixels, size_t count, uint32_t channels, uint32_t* out);
};

// The best that this machine can run.
Cpu BestCpu();

// Requires cpu <= BestCpu().
const Kernels& KernelsFor(Cpu cpu);

extern const Kernels kPortableKernels;
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;

}  // namespace bitfoundry::packed
