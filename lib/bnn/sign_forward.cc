#include <ATen/ATen.h>

#include "bnn/fold.h"
#include "bnn/train.h"
#include "packed/interpreter.h"

namespace bitfoundry::bnn {
namespace {

constexpr int64_t kImagesAtOnce = 64;

template <typename T>
at::Tensor Float64(const std::vector<T>& values, at::IntArrayRef shape) {
  return at::from_blob(const_cast<T*>(values.data()), shape, at::CppTypeToScalarType<T>::value)
      .to(at::kDouble);
}

// The definition: convolutions of integers held in float64 (exact), batch norm in float64 step by
// step, then sign. Nothing of it is packed, folded or thresholded.
//
//   x        [batch, channels, height, width] pixels
//   returns  [batch, class_count] integers
at::Tensor Forward(const Folded& folded, at::Tensor x) {
  x = x - kInputMean;
  for (size_t i = 0; i < folded.convolutions.size(); ++i) {
    const FoldedConvolution& c = folded.convolutions[i];
    const int64_t channels = c.shape.channels;
    const int64_t pad = c.shape.kernel / 2;
    const auto per_channel = [&](const std::vector<double>& values) {
      return Float64(values, {1, channels, 1, 1});
    };
    const at::Tensor weight =
        Float64(c.weights, {channels, c.in_channels, c.shape.kernel, c.shape.kernel});
    x = at::constant_pad_nd(x, {pad, pad, pad, pad}, i == 0 ? 0 : 1);
    x = at::conv2d(x, weight, {}, c.shape.stride);
    x = x * per_channel(c.scale);
    x = x - per_channel(c.mean);
    x = x * per_channel(c.inv);
    x = x * per_channel(c.gamma);
    x = x + per_channel(c.beta);
    x = at::where(x < 0, -at::ones_like(x), at::ones_like(x));
    if (c.shape.pool) x = at::max_pool2d(x, 2);
  }
  const at::Tensor head = Float64(folded.head, {folded.class_count, x.size(1)});
  return at::linear(x.sum({2, 3}), head, Float64(folded.biases, {folded.class_count}));
}

Result<std::vector<int32_t>> Logits(const Folded& folded, std::span<const uint8_t> pixels) {
  const auto height = static_cast<int64_t>(folded.image.height);
  const auto width = static_cast<int64_t>(folded.image.width);
  const auto channels = static_cast<int64_t>(folded.image.channels);
  const int64_t image_bytes = height * width * channels;
  const auto total = static_cast<int64_t>(pixels.size());
  if (total % image_bytes != 0) {
    return Status(Code::kInvalidArgument, "BAD_EXAMPLES", "pixels are no whole number of images");
  }
  std::vector<int32_t> logits;
  try {
    const at::NoGradGuard no_grad;
    for (int64_t at = 0; at < total; at += kImagesAtOnce * image_bytes) {
      const int64_t images = std::min(kImagesAtOnce, (total - at) / image_bytes);
      const at::Tensor x = at::from_blob(const_cast<uint8_t*>(pixels.data() + at),
                                         {images, height, width, channels}, at::kByte)
                               .permute({0, 3, 1, 2})
                               .to(at::kDouble);
      const at::Tensor y = Forward(folded, x).to(at::kInt).contiguous();
      logits.insert(logits.end(), y.data_ptr<int32_t>(), y.data_ptr<int32_t>() + y.numel());
    }
  } catch (const std::exception& e) {
    return Status(Code::kInternal, "TORCH", e.what());
  }
  return logits;
}

}  // namespace

Result<std::vector<int32_t>> SignForward(std::string_view checkpoint,
                                         std::span<const uint8_t> pixels) {
  const Checkpoint parsed = BF_TRY(ParseCheckpoint(checkpoint));
  return Logits(BF_TRY(Fold(parsed)), pixels);
}

Result<Exported> Export(std::string_view checkpoint, std::span<const uint8_t> verification) {
  const Checkpoint parsed = BF_TRY(ParseCheckpoint(checkpoint));
  const Folded folded = BF_TRY(Fold(parsed));
  Exported exported{Pack(folded), folded.logit_scale, 0};
  packed::Interpreter interpreter = BF_TRY(packed::Interpreter::Make(exported.network));
  const std::vector<int32_t> wanted = BF_TRY(Logits(folded, verification));
  const size_t bytes = interpreter.image_bytes();
  const size_t classes = interpreter.class_count();
  for (size_t image = 0; image < wanted.size() / classes; ++image, ++exported.verified) {
    const auto logits = BF_TRY(interpreter.Run(verification.subspan(image * bytes, bytes)));
    for (size_t k = 0; k < classes; ++k) {
      if (logits[k] == wanted[image * classes + k]) continue;
      return Status(Code::kInternal, "UNEQUAL",
                    "image " + std::to_string(image) + ", logit " + std::to_string(k) +
                        ": the trainer says " + std::to_string(wanted[image * classes + k]) +
                        ", the packed network " + std::to_string(logits[k]));
    }
  }
  return exported;
}

}  // namespace bitfoundry::bnn
