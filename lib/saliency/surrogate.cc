#include "saliency/surrogate.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <string>

#include "packed/interpreter.h"
#include "saliency/squares.h"

namespace bitfoundry::saliency {
namespace {

using packed::Shape;

// The weights of a convolution of any kind, as numbers.
struct Filter {
  uint32_t height = 0;
  uint32_t width = 0;
  uint32_t stride = 1;
  uint32_t pad = 0;
  int16_t outside = 0;           // the value of the padding
  std::vector<int16_t> weights;  // [channels of the output][height][width][channels of the input]
};

// Words of bits as -1 and +1.
std::vector<int16_t> Signs(const std::vector<uint32_t>& words, uint32_t channels) {
  const size_t row = packed::Words(channels);
  std::vector<int16_t> signs;
  for (size_t w = 0; w < words.size(); w += row) {
    for (uint32_t c = 0; c < channels; ++c) {
      const bool bit = (words[w + c / packed::kWordBits] >> (c % packed::kWordBits) & 1) != 0;
      signs.push_back(bit ? -1 : 1);
    }
  }
  return signs;
}

Filter FilterOf(const packed::Stem& op, const Shape&) {
  return {op.kernel,     op.kernel, op.stride,
          op.kernel / 2, 0,         {op.weights.begin(), op.weights.end()}};
}
Filter FilterOf(const packed::BinaryConv& op, const Shape& in) {
  return {op.kernel, op.kernel, op.stride, op.kernel / 2, 1, Signs(op.weights, in.channels)};
}
Filter FilterOf(const packed::BinaryDense& op, const Shape& in) {
  return {in.height, in.width, 1, 0, 1, Signs(op.weights, in.channels)};
}
template <typename Other>
Filter FilterOf(const Other&, const Shape&) {
  return {};
}

// visit(tap, pixel of the input), or visit(tap, nothing) for a tap outside the map.
template <typename Visit>
void ForEachTap(const Filter& filter, const Shape& in, uint32_t y, uint32_t x, Visit visit) {
  for (uint32_t ky = 0; ky < filter.height; ++ky) {
    const int64_t row = int64_t{y} * filter.stride + ky - filter.pad;
    for (uint32_t kx = 0; kx < filter.width; ++kx) {
      const int64_t column = int64_t{x} * filter.stride + kx - filter.pad;
      const bool inside = row >= 0 && row < in.height && column >= 0 && column < in.width;
      visit(size_t{ky} * filter.width + kx,
            inside ? std::optional(static_cast<size_t>(row * in.width + column)) : std::nullopt);
    }
  }
}

// visit(pixel of the output, y, x)
template <typename Visit>
void ForEachPixel(const Shape& out, Visit visit) {
  size_t pixel = 0;
  for (uint32_t y = 0; y < out.height; ++y) {
    for (uint32_t x = 0; x < out.width; ++x) visit(pixel++, y, x);
  }
}

// The sums v of every pixel and channel of the output.
std::vector<int32_t> Sums(const Filter& filter, const Shape& in, const Shape& out,
                          const std::vector<int32_t>& values) {
  const size_t taps = size_t{filter.height} * filter.width;
  std::vector<int32_t> sums(size_t{out.height} * out.width * out.channels);
  std::vector<int16_t> patch(taps * in.channels);  // of 16 bits, for which there is pmaddwd
  ForEachPixel(out, [&](size_t pixel, uint32_t y, uint32_t x) {
    ForEachTap(filter, in, y, x, [&](size_t tap, std::optional<size_t> from) {
      int16_t* const to = &patch[tap * in.channels];
      for (size_t c = 0; c < in.channels; ++c) {
        to[c] = from ? static_cast<int16_t>(values[*from * in.channels + c]) : filter.outside;
      }
    });
    for (size_t c = 0; c < out.channels; ++c) {
      const int16_t* const weight = &filter.weights[c * patch.size()];
      int32_t sum = 0;
      for (size_t k = 0; k < patch.size(); ++k) sum += int32_t{patch[k]} * weight[k];
      sums[pixel * out.channels + c] = sum;
    }
  });
  return sums;
}

// What each value gets of the gradients that arrive behind the comparisons: `from_threshold` is how
// far it lies above its own.
std::vector<double> StraightThrough(const std::vector<double>& from_threshold,
                                    const std::vector<double>& gradients) {
  std::vector<double> distances;
  for (const double d : from_threshold) distances.push_back(std::abs(d));
  const auto middle = distances.begin() + static_cast<std::ptrdiff_t>(distances.size() / 2);
  std::nth_element(distances.begin(), middle, distances.end());
  const double window = *middle;  // at least a half, as thresholds lie between whole numbers
  std::vector<double> passed(gradients.size());
  for (size_t i = 0; i < passed.size(); ++i) {
    if (std::abs(from_threshold[i]) <= window) passed[i] = gradients[i] / window;
  }
  return passed;
}

std::vector<double> Ranks(const std::vector<double>& values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::sort(order, {}, [&](size_t i) { return values[i]; });
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t last = first;
    while (last + 1 < order.size() && values[order[last + 1]] == values[order[first]]) ++last;
    for (size_t i = first; i <= last; ++i) ranks[order[i]] = static_cast<double>(first + last) / 2;
    first = last + 1;
  }
  return ranks;
}

}  // namespace

