#include "packed/firmware.h"

#include <algorithm>
#include <array>
#include <cinttypes>
#include <cstdio>
#include <optional>
#include <span>
#include <variant>

#include "packed/firmware_name.h"
#include "packed/firmware_tables.h"

namespace bitfoundry::packed {

const std::vector<File>& RuntimeFiles();  // lib/mcu/*

namespace {

constexpr uint64_t kLayerBytes = 60;    // sizeof(bf_layer), with pointers of 32 bits
constexpr uint64_t kModelBytes = 24;    // sizeof(bf_model)
constexpr uint64_t kPaddingBytes = 12;  // that a linker may put between arrays, at most
constexpr uint32_t kGroup = 32;         // output channels that fast and lean do at once
constexpr uint64_t kMaxCount = 65535;   // that they count to
constexpr uint64_t kArenaAlign = 4;
constexpr uint64_t kCostAlign = 4;      // what kernels take is a multiple of it
constexpr uint64_t kMostUnits = 65536;  // of flash, when kernels are chosen

uint64_t RoundUp(uint64_t x, uint64_t multiple) { return (x + multiple - 1) / multiple * multiple; }

// ---- Binary layers, convolutions and dense ones alike

struct BinaryOp {
  const std::vector<uint32_t>& weights;
  const Output& output;
  uint32_t kernel_height;
  uint32_t kernel_width;
  uint32_t stride;
  uint32_t pad;
};

BinaryOp AsBinary(const BinaryConv& op, const Layer&) {
  return {op.weights, op.output, op.kernel, op.kernel, op.stride, op.kernel / 2};
}

BinaryOp AsBinary(const BinaryDense& op, const Layer& layer) {
  return {op.weights, op.output, layer.in.height, layer.in.width, 1, 0};
}

std::optional<BinaryOp> AsBinary(const Op& op, const Layer& layer) {
  if (const auto* conv = std::get_if<BinaryConv>(&op.kind)) return AsBinary(*conv, layer);
  if (const auto* dense = std::get_if<BinaryDense>(&op.kind)) return AsBinary(*dense, layer);
  return std::nullopt;
}

uint64_t Bits(const BinaryOp& op, const Layer& layer) {
  return uint64_t{op.kernel_height} * op.kernel_width * layer.in.channels;
}

uint64_t WindowWords(const BinaryOp& op, const Layer& layer) {
  return uint64_t{op.kernel_height} * op.kernel_width * Words(layer.in.channels);
}

// Instructions of each kernel, gcc 12.2 -O2: fitted to what was counted of some 25 layers, within
// 10 % on ARMv7-M, 15 % elsewhere, and 60 % of Helium's `rows` (tests/target/counts_test.cc); of
// layers of a few hundred instructions up to 35 % off.
struct Pace {
  // Of a pixel, and of each word of its window, which is gathered; then of each group of channels,
  // and of each word (lean) or three words (fast) of it.
  std::array<uint64_t, 4> fast, lean;
  // Of a pixel, of each word; of each channel, with four words or more, with each four, with each
  // that is left, and with an integer to give.
  std::array<uint64_t, 7> rows;
  uint64_t ints_percent;  // of what it takes an ARMv7-M to turn bit planes into numbers
};

constexpr Pace PaceOf(Isa isa) {
  switch (isa) {
    case Isa::kArmv6m:
      return {{199, 10, 65, 1051}, {168, 21, 79, 447}, {190, 11, 76, 71, 63, 25, 32}, 185};
    case Isa::kHelium:
      return {{141, 8, 48, 485}, {118, 16, 59, 251}, {230, 15, 8, 0, 4, 2, 0}, 95};
    case Isa::kRv32:
      return {{197, 10, 81, 524}, {169, 20, 78, 289}, {160, 10, 61, 69, 48, 17, 25}, 120};
    case Isa::kArmv7m:
      break;
  }
  return {{108, 5, 50, 471}, {108, 5, 77, 250}, {108, 5, 38, 38, 42, 16, 10}, 100};
}

uint64_t Instructions(Kernel kernel, const BinaryOp& op, const Layer& layer, Isa isa) {
  const Pace pace = PaceOf(isa);
  const uint64_t channels = layer.out.channels;
  const uint64_t groups = (channels + kGroup - 1) / kGroup;
  const uint64_t words = WindowWords(op, layer);
  const bool to_ints = std::holds_alternative<ToInts>(op.output);
  uint64_t pixel = 0;
  if (kernel == Kernel::kRows) {
    const auto& p = pace.rows;
    const uint64_t a_channel = p[2] + (words < 4 ? 0 : p[3] + p[4] * (words / 4)) +
                               p[5] * (words % 4) + (to_ints ? p[6] : 0);
    pixel = p[0] + p[1] * words + channels * a_channel;
  } else {
    const auto& p = kernel == Kernel::kFast ? pace.fast : pace.lean;
    const uint64_t steps = kernel == Kernel::kFast ? (words + 2) / 3 : words;
    pixel = p[0] + p[1] * words + groups * (p[2] + p[3] * steps);
    if (to_ints) pixel += (756 * groups + 13 * channels) * pace.ints_percent / 100;
  }
  return pixel * layer.out.height * layer.out.width;
}

uint64_t FlashBytes(Kernel kernel, const BinaryOp& op, const Layer& layer) {
  const uint64_t channels = layer.out.channels;
  const uint64_t groups = (channels + kGroup - 1) / kGroup;
  const uint64_t words = WindowWords(op, layer);
  const bool to_bits = std::holds_alternative<ToBits>(op.output);
  const uint64_t scales = to_bits ? 0 : 8 * channels;
  if (kernel == Kernel::kRows) return 4 * channels * words + (to_bits ? 4 * channels : scales);
  const uint64_t levels = to_bits ? 4 * groups * Planes(static_cast<uint32_t>(Bits(op, layer))) : 0;
  const uint64_t tables =
      kernel == Kernel::kFast ? 64 * 32 * ((words + 2) / 3) : 4 * kGroup * words;
  return groups * tables + levels + scales;
}

// What each kernel would cost, the smallest first.
std::vector<KernelCost> Costs(const BinaryOp& op, const Layer& layer, Isa isa) {
  std::vector<KernelCost> costs;
  for (const Kernel kernel : kKernels) {
    if (kernel != Kernel::kRows && Bits(op, layer) > kMaxCount) continue;
    costs.push_back({kernel, FlashBytes(kernel, op, layer), Instructions(kernel, op, layer, isa)});
  }
  std::ranges::stable_sort(costs, {}, &KernelCost::flash_bytes);
  return costs;
}

// ---- Choosing

// For each layer the index of its kernel (the smallest is the first), so that all of them take at
// most `room` bytes more than the smallest do and the fewest instructions that such a choice can.
// Source: the multiple-choice knapsack, by dynamic programming over its capacity; H. Kellerer, U.
// Pferschy, D. Pisinger, "Knapsack Problems" (2004), 11.5.
std::vector<size_t> Fastest(const std::vector<FirmwareLayer>& layers, uint64_t room) {
  std::vector<size_t> fastest(layers.size(), 0);
  uint64_t wanted = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto& kernels = layers[i].kernels;
    if (kernels.empty()) continue;
    const auto best = std::ranges::min_element(kernels, {}, &KernelCost::instructions);
    fastest[i] = static_cast<size_t>(best - kernels.begin());
    wanted += best->flash_bytes - kernels[0].flash_bytes;
  }
  if (wanted <= room) return fastest;

