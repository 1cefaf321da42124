// Every operation of the microcontroller runtime, as the host compiles it, against its definition.
// On emulated cores: tests/target.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "packed/firmware_tables.h"
#include "tests/unit/mcu/definition.h"

namespace bitfoundry::mcu {
namespace {

constexpr int32_t kStraddling[] = {1, 31, 32, 33, 64, 95, 96, 97};  // numbers of channels
constexpr int kRounds = 200;

int32_t AnyChannels(Random& random) { return kStraddling[Between(random, 0, 7)]; }

// Runs one layer with the given number of words of output and scratch, and a guard behind each.
template <typename Value>
std::vector<Value> RunLayer(const bf_layer& layer, const void* in, const int16_t* skip,
                            size_t values, size_t scratch_words) {
  constexpr Value kGuard = 0x5A;
  std::vector<Value> out(values + 4, kGuard);
  std::vector<uint32_t> scratch(scratch_words + 1, 0xA5A5A5A5);
  layer.op(&layer, in, skip, out.data(), scratch.data());
  EXPECT_EQ(scratch.back(), 0xA5A5A5A5) << "wrote behind its scratch";
  EXPECT_EQ(std::vector<Value>(4, kGuard), std::vector<Value>(out.end() - 4, out.end()));
  out.resize(values);
  return out;
}

// ToInts: scales, biases, shift, relu and a skip, random but such that 16 bits hold the result.
struct Integers {
  std::vector<bf_scale> scales;
  Map skip;
  bool has_skip;

  Integers(Random& random, const Map& sums, bf_layer& layer)
      : skip(0, 0, 0), has_skip(Between(random, 0, 1) == 1) {
    layer.shift = static_cast<uint8_t>(Between(random, 0, 24));
    layer.relu = static_cast<uint8_t>(Between(random, 0, 1));
    const int32_t most =
        std::ranges::max(sums.values, {}, [](int32_t v) { return std::abs(v); }) | 1;
    const int32_t room =
        static_cast<int32_t>(std::min(int64_t{1} << 29, int64_t{8000} << layer.shift));
    for (int32_t c = 0; c < sums.channels; ++c) {
      const int32_t rounding = 1 << layer.shift >> 1;
      const int32_t scale = std::max(1, room / most);
      scales.push_back({Between(random, -scale, scale), Between(random, -room, room) + rounding});
    }
    layer.scales = scales.data();
    if (!has_skip) return;
    std::vector<int32_t> divisors;
    for (int32_t d = 1; d <= sums.channels; ++d) {
      if (sums.channels % d == 0) divisors.push_back(d);
    }
    const int32_t channels = divisors[static_cast<size_t>(
        Between(random, 0, static_cast<int32_t>(divisors.size()) - 1))];
    skip = RandomMap(random, sums.height, sums.width, channels, -9000, 9000);
    layer.add_channels = static_cast<uint16_t>(channels);
  }

  std::vector<int16_t> Of(const Map& sums, const bf_layer& layer) const {
    std::vector<int16_t> out;
    for (int32_t i = 0; i < static_cast<int32_t>(sums.values.size()); ++i) {
      const int32_t c = i % sums.channels;
      const int64_t v = layer.relu ? std::max(sums.values[static_cast<size_t>(i)], 0)
                                   : sums.values[static_cast<size_t>(i)];
      const bf_scale& scale = scales[static_cast<size_t>(c)];
      int64_t y = (v * scale.scale + scale.bias) >> layer.shift;
      if (has_skip) y += skip.At(0, i / sums.channels, c % skip.channels);
      out.push_back(static_cast<int16_t>(y));
    }
    return out;
  }
};

struct BinaryKernel {
  const char* name;
  bf_op* bits;
  bf_op* ints;
  std::vector<uint32_t> (*pack)(std::span<const uint32_t> rows, uint32_t channels);
};

std::vector<uint32_t> Rows(std::span<const uint32_t> rows, uint32_t) {
  return {rows.begin(), rows.end()};
}

const BinaryKernel kBinaryKernels[] = {
    {"fast", bf_conv_fast_bits, bf_conv_fast_ints, packed::PackFast},
    {"lean", bf_conv_lean_bits, bf_conv_lean_ints, packed::PackLean},
    {"rows", bf_conv_rows_bits, bf_conv_rows_ints, Rows},
};

// One binary layer of random signs.
struct Binary {
  Map in;
  Window window;
  std::vector<Map> weights;
  std::vector<uint32_t> rows;  // the weights, [channels][words]
  Map sums;
  int32_t bits;    // K
  size_t scratch;  // words