// The values of tensor i are `values[i]`, the margin's gradient by them is `gradients[i]`.
struct SurrogateExplainer::State {
  packed::Network network;
  packed::Interpreter interpreter;
  std::vector<packed::Layer> layers;
  std::vector<Filter> filters;  // one for each operation
  std::vector<std::vector<int32_t>> values = {};
  std::vector<std::vector<double>> gradients = {};

  void Forward(std::span<const uint8_t> image);
  void Backward(size_t of_class);

  // Each hands the gradients of operation i's output on to its input.
  void Convolve(const packed::Output& output, bool stem, size_t i);
  void Back(const packed::Stem& op, size_t i) { Convolve(op.output, true, i); }
  void Back(const packed::BinaryConv& op, size_t i) { Convolve(op.output, false, i); }
  void Back(const packed::BinaryDense& op, size_t i) { Convolve(op.output, false, i); }
  void Back(const packed::Binarize& op, size_t i);
  void Back(const packed::MaxPool& op, size_t i);
  void Back(const packed::AveragePool& op, size_t i);
  void Back(const packed::GlobalSum& op, size_t i);
  void Back(const packed::Dense& op, size_t i);

  std::vector<double> BeforeBits(const packed::ToBits& bits, const std::vector<int32_t>& sums,
                                 bool stem, size_t i) const;
  std::vector<double> BeforeInts(const packed::ToInts& ints, const std::vector<int32_t>& sums,
                                 size_t i);
};

void SurrogateExplainer::State::Forward(std::span<const uint8_t> image) {
  values.assign(1, {});
  for (size_t b = 0; b < image.size(); ++b) {
    values[0].push_back(image[b] - network.mean[b % network.input.channels]);
  }
  for (size_t i = 0; i < layers.size(); ++i) values.push_back(interpreter.ValuesOf(i));
  gradients.clear();
  for (const auto& tensor : values) gradients.emplace_back(tensor.size());
}

void SurrogateExplainer::State::Backward(size_t of_class) {
  const std::vector<int32_t>& logits = values.back();
  size_t rival = of_class;
  for (size_t k = 0; k < logits.size(); ++k) {
    if (k != of_class && (rival == of_class || logits[k] > logits[rival])) rival = k;
  }
  gradients.back()[of_class] += 1;
  if (rival != of_class) gradients.back()[rival] -= 1;
  for (size_t i = layers.size(); i-- > 0;) {
    std::visit([&](const auto& op) { Back(op, i); }, network.ops[i].kind);
  }
}

std::vector<double> SurrogateExplainer::State::BeforeBits(const packed::ToBits& bits,
                                                          const std::vector<int32_t>& sums,
                                                          bool stem, size_t i) const {
  const size_t channels = bits.thresholds.size();
  const double count = static_cast<double>(filters[i].weights.size() / channels);  // K
  std::vector<double> above;
  for (size_t s = 0; s < sums.size(); ++s) {
    const double threshold = bits.thresholds[s % channels];
    above.push_back(sums[s] - (stem ? threshold - 0.5 : count - 2 * threshold - 1));
  }
  return StraightThrough(above, gradients[i + 1]);
}