  const uint64_t unit = RoundUp(room / kMostUnits + 1, kCostAlign);  // of the capacity
  const size_t units = room / unit;
  std::vector<uint64_t> least(units + 1, 0);  // instructions, within so many units
  std::vector<std::vector<uint8_t>> chosen(layers.size(), std::vector<uint8_t>(units + 1, 0));
  for (size_t i = 0; i < layers.size(); ++i) {
    const auto& kernels = layers[i].kernels;
    if (kernels.empty()) continue;
    std::vector<uint64_t> next(units + 1, std::numeric_limits<uint64_t>::max());
    for (size_t k = 0; k < kernels.size(); ++k) {
      const size_t more = (kernels[k].flash_bytes - kernels[0].flash_bytes + unit - 1) / unit;
      for (size_t u = more; u <= units; ++u) {
        const uint64_t instructions = least[u - more] + kernels[k].instructions;
        if (instructions >= next[u]) continue;
        next[u] = instructions;
        chosen[i][u] = static_cast<uint8_t>(k);
      }
    }
    least = std::move(next);
  }
  size_t left = units;
  for (size_t i = layers.size(); i-- > 0;) {
    fastest[i] = chosen[i][left];
    if (layers[i].kernels.empty()) continue;
    left -=
        (layers[i].kernels[fastest[i]].flash_bytes - layers[i].kernels[0].flash_bytes + unit - 1) /
        unit;
  }
  return fastest;
}

// Puts each binary layer's kernel first. Layers without a choice have their bytes already.
Status ChooseKernels(std::vector<FirmwareLayer>& layers, uint64_t fixed_bytes,
                     const FirmwareOptions& options) {
  uint64_t bytes = fixed_bytes;
  for (FirmwareLayer& layer : layers) {
    if (options.kernel) {
      std::ranges::stable_partition(
          layer.kernels, [&](const KernelCost& c) { return c.kernel == *options.kernel; });
    }
    bytes += layer.kernels.empty() ? layer.flash_bytes : layer.kernels[0].flash_bytes;
  }
  if (bytes > options.flash_bytes) {
    return {Code::kFailedPrecondition, "DOES_NOT_FIT",
            "the constants take " + std::to_string(bytes) +
                " bytes of flash at the least, the budget is " +
                std::to_string(options.flash_bytes)};
  }
  if (!options.kernel) {
    const std::vector<size_t> fastest = Fastest(layers, options.flash_bytes - bytes);
    for (size_t i = 0; i < layers.size(); ++i) {
      if (fastest[i] > 0) std::swap(layers[i].kernels[0], layers[i].kernels[fastest[i]]);
    }
  }
  for (FirmwareLayer& layer : layers) {
    if (!layer.kernels.empty()) layer.flash_bytes = layer.kernels[0].flash_bytes;
  }
  return Status();
}

// ---- Text of C

std::string Upper(std::string text) {
  for (char& c : text) c = static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  return text;
}

std::string Text(const Shape& shape) {
  return std::to_string(shape.height) + "x" + std::to_string(shape.width) + "x" +
         std::to_string(shape.channels);
}

template <typename... Values>
std::string Format(const char* format, Values... values) {
  std::array<char, 512> text;
  const int length = std::snprintf(text.data(), text.size(), format, values...);
  return {text.data(), static_cast<size_t>(length)};
}

// `static const TYPE NAME[] = {...};`, rows of at most 100 columns, and that none was lost.
template <typename T, typename ToText>
void Array(std::string& c, const char* type, const std::string& name, std::span<const T> values,
           size_t a_row, const ToText& to_text) {
  c += "static const " + std::string(type) + " " + name + "[] = {";
  for (size_t i = 0; i < values.size(); ++i) {
    c += (i % a_row == 0 ? "\n    " : " ") + to_text(values[i]) + ",";
  }
  c += "\n};\n" + Format("BF_ASSERT(%s, sizeof %s == %zu * sizeof %s[0]);\n", name.c_str(),
                         name.c_str(), values.size(), name.c_str());
}

void Words(std::string& c, const std::string& name, std::span<const uint32_t> words) {
  Array(c, "uint32_t", name, words, 8, [](uint32_t w) { return Format("0x%08" PRIx32, w); });
}

// INT32_MIN has no literal of its own.
std::string Text(int32_t x) {
  return x == std::numeric_limits<int32_t>::min() ? "-2147483647 - 1" : std::to_string(x);
}

void Integers(std::string& c, const char* type, const std::string& name,
              std::span<const int32_t> values) {
  Array(c, type, name, values, 8, [](int32_t x) { return Text(x); });
}

// Bytes as little-endian words, so that they are aligned.
std::vector<uint32_t> AsWords(std::span<const int8_t> bytes) {
  std::vector<uint32_t> words(bytes.size() / 4);
  for (size_t i = 0; i < words.size() * 4; ++i) {
    words[i / 4] |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])) << (8 * (i % 4));
  }
  return words;
}

