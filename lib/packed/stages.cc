#include "packed/stages.h"

#include <algorithm>
#include <array>
#include <type_traits>
#include <variant>
#include <vector>

namespace bitfoundry::packed {
namespace {

// Of input lines that are readied at once, and of sums that are finished at once: few enough to
// stay close to the core, enough that calls do not show.
constexpr size_t kStripBytes = 16 << 10;
constexpr size_t kSumsBytes = 16 << 10;

std::vector<int32_t> PadThresholds(const std::vector<int32_t>& thresholds) {
  std::vector<int32_t> padded = thresholds;
  padded.resize(RoundUp(thresholds.size(), kFilterGroup), INT32_MIN);
  return padded;
}

// Turns sums into rows of the output.
class Finish {
 public:
  // `bits` is K of a binary operation, 0 of a stem.
  Finish(const Site& site, const Output& output, uint32_t bits)
      : k_(site.kernels),
        shape_(site.layer.out),
        skip_(site.skip),
        skip_channels_(site.skip_channels),
        out_(site.out),
        bits_out_(site.bits),
        bits_(bits),
        to_bits_(std::holds_alternative<ToBits>(output)) {
    if (to_bits_) {
      thresholds_ = PadThresholds(std::get<ToBits>(output).thresholds);
      for (size_t c = 0; bits_ != 0 && c < shape_.channels;
           ++c) {  // differing > t: -differing < -t
        thresholds_[c] = thresholds_[c] == INT32_MIN ? INT32_MAX : -thresholds_[c];
      }
      return;
    }
    ints_ = std::get<ToInts>(output);
    if (site.binarize != nullptr) thresholds_ = PadThresholds(site.binarize->thresholds);
    for (size_t c = 0; c < shape_.channels; ++c) {
      auto bias = static_cast<uint32_t>(ints_.biases[c]) + (1U << ints_.shift >> 1);
      if (bits_ != 0 && !ints_.relu) {  // v = K - 2 * differing
        const auto scale = static_cast<uint32_t>(ints_.scales[c]);
        bias += scale * bits_;
        ints_.scales[c] = static_cast<int32_t>(2 * scale);
      }
      ints_.biases[c] = static_cast<int32_t>(bias);
    }
  }

  size_t stride() const { return RoundUp(shape_.channels, kFilterGroup); }

  // Rows that are finished at once, at most, and the bytes of their sums.
  size_t rows_max() const {
    const size_t row_bytes = shape_.width * stride() * sizeof(int32_t);
    return std::clamp<size_t>(kSumsBytes / row_bytes, 1, shape_.height);
  }
  size_t sum_bytes() const { return rows_max() * shape_.width * stride() * sizeof(int32_t); }

  // visit(row, how many from there) until all `rows` of a strip are visited.
  template <typename Visit>
  void ForRows(size_t rows, Visit visit) const {
    for (size_t y = 0; y < rows; y += rows_max()) visit(y, std::min(rows_max(), rows - y));
  }

  // Finishes `rows` rows from row y on.
  void Run(const Frame& frame, const int32_t* sums, size_t y, size_t rows) const {
    const size_t pixel = y * shape_.width;
    const auto pixels = static_cast<uint32_t>(rows * shape_.width);
    if (to_bits_) {
      uint32_t* const out = At<uint32_t>(frame, out_) + pixel * Words(shape_.channels);
      k_.to_bits(sums, stride(), pixels, shape_.channels, thresholds_.data(), out);
    } else {
      const Scaling scaling = {.scales = ints_.scales.data(),
                               .biases = ints_.biases.data(),
                               .channels = shape_.channels,
                               .shift = ints_.shift,
                               .relu = ints_.relu,
                               .doubled = bits_ != 0,
                               .offset = static_cast<int32_t>(bits_),
                               .skip_channels = skip_channels_,
                               .thresholds = thresholds_.data()};
      const int16_t* const skip = At<int16_t>(frame, skip_) + pixel * skip_channels_;
      int16_t* const out = At<int16_t>(frame, out_) + pixel * shape_.channels;
      uint32_t* const bits = thresholds_.empty()
                                 ? nullptr
                                 : At<uint32_t>(frame, bits_out_) + pixel * Words(shape_.channels);
      k_.to_ints(sums, stride(), pixels, scaling, skip, out, bits);
    }
  }

