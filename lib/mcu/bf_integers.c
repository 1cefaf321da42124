/* Operations between the convolutions: thresholds, pools, sums and the head. */
#include "bf_internal.h"

void bf_write_ints(const bf_layer* layer, uint32_t first, uint32_t count, const int32_t* sums,
                   const int16_t* skip, int16_t* out) {
  const bf_scale* scales = layer->scales + first;
  uint32_t added = first; /* modulo add_channels: the next channel of the skip */
  out += first;
  for (; count > 0; --count, ++added, ++scales) {
    int32_t v = *sums++;
    if (layer->relu && v < 0) v = 0;
    int32_t y = (scales->scale * v + scales->bias) >> layer->shift;
    if (skip) {
      while (added >= layer->add_channels) added -= layer->add_channels;
      y += skip[added];
    }
    *out++ = (int16_t)y;
  }
}

void bf_binarize(const bf_layer* layer, const void* in, const int16_t* skip, void* out,
                 uint32_t* scratch) {
  const int16_t* x = in;
  uint32_t* bits = out;
  (void)skip, (void)scratch;
  for (uint32_t pixels = (uint32_t)layer->in_height * layer->in_width; pixels > 0; --pixels) {
    const int32_t* level = layer->levels;
    for (uint32_t left = layer->in_channels; left > 0;) {
      const uint32_t n = left < BF_WORD ? left : BF_WORD;
      uint32_t word = 0;
      for (uint32_t i = n; i > 0; --i) { /* the sign of the difference comes in from the left */
        word = word >> 1 | ((uint32_t)(*x++ - *level++) & 0x80000000u);
      }
      *bits++ = word >> (BF_WORD - n);
      left -= n;
    }
  }
}

/* What becomes of the `height` x `width` pixels from `in` on: of their word `i` if the largest of
 * bits is asked for, else of their channel `i`. */
typedef int32_t window_op(const bf_layer* layer, const void* in, uint32_t height, uint32_t width,
                          uint32_t i);

static int32_t max_of_bits(const bf_layer* layer, const void* in, uint32_t height, uint32_t width,
                           uint32_t i) {
  const uint32_t pixel = bf_words(layer->in_channels);
  const uint32_t* row = (const uint32_t*)in + i;
  uint32_t all = ~0u;
  for (; height > 0; --height, row += pixel * layer->in_width) {
    for (uint32_t x = 0; x < width; ++x) all &= row[x * pixel];
  }
  return (int32_t)all;
}

static int32_t max_of_ints(const bf_layer* layer, const void* in, uint32_t height, uint32_t width,
                           uint32_t i) {
  const uint32_t pixel = layer->in_channels;
  const int16_t* row = (const int16_t*)in + i;
  int32_t most = INT16_MIN;
  for (; height > 0; --height, row += pixel * layer->in_width) {
    for (uint32_t x = 0; x < width; ++x) {
      if (row[x * pixel] > most) most = row[x * pixel];
    }
  }
  return most;
}

static int32_t sum_of_bits(const bf_layer* layer, const void* in, uint32_t height, uint32_t width,
                           uint32_t i) {
  const uint32_t pixel = bf_words(layer->in_channels);
  const uint32_t* row = (const uint32_t*)in + i / BF_WORD;
  int32_t sum = (int32_t)(height * width);
  for (; height > 0; --height, row += pixel * layer->in_width) {
    for (uint32_t x = 0; x < width; ++x) {
      sum -= (int32_t)(row[x * pixel] >> i % BF_WORD & 1) * 2;
    }
  }
  return sum;
}

static int32_t sum_of_ints(const bf_layer* layer, const void* in, uint32_t height, uint32_t width,
                           uint32_t i) {
  const uint32_t pixel = layer->in_channels;
  const int16_t* row = (const int16_t*)in + i;
  int32_t sum = 0;
  for (; height > 0; --height, row += pixel * layer->in_width) {
    for (uint32_t x = 0; x < width; ++x) sum += row[x * pixel];
  }
  return sum;
}

static int32_t rounded(int32_t sum, uint32_t shift) { return (sum + (1 << shift >> 1)) >> shift; }

/* Every window of the map; `pixel` is the size of its pixels in bytes. */
static void pool(const bf_layer* layer, const uint8_t* line, uint32_t pixel, void* out,
                 window_op* op) {
  uint32_t* words = out;
  int16_t* ints = out;
  const uint32_t step = layer->stride * pixel;
  for (uint32_t y = 0; y < layer->out_height; ++y) {
    const uint8_t* window = line;
    for (uint32_t x = 0; x < layer->out_width; ++x) {
      const uint32_t values = op == max_of_bits ? pixel / 4 : layer->in_channels;
      for (uint32_t i = 0; i < values; ++i) {
        const int32_t value = op(layer, window, layer->kernel_height, layer->kernel_width, i);
        if (op == max_of_bits) {
          *words++ = (uint32_t)value;
        } else {
          *ints++ = (int16_t)rounded(value, layer->shift);
        }
      }
      window += step;
    }
    line += step * layer->in_width;
  }
}

void bf_max_pool_bits(const bf_layer* layer, const void* in, const int16_t* skip, void* out,
                      uint32_t* scratch) {
  (void)skip, (void)scratch;
  pool(layer, in, 4 * bf_words(layer->in_channels), out, max_of_bits);
}

void bf_max_pool_ints(const bf_layer* layer, const void* in, const int16_t* skip, void* out,
                      uint32_t* scratch) {
  (void)skip, (void)scratch;
  pool(layer, in, 2u * layer->in_channels, out, max_of_ints);
}

void bf_average_pool_bits(const bf_layer* layer, const void* in, const int16_t* skip, void* out,
                          uint32_t* scratch) {
  (void)skip, (void)scratch;
  pool(layer, in, 4 * bf_words(layer->in_channels), out, sum_of_bits);
}

void bf_average_pool_ints(const bf_layer* layer, const void* in, const int16_t* skip, void* out,
                          uint32_t* scratch) {
  (void)skip, (void)scratch;
  pool(layer, in, 2u * layer->in_channels, out, sum_of_ints);
}

static void global_sum(const bf_layer* layer, const void* in, int32_t* out, window_op* op) {
  for (uint32_t i = 0; i < layer->in_channels; ++i) {
    out[i] = rounded(op(layer, in, layer->in_height, layer->in_width, i), layer->shift);
  }
}

void bf_global_sum_bits(const bf_layer* layer, const void* in, const int16_t* skip, void* out,
                        uint32_t* scratch) {
  (void)skip, (void)scratch;
  global_sum(layer, in, out, sum_of_bits);
}

void bf_global_sum_ints(const bf_layer* layer, const void* in, const int16_t* skip, void* out,
                        uint32_t* scratch) {
  (void)skip, (void)scratch;
  global_sum(layer, in, out, sum_of_ints);
}

void bf_dense(const bf_layer* layer, const void* in, const int16_t* skip, void* out,
              uint32_t* scratch) {
  const int32_t* sums = in;
  const int8_t* weight = layer->weights;
  const int32_t* level = layer->levels;
  int32_t* logits = out;
  (void)skip, (void)scratch;
  for (uint32_t i = 0; i < layer->out_channels; ++i) {
    int32_t logit = level[i];
    for (uint32_t c = 0; c < layer->in_channels; ++c) logit += *weight++ * sums[c];
    logits[i] = logit;
  }
}
