/* Binary convolutions and dense layers: gather a window, then count the bits in which it differs
 * from the weights of each output channel.
 *
 * The fast and lean kernels count for 32 output channels at once, in vertical counters: word p of a
 * counter holds bit p of 32 counts, one per bit position. A full adder of words (5 instructions)
 * adds three bits of the same weight to a sum and a carry. A counter that starts at
 * 2^n - 1 - threshold overflows when the count passes the threshold, so the last carry is the
 * output word, and no count is ever looked at. */
#include "bf_internal.h"

#define BLOCK 3u      /* words that the fast kernel takes at once */
#define MAX_PLANES 17 /* 16 bits and the overflow */

/* Leaves memory as it is, and what gcc knows of it: a value stored before is loaded again behind,
 * so a register is not held for it (or spilled into, twice). */
#ifdef __GNUC__
#define FORGET(array) __asm__("" : "+m"(array))
#else
#define FORGET(array) (void)0
#endif

/* Scheduling before registers are allocated makes gcc 12 spill: 18 % more instructions. */
#if defined(__GNUC__) && !defined(__clang__)
#define KERNEL \
  __attribute__((noinline, optimize("O2,no-schedule-insns,no-tree-loop-distribute-patterns")))
#define INLINE static inline __attribute__((always_inline))
#else
#define KERNEL
#define INLINE static inline
#endif

/* Adds b and c to *sum, 32 times one bit; returns the carry. */
INLINE uint32_t add(uint32_t* sum, uint32_t b, uint32_t c) {
  const uint32_t half = *sum ^ b;
  const uint32_t carry = (*sum & b) | (half & c);
  *sum = half ^ c;
  return carry;
}

/* Adds `carry` to the counter's planes from `plane` on. */
INLINE void ripple(uint32_t* plane, const uint32_t* end, uint32_t carry) {
  while (plane != end) {
    const uint32_t old = *plane;
    *plane++ = old ^ carry;
    carry &= old;
  }
}

/* Returns the end of `to`. */
KERNEL static uint32_t* copy(uint32_t* to, const uint32_t* from, uint32_t words) {
  const uint32_t* end = from + words;
  if (words & 1) *to++ = *from++;
  while (from != end) {
#ifdef __thumb__ /* gcc 12 would need ten instructions */
    __asm__("ldmia %1!, {r2, r3}\n\tstmia %0!, {r2, r3}"
            : "+l"(to), "+l"(from)::"r2", "r3", "memory");
#else
    *to++ = *from++;
    *to++ = *from++;
#endif
  }
  return to;
}

static uint32_t* fill(uint32_t* to, uint32_t words) {
  for (; words > 0; --words) *to++ = 0;
  return to;
}

/* How fast and lean count, for one group of 32 output channels: the bits in which a window differs
 * from the weights are added to the vertical counter from `counter` to `end`, of 11 planes or more.
 * Returns the weights of the next group. */
typedef const uint32_t* count_op(const uint32_t* window, const uint32_t* weights, uint32_t words,
                                 uint32_t* counter, const uint32_t* end);

/* ---- fast: three-input tables ---- */

typedef struct {
  uint32_t parity; /* of the three inputs that differ */
  uint32_t carry;
} entry;

/* The entry of triple `triple`, a constant, whose index is in bits 3 to 5 of byte triple % 4 of
 * `indices`. */
INLINE entry look_up(const char* table, uint32_t indices, const uint32_t triple) {
#ifdef __ARM_FEATURE_DSP
  entry e;
  const char* at;
  __asm__("uxtab %0, %1, %2, ror %3" : "=r"(at) : "r"(table), "r"(indices), "I"(triple % 4 * 8));
  __asm__("ldrd %0, %1, [%2, %3]"
          : "=r"(e.parity), "=r"(e.carry)
          : "r"(at), "I"(triple * 64), "m"(*(const entry*)(const void*)(at + triple * 64)));
  return e;
#else
  return *(const entry*)(const void*)(table + triple * 64 + (indices >> triple % 4 * 8 & 0x38));
#endif
}