 private:
  const Kernels& k_;
  Shape shape_;
  size_t skip_;
  uint32_t skip_channels_;
  size_t out_;
  size_t bits_out_;
  uint32_t bits_;  // K, or 0
  bool to_bits_;
  std::vector<int32_t> thresholds_;  // a bit is 1 where a sum, or an integer, is below
  ToInts ints_;                      // scales and biases as Scaling wants them
};

// Which input lines a strip of output rows sees: with a border of kernel / 2 on each side.
struct Strips {
  Strips(const Shape& shape, size_t out_height, uint32_t window, uint32_t step, size_t line_bytes)
      : in(shape), out_rows(out_height), kernel(window), stride(step) {
    const size_t lines_max = kStripBytes / line_bytes;
    rows = lines_max < kernel ? 1 : (lines_max - kernel) / stride + 1;
    rows = std::min<size_t>(rows, out_rows);
  }

  size_t lines(size_t out) const { return (out - 1) * stride + kernel; }
  size_t lines_max() const { return lines(rows); }

  // visit(first output row, how many)
  template <typename Visit>
  void ForEach(Visit visit) const {
    for (size_t y = 0; y < out_rows; y += rows) visit(y, std::min(rows, out_rows - y));
  }

  // Puts the lines of output rows y to y + count into `to`, whose lines have `line` values, 0 where
  // the border is. copy(input row, where its `pixel`-valued pixels go).
  template <typename Value, typename Copy>
  void CopyLines(size_t y, size_t count, size_t pixel, Value* to, Copy copy) const {
    const size_t border = kernel / 2 * pixel;
    const size_t inner = in.width * pixel;
    for (size_t i = 0; i < lines(count); ++i, to += inner + 2 * border) {
      const size_t row = y * stride + i - kernel / 2;  // huge if above the map
      if (row >= in.height) {
        std::fill_n(to, inner + 2 * border, Value{0});
        continue;
      }
      std::fill_n(to, border, Value{0});
      copy(row, to + border);
      std::fill_n(to + border + inner, border, Value{0});
    }
  }

  Shape in;
  size_t out_rows;
  uint32_t kernel;
  uint32_t stride;
  size_t rows = 1;  // of the output, in a strip
};

class StemStage : public Stage {
 public:
  StemStage(const Site& site, const Stem& op, const std::array<uint8_t, 3>& mean)
      : k_(site.kernels),
        channels_(site.layer.in.channels),
        line_((site.layer.in.width + op.kernel / 2 * 2) * channels_),
        strips_(site.layer.in, site.layer.out.height, op.kernel, op.stride,
                line_ * sizeof(int16_t)),
        width_(site.layer.out.width),
        filters_{op.kernel, (op.kernel * channels_ + 1) / 2, op.channels, nullptr},
        packed_(k_.stem_bytes(filters_)),
        finish_(site, op.output, 0) {
    k_.pack_stem(op.weights.data(), op.kernel * channels_, filters_, packed_.get());
    filters_.packed = packed_.get();
    for (size_t i = 0; i < site.layer.in.width * channels_; ++i) {
      means_.push_back(mean[i % channels_]);
    }
  }

  Scratch scratch() const override {
    // The last pair of a patch with an odd number of values is half outside of it.
    return {(strips_.lines_max() * line_ + 1) * sizeof(int16_t), 0, 0, finish_.sum_bytes()};
  }

  void Run(const Frame& frame) const override {
    auto* const lines = reinterpret_cast<int16_t*>(frame.lines.get());
    auto* const sums = reinterpret_cast<int32_t*>(frame.sums.get());
    strips_.ForEach([&](size_t first, size_t count) {
      strips_.CopyLines(first, count, channels_, lines, [&](size_t row, int16_t* to) {
        const size_t values = means_.size();
        const int16_t* const means = means_.data();
        const uint8_t* const pixels = frame.image + row * values;
        for (size_t i = 0; i < values; ++i) to[i] = static_cast<int16_t>(pixels[i] - means[i]);
      });
      Patches patches = {{}, strips_.stride * channels_ * sizeof(int16_t), width_};
      patches.line_step = strips_.stride * line_ * sizeof(int16_t);
      finish_.ForRows(count, [&](size_t y, size_t rows) {
        for (size_t r = 0; r < filters_.rows; ++r) {
          const int16_t* const line = lines + (y * strips_.stride + r) * line_;
          patches.row[r] = reinterpret_cast<const uint8_t*>(line);
        }
        patches.lines = static_cast<uint32_t>(rows);
        k_.stem(patches, filters_, sums, finish_.stride());
        finish_.Run(frame, sums, first + y, rows);
      });
    });
  }

