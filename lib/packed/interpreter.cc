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

static_assert(std::endian::native == std::endian::little, "values are hashed as they lie");

// What a tensor holds; one of the vectors is in use.
struct Tensor {
  Shape shape;
  std::vector<uint32_t> bits;  // [height][width][Words(channels)]
  std::vector<int16_t> ints;   // [height][width][channels]
  std::vector<int32_t> sums;   // [channels]

  size_t words() const { return Words(shape.channels); }
  bool has_bits() const { return !bits.empty(); }

  // Bits as -1 and +1.
  int32_t At(size_t pixel, size_t channel) const {
    if (!has_bits()) return ints[pixel * shape.channels + channel];
    const uint32_t word = bits[pixel * words() + channel / kWordBits];
    return (word >> (channel % kWordBits) & 1) != 0 ? -1 : 1;
  }
};

// The taps of output pixel (y, x) that are inside the map: visit(tap, pixel). `pad` is how far the
// window of the first output lies outside.
template <typename Visit>
void ForEachTap(const Shape& in, uint32_t kernel, uint32_t stride, uint32_t pad, uint32_t y,
                uint32_t x, Visit visit) {
  for (uint32_t ky = 0; ky < kernel; ++ky) {
    const int64_t row = int64_t{y} * stride + ky - pad;
    if (row < 0 || row >= in.height) continue;
    for (uint32_t kx = 0; kx < kernel; ++kx) {
      const int64_t column = int64_t{x} * stride + kx - pad;
      if (column < 0 || column >= in.width) continue;
      visit(ky * kernel + kx, static_cast<size_t>(row * in.width + column));
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

BF_HOT int32_t Differing(const uint32_t* a, const uint32_t* b, size_t words) {
  int32_t differing = 0;
  for (size_t w = 0; w < words; ++w) differing += std::popcount(a[w] ^ b[w]);
  return differing;
}

// sums[o] = patch . weights[o], for `sums.size()` channels.
BF_HOT void StemSums(std::span<const int32_t> patch, const int8_t* weights,
                     std::span<int32_t> sums) {
  for (int32_t& sum : sums) {
    sum = 0;
    for (const int32_t value : patch) sum += value * *weights++;
  }
}

}  // namespace

struct Interpreter::State {
  Network network;
  std::vector<Layer> layers;
  std::vector<Tensor> tensors;  // as the network numbers them; 0 stays empty
  std::span<const uint8_t> image;
  std::vector<uint32_t> patch;      // of the binary operation at hand
  std::vector<int32_t> stem_patch;  // of the stem at hand
  std::vector<int32_t> values;      // sums of one pixel, [channels]

  const Tensor& In(const Op& op) const { return tensors[op.input]; }

  void Run(const Stem& op, const Tensor& in, Tensor& out);
  void Run(const BinaryConv& op, const Tensor& in, Tensor& out);
  void Run(const BinaryDense& op, const Tensor& in, Tensor& out);
  void Run(const Binarize& op, const Tensor& in, Tensor& out);
  void Run(const MaxPool& op, const Tensor& in, Tensor& out);
  void Run(const AveragePool& op, const Tensor& in, Tensor& out);
  void Run(const GlobalSum& op, const Tensor& in, Tensor& out);
  void Run(const Dense& op, const Tensor& in, Tensor& out);

  void Dot(const std::vector<uint32_t>& weights, uint32_t count);
  void Finish(const Output& output, int32_t count, size_t pixel, Tensor& out) const;
};

// values[o] = the dot product of `patch` and filter o, of `count` bits each.
void Interpreter::State::Dot(const std::vector<uint32_t>& weights, uint32_t count) {
  const uint32_t* filter = weights.data();
  for (int32_t& value : values) {
    value = static_cast<int32_t>(count) - 2 * Differing(patch.data(), filter, patch.size());
    filter += patch.size();
  }
}

// Turns `values` into one pixel of the output. `count` is K of a binary operation, 0 of a stem.
void Interpreter::State::Finish(const Output& output, int32_t count, size_t pixel,
                                Tensor& out) const {
  if (const auto* to_bits = std::get_if<ToBits>(&output)) {
    uint32_t* const words = &out.bits[pixel * out.words()];
    std::fill_n(words, out.words(), 0);
    for (size_t c = 0; c < values.size(); ++c) {
      const int32_t threshold = to_bits->thresholds[c];
      const bool bit = count == 0 ? values[c] < threshold : (count - values[c]) / 2 > threshold;
      words[c / kWordBits] |= uint32_t{bit} << (c % kWordBits);
    }
    return;
  }
  const ToInts& to_ints = std::get<ToInts>(output);
  const Tensor& skip = tensors[to_ints.add];
  for (size_t c = 0; c < values.size(); ++c) {
    const int64_t v = to_ints.relu ? std::max(values[c], 0) : values[c];
    int64_t y = RoundShift(v * to_ints.scales[c] + to_ints.biases[c], to_ints.shift);
    if (to_ints.add != 0) y += skip.At(pixel, c % skip.shape.channels);
    out.ints[pixel * values.size() + c] = static_cast<int16_t>(y);
  }
}

void Interpreter::State::Run(const Stem& op, const Tensor&, Tensor& out) {
  const size_t channels = network.input.channels;
  stem_patch.resize(size_t{op.kernel} * op.kernel * channels);
  values.resize(op.channels);
  ForEachPixel(out.shape, [&](size_t pixel, uint32_t y, uint32_t x) {
    std::ranges::fill(stem_patch, 0);
    ForEachTap(network.input, op.kernel, op.stride, op.kernel / 2, y, x,
               [&](size_t tap, size_t from) {
                 for (size_t c = 0; c < channels; ++c) {
                   stem_patch[tap * channels + c] = image[from * channels + c] - network.mean[c];
                 }
               });
    StemSums(stem_patch, op.weights.data(), values);
    Finish(op.output, 0, pixel, out);
  });
}

void Interpreter::State::Run(const BinaryConv& op, const Tensor& in, Tensor& out) {
  patch.resize(size_t{op.kernel} * op.kernel * in.words());
  values.resize(op.channels);
  const uint32_t count = op.kernel * op.kernel * in.shape.channels;
  ForEachPixel(out.shape, [&](size_t pixel, uint32_t y, uint32_t x) {
    std::ranges::fill(patch, 0);  // bit 0 is +1: the padding
    ForEachTap(in.shape, op.kernel, op.stride, op.kernel / 2, y, x, [&](size_t tap, size_t from) {
      std::copy_n(&in.bits[from * in.words()], in.words(), &patch[tap * in.words()]);
    });
    Dot(op.weights, count);
    Finish(op.output, static_cast<int32_t>(count), pixel, out);
  });
}

void Interpreter::State::Run(const BinaryDense& op, const Tensor& in, Tensor& out) {
  patch = in.bits;
  values.resize(op.channels);
  const uint32_t count = in.shape.height * in.shape.width * in.shape.channels;
  Dot(op.weights, count);
  Finish(op.output, static_cast<int32_t>(count), 0, out);
}

void Interpreter::State::Run(const Binarize& op, const Tensor& in, Tensor& out) {
  std::ranges::fill(out.bits, 0);
  ForEachPixel(out.shape, [&](size_t pixel, uint32_t, uint32_t) {
    for (size_t c = 0; c < op.thresholds.size(); ++c) {
      const bool bit = in.At(pixel, c) < op.thresholds[c];
      out.bits[pixel * out.words() + c / kWordBits] |= uint32_t{bit} << (c % kWordBits);
    }
  });
}

void Interpreter::State::Run(const MaxPool& op, const Tensor& in, Tensor& out) {
  ForEachPixel(out.shape, [&](size_t pixel, uint32_t y, uint32_t x) {
    if (in.has_bits()) {
      uint32_t* const words = &out.bits[pixel * out.words()];
      std::fill_n(words, out.words(), ~uint32_t{0});
      ForEachTap(in.shape, op.kernel, op.stride, 0, y, x, [&](size_t, size_t from) {
        for (size_t w = 0; w < out.words(); ++w) words[w] &= in.bits[from * out.words() + w];
      });
    } else {
      for (size_t c = 0; c < out.shape.channels; ++c) {
        int32_t largest = INT16_MIN;
        ForEachTap(in.shape, op.kernel, op.stride, 0, y, x,
                   [&](size_t, size_t from) { largest = std::max(largest, in.At(from, c)); });
        out.ints[pixel * out.shape.channels + c] = static_cast<int16_t>(largest);
      }
    }
  });
}

void Interpreter::State::Run(const AveragePool& op, const Tensor& in, Tensor& out) {
  ForEachPixel(out.shape, [&](size_t pixel, uint32_t y, uint32_t x) {
    for (size_t c = 0; c < out.shape.channels; ++c) {
      int64_t sum = 0;
      ForEachTap(in.shape, op.kernel, op.stride, 0, y, x,
                 [&](size_t, size_t from) { sum += in.At(from, c); });
      out.ints[pixel * out.shape.channels + c] = static_cast<int16_t>(RoundShift(sum, op.shift));
    }
  });
}

void Interpreter::State::Run(const GlobalSum& op, const Tensor& in, Tensor& out) {
  for (size_t c = 0; c < out.sums.size(); ++c) {
    int64_t sum = 0;
    ForEachPixel(in.shape, [&](size_t pixel, uint32_t, uint32_t) { sum += in.At(pixel, c); });
    out.sums[c] = static_cast<int32_t>(RoundShift(sum, op.shift));
  }
}

void Interpreter::State::Run(const Dense& op, const Tensor& in, Tensor& out) {
  const int8_t* weight = op.weights.data();
  for (size_t k = 0; k < op.classes; ++k) {
    int64_t logit = op.biases[k];
    for (const int32_t sum : in.sums) logit += int64_t{*weight++} * sum;
    out.sums[k] = static_cast<int32_t>(logit);
  }
}

Interpreter::Interpreter(std::unique_ptr<State> state) : state_(std::move(state)) {}
Interpreter::Interpreter(Interpreter&&) noexcept = default;
Interpreter& Interpreter::operator=(Interpreter&&) noexcept = default;
Interpreter::~Interpreter() = default;

Result<Interpreter> Interpreter::Make(const Network& network) {
  auto state = std::make_unique<State>();
  state->layers = BF_TRY(Describe(network));
  state->network = network;
  state->tensors.resize(1);
  for (const Layer& layer : state->layers) {
    Tensor& tensor = state->tensors.emplace_back();
    tensor.shape = layer.out;
    switch (layer.gives) {
      case Values::kBits:
        tensor.bits.resize(layer.out_bytes / 4);
        break;
      case Values::kInts:
        tensor.ints.resize(layer.out_bytes / 2);
        break;
      default:
        tensor.sums.resize(layer.out_bytes / 4);
    }
  }
  return Interpreter(std::move(state));
}

size_t Interpreter::image_bytes() const {
  const Shape& input = state_->network.input;
  return size_t{input.height} * input.width * input.channels;
}

size_t Interpreter::class_count() const { return state_->tensors.back().sums.size(); }

Result<std::span<const int32_t>> Interpreter::Run(std::span<const uint8_t> image,
                                                  std::vector<uint32_t>* checksums) {
  if (image.size() != image_bytes()) {
    return Status(Code::kInvalidArgument, "BAD_IMAGE_SIZE",
                  "an image of " + std::to_string(image.size()) + " bytes; the network takes " +
                      std::to_string(image_bytes()));
  }
  if (checksums != nullptr) checksums->clear();
  state_->image = image;
  for (size_t i = 0; i < state_->network.ops.size(); ++i) {
    const Op& op = state_->network.ops[i];
    Tensor& out = state_->tensors[i + 1];
    std::visit([&](const auto& kind) { state_->Run(kind, state_->In(op), out); }, op.kind);
    if (checksums == nullptr) continue;
    const void* const data = out.has_bits()     ? static_cast<const void*>(out.bits.data())
                             : out.ints.empty() ? static_cast<const void*>(out.sums.data())
                                                : static_cast<const void*>(out.ints.data());
    checksums->push_back(Crc32({static_cast<const uint8_t*>(data), state_->layers[i].out_bytes}));
  }
  return std::span<const int32_t>(state_->tensors.back().sums);
}

std::vector<int32_t> Interpreter::ValuesOf(size_t op) const {
  const Tensor& tensor = state_->tensors[op + 1];
  if (!tensor.sums.empty()) return tensor.sums;
  std::vector<int32_t> values;
  ForEachPixel(tensor.shape, [&](size_t pixel, uint32_t, uint32_t) {
    for (size_t c = 0; c < tensor.shape.channels; ++c) values.push_back(tensor.At(pixel, c));
  });
  return values;
}

}  // namespace bitfoundry::packed
