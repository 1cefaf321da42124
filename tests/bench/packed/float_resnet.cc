#include "tests/bench/packed/float_resnet.h"

#include <torch/torch.h>

#include <vector>

namespace bitfoundry::bench {
namespace {

struct Convolution {
  torch::Tensor weight;
  torch::Tensor bias;
  int64_t stride;

  Convolution(int64_t in, int64_t out, int64_t step)
      : weight(torch::randn({out, in, 3, 3}) * 0.1), bias(torch::randn({out})), stride(step) {}

  torch::Tensor operator()(const torch::Tensor& x) const {
    return torch::conv2d(x, weight, bias, stride, /*padding=*/1);
  }
};

}  // namespace

struct FloatResNet::State {
  torch::Tensor images;
  std::vector<Convolution> convolutions;  // the first is the stem
  torch::Tensor head = torch::randn({64, 10});
};

FloatResNet::FloatResNet(size_t batch) : state_(std::make_unique<State>()) {
  at::set_num_threads(1);
  torch::manual_seed(1);
  const c10::InferenceMode inference;
  state_->images = torch::rand({static_cast<int64_t>(batch), 3, 32, 32});
  state_->convolutions.emplace_back(3, 16, 1);
  int64_t channels = 16;
  for (const int64_t width : {16, 32, 64}) {
    for (int i = 0; i < 6; ++i) {
      state_->convolutions.emplace_back(channels, width, channels == width ? 1 : 2);
      channels = width;
    }
  }
}

FloatResNet::~FloatResNet() = default;

float FloatResNet::Run() const {
  const c10::InferenceMode inference;
  torch::Tensor x = state_->convolutions[0](state_->images);
  for (size_t i = 1; i < state_->convolutions.size(); ++i) {
    const Convolution& convolution = state_->convolutions[i];
    torch::Tensor y = convolution(torch::relu(x));
    if (convolution.stride == 2) {
      const torch::Tensor halved = torch::avg_pool2d(x, 2);
      x = y.add_(torch::cat({halved, halved}, 1));
    } else {
      x = y.add_(x);
    }
  }
  return torch::matmul(torch::relu_(x).mean({2, 3}), state_->head).sum().item<float>();
}

std::string LibTorchVersion() {
  return std::string(TORCH_VERSION) + (at::globalContext().hasMKLDNN() ? ", oneDNN" : "");
}

}  // namespace bitfoundry::bench