 private:
  const Kernels& k_;
  uint32_t channels_;
  size_t line_;  // values
  Strips strips_;
  uint32_t width_;
  Filters filters_;
  Memory packed_;
  Finish finish_;
  std::vector<int16_t> means_;  // of a row of the image
};

// Three pixels side by side of few channels take fewer words when their bits are joined.
constexpr uint32_t kJoinedMax = 21;  // channels, so that three pixels fit 64 bits

// BinaryConv; and BinaryDense, as one of a single pixel that holds the whole map.
class BinaryStage : public Stage {
 public:
  BinaryStage(const Site& site, const BinaryConv& op)
      : BinaryStage(site, site.layer.in, op.kernel, op.stride, Words(site.layer.in.channels),
                    op.weights, op.output) {}

  BinaryStage(const Site& site, const BinaryDense& op)
      : BinaryStage(site, {1, 1, site.layer.in.channels}, 1, 1,
                    static_cast<uint32_t>(op.weights.size() / op.channels), op.weights, op.output) {
  }

  Scratch scratch() const override {
    const size_t pixels = strips_.lines_max() * line_;
    return {kernel_ == 1 ? 0 : pixels * pixel_words_ * 4, joined_ ? pixels * patch_step_ * 4 : 0,
            pixels * patch_step_ * 8, finish_.sum_bytes()};
  }

  void Run(const Frame& frame) const override {
    auto* const sums = reinterpret_cast<int32_t*>(frame.sums.get());
    strips_.ForEach([&](size_t first, size_t count) {
      const uint32_t* const lines = Lines(frame, first, count);
      const size_t line_words = line_ * patch_step_;
      Patches start = {};
      k_.ready_lines(lines, strips_.lines(count) * line_words, line_words, filters_.rows,
                     frame.ready.get(), start.row);
      Patches patches = {{}, strips_.stride * patch_step_ * k_.word_bytes, width_};
      patches.line_step = strips_.stride * line_words * k_.word_bytes;
      finish_.ForRows(count, [&](size_t y, size_t rows) {
        for (size_t r = 0; r < filters_.rows; ++r) {
          patches.row[r] = start.row[r] + y * patches.line_step;
        }
        patches.lines = static_cast<uint32_t>(rows);
        k_.binary(patches, filters_, sums, finish_.stride());
        finish_.Run(frame, sums, first + y, rows);
      });
    });
  }

 private:
  // `in` is the map; `pixel_words` those of one of its pixels.
  BinaryStage(const Site& site, const Shape& in, uint32_t kernel, uint32_t stride,
              uint32_t pixel_words, const std::vector<uint32_t>& weights, const Output& output)
      : k_(site.kernels),
        in_(site.in),
        in_channels_(in.channels),
        kernel_(kernel),
        pixel_words_(pixel_words),
        joined_(kernel == 3 && in_channels_ <= kJoinedMax),
        patch_step_(joined_ ? Words(3 * in_channels_) : pixel_words),
        line_(in.width + kernel / 2 * 2),
        strips_(in, site.layer.out.height, kernel, stride, line_ * patch_step_ * 4),
        width_(site.layer.out.width),
        filters_{kernel, joined_ ? patch_step_ : kernel * pixel_words, site.layer.out.channels,
                 nullptr},
        packed_(k_.filter_bytes(filters_)),
        finish_(site, output, Bits(site.layer)) {
    if (joined_) {
      std::vector<uint32_t> joined(size_t{filters_.count} * 3 * patch_step_);
      for (size_t row = 0; row < size_t{filters_.count} * 3; ++row) {
        k_.join_pixels(&weights[row * 3], 3, in_channels_, &joined[row * patch_step_]);
      }
      k_.pack_filters(joined.data(), filters_, packed_.get());
    } else {
      k_.pack_filters(weights.data(), filters_, packed_.get());
    }
    filters_.packed = packed_.get();
  }

