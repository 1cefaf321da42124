/* The 8-bit convolution at a network's entrance, four output channels at a time. */
#include "bf_internal.h"

#define CHANNELS 4u /* whose weights lie interleaved, word by word */
#define TAPS 4u     /* of a word of weights */

static uint32_t taps_of(const bf_layer* layer) {
  const uint32_t taps = (uint32_t)layer->kernel_height * layer->kernel_width * layer->in_channels;
  return (taps + TAPS - 1) & ~(TAPS - 1);
}

/* Copies the window at (top, left) of the image, with the mean where it lies outside, and widens
 * it: of four pixels p0 to p3, the 16-bit values p0, p2, p1, p3, which is how SXTB16 splits the
 * weights. `scratch` holds 2 * taps bytes. */
static void gather(const bf_layer* layer, const uint8_t* image, int32_t top, int32_t left,
                   uint32_t taps, uint32_t* scratch) {
  uint32_t* pairs = scratch;
  const uint8_t* bytes = (const uint8_t*)scratch + taps; /* read before they are overwritten */
  uint8_t* pixel = (uint8_t*)scratch + taps;
  const uint32_t channels = layer->in_channels;
  for (int32_t y = top; y < top + layer->kernel_height; ++y) {
    const uint32_t inside = (uint32_t)y < layer->in_height;
    const int32_t row = y * layer->in_width;
    for (int32_t x = left; x < left + layer->kernel_width; ++x) {
      const uint8_t* from = layer->mean;
      if (inside && (uint32_t)x < layer->in_width) from = image + (uint32_t)(row + x) * channels;
      for (uint32_t c = 0; c < channels; ++c) *pixel++ = from[c];
    }
  }
  for (uint32_t i = 0; i < taps; i += TAPS, bytes += TAPS) {
    const uint32_t four = bytes[0] | bytes[1] << 8 | bytes[2] << 16 | (uint32_t)bytes[3] << 24;
    *pairs++ = four & 0x00FF00FF;
    *pairs++ = four >> 8 & 0x00FF00FF;
  }
}

/* sum + the products of four weights with four pixels, widened as above. */
static inline int32_t dot4(int32_t sum, uint32_t weights, uint32_t even, uint32_t odd) {
#ifdef __ARM_FEATURE_DSP
  uint32_t wide;
  __asm__("sxtb16 %0, %1" : "=r"(wide) : "r"(weights));
  __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(wide), "r"(even));
  __asm__("sxtb16 %0, %1, ror #8" : "=r"(wide) : "r"(weights));
  __asm__("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(wide), "r"(odd));
  return sum;
#else
  sum += (int8_t)weights * (int32_t)(even & 0xFFFF);
  sum += (int8_t)(weights >> 8) * (int32_t)(odd & 0xFFFF);
  sum += (int8_t)(weights >> 16) * (int32_t)(even >> 16);
  return sum + ((int32_t)weights >> 24) * (int32_t)(odd >> 16);
#endif
}

/* The sums of four output channels. Returns the weights of the next four. */
static const uint32_t* sum4(const uint32_t* weights, const int32_t* levels, const uint32_t* pairs,
                            uint32_t words, int32_t* sums) {
  int32_t a = levels[0], b = levels[1], c = levels[2], d = levels[3];
  const uint32_t* end = pairs + 2 * words;
  do {
    const uint32_t even = pairs[0], odd = pairs[1];
    a = dot4(a, weights[0], even, odd);
    b = dot4(b, weights[1], even, odd);
    c = dot4(c, weights[2], even, odd);
    d = dot4(d, weights[3], even, odd);
    weights += CHANNELS;
    pairs += 2;
  } while (pairs != end);
  sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
  return weights;
}

/* The output of one pixel. Returns where that of the next begins. */
typedef void* pixel_op(const bf_layer* layer, const uint32_t* pairs, uint32_t words,
                       const int16_t* skip, void* out);

static void* pixel_bits(const bf_layer* layer, const uint32_t* pairs, uint32_t words,
                        const int16_t* skip, void* out) {
  const uint32_t* weights = layer->weights;
  const int32_t* levels = layer->levels;
  uint32_t* bits = out;
  uint32_t word = 0;
  (void)skip;
  for (uint32_t c = 0; c < layer->out_channels;) {
    int32_t v[CHANNELS];
    weights = sum4(weights, levels + c, pairs, words, v);
    for (uint32_t i = 0; i < CHANNELS; ++i) word |= (uint32_t)v[i] >> 31 << ((c + i) % BF_WORD);
    c += CHANNELS;
    if (c % BF_WORD == 0 || c >= layer->out_channels) {
      *bits++ = word;
      word = 0;
    }
  }
  return bits;
}

static void* pixel_ints(const bf_layer* layer, const uint32_t* pairs, uint32_t words,
                        const int16_t* skip, void* out) {
  const uint32_t* weights = layer->weights;
  const int32_t* levels = layer->levels;
  for (uint32_t c = 0; c < layer->out_channels; c += CHANNELS) {
    int32_t v[CHANNELS];
    const uint32_t left = layer->out_channels - c;
    weights = sum4(weights, levels + c, pairs, words, v);
    bf_write_ints(layer, c, left < CHANNELS ? left : CHANNELS, v, skip, out);
  }
  return (int16_t*)out + layer->out_channels;
}

static void stem(const bf_layer* layer, const uint8_t* image, const int16_t* skip, void* out,
                 uint32_t* scratch, pixel_op* pixel) {
  const uint32_t taps = taps_of(layer);
  int32_t top = -layer->pad;
  for (uint32_t y = 0; y < layer->out_height; ++y, top += layer->stride) {
    int32_t left = -layer->pad;
    for (uint32_t x = 0; x < layer->out_width; ++x, left += layer->stride) {
      gather(layer, image, top, left, taps, scratch);
      out = pixel(layer, scratch, taps / TAPS, skip, out);
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
