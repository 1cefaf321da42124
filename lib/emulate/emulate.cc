#include "emulate/emulate.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <sstream>

#include "packed/interpreter.h"

namespace bitfoundry::emulate {

const std::vector<packed::File>& HarnessFiles();  // board/harness.*

namespace {

// Each case is a model of its own: model0.c, model1.c, ...
std::string ModelName(size_t index) { return "model" + std::to_string(index); }

// The largest of anything over all cases.
template <typename Get>
uint64_t Most(const Prepared& p, const Get& get) {
  uint64_t most = 0;
  for (size_t i = 0; i < p.cases.size(); ++i) most = std::max<uint64_t>(most, get(i));
  return most;
}

size_t ImageBytes(const packed::Network& network) {
  return size_t{network.input.height} * network.input.width * network.input.channels;
}

std::string SizesH(const Prepared& p) {
  std::ostringstream h;
  h << "#define MOST_ARENA_BYTES " << Most(p, [&](size_t i) { return p.firmware[i].arena_bytes; })
    << "\n#define MOST_IMAGE_BYTES "
    << Most(p, [&](size_t i) { return ImageBytes(p.cases[i].network); })
    << "\n#define MOST_CLASSES "
    << Most(p, [&](size_t i) { return p.layers[i].back().out.channels; }) << "\n";
  return h.str();
}

// `networks`, the table that board/harness.c goes through.
std::string NetworksC(const Prepared& p) {
  std::ostringstream c;
  c << "#include \"harness.h\"\n";
  for (size_t i = 0; i < p.cases.size(); ++i) c << "#include \"" << ModelName(i) << ".h\"\n";
  for (size_t i = 0; i < p.cases.size(); ++i) {
    c << "static const struct output outputs" << i << "[] = {";
    for (size_t k = 0; k < p.layers[i].size(); ++k) {
      c << "{" << p.firmware[i].plan.offsets[k] << ", " << p.layers[i][k].out_bytes << "},";
    }
    c << "};\n";
  }
  c << "const struct network networks[] = {\n";
  for (size_t i = 0; i < p.cases.size(); ++i) {
    c << "{&" << ModelName(i) << ", outputs" << i << ", " << p.cases[i].golden.size() << ", "
      << ImageBytes(p.cases[i].network) << "},\n";
  }
  c << "};\nconst uint32_t network_count = " << p.cases.size() << ";\n";
  return c.str();
}

std::string ImagesBin(const Prepared& p) {
  std::string bytes;
  for (const Case& one : p.cases) {
    for (const packed::Golden& golden : one.golden) {
      bytes.append(golden.image.begin(), golden.image.end());
    }
  }
  return bytes;
}

Status CheckGolden(const Case& one, const std::vector<packed::Layer>& layers) {
  const bool sound = std::ranges::all_of(one.golden, [&](const packed::Golden& golden) {
    return golden.image.size() == ImageBytes(one.network) &&
           golden.checksums.size() == layers.size() &&
           golden.logits.size() == layers.back().out.channels;
  });
  if (sound && !one.golden.empty()) return Status();
  return {Code::kInvalidArgument, "BAD_GOLDEN", "the golden images are not of this network"};
}

Status AddFirmware(Prepared& p, size_t index, packed::FirmwareOptions options) {
  const Case& one = p.cases[index];
  p.layers.push_back(BF_TRY(packed::Describe(one.network)));
  BF_TRY(CheckGolden(one, p.layers.back()));
  options.name = ModelName(index);
  packed::Firmware firmware =
      BF_TRY(packed::MakeFirmware(one.network, OptionsFor(p.core, options)));
  for (packed::File& file : firmware.files) {
    const bool known =
        std::ranges::any_of(p.program.sources, [&](const auto& f) { return f.name == file.name; });
    if (!known && file.name != "example.c") p.program.sources.push_back(std::move(file));
  }
  firmware.files.clear();
  p.firmware.push_back(std::move(firmware));
  return Status();
}

// Takes results.bin apart, word by word.
class Words {
 public:
  explicit Words(const std::string& bytes) : bytes_(bytes) {}

  template <typename Word>
  std::vector<Word> Take(size_t count) {
    std::vector<Word> words(count);
    if (bytes_.size() - at_ < 4 * count) {
      missing_ = true;
      return words;
    }
    std::memcpy(words.data(), bytes_.data() + at_, 4 * count);
    at_ += 4 * count;
    return words;
  }

  bool AllTaken() const { return !missing_ && at_ == bytes_.size(); }

