/* What the runtime's sources share. Nothing here is for its users. */
#ifndef BF_INTERNAL_H
#define BF_INTERNAL_H

#include "bf_mcu.h"

/* GCC would make calls of memcpy and memset out of loops, and firmware may have none. And the arena
 * holds values of 16 and of 32 bits in turn, whatever the caller declared it as: no compiler may
 * think that they never meet. Others than GCC take -fno-strict-aliasing (docs/mcu.md). */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-loop-distribute-patterns", "no-strict-aliasing")
#endif

/* A function that GCC 12 must not inline, and whose instructions it must not reorder before
 * registers are given out: it would spill, 18 % more instructions in a binary kernel. */
#if defined(__GNUC__) && !defined(__clang__)
#define BF_KERNEL                                                                    \
  __attribute__((noinline, optimize("O2", "no-schedule-insns", "no-strict-aliasing", \
                                    "no-tree-loop-distribute-patterns")))
#define BF_INLINE static inline __attribute__((always_inline))
#else
#define BF_KERNEL
#define BF_INLINE static inline
#endif

/* The Thumb instruction set: 1, as ARMv6-M has it, or 2; 0 where there is none. */
#ifdef __ARM_ARCH_ISA_THUMB
#define BF_THUMB __ARM_ARCH_ISA_THUMB
#else
#define BF_THUMB 0
#endif

#define BF_WORD 32u /* bits of a word, channels of a group */

/* What C99 leaves to the compiler, and this runtime relies on. */
BF_ASSERT(shifts_keep_the_sign, (-1 >> 1) == -1);
BF_ASSERT(ints_have_32_bits, sizeof(int) == 4);
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "bf: little-endian cores only: weights of 8 bits and pixels of 16 lie together in words"
#endif

BF_INLINE uint32_t bf_words(uint32_t channels) { return (channels + BF_WORD - 1) / BF_WORD; }

/* The output channels from `first` on that share a word. */
BF_INLINE uint32_t bf_group(const bf_layer* layer, uint32_t first) {
  const uint32_t left = layer->out_channels - first;
  return left < BF_WORD ? left : BF_WORD;
}

/* Writes sums of output channels first to first + count - 1, count at most 32, as integers.
 *   sums  [count]
 *   skip  of this pixel, all channels; or NULL
 *   out   of this pixel, all channels */
void bf_write_ints(const bf_layer* layer, uint32_t first, uint32_t count, const int32_t* sums,
                   const int16_t* skip, int16_t* out);

#endif
