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

/* HIDE tells gcc nothing about a pointer but its value, so that what is added to it stays in the
 * offsets of loads (ARMv6-M's are too short). FORGET does not touch memory, but makes gcc load from
 * it what it has just stored, instead of holding it in registers, which Arm has too few of, or
 * spilling it once more.
 */
#if defined(__GNUC__) && BF_THUMB != 1
#define HIDE(pointer) __asm__("" : "+r"(pointer))
#else
#define HIDE(pointer) (void)(pointer)
#endif
#ifdef __arm__
#define FORGET(array) __asm__("" : "+m"(array))
#else
#define FORGET(array) (void)(array)
#endif

/* Adds b and c to *sum, 32 times one bit; returns the carry. */
BF_INLINE uint32_t add(uint32_t* sum, uint32_t b, uint32_t c) {
  const uint32_t half = *sum ^ b;
  const uint32_t carry = (*sum & b) | (half & c);
  *sum = half ^ c;
  return carry;
}

typedef struct {
  uint32_t first, second;
} two_words;

/* The two words at `base` + `offset`, a constant, in one instruction. */
BF_INLINE two_words load(const void* base, const uint32_t offset) {
  const two_words* at = (const two_words*)(const void*)((const char*)base + offset);
#if BF_THUMB >= 2
  two_words words;
  __asm__("ldrd %0, %1, [%2, %3]"
          : "=r"(words.first), "=r"(words.second)
          : "r"(base), "I"(offset), "m"(*at));
  return words;
#else
  return *at;
#endif
}

BF_INLINE void store(uint32_t* to, uint32_t first, uint32_t second) {
#if BF_THUMB >= 2
  __asm__("strd %1, %2, %0" : "=m"(*(two_words*)(void*)to) : "r"(first), "r"(second));
#else
  to[0] = first;
  to[1] = second;
#endif
}

/* Adds `carry` to the planes of 128 and above. Nearly every layer has but the first four. */
BF_INLINE void add_high(uint32_t* counter, const uint32_t* end, uint32_t carry) {
  const uint32_t p7 = counter[7], p8 = counter[8], p9 = counter[9], p10 = counter[10];
  counter[7] = p7 ^ carry;
  carry &= p7;
  counter[8] = p8 ^ carry;
  carry &= p8;
  counter[9] = p9 ^ carry;
  carry &= p9;
  counter[10] = p10 ^ carry;
  carry &= p10;
  for (counter += 11; counter != end; ++counter) {
    const uint32_t old = *counter;
    *counter = old ^ carry;
    carry &= old;
  }
}

