// The packed network: what a `model.bnn` says, as plain structures.
//
// An image of 8-bit pixels passes through a chain of operations. Values between them are either
// bits, which stand for -1 and +1, or integers; there is no floating point anywhere, so every
// implementation gives the same outputs, bit for bit.
//
//   pixels --Stem--> bits --(BinaryConv | MaxPool)*--> bits --GlobalSum--> sums --Dense--> logits
//
// Encoding of bits. Bit 1 stands for -1, bit 0 for +1, so that a dot product of K values is
//   dot(a, w) = K - 2 * popcount(a XOR w).
// Layout is NHWC; channel c of a pixel lies in its word c / 32 at bit c % 32. Bit channels come in
// multiples of 32. Convolutions are padded by kernel / 2 on every side, with +1 among bits (bit 0)
// and with 0 (a pixel equal to the mean) in the stem, so that output row y is centred on input row
// y * stride, and the output has (size - 1) / stride + 1 rows.
//
// Source of the encoding: Larq Compute Engine (https://github.com/larq/compute-engine), so that
// its kernels can serve as an independent oracle.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"

namespace bitfoundry::packed {

inline constexpr uint32_t kWordBits = 32;
inline constexpr uint32_t kMaxImageSide = 1024;
inline constexpr uint32_t kMaxChannels = 8192;
inline constexpr uint32_t kMaxStemKernel = 7;
inline constexpr uint32_t kMaxStride = 4;
inline constexpr uint32_t kMaxClasses = 1000;
inline constexpr uint32_t kMaxOps = 256;
inline constexpr uint64_t kMaxLayerBytes = uint64_t{16} << 20;  // of one layer's output
inline constexpr uint64_t kMaxMacs = uint64_t{1}
                                     << 32;  // of one image: a bound on the time it takes

struct Shape {
  uint32_t height = 0;
  uint32_t width = 0;
  uint32_t channels = 0;
  bool operator==(const Shape&) const = default;
};

// 8-bit convolution of pixels, then a threshold:
//   sum = sum over taps of weight * (pixel - mean);  output bit = sum < threshold
struct Stem {
  uint32_t channels = 0;            // of the output
  uint32_t kernel = 3;              // odd, at most kMaxStemKernel
  uint32_t stride = 1;              // 1 to kMaxStride
  std::vector<int8_t> weights;      // [channels][kernel][kernel][input channels]
  std::vector<int32_t> thresholds;  // [channels]
  bool operator==(const Stem&) const = default;
};

// Binary convolution, then a threshold: output bit = popcount(input XOR weights) > threshold.
// A threshold of -1 or less makes the channel constantly -1, one of INT32_MAX constantly +1.
struct BinaryConv {
  uint32_t channels = 0;            // of the output
  uint32_t kernel = 3;              // 1 or 3
  uint32_t stride = 1;              // 1 or 2
  std::vector<uint32_t> weights;    // [channels][kernel][kernel][input channels / 32]
  std::vector<int32_t> thresholds;  // [channels]
  bool operator==(const BinaryConv&) const = default;
};

// The largest of each 2x2 square: +1 if any of the four is, so the AND of their bits. An odd last
// row or column is left out.
struct MaxPool {
  bool operator==(const MaxPool&) const = default;
};

// The sum of each channel over all pixels: height * width - 2 * popcount.
struct GlobalSum {
  bool operator==(const GlobalSum&) const = default;
};

// logit = bias + sum over channels of weight * sum.
struct Dense {
  uint32_t classes = 0;
  std::vector<int8_t> weights;  // [classes][input channels]
  std::vector<int32_t> biases;  // [classes]
  bool operator==(const Dense&) const = default;
};

using Op = std::variant<Stem, BinaryConv, MaxPool, GlobalSum, Dense>;

struct Network {
  Shape input;       // 1 or 3 channels of 8 bits
  int32_t mean = 0;  // subtracted from every pixel, 0 to 255
  std::vector<Op> ops;
  bool operator==(const Network&) const = default;
};

enum class Values { kPixels, kBits, kSums, kLogits };

// One operation, with what it costs.
struct Layer {
  std::string name;  // "stem", "conv1", "pool1", ..., "sum", "dense"
  Shape in;
  Shape out;
  Values values = Values::kBits;  // what comes out
  uint64_t macs_8bit = 0;         // multiply-accumulates of one image
  uint64_t macs_1bit = 0;
  uint64_t flash_bytes = 0;  // weights and thresholds
  uint64_t out_bytes = 0;    // of RAM
};

// Every layer in order; and the proof that the network is sound: shapes fit, arrays have the sizes
// that the shapes ask for, and no sum can leave int32. Whoever builds a Network by hand calls this.
//
// Errors: kInvalidArgument with reason
//   BAD_SHAPE     a dimension, kernel, stride or count is outside its limits
//   BAD_ORDER     an operation does not take what the one before it gives
//   BAD_SIZE      an array's length is not what the shape asks for
//   OVERFLOW      a sum could leave int32
//   TOO_MANY_OPS, TOO_MUCH_WORK  more than kMaxOps operations; more than kMaxMacs or
//                               kMaxLayerBytes
Result<std::vector<Layer>> Describe(const Network& network);

// What one image costs, over all layers.
struct Cost {
  uint64_t macs_8bit = 0;
  uint64_t macs_1bit = 0;
  uint64_t flash_bytes = 0;
  // Estimate: the largest input and output that are alive together. The camera's image counts.
  uint64_t arena_bytes = 0;
};
Cost Sum(const std::vector<Layer>& layers);

}  // namespace bitfoundry::packed
