// Private to lib/bnn: the one header that includes LibTorch.
#pragma once

#include <ATen/core/Tensor.h>

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "bnn/checkpoint.h"

namespace bitfoundry::bnn {

// The network in training, float32, on named tensors (checkpoint.h: NetworkTensors).
class Model {
 public:
  // Random weights that follow from the recipe's seed.
  Model(const Recipe& recipe, const packed::Shape& image, int32_t class_count);

  // [batch, channels, height, width], about -1 to 1 -> [batch, class_count] in nats. Batch norm
  // uses the batch, and updates its running mean and variance.
  at::Tensor Forward(at::Tensor x);

  // Latent binary weights stay in [-1, 1]: beyond, their gradient would be gone for good.
  void ClipLatentWeights();

  // Everything, in the order of NetworkTensors; and what the optimizer moves.
  std::vector<std::pair<std::string, at::Tensor>> tensors() const;
  const std::vector<std::pair<std::string, at::Tensor>>& parameters() const { return parameters_; }

 private:
  struct Layer {
    Convolution shape;
    at::Tensor weight, gamma, beta, mean, var;
    at::Tensor offset;  // undefined where no stream comes in
  };
  bool residual_ = false;
  bool relu_ = false;
  std::vector<Layer> layers_;
  at::Tensor head_weight_;
  at::Tensor head_bias_;
  std::vector<std::pair<std::string, at::Tensor>> parameters_;
};

// A tensor's values as a NamedTensor, and back into a tensor of the same shape.
NamedTensor Read(const std::string& name, const at::Tensor& tensor);
void Write(const NamedTensor& values, at::Tensor tensor);

}  // namespace bitfoundry::bnn
