// A recipe: everything that decides how a network looks and how it is trained, besides the data.
//
// The network is an 8-bit stem, binary convolutions, a global average, an 8-bit dense head; after
// each convolution ReLU if asked for, batch norm, and a 2x2 max pool if asked for. What passes
// between the convolutions is
//
//   a chain of signs (VGG)       x = sign(norm(conv(x)))
//   or a stream of integers      x = skip(x) + norm(conv(sign(x - offset)))
//
// where the skip goes around every 3x3 convolution (Bi-Real: Liu et al. 2018,
// https://arxiv.org/abs/1808.00278) and the offsets, one per channel, are learned (ReActNet: Liu et
// al. 2020, https://arxiv.org/abs/2003.03488). A convolution of stride 2 averages its skip over
// 2x2; one with k times the channels repeats it k times. A 1x1 convolution has no skip: x becomes
// norm(conv(sign(x - offset))), with as many channels as it likes.
//
// Same recipe, same examples, same build, same kind of CPU: same model, bit for bit.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace bitfoundry::bnn {

inline constexpr int32_t kMaxStemStride = 1024;  // as the packed network has it

struct Convolution {
  int32_t channels = 32;                        // of the output, 1 to 1024
  int32_t kernel = 3;                           // 1 or 3; the stem also takes 5 and 7
  int32_t stride = 1;                           // 1 or 2; of the stem up to kMaxStemStride
  bool pool = false;                            // 2x2 max pool
  bool HasSkip() const { return kernel == 3; }  // of a block in a stream
  bool operator==(const Convolution&) const = default;
};

// Drawn anew for each image and epoch.
struct Augment {
  bool flip = false;       // left to right, every other time
  int32_t shift = 0;       // up to so many pixels in each direction, edges repeated, 0 to 32
  int32_t brightness = 0;  // up to so many grey levels up or down, 0 to 128
  int32_t contrast = 0;    // up to so many percent more or less, 0 to 90
  bool operator==(const Augment&) const = default;
};

struct Recipe {
  std::string name;             // 1 to 64 of a-z 0-9 and -
  uint64_t seed = 1;            // of weights, order and augmentation
  int32_t epochs = 20;          // 1 to 1000
  int32_t batch = 64;           // 2 to 4096
  double learning_rate = 0.01;  // of Adam at the start, over 0 to 1; falls to 0 as a cosine
  int32_t threads = 2;          // 1 to 64. Part of the recipe: sums depend on how they are cut
  bool class_weighting = true;  // rare classes count more in the loss
  bool residual = false;        // a stream of integers instead of a chain of signs
  bool relu = false;            // between every convolution and its norm, as in QuickNet
  Augment augment;
  Convolution stem;
  std::vector<Convolution> blocks;  // 1 to 32
  bool operator==(const Recipe&) const = default;
};

// `person-small`: for 64x64 grey images: 37 KB packed, 28 M binary multiply-accumulates an image.
Recipe DefaultRecipe();

// `resnet-20`: for 32x32 images, after He et al. 2015, section 4.2, with a skip around every
// convolution: 47 KB packed, 40 M binary multiply-accumulates an image.
Recipe ResNet20Recipe();

// Reads a recipe. A field that is left out has its default from above, `name`, `stem` and `blocks`
// excepted.
//
// Errors: kInvalidArgument BAD_RECIPE, with the field and what it takes, for malformed JSON, an
// unknown or missing field, or a value outside its limits.
Result<Recipe> ParseRecipe(std::string_view json);

// At most so many multiply-accumulates for one image, forward: a bound on the time a step takes.
inline constexpr int64_t kMaxRecipeMacs = int64_t{1} << 30;

// How many pixels the global sum adds up, on images of that size.
//
// Errors: kInvalidArgument BAD_RECIPE if strides and pools leave no pixel, if a skip cannot follow
// its convolution (stride 2 on an odd side, or channels that are no multiple of the input's), or if
// the network does more than kMaxRecipeMacs.
Result<int64_t> SummedPixels(const Recipe& recipe, int32_t height, int32_t width, int32_t channels);

// The one way to write a recipe: all fields, keys sorted, no spaces. `residual` and `relu` are left
// out where they are false, so that recipes from before them keep their digest.
std::string CanonicalJson(const Recipe& recipe);

}  // namespace bitfoundry::bnn