/* The planes of 1, 2 and 4, which stay in registers. */
typedef struct {
  uint32_t ones, twos, fours;
} low_planes;

/* Adds the four triples from `triple` on. Returns a carry of 8 and in *four one of 4. */
INLINE uint32_t add_four(low_planes* low, const char* table, uint32_t indices,
                         const uint32_t triple, uint32_t* four) {
  const entry a = look_up(table, indices, triple), b = look_up(table, indices, triple + 1);
  const uint32_t two = add(&low->ones, a.parity, b.parity);
  const uint32_t four_a = add(&low->twos, a.carry, b.carry);
  const entry c = look_up(table, indices, triple + 2), d = look_up(table, indices, triple + 3);
  const uint32_t two_c = add(&low->ones, c.parity, d.parity);
  const uint32_t four_c = add(&low->twos, c.carry, d.carry);
  *four = add(&low->twos, two, two_c);
  return add(&low->fours, four_a, four_c);
}

/* Adds the eight triples from `triple` on: three carries of 8. */
INLINE void add_eight(low_planes* low, const char* table, uint32_t even, uint32_t odd,
                      const uint32_t triple, uint32_t* eights) {
  uint32_t four_a, four_b;
  eights[0] = add_four(low, table, even, triple, &four_a);
  eights[1] = add_four(low, table, odd, triple + 4, &four_b);
  eights[2] = add(&low->fours, four_a, four_b);
}

/* Adds twelve carries of 8 to the planes above. */
INLINE void add_eights(uint32_t* counter, const uint32_t* end, const uint32_t* eights) {
  uint32_t eight = counter[3], sixteen = counter[4], carries[3];
#pragma GCC unroll 3
  for (uint32_t i = 0; i < 3; ++i) {
    const uint32_t a = add(&eight, eights[4 * i], eights[4 * i + 1]);
    const uint32_t b = add(&eight, eights[4 * i + 2], eights[4 * i + 3]);
    carries[i] = add(&sixteen, a, b);
  }
  counter[3] = eight;
  counter[4] = sixteen;
  uint32_t p5 = counter[5], p6 = counter[6];
  const uint32_t a = add(&p5, carries[0], carries[1]);
  const uint32_t b = add(&p5, carries[2], 0);
  uint32_t carry = add(&p6, a, b);
  counter[5] = p5;
  counter[6] = p6;
  const uint32_t p7 = counter[7], p8 = counter[8], p9 = counter[9], p10 = counter[10];
  counter[7] = p7 ^ carry;
  carry &= p7;
  counter[8] = p8 ^ carry;
  carry &= p8;
  counter[9] = p9 ^ carry;
  carry &= p9;
  counter[10] = p10 ^ carry;
  if (counter + 11 != end) ripple(counter + 11, end, carry & p10);
}

#define TRIPLES 0x38383838u /* bits 3 to 5 of each byte */

KERNEL static const uint32_t* count_fast(const uint32_t* window, const uint32_t* tables,
                                         uint32_t words, uint32_t* counter, const uint32_t* end) {
  const uint32_t* last = window + words;
  const char* table = (const char*)tables;
  low_planes low = {counter[0], counter[1], counter[2]};
  do {
    uint32_t eights[12];
    const uint32_t x = window[0], y = window[1], z = window[2];
    add_eight(&low, table, x << 3 & TRIPLES, x & TRIPLES, 0, eights);
    add_eight(&low, table + 512, y << 3 & TRIPLES, y & TRIPLES, 0, eights + 3);
    add_eight(&low, table + 1024, z << 3 & TRIPLES, z & TRIPLES, 0, eights + 6);
    add_eight(&low, table + 1536, (x >> 3 & 0x18181818) | (z >> 1 & 0x20202020),
              (y >> 3 & 0x18181818) | (z >> 2 & 0x20202020), 0, eights + 9);
    window += BLOCK;
    table += 2048;
    FORGET(eights);
    add_eights(counter, end, eights);
  } while (window < last);
  counter[0] = low.ones;
  counter[1] = low.twos;
  counter[2] = low.fours;
  return (const uint32_t*)(const void*)table;
}

