#include "bnn/model.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/generated/variable_factories.h>

#include <cmath>

#include "bnn/fold.h"

namespace bitfoundry::bnn {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::tensor_list;

constexpr double kNormMomentum = 0.1;  // share of the new batch in the running mean and variance

// Sign with a straight-through gradient: passes where |x| < 1, zero elsewhere. sign(0) is +1.
// Source: Hubara et al. 2016, section 1.2.
struct SignSte : torch::autograd::Function<SignSte> {
  static at::Tensor forward(AutogradContext* context, const at::Tensor& x) {
    context->save_for_backward({x});
    return (x >= 0).to(x.scalar_type()).mul_(2).sub_(1);
  }
  static tensor_list backward(AutogradContext* context, tensor_list gradients) {
    return {at::hardtanh_backward(gradients[0], context->get_saved_variables()[0], -1, 1)};
  }
};

// Rounds to 255 levels, each row (dimension 0) with its own unit or all with one; the gradient
// passes straight through.
struct Quantize8Ste : torch::autograd::Function<Quantize8Ste> {
  static at::Tensor forward(AutogradContext*, const at::Tensor& w, bool per_row) {
    const at::Tensor magnitude = w.detach().abs();
    at::Tensor unit = (per_row ? magnitude.flatten(1).amax(1) : magnitude.amax()) / 127;
    unit = at::where(unit == 0, at::ones_like(unit), unit);
    if (per_row) unit = unit.view({-1, 1, 1, 1});
    return (w / unit).round() * unit;
  }
  static tensor_list backward(AutogradContext*, tensor_list gradients) {
    return {gradients[0], at::Tensor()};
  }
};

// What is added to the output of `c`; undefined if nothing is.
at::Tensor Skip(const Convolution& c, at::Tensor stream) {
  if (!c.HasSkip()) return {};
  if (c.stride == 2) stream = at::avg_pool2d(stream, 2);
  const int64_t times = c.channels / stream.size(1);
  return times == 1 ? stream : stream.repeat({1, times, 1, 1});
}

}  // namespace

Model::Model(const Recipe& recipe, const packed::Shape& image, int32_t class_count)
    : residual_(recipe.residual), relu_(recipe.relu) {
  at::Generator random = at::detail::createCPUGenerator(recipe.seed);
  const auto parameter = [&](const std::string& name, at::Tensor t) {
    parameters_.emplace_back(name, t.set_requires_grad(true));
    return t;
  };
  int64_t in = image.channels;
  for (const Convolution& c : Convolutions(recipe)) {
    const std::string prefix = "conv" + std::to_string(layers_.size()) + ".";
    const double bound = layers_.empty() ? 1 / std::sqrt(c.kernel * c.kernel * in) : 0.1;
    Layer layer;
    layer.shape = c;
    layer.weight =
        parameter(prefix + "weight",
                  at::empty({c.channels, in, c.kernel, c.kernel}).uniform_(-bound, bound, random));
    layer.gamma = parameter(prefix + "gamma", at::ones({c.channels}));
    layer.beta = parameter(prefix + "beta", at::zeros({c.channels}));
    layer.mean = at::zeros({c.channels});
    layer.var = at::ones({c.channels});
    if (residual_ && !layers_.empty()) layer.offset = parameter(prefix + "offset", at::zeros({in}));
    layers_.push_back(std::move(layer));
    in = c.channels;
  }
  const double bound = 1 / std::sqrt(static_cast<double>(in));
  head_weight_ =
      parameter("head.weight", at::empty({class_count, in}).uniform_(-bound, bound, random));
  head_bias_ = parameter("head.bias", at::zeros({class_count}));
}

at::Tensor Model::Forward(at::Tensor x) {
  for (size_t i = 0; i < layers_.size(); ++i) {
    const Layer& layer = layers_[i];
    const bool is_stem = i == 0;
    const int64_t pad = layer.shape.kernel / 2;
    at::Tensor weight =
        is_stem ? Quantize8Ste::apply(layer.weight, true) : SignSte::apply(layer.weight);
    if (!is_stem) {  // NHWC: half the time of NCHW in convolution, norm and pool
      weight = weight.contiguous(at::MemoryFormat::ChannelsLast);
      x = x.contiguous(at::MemoryFormat::ChannelsLast);
    }
    at::Tensor skip;
    if (layer.offset.defined()) {
      skip = Skip(layer.shape, x);
      x = SignSte::apply(x - layer.offset.view({1, -1, 1, 1}));
    }
    if (pad > 0) x = at::constant_pad_nd(x, {pad, pad, pad, pad}, is_stem ? 0 : 1);
    x = at::conv2d(x, weight, {}, layer.shape.stride);
    if (relu_) x = at::relu(x);
    x = at::batch_norm(x, layer.gamma, layer.beta, layer.mean, layer.var, /*training=*/true,
                       kNormMomentum, NormEpsilon(residual_, is_stem), /*cudnn_enabled=*/false);
    if (skip.defined()) x = x + skip;
    if (layer.shape.pool) x = at::max_pool2d(x, 2);  // before sign: the same bits, better gradients
    if (!residual_) x = SignSte::apply(x);
  }
  return at::linear(x.mean({2, 3}), Quantize8Ste::apply(head_weight_, false), head_bias_);
}

void Model::ClipLatentWeights() {
  for (size_t i = 1; i < layers_.size(); ++i) layers_[i].weight.data().clamp_(-1, 1);
}

std::vector<std::pair<std::string, at::Tensor>> Model::tensors() const {
  std::vector<std::pair<std::string, at::Tensor>> all;
  for (size_t i = 0; i < layers_.size(); ++i) {
    const std::string prefix = "conv" + std::to_string(i) + ".";
    all.emplace_back(prefix + "weight", layers_[i].weight);
    all.emplace_back(prefix + "gamma", layers_[i].gamma);
    all.emplace_back(prefix + "beta", layers_[i].beta);
    all.emplace_back(prefix + "mean", layers_[i].mean);
    all.emplace_back(prefix + "var", layers_[i].var);
    if (layers_[i].offset.defined()) all.emplace_back(prefix + "offset", layers_[i].offset);
  }
  all.emplace_back("head.weight", head_weight_);
  all.emplace_back("head.bias", head_bias_);
  return all;
}

NamedTensor Read(const std::string& name, const at::Tensor& tensor) {
  const at::Tensor values = tensor.detach().contiguous();
  const float* const first = values.data_ptr<float>();
  return {name, values.sizes().vec(), {first, first + values.numel()}};
}

void Write(const NamedTensor& values, at::Tensor tensor) {
  tensor.data().copy_(
      at::from_blob(const_cast<float*>(values.values.data()), values.shape, at::kFloat));
}

}  // namespace bitfoundry::bnn