/* Returns the end of `to`. */
BF_KERNEL static uint32_t* copy(uint32_t* to, const uint32_t* from, uint32_t words) {
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

/* The entry (parity and carry of three inputs) of triple `triple`, a constant, whose index is in
 * bits 3 to 5 of byte triple % 4 of `indices`. */
BF_INLINE two_words look_up(const char* table, uint32_t indices, const uint32_t triple) {
#ifdef __ARM_FEATURE_DSP
  const char* entry;
  __asm__("uxtab %0, %1, %2, ror %3" : "=r"(entry) : "r"(table), "r"(indices), "I"(triple % 4 * 8));
#else
  const char* entry = table + (indices >> triple % 4 * 8 & 0x38);
  HIDE(entry);
#endif
  return load(entry, triple * 64);
}

/* The planes of 1, 2 and 4, which stay in registers. */
typedef struct {
  uint32_t ones, twos, fours;
} low_planes;

/* Adds the four triples from `triple` on. Returns a carry of 8 and in *four one of 4. */
BF_INLINE uint32_t add_four(low_planes* low, const char* table, uint32_t indices,
                            const uint32_t triple, uint32_t* four) {
  const two_words a = look_up(table, indices, triple), b = look_up(table, indices, triple + 1);
  const uint32_t two = add(&low->ones, a.first, b.first);
  const uint32_t four_a = add(&low->twos, a.second, b.second);
  const two_words c = look_up(table, indices, triple + 2), d = look_up(table, indices, triple + 3);
  const uint32_t two_c = add(&low->ones, c.first, d.first);
  const uint32_t four_c = add(&low->twos, c.second, d.second);
  *four = add(&low->twos, two, two_c);
  return add(&low->fours, four_a, four_c);
}

/* Adds the eight triples from `triple` on: three carries of 8. */
BF_INLINE void add_eight(low_planes* low, const char* table, uint32_t even, uint32_t odd,
                         const uint32_t triple, uint32_t* eights) {
  uint32_t four_a, four_b;
  eights[0] = add_four(low, table, even, triple, &four_a);
  const uint32_t eight_b = add_four(low, table, odd, triple + 4, &four_b);
  store(eights + 1, eight_b, add(&low->fours, four_a, four_b));
}

/* Adds twelve carries of 8 to the planes above. */
BF_INLINE void add_eights(uint32_t* counter, const uint32_t* end, const uint32_t* eights) {
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
  const uint32_t carry = add(&p6, a, b);
  counter[5] = p5;
  counter[6] = p6;
  add_high(counter, end, carry);
}

#define TRIPLES 0x38383838u /* bits 3 to 5 of each byte */

BF_KERNEL static const uint32_t* count_fast(const uint32_t* window, const uint32_t* tables,
                                            uint32_t words, uint32_t* counter,
                                            const uint32_t* end) {
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
BF_INLINE uint32_t spread(uint32_t x, const uint32_t bit) {
  return (uint32_t)((int32_t)(x << (31 - bit)) >> 31);
}

/* Adds two inputs, `bit` and the next of x, to *ones; returns the carry. With a the first and
 * u = a ^ b their half sum, which the weights' second word and x ^ x >> 1 give at once, this is one
 * instruction less than add(). */
BF_INLINE uint32_t add_pair(uint32_t* ones, const uint32_t* pairs, uint32_t x, uint32_t changes,
                            const uint32_t bit) {
  const two_words pair = load(pairs, 4 * bit);
  const uint32_t a = pair.first ^ spread(x, bit), u = pair.second ^ spread(changes, bit);
  const uint32_t old = *ones;
  *ones = old ^ u;
  return a ^ (u & (a ^ old));
}

/* Adds eight inputs from `bit` of x on; returns the carry of 8. */
BF_INLINE uint32_t add_pairs(low_planes* low, const uint32_t* pairs, uint32_t x, uint32_t changes,
                             const uint32_t bit) {
  const uint32_t a = add_pair(&low->ones, pairs, x, changes, bit);
  const uint32_t b = add_pair(&low->ones, pairs, x, changes, bit + 2);
  const uint32_t ab = add(&low->twos, a, b);
  const uint32_t c = add_pair(&low->ones, pairs, x, changes, bit + 4);
  const uint32_t d = add_pair(&low->ones, pairs, x, changes, bit + 6);
  const uint32_t cd = add(&low->twos, c, d);
  return add(&low->fours, ab, cd);
}

BF_KERNEL static const uint32_t* count_lean(const uint32_t* window, const uint32_t* pairs,
                                            uint32_t words, uint32_t* counter,
                                            const uint32_t* end) {
  low_planes low = {counter[0], counter[1], counter[2]};
  uint32_t eight = counter[3], sixteen = counter[4], pending = 0;
  do {
    const uint32_t x = *window++, changes = x ^ x >> 1;
    const uint32_t a = add_pairs(&low, pairs, x, changes, 0);
    const uint32_t ab = add(&eight, a, add_pairs(&low, pairs, x, changes, 8));
    const uint32_t c = add_pairs(&low, pairs, x, changes, 16);
    const uint32_t cd = add(&eight, c, add_pairs(&low, pairs, x, changes, 24));
    const uint32_t carry = add(&sixteen, ab, cd);
    pairs += BF_WORD;
    if (--words & 1) { /* every other word, and the last */
      pending = carry;
    } else {
      uint32_t p5 = counter[5], p6 = counter[6];
      const uint32_t sixty_four = add(&p5, pending, carry);
      counter[5] = p5;
      counter[6] = p6 ^ sixty_four;
      add_high(counter, end, p6 & sixty_four);
      pending = 0;
    }
  } while (words > 0);
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

/* One output channel with 128 bits of the window, which are in q0: a gather looks up the ones of 16
 * bytes, VADDVA adds them up. */
#define COUNT_128(weights, count)  \
  "vldrw.u32 q1, [%[" weights      \
  "]], #16\n\t"                    \
  "veor q1, q1, q0\n\t"            \
  "vldrb.u8 q2, [%[ones], q1]\n\t" \
  "vaddva.u8 %[" count "], q2\n\t"

/* The differing bits of four output channels. In assembly, because gcc 12 makes no loop that
 * switches off the lanes behind the last word, and runs out of registers. */
BF_INLINE void count_four(const uint32_t* x, const uint32_t* a, uint32_t words, int32_t* counts) {
  const uint32_t *b, *c, *d;
  int32_t in_a = 0, in_b = 0, in_c = 0, in_d = 0;
  __asm__ volatile("add %[b], %[a], %[words], lsl #2\n\t"
          "add %[c], %[b], %[words], lsl #2\n\t"
          "add %[d], %[c], %[words], lsl #2\n\t"
          "wlstp.32 lr, %[words], 2f\n"
          "1:\n\t"
          "vldrw.u32 q0, [%[x]], #16\n\t"
          COUNT_128("a", "in_a") COUNT_128("b", "in_b") COUNT_128("c", "in_c")
          COUNT_128("d", "in_d")
          "letp lr, 1b\n"
          "2:\n\t"
          "strd %[in_a], %[in_b], [%[counts]]\n\t"
          "strd %[in_c], %[in_d], [%[counts], #8]"
          : [x] "+r"(x), [a] "+r"(a), [b] "=&r"(b), [c] "=&r"(c), [d] "=&r"(d), [in_a] "+Te"(in_a),
            [in_b] "+Te"(in_b), [in_c] "+Te"(in_c), [in_d] "+Te"(in_d)
          : [words] "r"(words), [ones] "r"(ones_of_byte), [counts] "r"(counts)
          : "lr", "q0", "q1", "q2", "memory");
}
#endif

/* The ones of each byte, 8 at most. */
BF_INLINE uint32_t ones_of_bytes(uint32_t x) {
  x -= x >> 1 & 0x55555555;
  x = (x & 0x33333333) + (x >> 2 & 0x33333333);
  return (x + (x >> 4)) & 0x0F0F0F0F;
}

BF_INLINE uint32_t sum_of_bytes(uint32_t x) {
  x = (x & 0x00FF00FF) + (x >> 8 & 0x00FF00FF);
  return (x + (x >> 16)) & 0xFFFF;
}

/* The bits in which `words` words differ, by Harley and Seal: full adders gather ones and twos over
 * the whole row, so that but one word in four has its bits counted. */
static int32_t count_row(const uint32_t* x, const uint32_t* w, uint32_t words) {
  uint32_t ones = 0, twos = 0, bytes = 0, fours = 0;
  for (uint32_t turns = words / 4; turns > 0; --turns, x += 4, w += 4) {
    const two_words xa = load(x, 0), wa = load(w, 0), xb = load(x, 8), wb = load(w, 8);
    const uint32_t a = add(&ones, xa.first ^ wa.first, xa.second ^ wa.second);
    const uint32_t b = add(&ones, xb.first ^ wb.first, xb.second ^ wb.second);
    bytes += ones_of_bytes(add(&twos, a, b));
    if (turns % 16 == 0) { /* before a byte overflows */
      fours += sum_of_bytes(bytes);
      bytes = 0;
    }
  }
  fours += sum_of_bytes(bytes);
  bytes = 2 * ones_of_bytes(twos);
  for (words %= 4;; --words) { /* the ones, and the words left */
    bytes += ones_of_bytes(ones);
    if (words == 0) break;
    ones = *x++ ^ *w++;
  }
  return (int32_t)(4 * fours + sum_of_bytes(bytes));
}

/* Bit i is whether counts[i] > thresholds[i]. */
BF_INLINE uint32_t compare(const int32_t* counts, const int32_t* thresholds, uint32_t channels) {
  uint32_t word = 0, i = 0;
#if defined(__ARM_FEATURE_MVE)
  for (; i + 4 <= channels; i += 4) {
    const uint32_t above = vcmpgtq_s32(vldrwq_s32(counts + i), vldrwq_s32(thresholds + i));
    word |= ((above & 0x1111) * 0x1248 >> 12 & 15) << i; /* four bits of each lane to one */
  }
#endif
  for (; i < channels; ++i) word |= (uint32_t)(counts[i] > thresholds[i]) << i;
  return word;
}

/* The differing bits of `channels` output channels. Returns the weights of the next. */
BF_KERNEL static const uint32_t* count_rows(const uint32_t* window, const uint32_t* weights,
                                            uint32_t words, uint32_t channels, int32_t* counts) {
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
      const uint32_t a = planes[k], b = planes[k | j];
      const uint32_t swap = ((a >> j) ^ b) & mask;
      planes[k] = a ^ swap << j;
      planes[k | j] = b ^ swap;
    }
  }
}

/* Writes a pixel's output and returns where that of the next begins.
 *   window   its window; what follows up to a whole block is read by count_fast, but does not count
 *   count    NULL for rows */
typedef void* pixel_op(const bf_layer* layer, const uint32_t* window, uint32_t words,
                       count_op* count, const int16_t* skip, void* out);

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
    fill(counter, MAX_PLANES);
    weights = count(window, weights, words, counter, counter + layer->planes);
    transpose(counter);
    for (uint32_t i = 0; i < 16; ++i) {
      sums[i] = (int32_t)(layer->bits - 2 * (counter[i] & 0xFFFF));
      sums[16 + i] = (int32_t)(layer->bits - 2 * (counter[i] >> 16));
    }
    bf_write_ints(layer, first, bf_group(layer, first), sums, skip, out);
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
    const uint32_t size = bf_group(layer, first);
    int32_t counts[BF_WORD];
    weights = count_rows(window, weights, words, size, counts);
    *bits++ = compare(counts, threshold + first, size);
  }
  return bits;
}

static void* rows_ints(const bf_layer* layer, const uint32_t* window, uint32_t words,
                       count_op* count, const int16_t* skip, void* out) {
  const uint32_t* weights = layer->weights;
  (void)count;
  for (uint32_t first = 0; first < layer->out_channels; first += BF_WORD) {
    const uint32_t size = bf_group(layer, first);
    int32_t sums[BF_WORD];
    weights = count_rows(window, weights, words, size, sums);
    for (uint32_t i = 0; i < size; ++i) sums[i] = (int32_t)layer->bits - 2 * sums[i];
    bf_write_ints(layer, first, size, sums, skip, out);
  }
  return (int16_t*)out + layer->out_channels;
}

/* ---- Windows ---- */

/* Copies the window at (top, left) of the map; what lies outside is 0. */
BF_KERNEL static void gather(const bf_layer* layer, const uint32_t* map, int32_t top, int32_t left,
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
  const uint32_t words =
      (uint32_t)layer->kernel_height * layer->kernel_width * bf_words(layer->in_channels);
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
  conv(layer, in, skip, out, scratch, vertical_bits, count_fast);
}

void bf_conv_fast_ints(const bf_layer* layer, const void* in, const int16_t* skip, void* out,
                       uint32_t* scratch) {
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