/* ---- lean: bit-sliced weights in pairs ---- */

/* A word of 32 copies of bit `bit`, a constant, of x. */
INLINE uint32_t spread(uint32_t x, const uint32_t bit) {
  return (uint32_t)((int32_t)(x << (31 - bit)) >> 31);
}

/* Adds two inputs, `bit` and the next of x, to *ones; returns the carry. With a the first and
 * u = a ^ b their half sum, which the weights' second word and x ^ x >> 1 give at once, this is one
 * instruction less than add(). */
INLINE uint32_t add_pair(uint32_t* ones, const uint32_t* pair, uint32_t x, uint32_t changes,
                         const uint32_t bit) {
  const uint32_t a = pair[0] ^ spread(x, bit), u = pair[1] ^ spread(changes, bit), old = *ones;
  *ones = old ^ u;
  return a ^ (u & (a ^ old));
}

/* Adds eight inputs from `bit` of x on; returns the carry of 8. */
INLINE uint32_t add_pairs(low_planes* low, const uint32_t* pairs, uint32_t x, uint32_t changes,
                          const uint32_t bit) {
  const uint32_t a = add_pair(&low->ones, pairs, x, changes, bit);
  const uint32_t b = add_pair(&low->ones, pairs + 2, x, changes, bit + 2);
  const uint32_t ab = add(&low->twos, a, b);
  const uint32_t c = add_pair(&low->ones, pairs + 4, x, changes, bit + 4);
  const uint32_t d = add_pair(&low->ones, pairs + 6, x, changes, bit + 6);
  const uint32_t cd = add(&low->twos, c, d);
  return add(&low->fours, ab, cd);
}

KERNEL static const uint32_t* count_lean(const uint32_t* window, const uint32_t* pairs,
                                         uint32_t words, uint32_t* counter, const uint32_t* end) {
  low_planes low = {counter[0], counter[1], counter[2]};
  uint32_t eight = counter[3], sixteen = counter[4];
  do {
    const uint32_t x = *window++, changes = x ^ x >> 1;
    uint32_t eights[4];
#pragma GCC unroll 4
    for (uint32_t i = 0; i < 4; ++i) {
      eights[i] = add_pairs(&low, pairs + 8 * i, x, changes, 8 * i);
    }
    pairs += BF_WORD;
    const uint32_t a = add(&eight, eights[0], eights[1]);
    const uint32_t b = add(&eight, eights[2], eights[3]);
    ripple(counter + 5, end, add(&sixteen, a, b));
  } while (--words > 0);
  counter[0] = low.ones;
  counter[1] = low.twos;
  counter[2] = low.fours;
  counter[3] = eight;
  counter[4] = sixteen;
  return pairs;
}

/* ---- rows: one output channel after the other ---- */

#if defined(__ARM_FEATURE_MVE)
#include <arm_mve.h>

static const uint8_t ones_of_byte[256] = {
#define ONES2(n) n, n + 1, n + 1, n + 2
#define ONES4(n) ONES2(n), ONES2(n + 1), ONES2(n + 1), ONES2(n + 2)
#define ONES6(n) ONES4(n), ONES4(n + 1), ONES4(n + 1), ONES4(n + 2)
    ONES6(0), ONES6(1), ONES6(1), ONES6(2)};

/* The same for 128 bits at a time: a gather looks up 16 bytes, VADDVA adds them to a register. */
INLINE uint32_t add_ones(uint32_t sum, uint32x4_t bits) {
  return vaddvaq_u8(sum, vldrbq_gather_offset_u8(ones_of_byte, vreinterpretq_u8_u32(bits)));
}

