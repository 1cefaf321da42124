#include "packed/network.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

namespace bitfoundry::packed {
namespace {

constexpr uint64_t kInt32Max = std::numeric_limits<int32_t>::max();

Status Bad(const char* reason, const std::string& message) {
  return Status(Code::kInvalidArgument, reason, message);
}

std::string Text(uint64_t n) { return std::to_string(n); }

template <typename T>
Status CheckLength(const std::vector<T>& array, uint64_t wanted, const char* what) {
  if (array.size() == wanted) return Status();
  return Bad("BAD_SIZE",
             Text(array.size()) + " " + what + ", but the shape asks for " + Text(wanted));
}

Status CheckBitChannels(uint32_t channels) {
  if (channels != 0 && channels % kWordBits == 0 && channels <= kMaxChannels) return Status();
  return Bad("BAD_SHAPE",
             Text(channels) + " channels; takes multiples of 32 up to " + Text(kMaxChannels));
}

// Fills in the layer that comes of one operation, given what goes in (layer.in, `in`).
struct Describer {
  Values in;
  Layer& layer;
  uint32_t& count;  // of convolutions so far
  uint64_t summed;  // pixels in each sum, for Dense

  Status Expect(Values wanted) const {
    if (in == wanted) return Status();
    return Bad("BAD_ORDER", layer.name + " does not take what the operation before it gives");
  }

  uint64_t BitBytes() const {
    return uint64_t{layer.out.height} * layer.out.width * layer.out.channels / 8;
  }

  // A convolution's output shape and multiply-accumulates.
  uint64_t Convolve(uint32_t channels, uint32_t kernel, uint32_t stride) {
    layer.out = {(layer.in.height - 1) / stride + 1, (layer.in.width - 1) / stride + 1, channels};
    layer.values = Values::kBits;
    layer.out_bytes = BitBytes();
    return uint64_t{layer.out.height} * layer.out.width * channels * kernel * kernel *
           layer.in.channels;
  }

  Status operator()(const Stem& op) {
    layer.name = "stem";
    BF_TRY(Expect(Values::kPixels));
    BF_TRY(CheckBitChannels(op.channels));
    if (op.kernel % 2 == 0 || op.kernel > kMaxStemKernel || op.stride == 0 ||
        op.stride > kMaxStride) {
      return Bad("BAD_SHAPE", "kernel " + Text(op.kernel) + ", stride " + Text(op.stride));
    }
    const uint64_t taps = uint64_t{op.kernel} * op.kernel * layer.in.channels;
    BF_TRY(CheckLength(op.weights, taps * op.channels, "weights"));
    BF_TRY(CheckLength(op.thresholds, op.channels, "thresholds"));
    static_assert(uint64_t{kMaxStemKernel} * kMaxStemKernel * 3 * 128 * 255 < kInt32Max,
                  "the largest stem sum fits int32");
    layer.macs_8bit = Convolve(op.channels, op.kernel, op.stride);
    layer.flash_bytes = op.weights.size() + 4 * op.thresholds.size();
    return Status();
  }

  Status operator()(const BinaryConv& op) {
    layer.name = "conv" + Text(++count);
    BF_TRY(Expect(Values::kBits));
    BF_TRY(CheckBitChannels(op.channels));
    if ((op.kernel != 1 && op.kernel != 3) || op.stride == 0 || op.stride > 2) {
      return Bad("BAD_SHAPE", "kernel " + Text(op.kernel) + ", stride " + Text(op.stride));
    }
    const uint64_t words = uint64_t{op.kernel} * op.kernel * layer.in.channels / kWordBits;
    BF_TRY(CheckLength(op.weights, words * op.channels, "words of weights"));
    BF_TRY(CheckLength(op.thresholds, op.channels, "thresholds"));
    static_assert(uint64_t{9} * kMaxChannels < kInt32Max, "the largest popcount fits int32");
    layer.macs_1bit = Convolve(op.channels, op.kernel, op.stride);
    layer.flash_bytes = 4 * (op.weights.size() + op.thresholds.size());
    return Status();
  }

  Status operator()(const MaxPool&) {
    layer.name = "pool" + Text(count);
    BF_TRY(Expect(Values::kBits));
    if (layer.in.height < 2 || layer.in.width < 2) return Bad("BAD_SHAPE", "pools less than 2x2");
    layer.out = {layer.in.height / 2, layer.in.width / 2, layer.in.channels};
    layer.values = Values::kBits;
    layer.out_bytes = BitBytes();
    return Status();
  }

