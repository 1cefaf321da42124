/* The 8-bit convolution at a network's entrance, four output channels at a time. */
#include "bf_internal.h"

#define CHANNELS 4u /* whose weights lie interleaved, word by word */
#define TAPS 4u     /* of a word of weights */

/* Copies 8-bit values into 16-bit ones. Returns the end of `to`. */
BF_INLINE uint16_t* widen(uint16_t* to, const uint8_t* from, int32_t count) {
  for (const uint8_t* end = from + count; from != end; ++from) *to++ = *from;
  return to;
}

static uint16_t* fill(uint16_t* to, const bf_layer* layer, int32_t pixels) {
  for (; pixels > 0; --pixels) to = widen(to, layer->mean, layer->in_channels);
  return to;
}

/* Copies the window at (top, left) of the image; what lies outside is the mean. */
BF_KERNEL static void gather(const bf_layer* layer, const uint8_t* image, int32_t top, int32_t left,
                             uint16_t* window) {
  const int32_t channels = layer->in_channels, width = layer->in_width;
  const int32_t right = left + layer->kernel_width;
  const int32_t from = left < 0 ? 0 : left, to = right < width ? right : width;
  const int32_t before = from - left, after = right - to, inside = (to - from) * channels;
  int32_t row = (top * width + from) * channels;
  for (int32_t y = top; y < top + layer->kernel_height; ++y, row += width * channels) {
    if ((uint32_t)y >= layer->in_height) { /* of columns, the middle one is always inside */
      window = fill(window, layer, layer->kernel_width);
    } else {
      if (before > 0) window = fill(window, layer, before);
      window = widen(window, image + row, inside);
      if (after > 0) window = fill(window, layer, after);
    }
  }
}

/* sum + the products of four weights with two pairs of pixels. The weights lie in the order 0, 2,
 * 1, 3, because SXTB16 takes every other byte. */
BF_INLINE int32_t dot4(int32_t sum, uint32_t weights, uint32_t pixels, uint32_t next_pixels) {
#ifdef __ARM_FEATURE_DSP
  uint32_t pair;
  __asm__("sxtb16 %0, %1" : "=r"(pair) : "r"(weights));
  __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(pair), "r"(pixels));
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(pair) : "r"(weights));
  __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(pair), "r"(next_pixels));
  return sum;
#else
  sum += (int8_t)weights * (int32_t)(pixels & 0xFFFF);
  sum += (int8_t)(weights >> 16) * (int32_t)(pixels >> 16);
  sum += (int8_t)(weights >> 8) * (int32_t)(next_pixels & 0xFFFF);
  return sum + ((int32_t)weights >> 24) * (int32_t)(next_pixels >> 16);
#endif
}

/* The next two words, in one instruction. */
BF_INLINE void take_two(const uint32_t** from, uint32_t* a, uint32_t* b) {
#if BF_THUMB >= 2
  __asm__ volatile("ldrd %0, %1, [%2], #8" : "=r"(*a), "=r"(*b), "+r"(*from)::"memory");
#else
  *a = *(*from)++;
  *b = *(*from)++;
#endif
}

/* The sums of up to 32 output channels, rounded up to four. Returns the weights of the next.
 *   pixels  of the window, two in a word */
BF_KERNEL static const uint32_t* sum(const bf_layer* layer, const uint32_t* weights,
                                     const int32_t* level, const uint32_t* pixels, int32_t* sums,
                                     uint32_t channels) {
  const uint32_t taps = (uint32_t)layer->kernel_height * layer->kernel_width * layer->in_channels;
  const int32_t* end = sums + channels;
  do {
    int32_t a = *level++, b = *level++, c = *level++, d = *level++;
    const uint32_t* pixel = pixels;
    for (uint32_t left = (taps + 1) / TAPS; left > 0; --left) {
      uint32_t pair, next_pair, first, second;
      take_two(&pixel, &pair, &next_pair);
      take_two(&weights, &first, &second);
      a = dot4(a, first, pair, next_pair);
      b = dot4(b, second, pair, next_pair);
      take_two(&weights, &first, &second);
      c = dot4(c, first, pair, next_pair);
      d = dot4(d, second, pair, next_pair);
    }
    if (taps % TAPS == 1) { /* as always with one input channel; with three, one is missing */
      const uint32_t four = *weights++;
      const int32_t last = *(const uint16_t*)(const void*)pixel;
      a += (int8_t)four * last;
      b += (int8_t)(four >> 8) * last;
      c += (int8_t)(four >> 16) * last;
      d += ((int32_t)four >> 24) * last;
    }
    *sums++ = a, *sums++ = b, *sums++ = c, *sums++ = d;
  } while (sums < end);
  return weights;
}

static inline uint32_t sign(int32_t v) { return (uint32_t)v >> 31; }

/* The output of one pixel. Returns where that of the next begins. */
typedef void* pixel_op(const bf_layer* layer, const uint32_t* pixels, const int16_t* skip,
                       void* out);

static void* pixel_bits(const bf_layer* layer, const uint32_t* pixels, const int16_t* skip,
                        void* out) {
  const uint32_t* weights = layer->weights;
  const int32_t* levels = layer->levels;
  uint32_t* bits = out;
  (void)skip;
  for (uint32_t first = 0; first < layer->out_channels; first += BF_WORD) {
    const uint32_t count = bf_group(layer, first);
    int32_t v[BF_WORD];
    uint32_t word = 0;
    weights = sum(layer, weights, levels + first, pixels, v, count);
    for (uint32_t i = 0; i < count; i += CHANNELS) {
      word |= (sign(v[i]) | sign(v[i + 1]) << 1 | sign(v[i + 2]) << 2 | sign(v[i + 3]) << 3) << i;
    }
    *bits++ = word;
  }
  return bits;
}

static void* pixel_ints(const bf_layer* layer, const uint32_t* pixels, const int16_t* skip,
                        void* out) {
  const uint32_t* weights = layer->weights;
  const int32_t* levels = layer->levels;
  for (uint32_t first = 0; first < layer->out_channels; first += BF_WORD) {
    const uint32_t count = bf_group(layer, first);
    int32_t v[BF_WORD];
    weights = sum(layer, weights, levels + first, pixels, v, count);
    bf_write_ints(layer, first, count, v, skip, out);
  }
  return (int16_t*)out + layer->out_channels;
}

static void stem(const bf_layer* layer, const uint8_t* image, const int16_t* skip, void* out,
                 uint32_t* scratch, pixel_op* pixel) {
  int32_t top = -layer->pad;
  for (uint32_t y = 0; y < layer->out_height; ++y, top += layer->stride) {
    int32_t left = -layer->pad;
    for (uint32_t x = 0; x < layer->out_width; ++x, left += layer->stride) {
      gather(layer, image, top, left, (uint16_t*)(void*)scratch);
      out = pixel(layer, scratch, skip, out);
      if (skip) skip += layer->add_channels;
    }
  }
}

void bf_stem_bits(const bf_layer* layer, const void* in, const int16_t* skip, void* out,
                  uint32_t* scratch) {
  stem(layer, in, skip, out, scratch, pixel_bits);
}

void bf_stem_ints(const bf_layer* layer, const void* in, const int16_t* skip, void* out,
                  uint32_t* scratch) {
  stem(layer, in, skip, out, scratch, pixel_ints);
}