KERNEL static void count_four(const uint32_t* window, const uint32_t* weights, uint32_t words,
                              int32_t* counts) {
  const uint32_t *a = weights, *b = a + words, *c = b + words, *d = c + words;
  uint32_t na = 0, nb = 0, nc = 0, nd = 0;
  for (int32_t left = (int32_t)words; left > 0; left -= 4) {
    const mve_pred16_t inside = vctp32q((uint32_t)left);
    const uint32x4_t x = vldrwq_z_u32(window, inside);
    na = add_ones(na, veorq_u32(x, vldrwq_z_u32(a, inside)));
    nb = add_ones(nb, veorq_u32(x, vldrwq_z_u32(b, inside)));
    nc = add_ones(nc, veorq_u32(x, vldrwq_z_u32(c, inside)));
    nd = add_ones(nd, veorq_u32(x, vldrwq_z_u32(d, inside)));
    window += 4, a += 4, b += 4, c += 4, d += 4;
  }
  counts[0] = (int32_t)na;
  counts[1] = (int32_t)nb;
  counts[2] = (int32_t)nc;
  counts[3] = (int32_t)nd;
}
#endif

/* Adds the ones of each byte of x, up to 8, to the bytes of `sums`. */
INLINE uint32_t add_bytes(uint32_t sums, uint32_t x) {
  x -= x >> 1 & 0x55555555;
  x = (x & 0x33333333) + (x >> 2 & 0x33333333);
  return sums + ((x + (x >> 4)) & 0x0F0F0F0F);
}

INLINE uint32_t sum_bytes(uint32_t x) {
  x = (x & 0x00FF00FF) + (x >> 8 & 0x00FF00FF);
  return (x + (x >> 16)) & 0xFFFF;
}

/* The bits in which `words` words differ, by Harley and Seal: full adders gather ones, twos and
 * fours over the whole row, so that but one word in eight has its bits counted. */
KERNEL static int32_t count_row(const uint32_t* x, const uint32_t* w, uint32_t words) {
  uint32_t ones = 0, twos = 0, fours = 0, count = 0;
  while (words >= 8) {
    uint32_t bytes = 0;
    uint32_t turns = words >> 3 < 31 ? words >> 3 : 31; /* what a byte can hold */
    words -= turns << 3;
    do {
      const uint32_t a = add(&ones, x[0] ^ w[0], x[1] ^ w[1]);
      const uint32_t b = add(&ones, x[2] ^ w[2], x[3] ^ w[3]);
      const uint32_t ab = add(&twos, a, b);
      const uint32_t c = add(&ones, x[4] ^ w[4], x[5] ^ w[5]);
      const uint32_t d = add(&ones, x[6] ^ w[6], x[7] ^ w[7]);
      const uint32_t cd = add(&twos, c, d);
      bytes = add_bytes(bytes, add(&fours, ab, cd));
      x += 8, w += 8;
    } while (--turns > 0);
    count += sum_bytes(bytes);
  }
  uint32_t rest = add_bytes(0, ones);
  while (words-- > 0) rest = add_bytes(rest, *x++ ^ *w++); /* 8 words of 8 at most */
  return (int32_t)(8 * count + sum_bytes(rest) + 2 * sum_bytes(add_bytes(0, twos)) +
                   4 * sum_bytes(add_bytes(0, fours)));
}

/* The differing bits of `channels` output channels. Returns the weights of the next. */
static const uint32_t* count_rows(const uint32_t* window, const uint32_t* weights, uint32_t words,
                                  uint32_t channels, int32_t* counts) {
#if defined(__ARM_FEATURE_MVE)
  for (; channels >= 4; channels -= 4, weights += 4 * words, counts += 4) {
    count_four(window, weights, words, counts);
  }
#endif
  for (; channels > 0; --channels, weights += words) {
    *counts++ = count_row(window, weights, words);
  }
  return weights;
}

/* ---- Output of one pixel ---- */