  Binary(Random& random, Map input, const Window& w, int32_t channels)
      : in(std::move(input)), window(w), sums(0, 0, 0), bits(w.height * w.width * in.channels) {
    for (int32_t c = 0; c < channels; ++c) {
      weights.push_back(RandomSigns(random, window.height, window.width, in.channels));
      const auto row = Pack(weights.back());
      rows.insert(rows.end(), row.begin(), row.end());
    }
    sums = Convolve(in, window, weights, std::vector<int32_t>(static_cast<size_t>(in.channels), 1));
    scratch = (rows.size() / static_cast<size_t>(channels) + 2) / 3 * 3;
  }

  void CheckBits(Random& random, const BinaryKernel& kernel) const {
    // Around what the sums are, with ties; and the two thresholds that make a constant.
    std::vector<int32_t> thresholds;
    for (int32_t c = 0; c < sums.channels; ++c) {
      const int32_t differing = (bits - sums.At(0, 0, c)) / 2;
      const int32_t choices[] = {differing, differing - 1, Between(random, 0, bits), -1 - c,
                                 bits + c};
      thresholds.push_back(choices[Between(random, 0, 4)]);
    }
    Map want = sums;
    for (int32_t i = 0; i < static_cast<int32_t>(want.values.size()); ++i) {
      int32_t& value = want.values[static_cast<size_t>(i)];
      const int32_t threshold = thresholds[static_cast<size_t>(i % sums.channels)];
      value = (bits - value) / 2 > threshold ? -1 : 1;
    }
    const auto packed = kernel.pack(rows, static_cast<uint32_t>(sums.channels));
    const auto levels = packed::PackThresholds(thresholds, static_cast<uint32_t>(bits));
    bf_layer layer = Layer(kernel.bits, packed);
    if (kernel.bits == bf_conv_rows_bits) {
      layer.levels = thresholds.data();
    } else {
      layer.levels = levels.data();
    }
    const auto expected = Pack(want);
    EXPECT_EQ(expected,
              RunLayer<uint32_t>(layer, Pack(in).data(), nullptr, expected.size(), scratch));
  }

  void CheckInts(Random& random, const BinaryKernel& kernel) const {
    const auto packed = kernel.pack(rows, static_cast<uint32_t>(sums.channels));
    bf_layer layer = Layer(kernel.ints, packed);
    const Integers integers(random, sums, layer);
    const auto skip = As<int16_t>(integers.skip);
    EXPECT_EQ(integers.Of(sums, layer),
              RunLayer<int16_t>(layer, Pack(in).data(), integers.has_skip ? skip.data() : nullptr,
                                sums.values.size(), scratch));
  }

  bf_layer Layer(bf_op* op, const std::vector<uint32_t>& packed) const {
    bf_layer layer = LayerOf(in, sums, window);
    layer.op = op;
    layer.weights = packed.data();
    layer.bits = static_cast<uint32_t>(bits);
    layer.planes = static_cast<uint8_t>(packed::Planes(layer.bits));
    return layer;
  }

