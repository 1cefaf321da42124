#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "bnn/fold.h"
#include "bnn/train.h"
#include "packed/interpreter.h"

namespace bitfoundry::bnn {
namespace {

constexpr int64_t kImagesAtOnce = 16;

template <typename T>
at::Tensor Float64(const std::vector<T>& values, at::IntArrayRef shape) {
  return at::from_blob(const_cast<T*>(values.data()), shape, at::CppTypeToScalarType<T>::value)
      .to(at::kDouble);
}

template <typename T>
at::Tensor PerChannel(const std::vector<T>& values) {
  return Float64(values, {1, static_cast<int64_t>(values.size()), 1, 1});
}

at::Tensor SignOf(const at::Tensor& x) {
  return at::where(x < 0, -at::ones_like(x), at::ones_like(x));
}

// RoundShift of packed/network.h on integers in float64.
at::Tensor RoundShift(const at::Tensor& x, uint32_t shift) {
  const double step = std::ldexp(1, static_cast<int>(shift));
  return at::floor((x + std::floor(step / 2)) / step);
}

// What a convolution's integer sums become: the definition in fold.h, not folded, not thresholded.
at::Tensor Finish(const FoldedConvolution& c, bool residual, at::Tensor x) {
  if (c.relu) x = x.clamp_min(0);
  if (residual) {
    return RoundShift(x * PerChannel(c.ints.scales) + PerChannel(c.ints.biases), c.ints.shift);
  }
  x = x * PerChannel(c.scale);
  x = x - PerChannel(c.mean);
  x = x * PerChannel(c.inv);
  x = x * PerChannel(c.gamma);
  x = x + PerChannel(c.beta);
  return SignOf(x);
}

// The definition: integers held in float64 (exact), signs where the packed network has bits. A
// chain's batch norm is float64 step by step; a stream's is its scales and biases, which are part
// of the definition.
//
//   x        [batch, channels, height, width] pixels
//   returns  what each operation of Pack(folded) has to give, in its order, [batch, c, h, w]
std::vector<at::Tensor> Forward(const Folded& folded, at::Tensor x) {
  std::vector<at::Tensor> values;
  const auto give = [&](const at::Tensor& t) { return values.emplace_back(t); };
  x = x - kInputMean;
  for (const FoldedConvolution& c : folded.convolutions) {
    const bool is_stem = &c == &folded.convolutions[0];
    const int64_t pad = c.shape.kernel / 2;
    at::Tensor skip;
    if (folded.residual && !is_stem) {
      if (c.shape.HasSkip()) skip = x;
      x = give(SignOf(x * folded.unit - PerChannel(c.offset)));
      if (skip.defined() && c.shape.stride == 2) {
        const at::Tensor sums = at::avg_pool2d(skip, 2) * 4;  // exact: sums of integers, quartered
        skip = give(RoundShift(sums, 2));
      }
    }
    const at::Tensor weight =
        Float64(c.weights, {c.shape.channels, c.in_channels, c.shape.kernel, c.shape.kernel});
    x = at::constant_pad_nd(x, {pad, pad, pad, pad}, is_stem ? 0 : 1);
    x = Finish(c, folded.residual, at::conv2d(x, weight, {}, c.shape.stride));
    if (skip.defined()) x = x + skip.repeat({1, x.size(1) / skip.size(1), 1, 1});
    give(x);
    if (c.shape.pool) x = give(at::max_pool2d(x, 2));
  }
  x = give(RoundShift(x.sum({2, 3}, /*keepdim=*/true), folded.sum_shift));
  const at::Tensor head = Float64(folded.head, {folded.class_count, x.size(1), 1, 1});
  give(at::conv2d(x, head, Float64(folded.biases, {folded.class_count})));
  return values;
}

// Calls `visit` with Forward's values as int32, [batch, h, w, c], for some images after the other.
Status ForEachBatch(const Folded& folded, std::span<const uint8_t> pixels,
                    const std::function<Status(const std::vector<at::Tensor>&)>& visit) {
  const auto height = static_cast<int64_t>(folded.image.height);
  const auto width = static_cast<int64_t>(folded.image.width);
  const auto channels = static_cast<int64_t>(folded.image.channels);
  const int64_t image_bytes = height * width * channels;
  const auto total = static_cast<int64_t>(pixels.size());
  if (total % image_bytes != 0) {
    return Status(Code::kInvalidArgument, "BAD_EXAMPLES", "pixels are no whole number of images");
  }
  try {
    const at::NoGradGuard no_grad;
    for (int64_t at = 0; at < total; at += kImagesAtOnce * image_bytes) {
      const int64_t images = std::min(kImagesAtOnce, (total - at) / image_bytes);
      const at::Tensor x = at::from_blob(const_cast<uint8_t*>(pixels.data() + at),
                                         {images, height, width, channels}, at::kByte)
                               .permute({0, 3, 1, 2})
                               .to(at::kDouble);
      std::vector<at::Tensor> values = Forward(folded, x);
      for (at::Tensor& t : values) t = t.permute({0, 2, 3, 1}).to(at::kInt).contiguous();
      BF_TRY(visit(values));
    }
  } catch (const std::exception& e) {
    return Status(Code::kInternal, "TORCH", e.what());
  }
  return Status();
}

// Compares what one operation gave for one image.
Status CheckEqual(const packed::Layer& layer, int64_t image, std::span<const int32_t> wanted,
                  std::span<const int32_t> got) {
  if (wanted.size() != got.size()) {
    return Status(Code::kInternal, "UNEQUAL", layer.name + " has another shape");
  }
  const auto differs = std::ranges::mismatch(wanted, got);
  if (differs.in1 == wanted.end()) return Status();
  const auto at = static_cast<size_t>(differs.in1 - wanted.begin());
  const size_t pixel = at / layer.out.channels;
  return Status(Code::kInternal, "UNEQUAL",
                "image " + std::to_string(image) + ", " + layer.name + ", row " +
                    std::to_string(pixel / layer.out.width) + ", column " +
                    std::to_string(pixel % layer.out.width) + ", channel " +
                    std::to_string(at % layer.out.channels) + ": the trainer says " +
                    std::to_string(*differs.in1) + ", the packed network " +
                    std::to_string(*differs.in2));
}

}  // namespace

Result<int64_t> Verify(const Folded& folded, const packed::Network& network,
                       std::span<const uint8_t> pixels) {
  const std::vector<packed::Layer> layers = BF_TRY(packed::Describe(network));
  packed::Interpreter interpreter = BF_TRY(packed::Interpreter::Make(network));
  const size_t bytes = interpreter.image_bytes();
  int64_t image = 0;
  BF_TRY(ForEachBatch(folded, pixels, [&](const std::vector<at::Tensor>& values) {
    if (values.size() != layers.size()) {
      return Status(Code::kInternal, "UNEQUAL", "another number of operations");
    }
    for (int64_t i = 0; i < values[0].size(0); ++i, ++image) {
      BF_TRY(interpreter.Run(pixels.subspan(static_cast<size_t>(image) * bytes, bytes)));
      for (size_t op = 0; op < values.size(); ++op) {
        const at::Tensor wanted = values[op][i];
        BF_TRY(CheckEqual(layers[op], image,
                          {wanted.data_ptr<int32_t>(), static_cast<size_t>(wanted.numel())},
                          interpreter.ValuesOf(op)));
      }
    }
    return Status();
  }));
  return image;
}

Result<std::vector<int32_t>> SignForward(std::string_view checkpoint,
                                         std::span<const uint8_t> pixels) {
  const Checkpoint parsed = BF_TRY(ParseCheckpoint(checkpoint));
  std::vector<int32_t> logits;
  BF_TRY(ForEachBatch(BF_TRY(Fold(parsed)), pixels, [&](const std::vector<at::Tensor>& values) {
    const at::Tensor& y = values.back();
    logits.insert(logits.end(), y.data_ptr<int32_t>(), y.data_ptr<int32_t>() + y.numel());
    return Status();
  }));
  return logits;
}

Result<Exported> Export(std::string_view checkpoint, std::span<const uint8_t> verification) {
  const Checkpoint parsed = BF_TRY(ParseCheckpoint(checkpoint));
  const Folded folded = BF_TRY(Fold(parsed));
  Exported exported{Pack(folded), folded.logit_scale, folded.unit, 0};
  exported.verified = BF_TRY(Verify(folded, exported.network, verification));
  return exported;
}

}  // namespace bitfoundry::bnn
