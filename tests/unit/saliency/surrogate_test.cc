#include "saliency/surrogate.h"

#include <gtest/gtest.h>

#include <cmath>

#include "packed/interpreter.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/packed/random_network.h"

namespace bitfoundry::saliency {
namespace {

using ::bitfoundry::testing::IsOk;
using packed::Network;

constexpr OcclusionOptions kPixels{.patch = 1, .stride = 1};

Heatmap SurrogateOf(const Network& network, std::span<const uint8_t> image, size_t of_class,
                    const OcclusionOptions& options = kPixels) {
  auto explainer = SurrogateExplainer::Make(network);
  EXPECT_THAT(explainer, IsOk());
  const auto map = explainer->Occlusion(image, of_class, options);
  EXPECT_THAT(map, IsOk());
  return map->surrogate;
}

Heatmap OcclusionOf(const Network& network, std::span<const uint8_t> image, size_t of_class,
                    const OcclusionOptions& options = kPixels) {
  auto explainer = Explainer::Make(network);
  EXPECT_THAT(explainer, IsOk());
  const auto map = explainer->Occlusion(image, of_class, options);
  EXPECT_THAT(map, IsOk());
  return *map;
}

// The surrogate by its definition, the other way round: how its values change with the image, by
// one tensor after the other, where the explainer goes from the margin back.
class Forward {
 public:
  Forward(const Network& network, std::span<const uint8_t> image)
      : network_(network), interpreter_(*packed::Interpreter::Make(network)) {
    logits_ = {interpreter_.Run(image)->begin(), interpreter_.Run(image)->end()};
    values_.emplace_back();
    for (size_t b = 0; b < image.size(); ++b) {
      values_[0].push_back(image[b] - network.mean[b % network.input.channels]);
    }
    for (size_t i = 0; i < network.ops.size(); ++i) values_.push_back(interpreter_.ValuesOf(i));
    layers_ = *packed::Describe(network);
  }

  // The margin's change if pixel p becomes the mean, negated.
  double Drop(size_t pixel, size_t of_class) {
    changes_.assign(1, std::vector<double>(values_[0].size()));
    for (size_t c = 0; c < network_.input.channels; ++c) {
      const size_t b = pixel * network_.input.channels + c;
      changes_[0][b] = values_[0][b];
    }
    for (size_t i = 0; i < layers_.size(); ++i) {
      changes_.emplace_back(values_[i + 1].size());
      std::visit([&](const auto& op) { Change(op, i); }, network_.ops[i].kind);
    }
    size_t rival = of_class == 0 ? 1 : 0;
    for (size_t k = 0; k < logits_.size(); ++k) {
      if (k != of_class && logits_[k] > logits_[rival]) rival = k;
    }
    return changes_.back()[of_class] - changes_.back()[rival];
  }

 private:
  // visit(value of the input, its change, tap) for each tap; `outside` of the map.
  template <typename Visit>
  void Taps(size_t i, size_t kernel_y, size_t kernel_x, size_t stride, size_t pad, double outside,
            size_t y, size_t x, Visit visit) const {
    const packed::Shape& in = layers_[i].in;
    for (size_t ky = 0; ky < kernel_y; ++ky) {
      for (size_t kx = 0; kx < kernel_x; ++kx) {
        const size_t row = y * stride + ky - pad;  // past the map where it would be negative
        const size_t column = x * stride + kx - pad;
        const bool inside = row < in.height && column < in.width;
        for (size_t c = 0; c < in.channels; ++c) {
          const size_t at = (row * in.width + column) * in.channels + c;
          visit(inside ? values_[layers_[i].input][at] : outside,
                inside ? changes_[layers_[i].input][at] : 0.0,
                (ky * kernel_x + kx) * in.channels + c);
        }
      }
    }
  }

