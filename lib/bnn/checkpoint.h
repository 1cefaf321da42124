// Private to lib/bnn and its tests: the state of a training as named tensors, and as bytes.
//
// The bytes cross the network and lie in a store, so reading them trusts nothing; there is no
// pickle and no code in them. Little-endian:
//   "BFCK"  u32 version  u32 fields_bytes  fields: JSON of everything but the tensors' values
//   the tensors' values in order, float32    u32 CRC-32 of all before
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "bnn/recipe.h"
#include "packed/network.h"

namespace bitfoundry::bnn {

inline constexpr size_t kMaxCheckpointBytes = size_t{64} << 20;

struct NamedTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<float> values;  // row-major
};

struct Checkpoint {
  Recipe recipe;
  packed::Shape image;
  int32_t class_count = 0;
  std::string examples;       // digest of pixels and classes
  int32_t epoch = 0;          // completed
  int64_t step_in_epoch = 0;  // completed
  double loss_sum = 0;        // over the images of this epoch so far
  int64_t correct = 0;        // of the images of this epoch so far
  double last_loss = 0;       // mean of the last completed epoch
  double last_accuracy = 0;
  std::vector<NamedTensor> tensors;

  // Null if there is none of that name.
  const NamedTensor* Find(std::string_view name) const;
};

std::string SerializeCheckpoint(const Checkpoint& checkpoint);

// Errors: kInvalidArgument BAD_CHECKPOINT.
Result<Checkpoint> ParseCheckpoint(std::string_view bytes);

// The tensors that a network of `recipe` has, with their shapes and no values: for convolution i,
// counted from the stem, conv<i>.weight (OIHW), .gamma, .beta, .mean, .var and, where a stream
// comes in, .offset [input channels]; head.weight, head.bias.
std::vector<NamedTensor> NetworkTensors(const Recipe& recipe, const packed::Shape& image,
                                        int32_t class_count);

// The stem and the blocks, in order.
std::vector<Convolution> Convolutions(const Recipe& recipe);

}  // namespace bitfoundry::bnn