// Fields of one bf_layer that are not 0.
struct Fields {
  std::string text;
  void Set(const char* field, const std::string& value) {
    text += Format("     .%s = %s,\n", field, value.c_str());
  }
  void Set(const char* field, uint64_t value) {
    if (value != 0) Set(field, std::to_string(value));
  }
};

// Writes the constants of one layer into `c`, and its operation and sizes into `fields`.
class LayerWriter {
 public:
  LayerWriter(const Network& network, const Layer& layer, const FirmwareLayer& choice,
              std::string& c, Fields& fields)
      : network_(network), layer_(layer), choice_(choice), c_(c), fields_(fields) {}

  void operator()(const Stem& op) {
    fields_.Set("op", To("bf_stem", op.output));
    Window(op.kernel, op.kernel, op.stride, op.kernel / 2);
    fields_.Set("mean",
                Format("{%d, %d, %d}", network_.mean[0], network_.mean[1], network_.mean[2]));
    Put("weights", [&](const std::string& name) {
      Words(c_, name, AsWords(PackStem(op.weights, op.channels)));
    });
    const auto* bits = std::get_if<ToBits>(&op.output);
    const std::span mean(network_.mean.data(), network_.input.channels);
    const auto levels =
        StemLevels(op.weights, op.channels, mean, bits ? bits->thresholds : std::vector<int32_t>());
    Levels(levels);
    Scales(op.output);
  }