std::vector<double> SurrogateExplainer::State::BeforeInts(const packed::ToInts& ints,
                                                          const std::vector<int32_t>& sums,
                                                          size_t i) {
  const size_t channels = ints.scales.size();
  const size_t skipped = ints.add == 0 ? 0 : gradients[ints.add].size() * channels / sums.size();
  std::vector<double> passed(sums.size());
  for (size_t s = 0; s < sums.size(); ++s) {
    const double gradient = gradients[i + 1][s];
    if (skipped != 0) {
      gradients[ints.add][s / channels * skipped + s % channels % skipped] += gradient;
    }
    if (ints.relu && sums[s] <= 0) continue;
    passed[s] = std::ldexp(gradient * ints.scales[s % channels], -static_cast<int>(ints.shift));
  }
  return passed;
}

void SurrogateExplainer::State::Convolve(const packed::Output& output, bool stem, size_t i) {
  const Filter& filter = filters[i];
  const Shape& in = layers[i].in;
  const Shape& out = layers[i].out;
  const auto sums = Sums(filter, in, out, values[layers[i].input]);
  const auto* bits = std::get_if<packed::ToBits>(&output);
  const std::vector<double> passed = bits != nullptr
                                         ? BeforeBits(*bits, sums, stem, i)
                                         : BeforeInts(std::get<packed::ToInts>(output), sums, i);
  std::vector<double>& into = gradients[layers[i].input];
  const size_t taps = size_t{filter.height} * filter.width;
  std::vector<float> patch(taps * in.channels);
  ForEachPixel(out, [&](size_t pixel, uint32_t y, uint32_t x) {
    std::ranges::fill(patch, 0.0F);
    for (size_t c = 0; c < out.channels; ++c) {
      const auto gradient = static_cast<float>(passed[pixel * out.channels + c]);
      if (gradient == 0) continue;
      const int16_t* const weight = &filter.weights[c * patch.size()];
      for (size_t k = 0; k < patch.size(); ++k) patch[k] += gradient * weight[k];
    }
    ForEachTap(filter, in, y, x, [&](size_t tap, std::optional<size_t> from) {
      for (size_t c = 0; from && c < in.channels; ++c) {
        into[*from * in.channels + c] += patch[tap * in.channels + c];
      }
    });
  });
}

void SurrogateExplainer::State::Back(const packed::Binarize& op, size_t i) {
  const std::vector<int32_t>& in = values[layers[i].input];
  std::vector<double> above;
  for (size_t s = 0; s < in.size(); ++s) {
    above.push_back(in[s] - (op.thresholds[s % op.thresholds.size()] - 0.5));
  }
  const auto passed = StraightThrough(above, gradients[i + 1]);
  for (size_t s = 0; s < in.size(); ++s) gradients[layers[i].input][s] += passed[s];
}

void SurrogateExplainer::State::Back(const packed::MaxPool& op, size_t i) {
  const Shape& in = layers[i].in;
  const Shape& out = layers[i].out;
  const Filter window{op.kernel, op.kernel, op.stride, 0, 0, {}};
  const std::vector<int32_t>& from = values[layers[i].input];
  ForEachPixel(out, [&](size_t pixel, uint32_t y, uint32_t x) {
    for (size_t c = 0; c < out.channels; ++c) {
      const size_t at = pixel * out.channels + c;
      std::vector<size_t> attain;
      ForEachTap(window, in, y, x, [&](size_t, std::optional<size_t> tapped) {
        const size_t source = *tapped * in.channels + c;  // a pool is not padded
        if (from[source] == values[i + 1][at]) attain.push_back(source);
      });
      for (const size_t source : attain) {
        gradients[layers[i].input][source] +=
            gradients[i + 1][at] / static_cast<double>(attain.size());
      }
    }
  });
}

