// The packed network: what a `model.bnn` says, as plain structures.
//
// An image of 8-bit pixels passes through operations. Values between them are either bits, which
// stand for -1 and +1, or integers; there is no floating point anywhere, so every implementation
// gives the same outputs, bit for bit.
//
//   a chain     pixels --Stem--> bits --BinaryConv | MaxPool--> bits --GlobalSum--> sums --Dense-->
//   with skips  pixels --Stem--> ints --Binarize--> bits --BinaryConv, + ints--> ints ... -->
//
// Tensors are numbered: 0 is the image, i is what operation i - 1 gives. An operation takes tensors
// that come before it, so there are no cycles.
//
// Encoding of bits. Bit 1 stands for -1, bit 0 for +1, so that a dot product of K values is
//   dot(a, w) = K - 2 * popcount(a XOR w).
// Layout is NHWC; channel c of a pixel lies in its word c / 32 at bit c % 32. A pixel of C bits is
// Words(C) words; the bits beyond C are 0, in maps and in weights, so they never differ.
//
// Windows. A convolution is padded by kernel / 2 on every side, with +1 among bits (bit 0) and with
// the mean among pixels, so that output row y is centred on input row y * stride, and the output
// has (size - 1) / stride + 1 rows. A pool is not padded: (size - kernel) / stride + 1 rows.
//
// Rounding. RoundShift(x, s) = floor((x + floor(2^(s-1))) / 2^s): to the nearest, halves upwards.
//
// Source of the encoding: Larq Compute Engine (https://github.com/larq/compute-engine), so that
// its kernels can serve as an independent oracle.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"

namespace bitfoundry::packed {

inline constexpr uint32_t kWordBits = 32;
inline constexpr uint32_t kMaxImageSide = 1024;
inline constexpr uint32_t kMaxChannels = 8192;
inline constexpr uint32_t kMaxStemKernel = 7;
inline constexpr uint32_t kMaxStride = kMaxImageSide;  // of the stem and of pools
inline constexpr uint32_t kMaxPoolKernel = 8;
inline constexpr uint32_t kMaxShift = 24;
inline constexpr uint32_t kMaxClasses = 1000;
inline constexpr uint32_t kMaxOps = 256;
inline constexpr uint64_t kMaxTensorBytes = uint64_t{64} << 20;  // of all outputs together
inline constexpr uint64_t kMaxMacs = uint64_t{1}
                                     << 32;  // of one image: a bound on the time it takes

constexpr uint32_t Words(uint32_t channels) { return (channels + kWordBits - 1) / kWordBits; }

constexpr int64_t RoundShift(int64_t x, uint32_t shift) {
  return (x + (int64_t{1} << shift >> 1)) >> shift;
}

struct Shape {
  uint32_t height = 0;
  uint32_t width = 0;
  uint32_t channels = 0;
  bool operator==(const Shape&) const = default;
};

// ---- What becomes of a sum v: a stem's, or the dot product of a binary operation.

// Bits, by one comparison:
//   stem             bit = v < threshold
//   binary           bit = differing > threshold, where differing = (K - v) / 2
// A binary threshold of -1 or less makes the channel constantly -1, one of K or more constantly +1.
struct ToBits {
  std::vector<int32_t> thresholds;  // [channels]
  bool operator==(const ToBits&) const = default;
};

// Integers of 16 bits:
//   y = RoundShift(scale * (relu ? max(v, 0) : v) + bias, shift) + (add ? skip : 0)
// The skip of channel c is channel c % R of tensor `add`, which has the output's height and width
// and R channels, a divisor of the output's. It may be that tensor's last use.
struct ToInts {
  std::vector<int32_t> scales;  // [channels]
  std::vector<int32_t> biases;  // [channels]
  uint32_t shift = 0;           // 0 to kMaxShift
  bool relu = false;
  uint32_t add = 0;  // a tensor of integers, or 0: none
  bool operator==(const ToInts&) const = default;
};

using Output = std::variant<ToBits, ToInts>;

// ---- Operations

// 8-bit convolution of the image: v = sum over taps of weight * (pixel - mean).
struct Stem {
  uint32_t channels = 0;        // of the output
  uint32_t kernel = 3;          // odd, at most kMaxStemKernel
  uint32_t stride = 1;          // 1 to kMaxStride
  std::vector<int8_t> weights;  // [channels][kernel][kernel][input channels]
  Output output;
  bool operator==(const Stem&) const = default;
};

// Bits to bits or integers: v = dot(window, weights), K = kernel * kernel * input channels.
struct BinaryConv {
  uint32_t channels = 0;          // of the output
  uint32_t kernel = 3;            // 1 or 3
  uint32_t stride = 1;            // 1 or 2
  std::vector<uint32_t> weights;  // [channels][kernel][kernel][Words(input channels)]
  Output output;
  bool operator==(const BinaryConv&) const = default;
};

// The same over the whole map at once: K = height * width * input channels.
struct BinaryDense {
  uint32_t channels = 0;          // of the output, which is 1x1
  std::vector<uint32_t> weights;  // [channels][height][width][Words(input channels)]
  Output output;
  bool operator==(const BinaryDense&) const = default;
};

// Integers to bits: bit = x < threshold of its channel.
struct Binarize {
  std::vector<int32_t> thresholds;  // [channels]
  bool operator==(const Binarize&) const = default;
};

// The largest of each window, of bits (+1 if any is, so the AND of their bits) or of integers.
struct MaxPool {
  uint32_t kernel = 2;  // 2 to kMaxPoolKernel
  uint32_t stride = 2;  // 1 to kMaxStride
  bool operator==(const MaxPool&) const = default;
};

// RoundShift(sum of each window, shift), of bits (as -1 and +1) or of integers; gives integers.
struct AveragePool {
  uint32_t kernel = 2;  // 2 to kMaxPoolKernel
  uint32_t stride = 2;  // 1 to kMaxStride
  uint32_t shift = 2;   // 0 to kMaxShift
  bool operator==(const AveragePool&) const = default;
};

// RoundShift(sum of each channel over all pixels, shift), of bits or of integers; gives sums of 32
// bits. The division that would make a mean of it belongs to the scale of the logits.
struct GlobalSum {
  uint32_t shift = 0;  // 0 to kMaxShift
  bool operator==(const GlobalSum&) const = default;
};

// Sums to logits: logit = bias + sum over channels of weight * sum.
struct Dense {
  uint32_t classes = 0;
  std::vector<int8_t> weights;  // [classes][input channels]
  std::vector<int32_t> biases;  // [classes]
  bool operator==(const Dense&) const = default;
};

using Kind =
    std::variant<Stem, BinaryConv, BinaryDense, Binarize, MaxPool, AveragePool, GlobalSum, Dense>;

struct Op {
  uint32_t input = 0;  // the tensor it takes
  Kind kind;
  bool operator==(const Op&) const = default;
};

struct Network {
  Shape input;                       // 1 or 3 channels of 8 bits
  std::array<uint8_t, 3> mean = {};  // subtracted from the pixels of each channel
  std::vector<Op> ops;               // the last is Dense