  void operator()(const BinaryConv& op) { Binary(AsBinary(op, layer_)); }
  void operator()(const BinaryDense& op) { Binary(AsBinary(op, layer_)); }

  void operator()(const Binarize& op) {
    fields_.Set("op", "bf_binarize");
    std::vector<int32_t> levels;  // no int16 is below the least, every one is below the most
    for (const int32_t t : op.thresholds) levels.push_back(std::clamp(t, INT16_MIN, INT16_MAX + 1));
    Levels(levels);
  }

  void operator()(const MaxPool& op) {
    fields_.Set("op", Of("bf_max_pool"));
    Window(op.kernel, op.kernel, op.stride, 0);
  }

  void operator()(const AveragePool& op) {
    fields_.Set("op", Of("bf_average_pool"));
    Window(op.kernel, op.kernel, op.stride, 0);
    fields_.Set("shift", op.shift);
  }

  void operator()(const GlobalSum& op) {
    fields_.Set("op", Of("bf_global_sum"));
    fields_.Set("shift", op.shift);
  }

  void operator()(const Dense& op) {
    fields_.Set("op", "bf_dense");
    Put("weights", [&](const std::string& name) {
      const std::vector<int32_t> weights(op.weights.begin(), op.weights.end());
      Integers(c_, "int8_t", name, weights);
    });
    Levels(op.biases);
  }

