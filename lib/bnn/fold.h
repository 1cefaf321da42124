// Private to lib/bnn: a trained network in numbers that no longer change, and from there, packed.
//
// A convolution gives an integer sum `acc`, or with ReLU max(acc, 0); batch norm makes of it
//   y = ((acc * scale - mean) * inv) * gamma + beta                      (float64, in this order)
//
// In a chain of signs the output bit is 1 (which stands for -1) where y < 0. With scale > 0 and
// inv > 0 every one of these steps, rounding included, is monotone in acc, so there is one integer
// at which the bit changes. It is found by bisection over acc with this very expression, and ties
// therefore agree with SignForward by construction, not within a tolerance.
//
// A stream holds integers of `unit`: y / unit, rounded as packed::ToInts says, with the scales and
// biases of `ints`. The unit is the finest for which packed::Describe proves that nothing leaves
// its integer; `ints` has the largest shift for which the products fit. The stream's bit is 1 where
// x * unit - offset < 0, and its threshold is found by bisection again.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "bnn/checkpoint.h"
#include "packed/network.h"

namespace bitfoundry::bnn {

// Added to the variance, in training too. A stream has no room for a channel that hardly varies
// (ReLU makes such) to be blown up, because all share its unit. Hence what is little beside the
// usual variance: of sums of signs, whole numbers, about their count; of the stem's, in units of
// 128 grey levels, about a tenth.
constexpr double NormEpsilon(bool residual, bool is_stem) {
  if (!residual) return 1e-5;
  return is_stem ? 1e-3 : 1;
}
inline constexpr int32_t kInputMean = 128;  // subtracted from every pixel
inline constexpr double kInputUnit = 128;   // then divided by, in training

struct FoldedConvolution {
  Convolution shape;
  int32_t in_channels = 0;
  bool relu = false;
  std::vector<int8_t> weights;  // OIHW: -127 to 127 in the stem, -1 and +1 elsewhere
  // [channels] each
  std::vector<double> scale;
  std::vector<double> mean;
  std::vector<double> inv;  // 1 / sqrt(variance + epsilon)
  std::vector<double> gamma;
  std::vector<double> beta;
  // Of a stream.
  std::vector<double> offset;  // [in_channels], empty in the stem
  packed::ToInts ints;         // without `add`
};

struct Folded {
  packed::Shape image;
  bool residual = false;
  double unit = 1;                              // what an integer of the stream is in training
  std::vector<FoldedConvolution> convolutions;  // the stem first
  uint32_t sum_shift = 0;                       // of the global sum
  int32_t class_count = 0;
  std::vector<int8_t> head;     // [class_count][channels]
  std::vector<int32_t> biases;  // [class_count]
  double logit_scale = 0;       // a logit times this is in nats
};

// Errors: kInvalidArgument BAD_CHECKPOINT (a tensor is missing or has another shape), BAD_RECIPE
// (it does not fit the image), OVERFLOW (a bias of the head does not fit int32, or the stream not
// int16 in units of kCoarsestUnit); kInternal DIVERGED (a value is not finite).
Result<Folded> Fold(const Checkpoint& checkpoint);

// Sign passes gradients on within 1 of its offset; that is to be 16 integers or more.
inline constexpr double kCoarsestUnit = 1.0 / 16;

// One convolution is
//   in a chain   BinaryConv, [MaxPool]
//   in a stream  Binarize, [AveragePool, if stride 2 has a skip], BinaryConv, [MaxPool]
packed::Network Pack(const Folded& folded);

// Runs both on `pixels`: the definition in LibTorch, and `network`, which is Pack(folded) unless a
// test has planted a mistake. Returns how many images there were; every integer of every operation
// was equal.
//
// Errors: kInvalidArgument BAD_EXAMPLES; kInternal TORCH, UNEQUAL with the first difference.
Result<int64_t> Verify(const Folded& folded, const packed::Network& network,
                       std::span<const uint8_t> pixels);

}  // namespace bitfoundry::bnn
