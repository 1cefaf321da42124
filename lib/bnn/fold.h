// Private to lib/bnn: a trained network in numbers that no longer change, and from there, packed.
//
// A convolution gives an integer sum `acc`; batch norm makes of it
//   y = ((acc * scale - mean) * inv) * gamma + beta                      (float64, in this order)
// and the output bit is 1 (which stands for -1) where y < 0. With scale > 0 and inv > 0 every one
// of these steps, rounding included, is monotone in acc, so there is one integer at which the bit
// changes. It is found by bisection over acc with this very expression, and ties therefore agree
// with SignForward by construction, not within a tolerance.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "bnn/checkpoint.h"
#include "packed/network.h"

namespace bitfoundry::bnn {

inline constexpr double kNormEpsilon = 1e-5;  // added to the variance, in training too
inline constexpr int32_t kInputMean = 128;    // subtracted from every pixel
inline constexpr double kInputUnit = 128;     // then divided by, in training

struct FoldedConvolution {
  Convolution shape;
  int32_t in_channels = 0;
  std::vector<int8_t> weights;  // OIHW: -127 to 127 in the stem, -1 and +1 elsewhere
  // [channels] each
  std::vector<double> scale;
  std::vector<double> mean;
  std::vector<double> inv;  // 1 / sqrt(variance + epsilon)
  std::vector<double> gamma;
  std::vector<double> beta;
};

struct Folded {
  packed::Shape image;
  std::vector<FoldedConvolution> convolutions;  // the stem first
  int32_t class_count = 0;
  std::vector<int8_t> head;     // [class_count][channels]
  std::vector<int32_t> biases;  // [class_count]
  double logit_scale = 0;       // a logit times this is in nats
};

// Errors: kInvalidArgument BAD_CHECKPOINT (a tensor is missing or has another shape), BAD_RECIPE
// (it does not fit the image), OVERFLOW; kInternal DIVERGED (a value is not finite).
Result<Folded> Fold(const Checkpoint& checkpoint);

packed::Network Pack(const Folded& folded);

}  // namespace bitfoundry::bnn
