/* What the harness runs: networks, each with its images. emulate.cc writes them down, and the
 * sizes. */
#ifndef BF_BOARD_HARNESS_H
#define BF_BOARD_HARNESS_H

#include "bf_mcu.h"
#include "sizes.h" /* MOST_ARENA_BYTES, MOST_IMAGE_BYTES, MOST_CLASSES */

/* Where a layer leaves its output: bytes of the arena. The last layer's is the logits. */
struct output {
  uint32_t offset;
  uint32_t bytes;
};

struct network {
  const bf_model* model;
  const struct output* outputs; /* [layer_count] */
  uint32_t images;
  uint32_t image_bytes;
};

extern const struct network networks[];
extern const uint32_t network_count;

#endif
