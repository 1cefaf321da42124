/* Bitfoundry's runtime for microcontrollers: runs a bit-packed network from flash.
 *
 * C99, freestanding: no libc, no heap, nothing static that is written, so several models, threads
 * and interrupts can share it. A model is const data that `bitfoundry artefact pull` generates (and
 * whose soundness it has proved: the runtime checks nothing); all memory is one block, the arena,
 * that the caller provides.
 *
 *   static uint32_t arena[PERSON_ARENA_BYTES / 4];
 *   int32_t logits[PERSON_CLASSES];
 *   bf_run(&person, image, arena, logits);
 *   uint32_t best = bf_winner(logits, PERSON_CLASSES);
 *
 * Everything is integer arithmetic, equal bit for bit on every core and to the host's interpreter
 * (lib/packed/network.h defines the operations). docs/mcu.md tells what each core needs.
 *
 * Maps are NHWC (one image, so HWC). Bits: bit 1 is -1, bit 0 is +1; channel c of a pixel is bit
 * c % 32 of its word c / 32, bits beyond the channels are 0. Integers: int16_t, without padding. */
#ifndef BF_MCU_H
#define BF_MCU_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Raised whenever bf_layer, or the order of what it points to, changes: a model asserts that it was
 * generated for this one. */
#define BF_LAYOUT 2

/* Fails to compile unless `condition` holds; generated models use it too. */
#define BF_ASSERT(name, condition) typedef char bf_assert_##name[(condition) ? 1 : -1]

struct bf_layer;

/* One operation on one image; bf_step calls it with its places in memory:
 *   in       the image (stem) or a map in the arena
 *   skip     the map of integers to add, or NULL
 *   out      a map in the arena, or the logits; may be skip itself, overlaps nothing else
 *   scratch  the arena's scratch, of any content before and after */
typedef void bf_op(const struct bf_layer* layer, const void* in, const int16_t* skip, void* out,
                   uint32_t* scratch);

/* An output's scale and bias; see bf_layer.scales. */
typedef struct bf_scale {
  int32_t scale;
  int32_t bias;
} bf_scale;

#define BF_NONE 0xFFFFFFFFu /* in `in`: the image; in `out`: the logits; in `add`: no skip */

/* A layer. Offsets are in bytes from the start of the arena, multiples of 4. A field that an
 * operation has no use for is 0. */
typedef struct bf_layer {
  bf_op* op;              /* one of the operations below */
  uint32_t in;            /* offset of the input, or BF_NONE */
  uint32_t out;           /* offset of the output, or BF_NONE */
  uint32_t add;           /* offset of the skip, or BF_NONE */
  const void* weights;    /* layout: at each operation, below */
  const void* levels;     /* what sums start from or are compared with; likewise */
  const bf_scale* scales; /* [out_channels], of operations to integers:
                           *   y = ((scale * v + bias) >> shift) + skip
                           * bias holds the rounding, 1 << shift >> 1; v is 0 if relu and v < 0; the
                           * skip of channel c is channel c % add_channels */
  uint32_t bits;          /* binary operations: K, the weights of one output channel */
  uint16_t in_height, in_width, in_channels; /* of the input; channels, not words */
  uint16_t out_height, out_width, out_channels;
  uint16_t add_channels;                /* of the skip */
  uint16_t kernel_height, kernel_width; /* of the window */
  uint16_t stride;                      /* of the window, both ways */
  uint8_t pad; /* rows and columns outside the map on each side: kernel / 2, or 0 of pools */
  uint8_t shift;
  uint8_t relu;
  uint8_t planes;  /* fast and lean: see bf_conv_fast_bits */
  uint8_t mean[3]; /* stem: the value of pixels outside the image, per channel */
} bf_layer;

/* A model. PREFIX_ARENA_BYTES in its header is arena_bytes as a constant. */
typedef struct bf_model {
  const bf_layer* layers; /* in the order of execution */
  uint32_t layer_count;
  uint32_t arena_bytes; /* a multiple of 4 */
  uint32_t scratch;     /* byte offset of the scratch, used by no map; its size is the largest that
                         * an operation asks for below */
  uint16_t height, width, channels; /* of the image: uint8_t [height][width][channels] */
  uint16_t classes;
} bf_model;

/* ---- Running ---- */

/* Runs the whole model.
 *   image   [height][width][channels], read only
 *   arena   [arena_bytes / 4], any content before and after
 *   logits  [classes] */
void bf_run(const bf_model* model, const uint8_t* image, uint32_t* arena, int32_t* logits);

/* Runs layer `layer` alone: calling it for 0, 1, ... layer_count - 1 is bf_run. */
void bf_step(const bf_model* model, uint32_t layer, const uint8_t* image, uint32_t* arena,
             int32_t* logits);

/* The index of the largest logit, the first of equals. */
uint32_t bf_winner(const int32_t* logits, uint32_t classes);