  // Appends an operation on the last tensor; returns the tensor that it gives.
  uint32_t Then(Kind kind);
  bool operator==(const Network&) const = default;
};

enum class Values {
  kPixels,  // uint8_t
  kBits,    // uint32_t words
  kInts,    // int16_t
  kSums,    // int32_t
  kLogits,  // int32_t
};

// One operation, with what it costs.
struct Layer {
  std::string name;  // of its kind and its number among them: "stem1", "conv1", "pool1", ...
  uint32_t input = 0;
  uint32_t add = 0;  // 0: none
  Shape in;
  Shape out;
  Values takes = Values::kPixels;
  Values gives = Values::kBits;
  uint64_t macs_8bit = 0;  // multiply-accumulates of one image
  uint64_t macs_1bit = 0;
  uint64_t flash_bytes = 0;  // weights, thresholds, scales and biases
  uint64_t out_bytes = 0;    // of RAM
};

// Every layer in order; and the proof that the network is sound: shapes fit, arrays have the sizes
// that the shapes ask for, and no value can leave its integer, whatever the image. The proof walks
// intervals through the network: from the weights for the stem, from K for binary dot products, and
// channel by channel through scales, skips, pools, sums and the head. Whoever builds a Network by
// hand calls this.
//
// Errors: kInvalidArgument with reason
//   BAD_SHAPE      a dimension, kernel, stride, shift or count is outside its limits
//   BAD_REFERENCE  an operation takes a tensor that does not come before it
//   BAD_ORDER      an operation does not take what that tensor holds; the last is not Dense; or a
//                  tensor is never used
//   BAD_SIZE       an array's length is not what the shape asks for
//   BAD_PADDING    a bit of the weights beyond their channels is not 0
//   OVERFLOW       a value could leave its integer: int16 of kInts, int32 of everything else
//   TOO_MANY_OPS, TOO_MUCH_WORK  more than kMaxOps operations; more than kMaxMacs or
//                               kMaxTensorBytes
Result<std::vector<Layer>> Describe(const Network& network);

// What one image costs, over all layers.
struct Cost {
  uint64_t macs_8bit = 0;
  uint64_t macs_1bit = 0;
  uint64_t flash_bytes = 0;
};
Cost Sum(const std::vector<Layer>& layers);

// The index of the largest logit, the first of equals: the class that the network says.
size_t Winner(std::span<const int32_t> logits);

}  // namespace bitfoundry::packed
