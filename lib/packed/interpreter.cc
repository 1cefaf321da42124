#include "packed/interpreter.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "packed/crc32.h"

// Without it, popcount is a table look-up on a CPU that has an instruction for it. Sanitizers and
// the run-time choice of a clone do not go together.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define BF_HOT __attribute__((target_clones("avx2", "default")))
#else
#define BF_HOT
#endif

namespace bitfoundry::packed {
namespace {

static_assert(std::endian::native == std::endian::little, "words are hashed as they lie in memory");

// Where a convolution's window lies: the taps of output pixel (y, x) that are inside the image.
template <typename Visit>
void ForEachTap(const Shape& in, uint32_t kernel, uint32_t stride, uint32_t y, uint32_t x,
                Visit visit) {
  const int64_t top = int64_t{y} * stride - kernel / 2;
  const int64_t left = int64_t{x} * stride - kernel / 2;
  for (uint32_t ky = 0; ky < kernel; ++ky) {
    const int64_t row = top + ky;
    if (row < 0 || row >= in.height) continue;
    for (uint32_t kx = 0; kx < kernel; ++kx) {
      const int64_t column = left + kx;
      if (column < 0 || column >= in.width) continue;
      visit(ky * kernel + kx, static_cast<size_t>(row * in.width + column));
    }
  }
}

// The output words of one pixel: bit o is 1 where patch and weights row o differ in more than
// thresholds[o] bits.
//
//   patch    [row_words]
//   weights  [channels][row_words]
BF_HOT void Threshold(const uint64_t* patch, const uint64_t* weights, size_t row_words,
                      const std::vector<int32_t>& thresholds, uint32_t* out) {
  for (size_t o = 0; o < thresholds.size(); ++o, weights += row_words) {
    int32_t differing = 0;
    for (size_t w = 0; w < row_words; ++w) differing += std::popcount(patch[w] ^ weights[w]);
    const auto bit = static_cast<uint32_t>(differing > thresholds[o]);
    out[o / kWordBits] |= bit << (o % kWordBits);
  }
}

// The output word of one pixel for 32 channels of the stem.
//
//   patch       [taps]
//   weights     [taps][32]
//   thresholds  [32]
BF_HOT uint32_t StemWord(const std::vector<int32_t>& patch, const int16_t* weights,
                         const int32_t* thresholds) {
  int32_t sums[kWordBits] = {};
  for (const int32_t value : patch) {
    for (size_t o = 0; o < kWordBits; ++o) sums[o] += value * weights[o];
    weights += kWordBits;
  }
  uint32_t word = 0;
  for (size_t o = 0; o < kWordBits; ++o) {
    word |= static_cast<uint32_t>(sums[o] < thresholds[o]) << o;
  }
  return word;
}

}  // namespace

struct Interpreter::State {
  // An operation, ready to run. Only the weights of its own kind are filled in.
  struct Step {
    Op op;
    Layer layer;
    size_t row_words = 0;          // 64-bit words of one binary filter
    std::vector<uint64_t> binary;  // [channels][row_words], 0 past the filter's end
    std::vector<int16_t> stem;     // [channels / 32][taps][32]
    std::vector<uint32_t> out;     // words, or integers in two's complement
  };

  Shape input;
  int32_t mean = 0;
  std::vector<Step> steps;
  std::vector<uint64_t> patch;      // of the binary convolution at hand
  std::vector<int32_t> stem_patch;  // of the stem
  std::vector<int32_t> logits;

