#include "packed/network.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <map>
#include <span>
#include <utility>

namespace bitfoundry::packed {
namespace {

constexpr int64_t kInt32Max = std::numeric_limits<int32_t>::max();

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

Status CheckRange(uint64_t value, uint64_t low, uint64_t high, const char* what) {
  if (value >= low && value <= high) return Status();
  return Bad("BAD_SHAPE",
             std::string(what) + " " + Text(value) + "; takes " + Text(low) + " to " + Text(high));
}

// The values that one channel can take.
struct Interval {
  int64_t low = 0;
  int64_t high = 0;

  Interval operator+(Interval other) const { return {low + other.low, high + other.high}; }
  Interval Times(int64_t factor) const {
    const int64_t a = low * factor;
    const int64_t b = high * factor;
    return {std::min(a, b), std::max(a, b)};
  }
  Interval Shifted(uint32_t shift) const {
    return {RoundShift(low, shift), RoundShift(high, shift)};
  }
};

template <typename Integer>
Status CheckFits(Interval range, size_t channel, const char* what) {
  using Limits = std::numeric_limits<Integer>;
  if (range.low >= Limits::min() && range.high <= Limits::max()) return Status();
  return Bad("OVERFLOW", std::string(what) + " of channel " + Text(channel) + " could reach " +
                             std::to_string(range.low) + " to " + std::to_string(range.high) +
                             ", beyond " + Text(8 * sizeof(Integer)) + " bits");
}

// A tensor as far as it is known before there is an image.
struct Tensor {
  Shape shape;
  Values values = Values::kPixels;
  std::vector<Interval> ranges;  // [channels]
  bool used = false;
};

uint64_t Bytes(const Tensor& tensor) {
  const uint64_t pixels = uint64_t{tensor.shape.height} * tensor.shape.width;
  switch (tensor.values) {
    case Values::kPixels:
      return pixels * tensor.shape.channels;
    case Values::kBits:
      return pixels * Words(tensor.shape.channels) * 4;
    case Values::kInts:
      return pixels * tensor.shape.channels * 2;
    default:
      return pixels * tensor.shape.channels * 4;
  }
}

// Bits beyond the channels of a pixel's last word.
Status CheckPadding(std::span<const uint32_t> weights, uint32_t channels) {
  const uint32_t rest = channels % kWordBits;
  if (rest == 0) return Status();
  const uint32_t words = Words(channels);
  for (size_t i = words - 1; i < weights.size(); i += words) {
    if (weights[i] >> rest != 0) {
      return Bad("BAD_PADDING", "word " + Text(i) + " of the weights has a bit that is no channel");
    }
  }
  return Status();
}

// Works out what one operation gives, given the tensors before it.
class Describer {
 public:
  Describer(const Network& network, std::vector<Tensor>& tensors, Layer& layer, Tensor& out)
      : network_(network), tensors_(tensors), layer_(layer), out_(out) {}

  Status operator()(const Stem& op) {
    layer_.name = "stem";
    BF_TRY(Expect({Values::kPixels}));
    BF_TRY(CheckRange(op.channels, 1, kMaxChannels, "channels"));
    BF_TRY(CheckRange(op.kernel, 1, kMaxStemKernel, "kernel"));
    if (op.kernel % 2 == 0) return Bad("BAD_SHAPE", "kernel " + Text(op.kernel) + " is even");
    BF_TRY(CheckRange(op.stride, 1, kMaxStride, "stride"));
    const uint64_t taps = uint64_t{op.kernel} * op.kernel * in().shape.channels;
    BF_TRY(CheckLength(op.weights, taps * op.channels, "weights"));
    static_assert(uint64_t{kMaxStemKernel} * kMaxStemKernel * 3 * 128 * 255 < kInt32Max,
                  "the largest stem sum fits int32");
    Convolve(op.channels, op.kernel, op.stride);
    layer_.macs_8bit = Outputs() * taps;
    layer_.flash_bytes = op.weights.size();
    std::vector<Interval> sums(op.channels);
    for (size_t i = 0; i < op.weights.size(); ++i) {
      const int64_t mean = network_.mean[i % in().shape.channels];
      sums[i / taps] = sums[i / taps] + Interval{-mean, 255 - mean}.Times(op.weights[i]);
    }
    return Finish(op.output, sums);
  }