  std::string Describe(const BinaryKernel& kernel) const {
    return std::string(kernel.name) + " " + std::to_string(in.height) + "x" +
           std::to_string(in.width) + "x" + std::to_string(in.channels) + " -> " +
           std::to_string(sums.channels) + ", kernel " + std::to_string(window.height) +
           ", stride " + std::to_string(window.stride);
  }
};

void Check(Random& random, const Binary& binary) {
  for (const BinaryKernel& kernel : kBinaryKernels) {
    SCOPED_TRACE(binary.Describe(kernel));
    binary.CheckBits(random, kernel);
    binary.CheckInts(random, kernel);
  }
}

TEST(Runtime, ConvolvesBitsOfAnyShapeByEveryKernel) {
  Random random(1);
  for (int round = 0; round < kRounds; ++round) {
    const int32_t kernel = Between(random, 0, 2) == 0 ? 1 : 3;
    const Window window = {kernel, kernel, Between(random, 1, 2), kernel / 2};
    Map in = RandomSigns(random, Between(random, 1, 7), Between(random, 1, 7), AnyChannels(random));
    Check(random, Binary(random, std::move(in), window, AnyChannels(random)));
  }
}

TEST(Runtime, AppliesADenseLayerToAWholeMap) {
  Random random(2);
  for (int round = 0; round < kRounds / 4; ++round) {
    Map in = RandomSigns(random, Between(random, 1, 7), Between(random, 1, 7), AnyChannels(random));
    const Window window = {in.height, in.width, 1, 0};
    Check(random, Binary(random, std::move(in), window, AnyChannels(random)));
  }
}

TEST(Runtime, CountsUpToTheLastOfItsPlanes) {
  Random random(3);
  for (const int32_t channels : {63, 64, 127, 1023, 8192, 65535}) {
    for (const int32_t sign : {-1, 1}) {
      Map in(1, 1, channels);
      std::ranges::fill(in.values, sign);
      Binary binary(random, std::move(in), Window{}, 33);
      std::fill_n(binary.rows.begin(), binary.rows.size() / 33, 0U);  // channel 0: all +1
      binary.sums.values[0] = sign * channels;
      Check(random, binary);
    }
  }
}

TEST(Runtime, ConvolvesTheImageByTheStem) {
  Random random(4);
  for (int round = 0; round < kRounds; ++round) {
    const int32_t kernel = 2 * Between(random, 0, 3) + 1;
    const Window window = {kernel, kernel, Between(random, 1, 4), kernel / 2};
    const int32_t colours = Between(random, 0, 1) == 0 ? 1 : 3;
    const Map image =
        RandomMap(random, Between(random, 1, 9), Between(random, 1, 9), colours, 0, 255);
    const std::vector<uint8_t> mean = {7, 100, 255};
    std::vector<Map> weights;
    std::vector<int8_t> flat;
    const auto channels = static_cast<uint32_t>(Between(random, 1, 70));
    for (uint32_t c = 0; c < channels; ++c) {
      weights.push_back(RandomMap(random, kernel, kernel, colours, -128, 127));
      for (const int32_t value : weights.back().values) flat.push_back(static_cast<int8_t>(value));
    }
    Map centred = image;
    for (size_t i = 0; i < centred.values.size(); ++i) {
      centred.values[i] -= mean[i % static_cast<size_t>(colours)];
    }
    const Map sums = Convolve(centred, window, weights, {0, 0, 0});
    const auto packed = packed::PackStem(flat, channels);
    const std::span<const uint8_t> means(mean.data(), static_cast<size_t>(colours));
    const size_t scratch = (static_cast<size_t>(kernel * kernel * colours) + 3) / 4 * 2;

    bf_layer layer = LayerOf(image, sums, window);
    std::ranges::copy(mean, layer.mean);
    layer.weights = packed.data();

    std::vector<int32_t> thresholds;
    for (int32_t c = 0; c < sums.channels; ++c) {
      const int32_t choices[] = {sums.At(0, 0, c), sums.At(0, 0, c) + 1, INT32_MIN, INT32_MAX};
      thresholds.push_back(choices[Between(random, 0, 3)]);
    }
    Map signs = sums;
    for (size_t i = 0; i < signs.values.size(); ++i) {
      signs.values[i] = signs.values[i] < thresholds[i % channels] ? -1 : 1;
    }
    const auto bit_levels = packed::StemLevels(flat, channels, means, thresholds);
    layer.op = bf_stem_bits;
    layer.levels = bit_levels.data();
    const auto expected = Pack(signs);
    EXPECT_EQ(expected, RunLayer<uint32_t>(layer, As<uint8_t>(image).data(), nullptr,
                                           expected.size(), scratch));

    const auto levels = packed::StemLevels(flat, channels, means, {});
    layer.op = bf_stem_ints;
    layer.levels = levels.data();
    const Integers integers(random, sums, layer);
    const auto skip = As<int16_t>(integers.skip);
    EXPECT_EQ(integers.Of(sums, layer), RunLayer<int16_t>(layer, As<uint8_t>(image).data(),
                                                          integers.has_skip ? skip.data() : nullptr,
                                                          sums.values.size(), scratch));
  }
}

TEST(Runtime, BinarizesByThresholdsOfChannels) {
  Random random(5);
  for (const int32_t channels : kStraddling) {
    const int32_t ends[] = {-32768, -32767, -1, 0, 1, 32767, 32768};  // 32768 of thresholds alone
    Map in = RandomMap(random, 3, 2, channels, 0, 5);
    for (int32_t& value : in.values) value = ends[value];
    auto thresholds = As<int32_t>(RandomMap(random, 1, 1, channels, 0, 6));
    for (int32_t& threshold : thresholds) threshold = ends[threshold];
    Map want = in;
    for (size_t i = 0; i < want.values.size(); ++i) {
      want.values[i] = in.values[i] < thresholds[i % static_cast<size_t>(channels)] ? -1 : 1;
    }
    bf_layer layer = LayerOf(in, want, Window{});
    layer.op = bf_binarize;
    layer.levels = thresholds.data();
    const auto expected = Pack(want);
    EXPECT_EQ(expected,
              RunLayer<uint32_t>(layer, As<int16_t>(in).data(), nullptr, expected.size(), 0));
  }
}

TEST(Runtime, PoolsTheLargestAndTheMean) {
  Random random(6);
  for (int round = 0; round < kRounds; ++round) {
    const int32_t kernel = Between(random, 2, 4);
    const Window window = {kernel, kernel, Between(random, 1, 4), 0};
    const int32_t height = Between(random, kernel, 9), width = Between(random, kernel, 9);
    const Map signs = RandomSigns(random, height, width, AnyChannels(random));
    const Map ints = RandomMap(random, height, width, AnyChannels(random), -32768, 32767);
    const auto shift = static_cast<uint8_t>(Between(random, 4, 8));
    for (const Map* in : {&signs, &ints}) {
      Map most(window.Rows(*in), window.Columns(*in), in->channels);
      std::ranges::fill(most.values, INT16_MIN);
      Map mean(most.height, most.width, in->channels);
      ForEachTap(*in, window, [&](int32_t y, int32_t x, int32_t in_y, int32_t in_x, int32_t) {
        for (int32_t c = 0; c < in->channels; ++c) {
          most.At(y, x, c) = std::max(most.At(y, x, c), in->At(in_y, in_x, c));
          mean.At(y, x, c) += in->At(in_y, in_x, c);
        }
      });
      for (int32_t& value : mean.values) value = (value + (1 << shift >> 1)) >> shift;
      bf_layer layer = LayerOf(*in, most, window);
      layer.op = in == &signs ? bf_max_pool_bits : bf_max_pool_ints;
      const auto words = Pack(*in);
      const auto shorts = As<int16_t>(*in);
      const void* data = in == &signs ? static_cast<const void*>(words.data()) : shorts.data();
      if (in == &signs) {
        const auto expected = Pack(most);
        EXPECT_EQ(expected, RunLayer<uint32_t>(layer, data, nullptr, expected.size(), 0));
      } else {
        EXPECT_EQ(As<int16_t>(most),
                  RunLayer<int16_t>(layer, data, nullptr, most.values.size(), 0));
      }
      layer.op = in == &signs ? bf_average_pool_bits : bf_average_pool_ints;
      layer.shift = shift;
      EXPECT_EQ(As<int16_t>(mean), RunLayer<int16_t>(layer, data, nullptr, mean.values.size(), 0));
    }
  }
}

TEST(Runtime, SumsChannelsOverTheMapAndMakesLogitsOfThem) {
  Random random(7);
  for (const int32_t channels : kStraddling) {
    const Map signs = RandomSigns(random, 5, 3, channels);
    const Map ints = RandomMap(random, 5, 3, channels, -32768, 32767);
    for (const Map* in : {&signs, &ints}) {
      Map sums(1, 1, channels);
      for (size_t i = 0; i < in->values.size(); ++i) {
        sums.values[i % static_cast<size_t>(channels)] += in->values[i];
      }
      for (int32_t& value : sums.values) value = (value + 1) >> 1;
      bf_layer layer = LayerOf(*in, sums, Window{});
      layer.op = in == &signs ? bf_global_sum_bits : bf_global_sum_ints;
      layer.shift = 1;
      const auto words = Pack(*in);
      const auto shorts = As<int16_t>(*in);
      const void* data = in == &signs ? static_cast<const void*>(words.data()) : shorts.data();
      EXPECT_EQ(sums.values, RunLayer<int32_t>(layer, data, nullptr, sums.values.size(), 0));

      const Map weights = RandomMap(random, 1, 10, channels, -128, 127);
      const auto biases = RandomMap(random, 1, 1, 10, -1000, 1000).values;
      Map logits(1, 1, 10);
      for (int32_t i = 0; i < 10; ++i) {
        logits.At(0, 0, i) = biases[static_cast<size_t>(i)];
        for (int32_t c = 0; c < channels; ++c) {
          logits.At(0, 0, i) += weights.At(0, i, c) * sums.At(0, 0, c);
        }
      }
      bf_layer dense = LayerOf(sums, logits, Window{});
      const auto flat = As<int8_t>(weights);
      dense.op = bf_dense;
      dense.weights = flat.data();
      dense.levels = biases.data();
      EXPECT_EQ(logits.values, RunLayer<int32_t>(dense, sums.values.data(), nullptr, 10, 0));
    }
  }
}

TEST(Runtime, LetsASumLandOnItsOwnSkip) {
  Random random(8);
  const Binary binary(random, RandomSigns(random, 4, 4, 40), Window{3, 3, 1, 1}, 70);
  const auto packed = packed::PackFast(binary.rows, 70);
  bf_layer layer = binary.Layer(bf_conv_fast_ints, packed);
  std::vector<bf_scale> scales(70, bf_scale{3, 1});
  layer.scales = scales.data();
  layer.add_channels = 70;
  std::vector<int16_t> map = As<int16_t>(RandomMap(random, 4, 4, 70, -9000, 9000));
  std::vector<int16_t> expected;
  for (size_t i = 0; i < map.size(); ++i) {
    expected.push_back(static_cast<int16_t>(3 * binary.sums.values[i] + 1 + map[i]));
  }
  std::vector<uint32_t> scratch(binary.scratch);
  layer.op(&layer, Pack(binary.in).data(), map.data(), map.data(), scratch.data());
  EXPECT_EQ(expected, map);
}

TEST(Runtime, WalksThroughTheArenaAndNamesTheFirstOfTheBestClasses) {
  const int32_t levels[] = {0, 0, 0};
  const int8_t weights[] = {1, 0, 0, 1, 1, 0};
  bf_layer sum = {};
  sum.op = bf_global_sum_ints;
  sum.in = 8;
  sum.out = 16;
  sum.add = BF_NONE;
  sum.in_height = sum.in_width = 1;
  sum.in_channels = 2;
  bf_layer dense = {};
  dense.op = bf_dense;
  dense.in = 16;
  dense.out = dense.add = BF_NONE;
  dense.in_channels = 2;
  dense.out_channels = 3;
  dense.weights = weights;
  dense.levels = levels;
  const bf_layer layers[] = {sum, dense};
  bf_model model = {};
  model.layers = layers;
  model.layer_count = 2;
  model.arena_bytes = model.scratch = 24;

  uint32_t arena[6] = {0, 0, 5U | 9U << 16, 0, 0, 0};
  int32_t logits[3] = {};
  bf_run(&model, nullptr, arena, logits);
  EXPECT_EQ((std::vector<int32_t>{5, 9, 5}), std::vector<int32_t>(logits, logits + 3));
  EXPECT_EQ(1U, bf_winner(logits, 3));
  logits[0] = 9;
  EXPECT_EQ(0U, bf_winner(logits, 3));
}

}  // namespace
}  // namespace bitfoundry::mcu