  // Weight(channel, tap) is a number.
  template <typename Weight>
  void Convolve(const packed::Output& output, size_t i, size_t kernel_y, size_t kernel_x,
                size_t stride, size_t pad, bool stem, Weight weight) {
    const packed::Shape& out = layers_[i].out;
    std::vector<double> sums;
    std::vector<double> changes;
    for (size_t y = 0; y < out.height; ++y) {
      for (size_t x = 0; x < out.width; ++x) {
        for (size_t o = 0; o < out.channels; ++o) {
          double sum = 0;
          double change = 0;
          Taps(i, kernel_y, kernel_x, stride, pad, stem ? 0 : 1, y, x,
               [&](double value, double by, size_t tap) {
                 sum += value * weight(o, tap);
                 change += by * weight(o, tap);
               });
          sums.push_back(sum);
          changes.push_back(change);
        }
      }
    }
    const double k = static_cast<double>(kernel_y * kernel_x * layers_[i].in.channels);
    if (const auto* bits = std::get_if<packed::ToBits>(&output)) {
      for (size_t s = 0; s < sums.size(); ++s) {
        const double t = bits->thresholds[s % out.channels];
        sums[s] -= stem ? t - 0.5 : ((k - 2 * t) + (k - 2 * (t + 1))) / 2;
      }
      return Threshold(sums, changes, i);
    }
    const auto& ints = std::get<packed::ToInts>(output);
    for (size_t s = 0; s < sums.size(); ++s) {
      const double passed = ints.relu && sums[s] <= 0 ? 0 : changes[s];
      double& into = changes_[i + 1][s];
      into = passed * ints.scales[s % out.channels] / std::pow(2, ints.shift);
      if (ints.add == 0) continue;
      const size_t r = layers_[ints.add - 1].out.channels;
      into += changes_[ints.add][s / out.channels * r + s % out.channels % r];
    }
  }

  void Threshold(const std::vector<double>& above, const std::vector<double>& changes, size_t i) {
    std::vector<double> sorted;
    for (const double a : above) sorted.push_back(std::abs(a));
    std::ranges::sort(sorted);
    const double window = sorted[sorted.size() / 2];
    for (size_t s = 0; s < above.size(); ++s) {
      changes_[i + 1][s] = std::abs(above[s]) <= window ? changes[s] / window : 0;
    }
  }

  double Bit(const std::vector<uint32_t>& words, size_t i, size_t channel, size_t tap,
             size_t taps) const {
    const size_t in = layers_[i].in.channels;
    const uint32_t word =
        words[(channel * taps + tap / in) * packed::Words(static_cast<uint32_t>(in)) +
              tap % in / 32];
    return (word >> (tap % in % 32) & 1) != 0 ? -1 : 1;
  }

  void Change(const packed::Stem& op, size_t i) {
    Convolve(op.output, i, op.kernel, op.kernel, op.stride, op.kernel / 2, true,
             [&](size_t o, size_t tap) -> double {
               return op.weights[o * op.kernel * op.kernel * network_.input.channels + tap];
             });
  }
  void Change(const packed::BinaryConv& op, size_t i) {
    Convolve(op.output, i, op.kernel, op.kernel, op.stride, op.kernel / 2, false,
             [&](size_t o, size_t tap) {
               return Bit(op.weights, i, o, tap, size_t{op.kernel} * op.kernel);
             });
  }
  void Change(const packed::BinaryDense& op, size_t i) {
    const size_t height = layers_[i].in.height;
    const size_t width = layers_[i].in.width;
    Convolve(op.output, i, height, width, 1, 0, false,
             [&](size_t o, size_t tap) { return Bit(op.weights, i, o, tap, height * width); });
  }
  void Change(const packed::Binarize& op, size_t i) {
    std::vector<double> above;
    for (size_t s = 0; s < values_[layers_[i].input].size(); ++s) {
      above.push_back(values_[layers_[i].input][s] -
                      (op.thresholds[s % op.thresholds.size()] - 0.5));
    }
    Threshold(above, changes_[layers_[i].input], i);
  }
  template <typename Pool>
  void Pooled(const Pool& op, size_t i, bool largest) {
    const packed::Shape& out = layers_[i].out;
    for (size_t s = 0; s < values_[i + 1].size(); ++s) {
      const size_t pixel = s / out.channels;
      double sum = 0;
      double count = 0;
      Taps(i, op.kernel, op.kernel, op.stride, 0, 0, pixel / out.width, pixel % out.width,
           [&](double value, double by, size_t tap) {
             if (tap % out.channels != s % out.channels) return;
             if (largest && value != values_[i + 1][s]) return;
             sum += by;
             ++count;
           });
      changes_[i + 1][s] = largest ? sum / count : sum;
    }
  }
  void Change(const packed::MaxPool& op, size_t i) { Pooled(op, i, true); }
  void Change(const packed::AveragePool& op, size_t i) {
    Pooled(op, i, false);
    for (double& change : changes_[i + 1]) change /= std::pow(2, op.shift);
  }
  void Change(const packed::GlobalSum& op, size_t i) {
    const auto& in = changes_[layers_[i].input];
    for (size_t s = 0; s < in.size(); ++s) {
      changes_[i + 1][s % changes_[i + 1].size()] += in[s] / std::pow(2, op.shift);
    }
  }
  void Change(const packed::Dense& op, size_t i) {
    const auto& in = changes_[layers_[i].input];
    for (size_t w = 0; w < op.weights.size(); ++w) {
      changes_[i + 1][w / in.size()] += op.weights[w] * in[w % in.size()];
    }
  }

