#include "bnn/fold.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <span>

namespace bitfoundry::bnn {
namespace {

constexpr double kLargestWeight = 127;

// The unit that makes the largest of `values` 127; 1 if all are 0. Training does the same.
double Unit(std::span<const float> values) {
  float largest = 0;
  for (const float v : values) largest = std::max(largest, std::abs(v));
  return largest == 0 ? 1 : largest / kLargestWeight;
}

int8_t Quantized(float value, double unit) {
  return static_cast<int8_t>(
      std::clamp(std::nearbyint(value / unit), -kLargestWeight, kLargestWeight));
}

std::vector<double> Doubles(const NamedTensor& t) { return {t.values.begin(), t.values.end()}; }

double Normalised(const FoldedConvolution& c, size_t channel, int32_t acc) {
  if (c.relu) acc = std::max(acc, 0);
  return ((acc * c.scale[channel] - c.mean[channel]) * c.inv[channel]) * c.gamma[channel] +
         c.beta[channel];
}

// The smallest integer in [low, high] for which `holds`, or high + 1; `holds` never turns false
// again once it is true.
template <typename Predicate>
int32_t FirstWhere(int32_t low, int32_t high, Predicate holds) {
  int64_t from = low;
  int64_t to = int64_t{high} + 1;
  while (from < to) {
    const int64_t middle = std::midpoint(from, to);
    if (holds(static_cast<int32_t>(middle))) {
      to = middle;
    } else {
      from = middle + 1;
    }
  }
  return static_cast<int32_t>(from);
}

// Where bits come out, a channel of negative gamma has its weights negated, so that a larger sum
// always means a larger y.
int32_t SignOf(const FoldedConvolution& c, size_t channel, bool to_bits) {
  return to_bits && c.gamma[channel] < 0 ? -1 : 1;
}

int8_t Weight(const FoldedConvolution& c, size_t o, size_t i, size_t tap, bool to_bits) {
  const auto taps = static_cast<size_t>(c.shape.kernel * c.shape.kernel);
  const auto in = static_cast<size_t>(c.in_channels);
  return static_cast<int8_t>(SignOf(c, o, to_bits) * c.weights[(o * in + i) * taps + tap]);
}

template <typename Op>
Op WithShape(const FoldedConvolution& c) {
  Op op;
  op.channels = static_cast<uint32_t>(c.shape.channels);
  op.kernel = static_cast<uint32_t>(c.shape.kernel);
  static_assert(kMaxStemStride == packed::kMaxStride);
  op.stride = static_cast<uint32_t>(c.shape.stride);
  return op;
}

packed::Stem PackStem(const FoldedConvolution& c, bool to_bits) {
  const auto channels = static_cast<size_t>(c.shape.channels);
  const auto taps = static_cast<size_t>(c.shape.kernel * c.shape.kernel);
  const auto in = static_cast<size_t>(c.in_channels);
  const auto bound = static_cast<int32_t>(taps * in) * 127 * 128;
  auto stem = WithShape<packed::Stem>(c);
  packed::ToBits bits;
  for (size_t o = 0; o < channels; ++o) {
    for (size_t tap = 0; tap < taps; ++tap) {
      for (size_t i = 0; i < in; ++i) stem.weights.push_back(Weight(c, o, i, tap, to_bits));
    }
    bits.thresholds.push_back(FirstWhere(-bound, bound, [&](int32_t sum) {
      return Normalised(c, o, SignOf(c, o, true) * sum) >= 0;
    }));
  }
  stem.output = to_bits ? packed::Output(std::move(bits)) : packed::Output(c.ints);
  return stem;
}

packed::BinaryConv PackBinary(const FoldedConvolution& c, bool to_bits) {
  const auto channels = static_cast<size_t>(c.shape.channels);
  const auto taps = static_cast<size_t>(c.shape.kernel * c.shape.kernel);
  const auto in = static_cast<size_t>(c.in_channels);
  const auto values = static_cast<int32_t>(taps * in);
  auto conv = WithShape<packed::BinaryConv>(c);
  packed::ToBits bits;
  for (size_t o = 0; o < channels; ++o) {
    for (size_t tap = 0; tap < taps; ++tap) {
      std::vector<uint32_t> pixel(packed::Words(static_cast<uint32_t>(in)));
      for (size_t i = 0; i < in; ++i) {
        const bool negative = Weight(c, o, i, tap, to_bits) < 0;
        pixel[i / packed::kWordBits] |= uint32_t{negative} << (i % packed::kWordBits);
      }
      conv.weights.insert(conv.weights.end(), pixel.begin(), pixel.end());
    }
    const int32_t first = FirstWhere(0, values, [&](int32_t differing) {
      return Normalised(c, o, SignOf(c, o, true) * (values - 2 * differing)) < 0;
    });
    bits.thresholds.push_back(first - 1);
  }
  conv.output = to_bits ? packed::Output(std::move(bits)) : packed::Output(c.ints);
  return conv;
}

packed::Binarize PackSign(const FoldedConvolution& c, double unit) {
  packed::Binarize sign;
  for (const double offset : c.offset) {
    sign.thresholds.push_back(FirstWhere(std::numeric_limits<int16_t>::min(),
                                         std::numeric_limits<int16_t>::max(),
                                         [&](int32_t x) { return x * unit - offset >= 0; }));
  }
  return sign;
}

void PackBlock(const FoldedConvolution& c, const Folded& folded, packed::Network& network) {
  const auto stream = static_cast<uint32_t>(network.ops.size());  // the last tensor
  packed::BinaryConv conv = PackBinary(c, !folded.residual);
  if (!folded.residual) {
    network.Then(std::move(conv));
    return;
  }
  const uint32_t bits = network.Then(PackSign(c, folded.unit));
  uint32_t& add = std::get<packed::ToInts>(conv.output).add;
  if (c.shape.HasSkip()) add = stream;
  if (c.shape.HasSkip() && c.shape.stride == 2) {
    network.ops.push_back({stream, packed::AveragePool{}});
    add = static_cast<uint32_t>(network.ops.size());
  }
  network.ops.push_back({bits, std::move(conv)});
}

Status Overflow(const std::string& message) {
  return Status(Code::kInvalidArgument, "OVERFLOW", message);
}

Status CheckTensors(const Checkpoint& checkpoint) {
  const auto bad = [](const std::string& message) {
    return Status(Code::kInvalidArgument, "BAD_CHECKPOINT", message);
  };
  for (const NamedTensor& wanted :
       NetworkTensors(checkpoint.recipe, checkpoint.image, checkpoint.class_count)) {
    const NamedTensor* const found = checkpoint.Find(wanted.name);
    if (found == nullptr) return bad(wanted.name + " is missing");
    if (found->shape != wanted.shape) return bad(wanted.name + " has another shape");
    if (!std::ranges::all_of(found->values, [](float v) { return std::isfinite(v); })) {
      return Status(Code::kInternal, "DIVERGED", wanted.name + " has a value that is not finite");
    }
  }
  return Status();
}

FoldedConvolution FoldConvolution(const Checkpoint& checkpoint, const Convolution& shape,
                                  size_t index) {
  const auto tensor = [&](const char* name) -> const NamedTensor& {
    return *checkpoint.Find("conv" + std::to_string(index) + "." + name);
  };
  FoldedConvolution c;
  c.shape = shape;
  c.relu = checkpoint.recipe.relu;
  const NamedTensor& weight = tensor("weight");
  c.in_channels = static_cast<int32_t>(weight.shape[1]);
  const size_t per_channel = weight.values.size() / static_cast<size_t>(shape.channels);
  for (size_t o = 0; o < static_cast<size_t>(shape.channels); ++o) {
    const auto filter = std::span(weight.values).subspan(o * per_channel, per_channel);
    const double unit = Unit(filter);
    c.scale.push_back(index == 0 ? unit / kInputUnit : 1);
    for (const float w : filter) {
      c.weights.push_back(index == 0 ? Quantized(w, unit) : static_cast<int8_t>(w < 0 ? -1 : 1));
    }
  }
  c.mean = Doubles(tensor("mean"));
  const bool residual = checkpoint.recipe.residual;
  for (const double var : Doubles(tensor("var"))) {
    c.inv.push_back(1 / std::sqrt(std::max(var, 0.0) + NormEpsilon(residual, index == 0)));
  }
  if (residual && index > 0) c.offset = Doubles(tensor("offset"));
  c.gamma = Doubles(tensor("gamma"));
  c.beta = Doubles(tensor("beta"));
  return c;
}

// Training divides the global sum by the number of pixels; here its place is the logits' scale.
Status FoldHead(const Checkpoint& checkpoint, int64_t pixels, Folded& folded) {
  const NamedTensor& weight = *checkpoint.Find("head.weight");
  const double unit = Unit(weight.values);
  folded.head.clear();
  for (const float w : weight.values) folded.head.push_back(Quantized(w, unit));
  // Of int32, one half is for the bias, the other for the weighted sums of a stream.
  const auto sums = static_cast<double>(weight.shape[1] * pixels) * 127 * 32768;
  while (folded.residual && std::ldexp(sums, -static_cast<int>(folded.sum_shift)) > (1 << 30)) {
    ++folded.sum_shift;
  }
  folded.logit_scale = std::ldexp(unit * folded.unit, static_cast<int>(folded.sum_shift)) /
                       static_cast<double>(pixels);
  folded.biases.clear();
  for (const float b : checkpoint.Find("head.bias")->values) {
    const double bias = std::nearbyint(b / folded.logit_scale);
    if (std::abs(bias) > std::numeric_limits<int32_t>::max()) {
      return Overflow("a bias of the head does not fit int32");
    }
    folded.biases.push_back(static_cast<int32_t>(bias));
  }
  return Status();
}

// The largest |sum| of an output channel, and at least 1.
double Reach(const FoldedConvolution& c, size_t channel) {
  const size_t count = c.weights.size() / c.gamma.size();
  double reach = 0;
  for (const int8_t w : std::span(c.weights).subspan(channel * count, count)) reach += std::abs(w);
  return std::max(1.0, c.offset.empty() ? 128 * reach : reach);
}

// Scales and biases of batch norm at this shift; false if a product could leave int32.
bool Quantize(const FoldedConvolution& c, double unit, uint32_t shift, packed::ToInts& ints) {
  const double one = std::ldexp(1 / unit, static_cast<int>(shift));
  ints = {.scales = {}, .biases = {}, .shift = shift, .relu = c.relu, .add = 0};
  for (size_t o = 0; o < c.gamma.size(); ++o) {
    const double slope = c.inv[o] * c.gamma[o];
    const double scale = std::nearbyint(one * c.scale[o] * slope);
    const double bias = std::nearbyint(one * (c.beta[o] - c.mean[o] * slope));
    const double largest = std::abs(scale) * Reach(c, o) + std::abs(bias) + std::ldexp(1, shift);
    if (!(largest <= std::numeric_limits<int32_t>::max())) return false;
    ints.scales.push_back(static_cast<int32_t>(scale));
    ints.biases.push_back(static_cast<int32_t>(bias));
  }
  return true;
}

// Puts the stream into integers of 2^(eighths / 8), and proves that they fit.
Status SetUnit(const Checkpoint& checkpoint, int64_t pixels, int32_t eighths, Folded& folded) {
  folded.unit = std::exp2(eighths / 8.0);
  for (size_t i = 0; i < folded.convolutions.size(); ++i) {
    FoldedConvolution& c = folded.convolutions[i];
    uint32_t shift = packed::kMaxShift;
    while (!Quantize(c, folded.unit, shift, c.ints)) {
      if (shift-- == 0) return Overflow("the scales of convolution " + std::to_string(i));
    }
  }
  BF_TRY(FoldHead(checkpoint, pixels, folded));
  return packed::Describe(Pack(folded)).status();
}

}  // namespace

Result<Folded> Fold(const Checkpoint& checkpoint) {
  BF_TRY(CheckTensors(checkpoint));
  Folded folded;
  folded.image = checkpoint.image;
  folded.residual = checkpoint.recipe.residual;
  folded.class_count = checkpoint.class_count;
  const int64_t pixels =
      BF_TRY(SummedPixels(checkpoint.recipe, static_cast<int32_t>(checkpoint.image.height),
                          static_cast<int32_t>(checkpoint.image.width),
                          static_cast<int32_t>(checkpoint.image.channels)));
  const std::vector<Convolution> shapes = Convolutions(checkpoint.recipe);
  for (size_t i = 0; i < shapes.size(); ++i) {
    folded.convolutions.push_back(FoldConvolution(checkpoint, shapes[i], i));
  }
  if (!folded.residual) {
    BF_TRY(FoldHead(checkpoint, pixels, folded));
    return folded;
  }
  // Fitting is monotone in the unit but for rounding, and whatever is found is proven.
  const auto coarsest = static_cast<int32_t>(8 * std::log2(kCoarsestUnit));
  const int32_t finest = FirstWhere(coarsest - 8 * 20, coarsest - 1, [&](int32_t eighths) {
    return SetUnit(checkpoint, pixels, eighths, folded).ok();
  });
  BF_TRY(SetUnit(checkpoint, pixels, finest, folded).In("the stream does not fit"));
  return folded;
}

packed::Network Pack(const Folded& folded) {
  packed::Network network;
  network.input = folded.image;
  std::fill_n(network.mean.begin(), folded.image.channels, static_cast<uint8_t>(kInputMean));
  for (const FoldedConvolution& c : folded.convolutions) {
    if (network.ops.empty()) {
      network.Then(PackStem(c, !folded.residual));
    } else {
      PackBlock(c, folded, network);
    }
    if (c.shape.pool) network.Then(packed::MaxPool{});
  }
  network.Then(packed::GlobalSum{folded.sum_shift});
  network.Then(
      packed::Dense{static_cast<uint32_t>(folded.class_count), folded.head, folded.biases});
  return network;
}

}  // namespace bitfoundry::bnn