  // K.
  static uint32_t Bits(const Layer& layer) {
    const uint64_t outputs = uint64_t{layer.out.height} * layer.out.width * layer.out.channels;
    return static_cast<uint32_t>(layer.macs_1bit / outputs);
  }

  // The lines that output rows `first` to `first + count` see.
  const uint32_t* Lines(const Frame& frame, size_t first, size_t count) const {
    const uint32_t* const map = At<uint32_t>(frame, in_);
    const size_t row_words = strips_.in.width * pixel_words_;
    if (kernel_ == 1) return map + first * strips_.stride * row_words;
    auto* const lines = reinterpret_cast<uint32_t*>(frame.lines.get());
    strips_.CopyLines(first, count, pixel_words_, lines, [&](size_t row, uint32_t* to) {
      std::copy_n(map + row * row_words, row_words, to);
    });
    if (!joined_) return lines;
    auto* const patches = reinterpret_cast<uint32_t*>(frame.patches.get());
    k_.join_pixels(lines, strips_.lines(count) * line_, in_channels_, patches);
    return patches;
  }

  const Kernels& k_;
  size_t in_;
  uint32_t in_channels_;
  uint32_t kernel_;
  uint32_t pixel_words_;  // of the map
  bool joined_;
  uint32_t patch_step_;  // words from one pixel of the readied lines to the next
  size_t line_;          // pixels
  Strips strips_;
  uint32_t width_;
  Filters filters_;
  Memory packed_;
  Finish finish_;
};

class BinarizeStage : public Stage {
 public:
  BinarizeStage(const Site& site, const Binarize& op)
      : k_(site.kernels),
        shape_(site.layer.in),
        in_(site.in),
        out_(site.out),
        thresholds_(PadThresholds(op.thresholds)) {}

  void Run(const Frame& frame) const override {
    k_.binarize(At<int16_t>(frame, in_), shape_.height * shape_.width, shape_.channels,
                thresholds_.data(), At<uint32_t>(frame, out_));
  }

 private:
  const Kernels& k_;
  Shape shape_;
  size_t in_;
  size_t out_;
  std::vector<int32_t> thresholds_;
};

// The largest of each window: of words by AND, of integers by comparison.
template <typename Value>
class MaxPoolStage : public Stage {
 public:
  MaxPoolStage(const Site& site, const MaxPool& op)
      : op_(op),
        out_shape_(site.layer.out),
        pixel_(std::is_same_v<Value, uint32_t> ? Words(site.layer.in.channels)
                                               : site.layer.in.channels),
        line_(site.layer.in.width * pixel_),
        in_(site.in),
        out_(site.out) {}

  void Run(const Frame& frame) const override {
    Value* out = At<Value>(frame, out_);
    for (size_t y = 0; y < out_shape_.height; ++y) {
      for (size_t x = 0; x < out_shape_.width; ++x, out += pixel_) {
        const Value* const in = At<Value>(frame, in_) + (y * line_ + x * pixel_) * op_.stride;
        std::copy_n(in, pixel_, out);
        for (size_t tap = 1; tap < size_t{op_.kernel} * op_.kernel; ++tap) {
          Fold(in + tap / op_.kernel * line_ + tap % op_.kernel * pixel_, out);
        }
      }
    }
  }

 private:
  void Fold(const Value* in, Value* out) const {
    for (size_t i = 0; i < pixel_; ++i) {
      if constexpr (std::is_same_v<Value, uint32_t>) {
        out[i] &= in[i];
      } else {
        out[i] = std::max(out[i], in[i]);
      }
    }
  }