  Status operator()(const BinaryConv& op) {
    layer_.name = "conv";
    BF_TRY(CheckRange(op.channels, 1, kMaxChannels, "channels"));
    BF_TRY(CheckRange(op.stride, 1, 2, "stride"));
    if (op.kernel != 1 && op.kernel != 3) {
      return Bad("BAD_SHAPE", "kernel " + Text(op.kernel) + "; takes 1 or 3");
    }
    BF_TRY(Expect({Values::kBits}));
    Convolve(op.channels, op.kernel, op.stride);
    return FinishBinary(op, uint64_t{op.kernel} * op.kernel);
  }

  Status operator()(const BinaryDense& op) {
    layer_.name = "fc";
    BF_TRY(CheckRange(op.channels, 1, kMaxChannels, "channels"));
    BF_TRY(Expect({Values::kBits}));
    out_.shape = {1, 1, op.channels};
    return FinishBinary(op, uint64_t{in().shape.height} * in().shape.width);
  }

  Status operator()(const Binarize& op) {
    layer_.name = "sign";
    BF_TRY(Expect({Values::kInts}));
    BF_TRY(CheckLength(op.thresholds, in().shape.channels, "thresholds"));
    out_.shape = in().shape;
    layer_.flash_bytes = 4 * op.thresholds.size();
    return GiveBits();
  }

  Status operator()(const MaxPool& op) {
    layer_.name = "pool";
    BF_TRY(Expect({Values::kBits, Values::kInts}));
    BF_TRY(Pool(op.kernel, op.stride));
    out_.values = in().values;
    out_.ranges = in().ranges;
    return Status();
  }

  Status operator()(const AveragePool& op) {
    layer_.name = "average";
    BF_TRY(Expect({Values::kBits, Values::kInts}));
    BF_TRY(Pool(op.kernel, op.stride));
    BF_TRY(CheckRange(op.shift, 0, kMaxShift, "shift"));
    out_.values = Values::kInts;
    const int64_t pixels = int64_t{op.kernel} * op.kernel;
    for (size_t c = 0; c < in().ranges.size(); ++c) {
      const Interval range = in().ranges[c].Times(pixels).Shifted(op.shift);
      BF_TRY(CheckFits<int16_t>(range, c, "the average"));
      out_.ranges.push_back(range);
    }
    return Status();
  }

  Status operator()(const GlobalSum& op) {
    layer_.name = "sum";
    BF_TRY(Expect({Values::kBits, Values::kInts}));
    BF_TRY(CheckRange(op.shift, 0, kMaxShift, "shift"));
    out_.shape = {1, 1, in().shape.channels};
    out_.values = Values::kSums;
    const int64_t pixels = int64_t{in().shape.height} * in().shape.width;
    const int64_t half = int64_t{1} << op.shift >> 1;
    for (size_t c = 0; c < in().ranges.size(); ++c) {
      const Interval sum = in().ranges[c].Times(pixels);
      BF_TRY(CheckFits<int32_t>(sum + Interval{-half, half}, c, "the sum"));
      out_.ranges.push_back(sum.Shifted(op.shift));
    }
    return Status();
  }

  Status operator()(const Dense& op) {
    layer_.name = "dense";
    BF_TRY(Expect({Values::kSums}));
    BF_TRY(CheckRange(op.classes, 2, kMaxClasses, "classes"));
    const size_t channels = in().shape.channels;
    BF_TRY(CheckLength(op.weights, op.classes * channels, "weights"));
    BF_TRY(CheckLength(op.biases, op.classes, "biases"));
    for (size_t k = 0; k < op.classes; ++k) {
      int64_t reach = std::llabs(op.biases[k]);  // of any partial sum
      for (size_t c = 0; c < channels; ++c) {
        const Interval range = in().ranges[c];
        reach += std::abs(op.weights[k * channels + c]) * std::max(-range.low, range.high);
      }
      BF_TRY(CheckFits<int32_t>({-reach, reach}, k, "the logit"));
      out_.ranges.push_back({-reach, reach});
    }
    out_.shape = {1, 1, op.classes};
    out_.values = Values::kLogits;
    layer_.macs_8bit = op.weights.size();
    layer_.flash_bytes = op.weights.size() + 4 * op.biases.size();
    return Status();
  }

