/* What the runtime's sources share. Nothing here is for its users. */
#ifndef BF_INTERNAL_H
#define BF_INTERNAL_H

#include "bf_mcu.h"

/* GCC would make calls of memcpy and memset out of loops, and firmware may have none. */
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-tree-loop-distribute-patterns")
#endif

#define BF_WORD 32u /* bits of a word, channels of a group */

/* What C99 leaves to the compiler, and this runtime relies on. */
typedef char bf_shifts_keep_the_sign[(-1 >> 1) == -1 ? 1 : -1];
typedef char bf_ints_have_32_bits[sizeof(int) == 4 ? 1 : -1];

static inline uint32_t bf_words(uint32_t channels) { return (channels + BF_WORD - 1) / BF_WORD; }

/* Writes sums of output channels first to first + count - 1, count at most 32, as integers.
 *   sums  [count]
 *   skip  of this pixel, all channels; or NULL
 *   out   of this pixel, all channels */
void bf_write_ints(const bf_layer* layer, uint32_t first, uint32_t count, const int32_t* sums,
                   const int16_t* skip, int16_t* out);

#endif
