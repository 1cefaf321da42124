// ResNet-20 in fp32 by LibTorch: what the packed one is compared with.
#pragma once

#include <cstddef>
#include <memory>
#include <string>

namespace bitfoundry::bench {

// 32x32x3, widths 16, 32 and 64, three blocks of two 3x3 convolutions each, a skip around every
// convolution as in the packed network, ReLU where that has signs. Batch norms are folded into the
// convolutions, as an inference engine would have it. Random weights; one thread.
class FloatResNet {
 public:
  explicit FloatResNet(size_t batch);
  ~FloatResNet();

  // Runs the batch once; returns something of the logits, so that nothing can be left out.
  float Run() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string LibTorchVersion();  // with what it convolves by

}  // namespace bitfoundry::bench