/* Transposes 16 planes of 32 columns: afterwards the low half of word i is the number in column i,
 * the high half that in column 16 + i. Source: Warren, "Hacker's Delight", 7-3. */
static void transpose(uint32_t* planes) {
  uint32_t mask = 0x00FF00FF;
  for (uint32_t j = 8; j > 0; j >>= 1, mask ^= mask << j) {
    for (uint32_t k = 0; k < 16; k = ((k | j) + 1) & ~j) {
      const uint32_t swap = ((planes[k] >> j) ^ planes[k | j]) & mask;
      planes[k] ^= swap << j;
      planes[k | j] ^= swap;
    }
  }
}

/* Writes a pixel's output and returns where that of the next begins.
 *   window   its window, followed by words 0 up to a multiple of BLOCK if `count` is count_fast
 *   count    NULL for rows */
typedef void* pixel_op(const bf_layer* layer, const uint32_t* window, uint32_t words,
                       count_op* count, const int16_t* skip, void* out);

static uint32_t group_size(const bf_layer* layer, uint32_t first) {
  const uint32_t left = layer->out_channels - first;
  return left < BF_WORD ? left : BF_WORD;
}

static void* vertical_bits(const bf_layer* layer, const uint32_t* window, uint32_t words,
                           count_op* count, const int16_t* skip, void* out) {
  const uint32_t planes = layer->planes;
  const uint32_t* weights = layer->weights;
  const uint32_t* level = layer->levels;
  uint32_t* bits = out;
  (void)skip;
  for (uint32_t first = 0; first < layer->out_channels; first += BF_WORD) {
    uint32_t counter[MAX_PLANES];
    copy(counter, level, planes);
    level += planes;
    weights = count(window, weights, words, counter, counter + planes);
    *bits++ = counter[planes - 1];
  }
  return bits;
}

static void* vertical_ints(const bf_layer* layer, const uint32_t* window, uint32_t words,
                           count_op* count, const int16_t* skip, void* out) {
  const uint32_t* weights = layer->weights;
  for (uint32_t first = 0; first < layer->out_channels; first += BF_WORD) {
    uint32_t counter[MAX_PLANES];
    int32_t sums[BF_WORD];
    for (uint32_t p = 0; p < MAX_PLANES; ++p) counter[p] = 0;
    weights = count(window, weights, words, counter, counter + layer->planes);
    transpose(counter);
    for (uint32_t i = 0; i < 16; ++i) {
      sums[i] = (int32_t)(layer->bits - 2 * (counter[i] & 0xFFFF));
      sums[16 + i] = (int32_t)(layer->bits - 2 * (counter[i] >> 16));
    }
    bf_write_ints(layer, first, group_size(layer, first), sums, skip, out);
  }
  return (int16_t*)out + layer->out_channels;
}

static void* rows_bits(const bf_layer* layer, const uint32_t* window, uint32_t words,
                       count_op* count, const int16_t* skip, void* out) {
  const uint32_t* weights = layer->weights;
  const int32_t* threshold = layer->levels;
  uint32_t* bits = out;
  (void)count, (void)skip;
  for (uint32_t first = 0; first < layer->out_channels; first += BF_WORD) {
    const uint32_t size = group_size(layer, first);
    int32_t counts[BF_WORD];
    uint32_t word = 0;
    weights = count_rows(window, weights, words, size, counts);
    for (uint32_t i = 0; i < size; ++i) word |= (uint32_t)(counts[i] > *threshold++) << i;
    *bits++ = word;
  }
  return bits;
}

static void* rows_ints(const bf_layer* layer, const uint32_t* window, uint32_t words,
                       count_op* count, const int16_t* skip, void* out) {
  const uint32_t* weights = layer->weights;
  (void)count;
  for (uint32_t first = 0; first < layer->out_channels; first += BF_WORD) {
    const uint32_t size = group_size(layer, first);
    int32_t sums[BF_WORD];
    weights = count_rows(window, weights, words, size, sums);
    for (uint32_t i = 0; i < size; ++i) sums[i] = (int32_t)layer->bits - 2 * sums[i];
    bf_write_ints(layer, first, size, sums, skip, out);
  }
  return (int16_t*)out + layer->out_channels;
}