/* ---- Operations ----
 * lib/packed/firmware_tables.h packs what `weights` and `levels` point to. Each output row y is
 * that of the window that begins at input row y * stride - pad. Words(C) = (C + 31) / 32. */

/* Binary convolutions and dense layers (a window as large as the map, stride 1, pad 0). Of windows
 * of kernel_height * kernel_width * Words(in_channels) words, row by row, pixel by pixel:
 *   differing = the number of bits that differ between window and weights, 0 to K
 *   to bits:  bit = differing > threshold
 *   to ints:  v = K - 2 * differing, then `scales`
 * Three kernels do the same at different cost. G = groups of 32 output channels (the last is filled
 * up with weights of 0); fast and lean count up to K < 65536.
 *
 * fast: three-input tables. The window is cut into blocks of 3 words x0, x1, x2 = 32 triples of
 * inputs; those behind its last word never differ. Inputs a, b, c of triple 4 * q + k, k = 0 to 3,
 *   - q = 0, 2, 4: bits 8k, 8k + 1, 8k + 2 of x0, x1, x2 respectively
 *   - q = 1, 3, 5: bits 8k + 3, 8k + 4, 8k + 5 of x0, x1, x2 respectively
 *   - q = 6: bits 8k + 6 and 8k + 7 of x0, bit 8k + 6 of x2
 *   - q = 7: bits 8k + 6 and 8k + 7 of x1, bit 8k + 7 of x2
 *   - weights: uint32_t [G][blocks][32 triples][8 = a + 2b + 4c][2]; bit i of the two words says of
 *     output channel 32 * group + i whether an odd number of a, b, c differ, whether two or more do
 *   - flash: 64 bytes a triple and group, 5.3 times lean
 *
 * lean: the weights bit-sliced over 32 output channels, in pairs of inputs.
 *   - weights: uint32_t [G][words][16 pairs][2]; for inputs 2p and 2p + 1 of a word, bit i of the
 *     two words is of output channel 32 * group + i: w(2p), and w(2p) ^ w(2p + 1)
 *
 * rows: the weights as they are; on cores with Helium (M55) the fastest.
 *   - weights: uint32_t [out_channels][words]
 *
 * levels of fast and lean:
 *   - to bits: uint32_t [G][planes], where planes = 1 + n, n = 10 or more and 2^n > K: plane p, bit
 *     i is bit p of 2^n - 1 - threshold, of output channel 32 * group + i, for thresholds clipped
 *     to [-1, K]; K beyond the channels
 *   - to ints: NULL, and `planes` holds
 *
 * levels of rows to bits: int32_t [out_channels], the thresholds.
 *
 * Scratch: the window's words, rounded up to a multiple of 3, 4 bytes each. */
bf_op bf_conv_fast_bits, bf_conv_fast_ints;
bf_op bf_conv_lean_bits, bf_conv_lean_ints;
bf_op bf_conv_rows_bits, bf_conv_rows_ints;

/* 8-bit convolution of the image, in_channels 1 or 3: v = level + sum of weight * pixel.
 *   to bits  bit = v < 0          level = -threshold - sum of weight * mean
 *   to ints  v, then `scales`     level = -sum of weight * mean
 * Let T = kernel_height * kernel_width * in_channels, which is 4n + 1 or 4n + 3 (kernels are odd),
 * and C = out_channels, rounded up to a multiple of 4; weights and levels beyond either are 0.
 *   weights  int8_t [C / 4], aligned to 4 bytes, of
 *              [(T + 1) / 4][4 channels][4 taps]  taps in the order of network.h, but within each
 *                                                 four 0, 2, 1, 3
 *              [4 channels]                       the last tap, if T is 4n + 1
 *   levels   int32_t [C]; thresholds are clipped so that v cannot leave int32_t
 * Scratch: 2 * T bytes, rounded up to a multiple of 8. */
bf_op bf_stem_bits, bf_stem_ints;

/* Integers to bits: bit = x < level. levels: int32_t [in_channels], clipped to [-32768, 32768]. */
bf_op bf_binarize;

/* The largest of each window; of bits (+1 if any is) and of integers. */
bf_op bf_max_pool_bits, bf_max_pool_ints;

/* (The sum of each window + (1 << shift >> 1)) >> shift; of bits, as -1 and +1, and of integers;
 * gives integers. */
bf_op bf_average_pool_bits, bf_average_pool_ints;

/* The same of each channel over the whole map; gives int32_t [channels]. */
bf_op bf_global_sum_bits, bf_global_sum_ints;

/* Sums int32_t [in_channels] to logits: level + sum of weight * sum.
 *   weights  int8_t [out_channels][in_channels]
 *   levels   int32_t [out_channels] */
bf_op bf_dense;

#ifdef __cplusplus
}
#endif

#endif
