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

// Weight (o, i, y, x); negated where the channel's gamma is negative, so that a larger sum always
// means a larger y.
int8_t Weight(const FoldedConvolution& c, size_t o, size_t i, size_t tap) {
  const auto taps = static_cast<size_t>(c.shape.kernel * c.shape.kernel);
  const auto in = static_cast<size_t>(c.in_channels);
  const int8_t w = c.weights[(o * in + i) * taps + tap];
  return c.gamma[o] < 0 ? static_cast<int8_t>(-w) : w;
}

int32_t Sign(const FoldedConvolution& c, size_t channel) { return c.gamma[channel] < 0 ? -1 : 1; }

packed::Stem PackStem(const FoldedConvolution& c) {
  const auto channels = static_cast<size_t>(c.shape.channels);
  const auto taps = static_cast<size_t>(c.shape.kernel * c.shape.kernel);
  const auto in = static_cast<size_t>(c.in_channels);
  const auto bound = static_cast<int32_t>(taps * in) * 127 * 128;
  std::vector<int32_t> thresholds;
  packed::Stem stem;
  stem.channels = static_cast<uint32_t>(channels);
  stem.kernel = static_cast<uint32_t>(c.shape.kernel);
  stem.stride = static_cast<uint32_t>(c.shape.stride);
  for (size_t o = 0; o < channels; ++o) {
    for (size_t tap = 0; tap < taps; ++tap) {
      for (size_t i = 0; i < in; ++i) stem.weights.push_back(Weight(c, o, i, tap));
    }
    thresholds.push_back(FirstWhere(
        -bound, bound, [&](int32_t sum) { return Normalised(c, o, Sign(c, o) * sum) >= 0; }));
  }
  stem.output = packed::ToBits{std::move(thresholds)};
  return stem;
}

packed::BinaryConv PackBinary(const FoldedConvolution& c) {
  const auto channels = static_cast<size_t>(c.shape.channels);
  const auto taps = static_cast<size_t>(c.shape.kernel * c.shape.kernel);
  const auto words = static_cast<size_t>(c.in_channels) / packed::kWordBits;
  const auto values = static_cast<int32_t>(taps) * c.in_channels;
  std::vector<int32_t> thresholds;
  packed::BinaryConv conv;
  conv.channels = static_cast<uint32_t>(channels);
  conv.kernel = static_cast<uint32_t>(c.shape.kernel);
  conv.stride = static_cast<uint32_t>(c.shape.stride);
  for (size_t o = 0; o < channels; ++o) {
    for (size_t tap = 0; tap < taps; ++tap) {
      for (size_t word = 0; word < words; ++word) {
        uint32_t bits = 0;
        for (size_t bit = 0; bit < packed::kWordBits; ++bit) {
          bits |= uint32_t{Weight(c, o, word * packed::kWordBits + bit, tap) < 0} << bit;
        }
        conv.weights.push_back(bits);
      }
    }
    const int32_t first = FirstWhere(0, values, [&](int32_t differing) {
      return Normalised(c, o, Sign(c, o) * (values - 2 * differing)) < 0;
    });
    thresholds.push_back(first - 1);
  }
  conv.output = packed::ToBits{std::move(thresholds)};
  return conv;
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
  for (const double var : Doubles(tensor("var"))) {
    c.inv.push_back(1 / std::sqrt(std::max(var, 0.0) + kNormEpsilon));
  }
  c.gamma = Doubles(tensor("gamma"));
  c.beta = Doubles(tensor("beta"));
  return c;
}

// Training divides the global sum by the number of pixels; here its place is the logits' scale.
Status FoldHead(const Checkpoint& checkpoint, int64_t pixels, Folded& folded) {
  const NamedTensor& weight = *checkpoint.Find("head.weight");
  const double unit = Unit(weight.values);
  for (const float w : weight.values) folded.head.push_back(Quantized(w, unit));
  folded.logit_scale = unit / static_cast<double>(pixels);
  for (const float b : checkpoint.Find("head.bias")->values) {
    const double bias = std::nearbyint(b / folded.logit_scale);
    if (std::abs(bias) > std::numeric_limits<int32_t>::max()) {
      return Status(Code::kInvalidArgument, "OVERFLOW", "a bias of the head does not fit int32");
    }
    folded.biases.push_back(static_cast<int32_t>(bias));
  }
  return Status();
}

}  // namespace

Result<Folded> Fold(const Checkpoint& checkpoint) {
  BF_TRY(CheckTensors(checkpoint));
  Folded folded;
  folded.image = checkpoint.image;
  folded.class_count = checkpoint.class_count;
  const int64_t pixels =
      BF_TRY(SummedPixels(checkpoint.recipe, static_cast<int32_t>(checkpoint.image.height),
                          static_cast<int32_t>(checkpoint.image.width),
                          static_cast<int32_t>(checkpoint.image.channels)));
  const std::vector<Convolution> shapes = Convolutions(checkpoint.recipe);
  for (size_t i = 0; i < shapes.size(); ++i) {
    folded.convolutions.push_back(FoldConvolution(checkpoint, shapes[i], i));
  }
  BF_TRY(FoldHead(checkpoint, pixels, folded));
  return folded;
}

packed::Network Pack(const Folded& folded) {
  packed::Network network;
  network.input = folded.image;
  std::fill_n(network.mean.begin(), folded.image.channels, static_cast<uint8_t>(kInputMean));
  for (size_t i = 0; i < folded.convolutions.size(); ++i) {
    const FoldedConvolution& c = folded.convolutions[i];
    if (i == 0) {
      network.Then(PackStem(c));
    } else {
      network.Then(PackBinary(c));
    }
    if (c.shape.pool) network.Then(packed::MaxPool{});
  }
  network.Then(packed::GlobalSum{});
  network.Then(
      packed::Dense{static_cast<uint32_t>(folded.class_count), folded.head, folded.biases});
  return network;
}

}  // namespace bitfoundry::bnn