  MaxPool op_;
  Shape out_shape_;
  size_t pixel_;
  size_t line_;
  size_t in_;
  size_t out_;
};

// AveragePool, to int16_t; and GlobalSum, to int32_t, of one window as large as the map.
template <typename Value>
class SumStage : public Stage {
 public:
  SumStage(const Site& site, uint32_t height, uint32_t width, uint32_t stride, uint32_t shift)
      : k_(site.kernels),
        in_shape_(site.layer.in),
        out_shape_(site.layer.out),
        bits_(site.layer.takes == Values::kBits),
        windows_{height, width, in_shape_.width, in_shape_.channels, out_shape_.width, stride},
        sums_stride_(RoundUp(in_shape_.channels, kFilterGroup)),
        stride_(stride),
        shift_(shift),
        in_(site.in),
        out_(site.out) {}

  Scratch scratch() const override {
    return {0, 0, 0, out_shape_.width * sums_stride_ * sizeof(int32_t)};
  }

  void Run(const Frame& frame) const override {
    Value* out = At<Value>(frame, out_);
    const uint32_t shift = shift_;  // and not through `this`, which the compiler thinks may change
    const int32_t half = 1 << shift >> 1;
    const size_t channels = in_shape_.channels;
    for (size_t y = 0; y < out_shape_.height; ++y) {
      const size_t pixel = y * stride_ * in_shape_.width;
      auto* sums = reinterpret_cast<int32_t*>(frame.sums.get());
      if (bits_) {
        k_.sum_bits(At<uint32_t>(frame, in_) + pixel * Words(in_shape_.channels), windows_, sums);
      } else {
        k_.sum_ints(At<int16_t>(frame, in_) + pixel * channels, windows_, sums);
      }
      for (size_t x = 0; x < out_shape_.width; ++x, out += channels, sums += sums_stride_) {
        for (size_t c = 0; c < channels; ++c) {
          out[c] = static_cast<Value>((sums[c] + half) >> shift);
        }
      }
    }
  }

 private:
  const Kernels& k_;
  Shape in_shape_;
  Shape out_shape_;
  bool bits_;
  Windows windows_;  // of a row of the output
  size_t sums_stride_;
  uint32_t stride_;
  uint32_t shift_;
  size_t in_;
  size_t out_;
};

class DenseStage : public Stage {
 public:
  DenseStage(const Site& site, const Dense& op) : op_(op), in_(site.in), out_(site.out) {}

  void Run(const Frame& frame) const override {
    const int32_t* const sums = At<int32_t>(frame, in_);
    int32_t* const logits = At<int32_t>(frame, out_);
    const size_t channels = op_.weights.size() / op_.classes;
    for (size_t k = 0; k < op_.classes; ++k) {
      const int8_t* const weights = &op_.weights[k * channels];
      int32_t logit = op_.biases[k];
      for (size_t c = 0; c < channels; ++c) logit += weights[c] * sums[c];
      logits[k] = logit;
    }
  }

 private:
  Dense op_;
  size_t in_;
  size_t out_;
};

}  // namespace

std::unique_ptr<Stage> MakeStage(const Site& site, const Op& op, const Network& network) {
  const Shape& in = site.layer.in;
  return std::visit(
      [&](const auto& kind) -> std::unique_ptr<Stage> {
        using K = std::decay_t<decltype(kind)>;
        if constexpr (std::is_same_v<K, Stem>) {
          return std::make_unique<StemStage>(site, kind, network.mean);
        } else if constexpr (std::is_same_v<K, Binarize>) {
          return std::make_unique<BinarizeStage>(site, kind);
        } else if constexpr (std::is_same_v<K, MaxPool>) {
          if (site.layer.takes == Values::kBits) {
            return std::make_unique<MaxPoolStage<uint32_t>>(site, kind);
          }
          return std::make_unique<MaxPoolStage<int16_t>>(site, kind);
        } else if constexpr (std::is_same_v<K, AveragePool>) {
          return std::make_unique<SumStage<int16_t>>(site, kind.kernel, kind.kernel, kind.stride,
                                                     kind.shift);
        } else if constexpr (std::is_same_v<K, GlobalSum>) {
          return std::make_unique<SumStage<int32_t>>(site, in.height, in.width, 1, kind.shift);
        } else if constexpr (std::is_same_v<K, Dense>) {
          return std::make_unique<DenseStage>(site, kind);
        } else {
          return std::make_unique<BinaryStage>(site, kind);
        }
      },
      op.kind);
}

}  // namespace bitfoundry::packed