 private:
  void Binary(const BinaryOp& op) {
    const Kernel kernel = choice_.kernels[0].kernel;
    const auto bits = static_cast<uint32_t>(Bits(op, layer_));
    const auto* thresholds = std::get_if<ToBits>(&op.output);
    fields_.Set("op", To("bf_conv_" + std::string(Name(kernel)), op.output));
    Window(op.kernel_height, op.kernel_width, op.stride, op.pad);
    fields_.Set("bits", bits);
    Put("weights", [&](const std::string& name) {
      const uint32_t channels = layer_.out.channels;
      Words(c_, name,
            kernel == Kernel::kFast   ? PackFast(op.weights, channels)
            : kernel == Kernel::kLean ? PackLean(op.weights, channels)
                                      : op.weights);
    });
    if (kernel != Kernel::kRows) fields_.Set("planes", Planes(bits));
    if (thresholds != nullptr && kernel == Kernel::kRows) Levels(thresholds->thresholds);
    if (thresholds != nullptr && kernel != Kernel::kRows) {
      Put("levels", [&](const std::string& name) {
        Words(c_, name, PackThresholds(thresholds->thresholds, bits));
      });
    }
    Scales(op.output);
  }

  // An operation's name by what it gives, and by what it takes.
  static std::string To(const std::string& name, const Output& output) {
    return name + (std::holds_alternative<ToBits>(output) ? "_bits" : "_ints");
  }
  std::string Of(const std::string& name) const {
    return name + (layer_.takes == Values::kBits ? "_bits" : "_ints");
  }

  void Window(uint32_t height, uint32_t width, uint32_t stride, uint32_t pad) {
    fields_.Set("kernel_height", height);
    fields_.Set("kernel_width", width);
    fields_.Set("stride", stride);
    fields_.Set("pad", pad);
  }

  template <typename Write>
  void Put(const char* field, const Write& write) {
    const std::string name = layer_.name + "_" + field;
    write(name);
    fields_.Set(field, name);
  }

  void Levels(std::span<const int32_t> values) {
    Put("levels", [&](const std::string& name) { Integers(c_, "int32_t", name, values); });
  }

  void Scales(const Output& output) {
    const auto* ints = std::get_if<ToInts>(&output);
    if (ints == nullptr) return;
    Put("scales", [&](const std::string& name) {
      const int32_t rounding = 1 << ints->shift >> 1;  // it fits: Describe has seen to that
      std::vector<std::string> pairs;
      for (size_t i = 0; i < ints->scales.size(); ++i) {
        const int32_t bias = ints->biases[i] + rounding;
        pairs.push_back("{" + Text(ints->scales[i]) + ", " + Text(bias) + "}");
      }
      Array(c_, "bf_scale", name, std::span<const std::string>(pairs), 4,
            [](const std::string& pair) { return pair; });
    });
    fields_.Set("shift", ints->shift);
    fields_.Set("relu", ints->relu ? 1 : 0);
  }

  const Network& network_;
  const Layer& layer_;
  const FirmwareLayer& choice_;
  std::string& c_;
  Fields& fields_;
};

std::string Offset(bool none, uint64_t offset) { return none ? "BF_NONE" : std::to_string(offset); }