  void Prepare(Step& step);
  void RunStep(const Stem& op, Step& step, std::span<const uint8_t> image);
  void RunStep(const BinaryConv& op, Step& step, const Step& before);
  void RunStep(const MaxPool& op, Step& step, const Step& before);
  void RunStep(const GlobalSum& op, Step& step, const Step& before);
  void RunStep(const Dense& op, Step& step, const Step& before);
};

void Interpreter::State::Prepare(Step& step) {
  step.out.resize((step.layer.out_bytes + 3) / 4);
  if (const auto* conv = std::get_if<BinaryConv>(&step.op)) {
    const size_t words = conv->weights.size() / conv->channels;
    step.row_words = (words + 1) / 2;
    step.binary.resize(step.row_words * conv->channels);
    for (size_t o = 0; o < conv->channels; ++o) {
      std::memcpy(&step.binary[o * step.row_words], &conv->weights[o * words], words * 4);
    }
    patch.resize(std::max(patch.size(), step.row_words));
  }
  if (const auto* conv = std::get_if<Stem>(&step.op)) {
    const size_t taps = conv->weights.size() / conv->channels;
    step.stem.resize(conv->weights.size());
    for (size_t o = 0; o < conv->channels; ++o) {
      for (size_t t = 0; t < taps; ++t) {
        step.stem[(o / kWordBits * taps + t) * kWordBits + o % kWordBits] =
            conv->weights[o * taps + t];
      }
    }
    stem_patch.resize(taps);
  }
}

void Interpreter::State::RunStep(const Stem& op, Step& step, std::span<const uint8_t> image) {
  const Layer& layer = step.layer;
  const size_t channels = layer.in.channels;
  uint32_t* out = step.out.data();
  for (uint32_t y = 0; y < layer.out.height; ++y) {
    for (uint32_t x = 0; x < layer.out.width; ++x) {
      std::fill(stem_patch.begin(), stem_patch.end(), 0);
      ForEachTap(layer.in, op.kernel, op.stride, y, x, [&](size_t tap, size_t pixel) {
        for (size_t c = 0; c < channels; ++c) {
          stem_patch[tap * channels + c] = image[pixel * channels + c] - mean;
        }
      });
      for (size_t first = 0; first < op.channels; first += kWordBits) {
        *out++ = StemWord(stem_patch, &step.stem[first * stem_patch.size()], &op.thresholds[first]);
      }
    }
  }
}

void Interpreter::State::RunStep(const BinaryConv& op, Step& step, const Step& before) {
  const Layer& layer = step.layer;
  const size_t words = layer.in.channels / kWordBits;
  uint32_t* out = step.out.data();
  for (uint32_t y = 0; y < layer.out.height; ++y) {
    for (uint32_t x = 0; x < layer.out.width; ++x, out += layer.out.channels / kWordBits) {
      std::fill(patch.begin(), patch.end(), 0);  // bit 0 is +1: the padding
      auto* const bytes = reinterpret_cast<uint8_t*>(patch.data());
      ForEachTap(layer.in, op.kernel, op.stride, y, x, [&](size_t tap, size_t pixel) {
        std::memcpy(bytes + tap * words * 4, &before.out[pixel * words], words * 4);
      });
      std::fill_n(out, layer.out.channels / kWordBits, 0);
      Threshold(patch.data(), step.binary.data(), step.row_words, op.thresholds, out);
    }
  }
}

void Interpreter::State::RunStep(const MaxPool&, Step& step, const Step& before) {
  const Layer& layer = step.layer;
  const size_t words = layer.in.channels / kWordBits;
  const size_t row = layer.in.width * words;
  uint32_t* out = step.out.data();
  for (size_t y = 0; y < layer.out.height; ++y) {
    for (size_t x = 0; x < layer.out.width; ++x) {
      const uint32_t* in = &before.out[2 * y * row + 2 * x * words];
      for (size_t w = 0; w < words; ++w) {
        *out++ = in[w] & in[words + w] & in[row + w] & in[row + words + w];
      }
    }
  }
}

void Interpreter::State::RunStep(const GlobalSum&, Step& step, const Step& before) {
  const Layer& layer = step.layer;
  const size_t words = layer.in.channels / kWordBits;
  const uint32_t pixels = layer.in.height * layer.in.width;
  std::fill(step.out.begin(), step.out.end(), pixels);
  for (size_t i = 0; i < before.out.size(); ++i) {
    uint32_t* const sums = &step.out[i % words * kWordBits];
    for (size_t bit = 0; bit < kWordBits; ++bit) sums[bit] -= 2 * (before.out[i] >> bit & 1);
  }
}

void Interpreter::State::RunStep(const Dense& op, Step& step, const Step& before) {
  const size_t channels = step.layer.in.channels;
  for (size_t k = 0; k < op.classes; ++k) {
    int64_t logit = op.biases[k];
    for (size_t c = 0; c < channels; ++c) {
      logit += int64_t{op.weights[k * channels + c]} * static_cast<int32_t>(before.out[c]);
    }
    logits[k] = static_cast<int32_t>(logit);
    step.out[k] = static_cast<uint32_t>(logits[k]);
  }
}

Interpreter::Interpreter(std::unique_ptr<State> state) : state_(std::move(state)) {}
Interpreter::Interpreter(Interpreter&&) noexcept = default;
Interpreter& Interpreter::operator=(Interpreter&&) noexcept = default;
Interpreter::~Interpreter() = default;

Result<Interpreter> Interpreter::Make(const Network& network) {
  std::vector<Layer> layers = BF_TRY(Describe(network));
  auto state = std::make_unique<State>();
  state->input = network.input;
  state->mean = network.mean;
  state->logits.resize(layers.back().out.channels);
  for (size_t i = 0; i < layers.size(); ++i) {
    State::Step step;
    step.op = network.ops[i];
    step.layer = std::move(layers[i]);
    state->Prepare(step);
    state->steps.push_back(std::move(step));
  }
  return Interpreter(std::move(state));
}

size_t Interpreter::image_bytes() const {
  const Shape& input = state_->input;
  return size_t{input.height} * input.width * input.channels;
}

size_t Interpreter::class_count() const { return state_->logits.size(); }

Result<std::span<const int32_t>> Interpreter::Run(std::span<const uint8_t> image,
                                                  std::vector<uint32_t>* checksums) {
  if (image.size() != image_bytes()) {
    return Status(Code::kInvalidArgument, "BAD_IMAGE_SIZE",
                  "an image of " + std::to_string(image.size()) + " bytes; the network takes " +
                      std::to_string(image_bytes()));
  }
  if (checksums != nullptr) checksums->clear();
  const State::Step* before = nullptr;
  for (State::Step& step : state_->steps) {
    std::visit(
        [&](const auto& op) {
          if constexpr (std::is_same_v<std::decay_t<decltype(op)>, Stem>) {
            state_->RunStep(op, step, image);
          } else {
            state_->RunStep(op, step, *before);
          }
        },
        step.op);
    if (checksums != nullptr) {
      const auto* bytes = reinterpret_cast<const uint8_t*>(step.out.data());
      checksums->push_back(Crc32({bytes, step.out.size() * 4}));
    }
    before = &step;
  }
  return std::span<const int32_t>(state_->logits);
}

size_t Winner(std::span<const int32_t> logits) {
  return static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
}

}  // namespace bitfoundry::packed