 private:
  const Tensor& in() const { return tensors_[layer_.input]; }

  Status Expect(std::initializer_list<Values> wanted) const {
    if (std::ranges::find(wanted, in().values) != wanted.end()) return Status();
    return Bad("BAD_ORDER", "it does not take what tensor " + Text(layer_.input) + " holds");
  }

  uint64_t Outputs() const {
    return uint64_t{out_.shape.height} * out_.shape.width * out_.shape.channels;
  }

  void Convolve(uint32_t channels, uint32_t kernel, uint32_t stride) {
    const uint32_t border = kernel / 2 * 2;
    out_.shape = {(in().shape.height + border - kernel) / stride + 1,
                  (in().shape.width + border - kernel) / stride + 1, channels};
  }

  Status Pool(uint32_t kernel, uint32_t stride) {
    BF_TRY(CheckRange(kernel, 2, kMaxPoolKernel, "kernel"));
    BF_TRY(CheckRange(stride, 1, kMaxStride, "stride"));
    const Shape& map = in().shape;
    if (map.height < kernel || map.width < kernel) {
      return Bad("BAD_SHAPE", "a window of " + Text(kernel) + " on a map of " + Text(map.height) +
                                  "x" + Text(map.width));
    }
    out_.shape = {(map.height - kernel) / stride + 1, (map.width - kernel) / stride + 1,
                  map.channels};
    return Status();
  }

  template <typename BinaryOp>
  Status FinishBinary(const BinaryOp& op, uint64_t taps) {
    const uint32_t channels = in().shape.channels;
    BF_TRY(CheckLength(op.weights, taps * Words(channels) * op.channels, "words of weights"));
    BF_TRY(CheckPadding(op.weights, channels));
    const uint64_t values = taps * channels;
    layer_.macs_1bit = Outputs() * values;
    layer_.flash_bytes = 4 * op.weights.size();
    const auto reach = static_cast<int64_t>(values);
    BF_TRY(CheckFits<int32_t>({-reach, reach}, 0, "the dot product"));
    return Finish(op.output, std::vector<Interval>(op.channels, {-reach, reach}));
  }

  Status GiveBits() {
    out_.values = Values::kBits;
    out_.ranges.assign(out_.shape.channels, {-1, 1});
    return Status();
  }

  // What becomes of sums with these ranges.
  Status Finish(const Output& output, const std::vector<Interval>& sums) {
    if (const auto* bits = std::get_if<ToBits>(&output)) {
      BF_TRY(CheckLength(bits->thresholds, sums.size(), "thresholds"));
      layer_.flash_bytes += 4 * sums.size();
      return GiveBits();
    }
    const ToInts& ints = std::get<ToInts>(output);
    BF_TRY(CheckLength(ints.scales, sums.size(), "scales"));
    BF_TRY(CheckLength(ints.biases, sums.size(), "biases"));
    BF_TRY(CheckRange(ints.shift, 0, kMaxShift, "shift"));
    layer_.flash_bytes += 8 * sums.size();
    out_.values = Values::kInts;
    const Tensor* const skip = BF_TRY(Skip(ints.add));
    const int64_t half = int64_t{1} << ints.shift >> 1;
    for (size_t c = 0; c < sums.size(); ++c) {
      Interval v = sums[c];
      if (ints.relu) v = {std::max<int64_t>(v.low, 0), std::max<int64_t>(v.high, 0)};
      const Interval product = v.Times(ints.scales[c]);
      const Interval bias{ints.biases[c], ints.biases[c]};
      BF_TRY(CheckFits<int32_t>(product, c, "scale times sum"));
      BF_TRY(CheckFits<int32_t>(bias + Interval{half, half}, c, "the bias"));
      BF_TRY(CheckFits<int32_t>(product + bias + Interval{0, half}, c, "the scaled sum"));
      Interval y = (product + bias).Shifted(ints.shift);
      BF_TRY(CheckFits<int16_t>(y, c, "the result"));
      if (skip != nullptr) {
        y = y + skip->ranges[c % skip->ranges.size()];
        BF_TRY(CheckFits<int16_t>(y, c, "the result with its skip"));
      }
      out_.ranges.push_back(y);
    }
    return Status();
  }