std::string ModelC(const Network& network, const std::vector<Layer>& layers,
                   const Firmware& firmware, const std::string& name) {
  std::string c = "/* Generated by Bitfoundry; what it is: " + name + ".h. */\n#include \"" + name +
                  ".h\"\n\n" + "#if BF_LAYOUT != 2\n#error \"" + name +
                  ".c needs the bf_* files that came with it\"\n" + "#endif\n" +
                  Format("BF_ASSERT(%s_arena, %s_ARENA_BYTES >= %" PRIu64 ");\n", name.c_str(),
                         Upper(name).c_str(), firmware.arena_bytes);
  std::string table = "\nstatic const bf_layer layers[] = {\n";
  for (size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = layers[i];
    const FirmwareLayer& choice = firmware.layers[i];
    const std::string title =
        layer.name + ": " + Text(layer.in) + " to " + Text(layer.out) +
        (choice.kernels.empty() ? "" : ", " + std::string(Name(choice.kernels[0].kernel)));
    c += "\n/* " + title + ". " + std::to_string(choice.flash_bytes) + " bytes. */\n";
    Fields fields;
    std::visit(LayerWriter(network, layer, choice, c, fields), network.ops[i].kind);
    const bool last = i + 1 == layers.size();
    fields.Set("in", Offset(layer.input == 0,
                            layer.input == 0 ? 0 : firmware.plan.offsets[layer.input - 1]));
    fields.Set("out", Offset(last, firmware.plan.offsets[i]));
    fields.Set("add",
               Offset(layer.add == 0, layer.add == 0 ? 0 : firmware.plan.offsets[layer.add - 1]));
    if (layer.add != 0) fields.Set("add_channels", layers[layer.add - 1].out.channels);
    fields.Set("in_height", layer.in.height);
    fields.Set("in_width", layer.in.width);
    fields.Set("in_channels", layer.in.channels);
    fields.Set("out_height", layer.out.height);
    fields.Set("out_width", layer.out.width);
    fields.Set("out_channels", layer.out.channels);
    table += "    {/* " + layer.name + " */\n" + fields.text + "    },\n";
  }
  const Shape& image = network.input;
  return c + table + "};\n\nconst bf_model " + name + " = {\n    .layers = layers,\n" +
         Format("    .layer_count = %zu,\n    .arena_bytes = %s_ARENA_BYTES,\n", layers.size(),
                Upper(name).c_str()) +
         Format("    .scratch = %" PRIu64
                ",\n    .height = %u,\n    .width = %u,\n"
                "    .channels = %u,\n    .classes = %u,\n};\n",
                firmware.plan.bytes, image.height, image.width, image.channels,
                layers.back().out.channels);
}

std::string ModelH(const Network& network, const std::vector<Layer>& layers,
                   const Firmware& firmware, const std::string& name) {
  const std::string upper = Upper(name);
  const Cost cost = Sum(layers);
  return "/* A network for the runtime of bf_mcu.h, generated by Bitfoundry.\n"
         " * The image: " +
         Text(network.input) + " 8-bit pixels, rows from the top.\n" +
         Format(" * Work: %" PRIu64 " multiply-accumulates of 1 bit, %" PRIu64
                " of 8 bits.\n"
                " * Flash: %" PRIu64 " bytes of constants, and the runtime's code. */\n",
                cost.macs_1bit, cost.macs_8bit, firmware.flash_bytes) +
         "#ifndef BF_MODEL_" + upper + "_H\n#define BF_MODEL_" + upper +
         "_H\n\n#include \"bf_mcu.h\"\n\n" +
         Format("#define %s_ARENA_BYTES %" PRIu64 "\n", upper.c_str(), firmware.arena_bytes) +
         Format("#define %s_IMAGE_BYTES %u\n", upper.c_str(),
                network.input.height * network.input.width * network.input.channels) +
         Format("#define %s_CLASSES %u\n\n", upper.c_str(), layers.back().out.channels) +
         "extern const bf_model " + name + ";\n\n#endif\n";
}

// Nothing that could end a comment.
std::string Harmless(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c < ' ' || c == '*' || c == '/' || c == '\\' || c == 127; }, '_');
  return text;
}

std::string ExampleC(const std::string& name, const std::vector<std::string>& classes) {
  const std::string upper = Upper(name);
  std::string meaning;
  for (size_t i = 0; i < classes.size(); ++i) {
    meaning += (i == 0 ? ": " : ", ") + std::to_string(i) + " " + Harmless(classes[i]);
  }
  return "/* How to run the network. Build all .c of this folder with your firmware. */\n"
         "#include \"" +
         name +
         ".h\"\n\n"
         "static uint32_t arena[" +
         upper +
         "_ARENA_BYTES / 4];\n\n"
         "uint32_t classify(const uint8_t image[" +
         upper +
         "_IMAGE_BYTES]);\n\n"
         "/* The class of an image" +
         meaning +
         ". */\n"
         "uint32_t classify(const uint8_t image[" +
         upper +
         "_IMAGE_BYTES]) {\n"
         "  int32_t logits[" +
         upper +
         "_CLASSES];\n"
         "  bf_run(&" +
         name +
         ", image, arena, logits);\n"
         "  return bf_winner(logits, " +
         upper + "_CLASSES);\n}\n";
}