 private:
  const std::string& bytes_;
  size_t at_ = 0;
  bool missing_ = false;
};

NetworkRun ReadNetwork(const Prepared& p, size_t index, Words& words,
                       std::span<const uint64_t>& regions) {
  NetworkRun run;
  const size_t layers = p.layers[index].size();
  const size_t classes = p.layers[index].back().out.channels;
  for (size_t i = 0; i < p.cases[index].golden.size(); ++i) {
    ImageRun image;
    image.logits = words.Take<int32_t>(classes);
    image.checksums = words.Take<uint32_t>(layers);
    image.stepped_logits = words.Take<int32_t>(classes);
    image.instructions = regions[0];
    image.layer_instructions.assign(regions.begin() + 1,
                                    regions.begin() + 1 + static_cast<std::ptrdiff_t>(layers));
    regions = regions.subspan(1 + layers);
    run.images.push_back(std::move(image));
  }
  run.stack_bytes = words.Take<uint32_t>(1)[0];
  return run;
}

// Empty where they agree.
std::string WhereTheyDiffer(const ImageRun& run, const packed::Golden& golden,
                            const std::vector<packed::Layer>& layers) {
  for (size_t layer = 0; layer < layers.size(); ++layer) {
    if (run.checksums[layer] != golden.checksums[layer]) return layers[layer].name;
  }
  return run.logits == golden.logits && run.stepped_logits == golden.logits ? "" : "logits";
}

}  // namespace

Result<std::vector<packed::Golden>> RandomGolden(const packed::Network& network, size_t images,
                                                 uint32_t seed) {
  packed::Interpreter interpreter = BF_TRY(packed::Interpreter::Make(network));
  std::mt19937 random(seed);
  std::vector<packed::Golden> all;
  for (size_t i = 0; i < images; ++i) {
    packed::Golden golden;
    golden.image.resize(interpreter.image_bytes());
    for (uint8_t& pixel : golden.image) pixel = static_cast<uint8_t>(random() >> 24);
    const auto logits = BF_TRY(interpreter.Run(golden.image, &golden.checksums));
    golden.logits.assign(logits.begin(), logits.end());
    all.push_back(std::move(golden));
  }
  return all;
}

packed::FirmwareOptions OptionsFor(Core core, packed::FirmwareOptions options) {
  options.isa = core == Core::kM0Plus ? packed::Isa::kArmv6m
                : core == Core::kM55  ? packed::Isa::kHelium
                : core == Core::kRv32 ? packed::Isa::kRv32
                                      : packed::Isa::kArmv7m;
  return options;
}

Result<Prepared> Prepare(Core core, std::vector<Case> cases, packed::FirmwareOptions options) {
  Prepared p;
  p.core = core;
  p.cases = std::move(cases);
  for (size_t i = 0; i < p.cases.size(); ++i) {
    const Status status = AddFirmware(p, i, options);
    if (!status.ok()) return status;
  }
  for (const packed::File& file : HarnessFiles()) p.program.sources.push_back(file);
  p.program.sources.push_back({"sizes.h", SizesH(p)});
  p.program.sources.push_back({"networks.c", NetworksC(p)});
  p.program.inputs = {{"images.bin", ImagesBin(p)}};
  p.program.output = "results.bin";
  return p;
}

Result<Report> Run(const Prepared& prepared, std::chrono::seconds limit) {
  Report report;
  report.compiler = BF_TRY(CompilerOf(prepared.core));
  report.emulator = BF_TRY(EmulatorOf(prepared.core));
  const Outcome outcome = BF_TRY(BuildAndRun(prepared.core, prepared.program, limit));
  report.machine = outcome.machine;
  report.processor = outcome.processor;

  size_t expected = 0;
  for (size_t i = 0; i < prepared.cases.size(); ++i) {
    expected += prepared.cases[i].golden.size() * (1 + prepared.layers[i].size());
  }
  if (outcome.regions.size() != expected) {
    return Status(Code::kInternal, "RUN_FAILED",
                  std::to_string(outcome.regions.size()) + " regions were counted, not " +
                      std::to_string(expected));
  }
  Words words(outcome.output);
  const auto flash = words.Take<uint32_t>(2);
  report.runtime_bytes = flash[0];
  report.model_bytes = flash[1];
  std::span<const uint64_t> regions = outcome.regions;
  for (size_t i = 0; i < prepared.cases.size(); ++i) {
    report.networks.push_back(ReadNetwork(prepared, i, words, regions));
  }
  if (!words.AllTaken()) {
    return Status(Code::kInternal, "RUN_FAILED",
                  "the results have another length than they should");
  }
  return report;
}

std::vector<Difference> Compare(const Prepared& prepared, const Report& report) {
  std::vector<Difference> all;
  for (size_t n = 0; n < report.networks.size(); ++n) {
    for (size_t i = 0; i < report.networks[n].images.size(); ++i) {
      const std::string where = WhereTheyDiffer(report.networks[n].images[i],
                                                prepared.cases[n].golden[i], prepared.layers[n]);
      if (!where.empty()) all.push_back({n, i, where});
    }
  }
  return all;
}

}  // namespace bitfoundry::emulate