  Status operator()(const GlobalSum&) {
    layer.name = "sum";
    BF_TRY(Expect(Values::kBits));
    layer.out = {1, 1, layer.in.channels};
    layer.values = Values::kSums;
    layer.out_bytes = 4 * uint64_t{layer.out.channels};
    return Status();
  }

  Status operator()(const Dense& op) {
    layer.name = "dense";
    BF_TRY(Expect(Values::kSums));
    if (op.classes < 2 || op.classes > kMaxClasses) {
      return Bad("BAD_SHAPE", Text(op.classes) + " classes; takes 2 to " + Text(kMaxClasses));
    }
    BF_TRY(CheckLength(op.weights, uint64_t{op.classes} * layer.in.channels, "weights"));
    BF_TRY(CheckLength(op.biases, op.classes, "biases"));
    for (size_t k = 0; k < op.classes; ++k) {
      uint64_t largest = static_cast<uint64_t>(std::llabs(op.biases[k]));
      for (size_t c = 0; c < layer.in.channels; ++c) {
        largest += summed * static_cast<uint64_t>(std::abs(op.weights[k * layer.in.channels + c]));
      }
      if (largest > kInt32Max) return Bad("OVERFLOW", "logit " + Text(k) + " could leave int32");
    }
    layer.out = {1, 1, op.classes};
    layer.values = Values::kLogits;
    layer.macs_8bit = op.weights.size();
    layer.flash_bytes = op.weights.size() + 4 * op.biases.size();
    layer.out_bytes = 4 * uint64_t{op.classes};
    return Status();
  }
};

}  // namespace

Result<std::vector<Layer>> Describe(const Network& network) {
  const Shape& input = network.input;
  if (input.height == 0 || input.height > kMaxImageSide || input.width == 0 ||
      input.width > kMaxImageSide || (input.channels != 1 && input.channels != 3)) {
    return Bad("BAD_SHAPE", "input " + Text(input.height) + "x" + Text(input.width) + "x" +
                                Text(input.channels) + "; takes sides of 1 to " +
                                Text(kMaxImageSide) + " and 1 or 3 channels");
  }
  if (network.mean < 0 || network.mean > 255) return Bad("BAD_SHAPE", "mean is not 0 to 255");
  if (network.ops.size() > kMaxOps) return Bad("TOO_MANY_OPS", Text(network.ops.size()));

  std::vector<Layer> layers;
  Values values = Values::kPixels;
  Shape shape = input;
  uint64_t macs = 0;
  uint64_t summed = 0;
  uint32_t convolutions = 0;
  for (size_t i = 0; i < network.ops.size(); ++i) {
    Layer layer;
    layer.in = shape;
    Describer describe{values, layer, convolutions, summed};
    if (const Status status = std::visit(describe, network.ops[i]); !status.ok()) {
      return status.In("operation " + Text(i) + " (" + layer.name + ")");
    }
    macs += layer.macs_8bit + layer.macs_1bit;
    if (macs > kMaxMacs || layer.out_bytes > kMaxLayerBytes) {
      return Bad("TOO_MUCH_WORK", layer.name + " passes 2^32 multiplications or 16 MiB of output");
    }
    if (layer.values == Values::kSums) summed = uint64_t{shape.height} * shape.width;
    shape = layer.out;
    values = layer.values;
    layers.push_back(std::move(layer));
  }
  if (values != Values::kLogits) return Bad("BAD_ORDER", "the network does not end in logits");
  return layers;
}

Cost Sum(const std::vector<Layer>& layers) {
  Cost cost;
  uint64_t in_bytes = 0;
  if (!layers.empty()) {
    const Shape& in = layers.front().in;
    in_bytes = uint64_t{in.height} * in.width * in.channels;
  }
  for (const Layer& layer : layers) {
    cost.macs_8bit += layer.macs_8bit;
    cost.macs_1bit += layer.macs_1bit;
    cost.flash_bytes += layer.flash_bytes;
    cost.arena_bytes = std::max(cost.arena_bytes, in_bytes + layer.out_bytes);
    in_bytes = layer.out_bytes;
  }
  return cost;
}

}  // namespace bitfoundry::packed