// What the hungriest layer needs: bf_mcu.h says how much, at each operation.
uint64_t ScratchBytes(const Network& network, const std::vector<Layer>& layers) {
  uint64_t most = 0;
  for (size_t i = 0; i < layers.size(); ++i) {
    if (const auto op = AsBinary(network.ops[i], layers[i])) {
      most = std::max(most, 4 * RoundUp(WindowWords(*op, layers[i]), 3));
    } else if (const auto* stem = std::get_if<Stem>(&network.ops[i].kind)) {
      most = std::max(
          most, 2 * RoundUp(uint64_t{stem->kernel} * stem->kernel * layers[i].in.channels, 4));
    }
  }
  return RoundUp(most, kArenaAlign);
}

// Layers without a choice of kernels: as Describe() says, but the stem is filled up.
uint64_t FixedBytes(const Network& network, const Op& op, const Layer& layer) {
  const auto* stem = std::get_if<Stem>(&op.kind);
  if (stem == nullptr) return layer.flash_bytes;
  const std::span mean(network.mean.data(), network.input.channels);
  const uint64_t scales = std::holds_alternative<ToBits>(stem->output) ? 0 : 8 * stem->channels;
  return PackStem(stem->weights, stem->channels).size() +
         4 * StemLevels(stem->weights, stem->channels, mean, {}).size() + scales;
}

}  // namespace

std::string_view Name(Kernel kernel) {
  return kernel == Kernel::kFast ? "fast" : kernel == Kernel::kLean ? "lean" : "rows";
}

FirmwareOptions PublishedOptions(const Network& network) {
  FirmwareOptions options;
  options.flash_bytes = kFirmwareFlashBytes;
  if (MakeFirmware(network, options).status().reason() != "DOES_NOT_FIT") return options;
  options.kernel = Kernel::kRows;
  options.flash_bytes = kMaxFirmwareFlashBytes;
  return options;
}

Result<Firmware> MakeFirmware(const Network& network, const FirmwareOptions& options) {
  BF_TRY(CheckFirmwareName(options.name));
  const std::vector<Layer> layers = BF_TRY(Describe(network));
  Firmware firmware;
  for (size_t i = 0; i < layers.size(); ++i) {
    FirmwareLayer layer;
    if (const auto op = AsBinary(network.ops[i], layers[i])) {
      layer.kernels = Costs(*op, layers[i], options.isa);
    } else {
      layer.flash_bytes = FixedBytes(network, network.ops[i], layers[i]);
    }
    firmware.layers.push_back(std::move(layer));
  }
  const uint64_t fixed_bytes = kModelBytes + kLayerBytes * layers.size() + kPaddingBytes;
  BF_TRY(ChooseKernels(firmware.layers, fixed_bytes, options));
  firmware.flash_bytes = fixed_bytes;
  for (const FirmwareLayer& layer : firmware.layers) firmware.flash_bytes += layer.flash_bytes;
  firmware.plan = PlanArena(layers, kArenaAlign);
  firmware.arena_bytes = firmware.plan.bytes + ScratchBytes(network, layers);

  firmware.files = {{options.name + ".h", ModelH(network, layers, firmware, options.name)},
                    {options.name + ".c", ModelC(network, layers, firmware, options.name)},
                    {"example.c", ExampleC(options.name, options.classes)}};
  firmware.files.insert(firmware.files.end(), RuntimeFiles().begin(), RuntimeFiles().end());
  return firmware;
}

}  // namespace bitfoundry::packed