void SurrogateExplainer::State::Back(const packed::AveragePool& op, size_t i) {
  const Shape& in = layers[i].in;
  const Shape& out = layers[i].out;
  const Filter window{op.kernel, op.kernel, op.stride, 0, 0, {}};
  ForEachPixel(out, [&](size_t pixel, uint32_t y, uint32_t x) {
    ForEachTap(window, in, y, x, [&](size_t, std::optional<size_t> tapped) {
      for (size_t c = 0; c < out.channels; ++c) {
        gradients[layers[i].input][*tapped * in.channels + c] +=
            std::ldexp(gradients[i + 1][pixel * out.channels + c], -static_cast<int>(op.shift));
      }
    });
  });
}

void SurrogateExplainer::State::Back(const packed::GlobalSum& op, size_t i) {
  std::vector<double>& into = gradients[layers[i].input];
  const size_t channels = layers[i].in.channels;
  for (size_t s = 0; s < into.size(); ++s) {
    into[s] += std::ldexp(gradients[i + 1][s % channels], -static_cast<int>(op.shift));
  }
}

void SurrogateExplainer::State::Back(const packed::Dense& op, size_t i) {
  std::vector<double>& into = gradients[layers[i].input];
  for (size_t k = 0; k < op.classes; ++k) {
    for (size_t c = 0; c < into.size(); ++c) {
      into[c] += gradients[i + 1][k] * op.weights[k * into.size() + c];
    }
  }
}

SurrogateExplainer::SurrogateExplainer(std::unique_ptr<State> state) : state_(std::move(state)) {}
SurrogateExplainer::SurrogateExplainer(SurrogateExplainer&&) noexcept = default;
SurrogateExplainer& SurrogateExplainer::operator=(SurrogateExplainer&&) noexcept = default;
SurrogateExplainer::~SurrogateExplainer() = default;

Result<SurrogateExplainer> SurrogateExplainer::Make(const packed::Network& network) {
  auto interpreter = BF_TRY(packed::Interpreter::Make(network));
  const std::vector<packed::Layer> layers = BF_TRY(packed::Describe(network));
  std::vector<Filter> filters;
  for (size_t i = 0; i < layers.size(); ++i) {
    filters.push_back(std::visit([&](const auto& op) { return FilterOf(op, layers[i].in); },
                                 network.ops[i].kind));
  }
  return SurrogateExplainer(
      std::make_unique<State>(State{network, std::move(interpreter), layers, std::move(filters)}));
}

Result<SurrogateHeatmap> SurrogateExplainer::Occlusion(std::span<const uint8_t> image,
                                                       size_t of_class,
                                                       const OcclusionOptions& options) {
  State& state = *state_;
  const Shape& input = state.network.input;
  const Squares squares = BF_TRY(Squares::Make(input, options));
  const auto logits = BF_TRY(state.interpreter.Run(image));
  if (of_class >= logits.size()) {
    return Status(Code::kInvalidArgument, "BAD_CLASS",
                  "class " + std::to_string(of_class) + " of " + std::to_string(logits.size()));
  }
  state.Forward(image);
  state.Backward(of_class);
  std::vector<double> drops(squares.size());
  for (size_t i = 0; i < squares.size(); ++i) {
    squares.ForEachPixel(i, [&](size_t pixel) {
      for (size_t b = pixel * input.channels; b < (pixel + 1) * input.channels; ++b) {
        drops[i] += state.gradients[0][b] * state.values[0][b];
      }
    });
  }
  return SurrogateHeatmap{squares.Mean(drops)};
}

std::optional<double> RankCorrelation(const Heatmap& a, const Heatmap& b) {
  BF_CHECK(a.values.size() == b.values.size());
  const std::vector<double> x = Ranks(a.values);
  const std::vector<double> y = Ranks(b.values);
  const double mean = (static_cast<double>(x.size()) - 1) / 2;
  double products = 0;
  double x_squares = 0;
  double y_squares = 0;
  for (size_t i = 0; i < x.size(); ++i) {
    products += (x[i] - mean) * (y[i] - mean);
    x_squares += (x[i] - mean) * (x[i] - mean);
    y_squares += (y[i] - mean) * (y[i] - mean);
  }
  if (x_squares == 0 || y_squares == 0) return std::nullopt;
  return products / std::sqrt(x_squares * y_squares);
}

}  // namespace bitfoundry::saliency