/* ---- Windows ---- */

static uint32_t window_words(const bf_layer* layer) {
  return (uint32_t)layer->kernel_height * layer->kernel_width * bf_words(layer->in_channels);
}

/* Fills the window up to whole blocks, once for all pixels. */
static void fill_block(const bf_layer* layer, uint32_t* window) {
  const uint32_t words = window_words(layer);
  uint32_t end = 0;
  while (end < words) end += BLOCK; /* words % BLOCK would be a call on cores that cannot divide */
  fill(window + words, end - words);
}

/* Copies the window at (top, left) of the map; what lies outside is 0. */
KERNEL static void gather(const bf_layer* layer, const uint32_t* map, int32_t top, int32_t left,
                          uint32_t* window) {
  const int32_t pixel = (int32_t)bf_words(layer->in_channels), width = layer->in_width;
  const int32_t right = left + layer->kernel_width;
  const int32_t from = left < 0 ? 0 : left, to = right < width ? right : width;
  const uint32_t before = (uint32_t)((from - left) * pixel),
                 inside = (uint32_t)((to - from) * pixel);
  const uint32_t after = (uint32_t)((right - to) * pixel);
  int32_t row = (top * width + from) * pixel;
  for (int32_t y = top; y < top + layer->kernel_height; ++y, row += width * pixel) {
    if ((uint32_t)y >= layer->in_height) {
      window = fill(window, before + inside + after);
    } else {
      if (before > 0) window = fill(window, before);
      window = copy(window, map + row, inside);
      if (after > 0) window = fill(window, after);
    }
  }
}

static void conv(const bf_layer* layer, const uint32_t* in, const int16_t* skip, void* out,
                 uint32_t* window, pixel_op* pixel, count_op* count) {
  const uint32_t words = window_words(layer);
  int32_t top = -layer->pad;
  for (uint32_t y = 0; y < layer->out_height; ++y, top += layer->stride) {
    int32_t left = -layer->pad;
    for (uint32_t x = 0; x < layer->out_width; ++x, left += layer->stride) {
      gather(layer, in, top, left, window);
      out = pixel(layer, window, words, count, skip, out);
      if (skip) skip += layer->add_channels;
    }
  }
}

void bf_conv_fast_bits(const bf_layer* layer, const void* in, const int16_t* skip, void* out,
                       uint32_t* scratch) {
  fill_block(layer, scratch);
  conv(layer, in, skip, out, scratch, vertical_bits, count_fast);
}

void bf_conv_fast_ints(const bf_layer* layer, const void* in, const int16_t* skip, void* out,
                       uint32_t* scratch) {
  fill_block(layer, scratch);
  conv(layer, in, skip, out, scratch, vertical_ints, count_fast);
}

void bf_conv_lean_bits(const bf_layer* layer, const void* in, const int16_t* skip, void* out,
                       uint32_t* scratch) {
  conv(layer, in, skip, out, scratch, vertical_bits, count_lean);
}

void bf_conv_lean_ints(const bf_layer* layer, const void* in, const int16_t* skip, void* out,
                       uint32_t* scratch) {
  conv(layer, in, skip, out, scratch, vertical_ints, count_lean);
}

void bf_conv_rows_bits(const bf_layer* layer, const void* in, const int16_t* skip, void* out,
                       uint32_t* scratch) {
  conv(layer, in, skip, out, scratch, rows_bits, NULL);
}

void bf_conv_rows_ints(const bf_layer* layer, const void* in, const int16_t* skip, void* out,
                       uint32_t* scratch) {
  conv(layer, in, skip, out, scratch, rows_ints, NULL);
}