  const Network& network_;
  packed::Interpreter interpreter_;
  std::vector<packed::Layer> layers_;
  std::vector<int32_t> logits_;
  std::vector<std::vector<int32_t>> values_;
  std::vector<std::vector<double>> changes_;
};

std::vector<Network> RandomNetworks() {
  std::vector<Network> networks;
  for (uint32_t seed = 0; seed < 4; ++seed) {
    networks.push_back(packed::testing::RandomNetwork(seed % 2 == 0 ? 1 : 3, seed));
    networks.push_back(packed::testing::RandomSkipNetwork(seed));
  }
  return networks;
}

TEST(Surrogate, IsItsDefinition) {
  std::mt19937 random(/*seed=*/5);
  for (const Network& network : RandomNetworks()) {
    const auto image = packed::testing::RandomImage(network.input, random);
    Forward forward(network, image);
    const Heatmap map = SurrogateOf(network, image, 1);
    double most = 0;
    for (const double value : map.values) most = std::max(most, std::abs(value));
    ASSERT_GT(most, 0);
    for (size_t p = 0; p < map.values.size(); p += 53) {
      EXPECT_NEAR(map.values[p], forward.Drop(p, 1), 1e-5 * most) << p;
    }
  }
}

// Without a threshold it is no surrogate: the network is linear, and so is what it loses.
TEST(Surrogate, IsExactWhereTheNetworkIsLinear) {
  std::mt19937 random(/*seed=*/6);
  Network network;
  network.input = {20, 17, 3};
  network.mean = {120, 100, 90};
  std::vector<int8_t> weights(4 * 9 * 3);
  for (int8_t& weight : weights) weight = static_cast<int8_t>(random() % 3) - 1;
  network.Then(packed::Stem{4, 3, 2, weights, packed::ToInts{{1, -1, 1, 2}, {5, 6, 7, 8}, 0}});
  network.Then(packed::AveragePool{2, 1, 0});
  network.Then(packed::GlobalSum{});
  network.Then(packed::Dense{2, {3, -4, 5, 6, 1, 2, -7, 8}, {10, -10}});
  const auto image = packed::testing::RandomImage(network.input, random);
  for (const OcclusionOptions& options : {kPixels, OcclusionOptions{5, 3}}) {
    const Heatmap exact = OcclusionOf(network, image, 0, options);
    const Heatmap map = SurrogateOf(network, image, 0, options);
    for (size_t p = 0; p < map.values.size(); ++p) {
      EXPECT_NEAR(map.values[p], exact.values[p], 1e-6) << p;
    }
  }
}

// J. Adebayo et al., "Sanity checks for saliency maps", NeurIPS 2018: a map that stays as it is
// when the weights are drawn anew shows the picture, not the network.
TEST(Surrogate, ChangesWithTheWeightsAsOcclusionDoes) {
  std::mt19937 random(/*seed=*/8);
  const Network first = packed::testing::RandomSkipNetwork(1);
  std::vector<uint8_t> image(size_t{18} * 14 * 3, 230);  // bright, with a dark square
  for (size_t b = 0; b < image.size(); ++b) {
    const size_t x = b / 3 % 14;
    const size_t y = b / 3 / 14;
    if (x >= 4 && x < 9 && y >= 5 && y < 12) image[b] = static_cast<uint8_t>(random() % 40);
  }
  const OcclusionOptions options{3, 1};
  const Heatmap map = SurrogateOf(first, image, 0, options);
  const Heatmap exact = OcclusionOf(first, image, 0, options);
  double preview_sum = 0;
  double exact_sum = 0;
  constexpr int kDraws = 12;
  for (uint32_t draw = 1; draw <= kDraws; ++draw) {
    const Network other = packed::testing::RandomSkipNetwork(1 + 12 * draw);  // of the same shape
    preview_sum += *RankCorrelation(map, SurrogateOf(other, image, 0, options));
    exact_sum += *RankCorrelation(exact, OcclusionOf(other, image, 0, options));
  }
  EXPECT_LT(std::abs(preview_sum) / kDraws, 0.25);
  EXPECT_LT(std::abs(exact_sum) / kDraws, 0.25);
  EXPECT_EQ(*RankCorrelation(map, SurrogateOf(first, image, 0, options)), 1);
}

// What it is called a surrogate for: of a network that counts dark pixels it sees only those that
// are near the threshold, and these are not the ones that the answer hangs on.
TEST(Surrogate, CanMissWhatTheAnswerHangsOn) {
  Network network;
  network.input = {24, 24, 1};
  network.mean = {128};
  network.Then(packed::Stem{1, 1, 1, {1}, packed::ToBits{{0}}});
  network.Then(packed::GlobalSum{});
  network.Then(packed::Dense{2, {1, -1}, {-500, 500}});
  std::vector<uint8_t> image(24 * 24, 200);
  const Box square{6, 4, 5, 7};
  for (uint32_t y = 0; y < square.height; ++y) {
    std::fill_n(&image[(square.top + y) * 24 + square.left], square.width, uint8_t{10});
  }
  EXPECT_EQ(EnergyInside(OcclusionOf(network, image, 1), square), 1);
  EXPECT_EQ(EnergyInside(SurrogateOf(network, image, 1), square), 0);
}

TEST(Surrogate, RefusesWhatDoesNotFit) {
  const Network network = packed::testing::RandomNetwork(1, 1);
  auto explainer = SurrogateExplainer::Make(network);
  const std::vector<uint8_t> image(size_t{23} * 18);
  EXPECT_EQ(explainer->Occlusion(std::span(image).first(5), 0).status().reason(), "BAD_IMAGE_SIZE");
  EXPECT_EQ(explainer->Occlusion(image, 3).status().reason(), "BAD_CLASS");
  EXPECT_EQ(explainer->Occlusion(image, 0, {8, 9}).status().reason(), "BAD_OPTIONS");
}

TEST(RankCorrelation, IsSpearmans) {
  const auto of = [](std::vector<double> a, std::vector<double> b) {
    return RankCorrelation({1, 3, std::move(a)}, {1, 3, std::move(b)});
  };
  EXPECT_EQ(of({1, 2, 30}, {-5, 0, 0.1}), 1);
  EXPECT_EQ(of({1, 2, 3}, {9, 8, -7}), -1);
  EXPECT_DOUBLE_EQ(*of({1, 2, 3}, {1, 3, 2}), 0.5);
  EXPECT_DOUBLE_EQ(*of({1, 1, 2}, {1, 2, 3}), 1.5 / std::sqrt(3));  // equal values share a rank
  EXPECT_EQ(of({4, 4, 4}, {1, 2, 3}), std::nullopt);
}

}  // namespace
}  // namespace bitfoundry::saliency