  Result<const Tensor*> Skip(uint32_t index) {
    layer_.add = index;
    if (index == 0) return nullptr;
    if (index >= tensors_.size()) {
      return Bad("BAD_REFERENCE", "adds tensor " + Text(index) + ", which does not come before it");
    }
    Tensor& skip = tensors_[index];
    if (skip.values != Values::kInts) {
      return Bad("BAD_ORDER", "adds tensor " + Text(index) + ", which does not hold integers");
    }
    if (skip.shape.height != out_.shape.height || skip.shape.width != out_.shape.width ||
        out_.shape.channels % skip.shape.channels != 0) {
      return Bad("BAD_SHAPE", "adds tensor " + Text(index) + ", whose shape does not fit");
    }
    skip.used = true;
    return &skip;
  }

  const Network& network_;
  std::vector<Tensor>& tensors_;
  Layer& layer_;
  Tensor& out_;
};

Status CheckInput(const Network& network) {
  const Shape& input = network.input;
  BF_TRY(CheckRange(input.height, 1, kMaxImageSide, "input height"));
  BF_TRY(CheckRange(input.width, 1, kMaxImageSide, "input width"));
  if (input.channels != 1 && input.channels != 3) {
    return Bad("BAD_SHAPE", Text(input.channels) + " input channels; takes 1 or 3");
  }
  for (size_t c = input.channels; c < network.mean.size(); ++c) {
    if (network.mean[c] != 0) return Bad("BAD_SHAPE", "a mean of a channel that is not there");
  }
  if (network.ops.empty()) return Bad("BAD_ORDER", "no operations");
  if (network.ops.size() > kMaxOps) return Bad("TOO_MANY_OPS", Text(network.ops.size()));
  return Status();
}

}  // namespace

uint32_t Network::Then(Kind kind) {
  ops.push_back({static_cast<uint32_t>(ops.size()), std::move(kind)});
  return static_cast<uint32_t>(ops.size());
}

Result<std::vector<Layer>> Describe(const Network& network) {
  BF_TRY(CheckInput(network));
  std::vector<Tensor> tensors = {{.shape = network.input}};
  std::vector<Layer> layers;
  std::map<std::string, uint32_t> count;
  uint64_t macs = 0;
  uint64_t bytes = 0;
  for (const Op& op : network.ops) {
    const std::string where = "operation " + Text(layers.size());
    if (op.input >= tensors.size()) {
      return Bad("BAD_REFERENCE",
                 where + " takes tensor " + Text(op.input) + ", which does not come before it");
    }
    Layer layer;
    layer.input = op.input;
    layer.in = tensors[op.input].shape;
    layer.takes = tensors[op.input].values;
    tensors[op.input].used = true;
    Tensor out;
    const Status status = std::visit(Describer(network, tensors, layer, out), op.kind);
    if (!status.ok()) return status.In(where + " (" + layer.name + ")");
    layer.name += Text(++count[layer.name]);
    layer.out = out.shape;
    layer.gives = out.values;
    layer.out_bytes = Bytes(out);
    macs += layer.macs_8bit + layer.macs_1bit;
    bytes += layer.out_bytes;
    if (macs > kMaxMacs || bytes > kMaxTensorBytes) {
      return Bad("TOO_MUCH_WORK", where + " passes 2^32 multiplications or 64 MiB of outputs");
    }
    layers.push_back(std::move(layer));
    tensors.push_back(std::move(out));
  }
  if (tensors.back().values != Values::kLogits) {
    return Bad("BAD_ORDER", "the network does not end in logits");
  }
  tensors.back().used = true;
  for (size_t i = 1; i < tensors.size(); ++i) {
    if (!tensors[i].used) return Bad("BAD_ORDER", "tensor " + Text(i) + " is never used");
  }
  return layers;
}

Cost Sum(const std::vector<Layer>& layers) {
  Cost cost;
  for (const Layer& layer : layers) {
    cost.macs_8bit += layer.macs_8bit;
    cost.macs_1bit += layer.macs_1bit;
    cost.flash_bytes += layer.flash_bytes;
  }
  return cost;
}

size_t Winner(std::span<const int32_t> logits) {
  return static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace bitfoundry::packed
