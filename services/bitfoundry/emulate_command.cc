// emulate: a model.bnn as firmware, on emulated microcontrollers, compared and counted.
#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "emulate/emulate.h"
#include "packed/format.h"
#include "services/bitfoundry/cli.h"

namespace bitfoundry::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr uint64_t kMaxGoldenBytes = 64 << 20;
constexpr size_t kRandomImages = 4;
constexpr uint32_t kSeed = 1;

struct EmulateOptions {
  std::string model;
  std::string core = "m4";
  uint64_t flash_bytes = 0;  // 0: as it is published
  std::string kernel;
  std::string golden;
};

// What one core made of the model.
struct Emulated {
  emulate::Prepared prepared;
  emulate::Report report;
  std::vector<emulate::Difference> differences;

  const std::vector<packed::Layer>& layers() const { return prepared.layers[0]; }
  const packed::Firmware& firmware() const { return prepared.firmware[0]; }
  const emulate::NetworkRun& run() const { return report.networks[0]; }

  // The most that any image took: operators on integers branch on their values.
  uint64_t Instructions() const {
    uint64_t most = 0;
    for (const auto& image : run().images) most = std::max(most, image.instructions);
    return most;
  }
  uint64_t Instructions(size_t layer) const {
    uint64_t most = 0;
    for (const auto& image : run().images) most = std::max(most, image.layer_instructions[layer]);
    return most;
  }
};

// The golden images to run: of a file, of the one beside the model, or random ones.
Result<std::vector<packed::Golden>> GoldenFor(const EmulateOptions& options,
                                              const packed::Network& network) {
  const fs::path beside = fs::path(options.model).parent_path() / "golden.bin";
  const fs::path path = options.golden.empty() ? beside : fs::path(options.golden);
  if (options.golden.empty() && !fs::exists(beside)) {
    return emulate::RandomGolden(network, kRandomImages, kSeed);
  }
  const auto golden = packed::ParseGolden(BF_TRY(ReadFile(path, kMaxGoldenBytes)));
  if (!golden.ok()) return golden.status().In(path.string());
  return *golden;
}

Result<Emulated> EmulateOn(emulate::Core core, const emulate::Case& one,
                           packed::FirmwareOptions options) {
  Emulated e;
  e.prepared = BF_TRY(emulate::Prepare(core, {one}, options));
  e.report = BF_TRY(emulate::Run(e.prepared));
  e.differences = emulate::Compare(e.prepared, e.report);
  return e;
}

ordered_json LayerJson(const Emulated& e, size_t i) {
  const packed::Layer& layer = e.layers()[i];
  const packed::FirmwareLayer& choice = e.firmware().layers[i];
  ordered_json kernels = ordered_json::array();  // the first is the one that is used
  for (const packed::KernelCost& cost : choice.kernels) {
    kernels.push_back({{"kernel", packed::Name(cost.kernel)},
                       {"flash_bytes", cost.flash_bytes},
                       {"estimated_instructions", cost.instructions}});
  }
  return {{"name", layer.name},
          {"macs_8bit", layer.macs_8bit},
          {"macs_1bit", layer.macs_1bit},
          {"instructions", e.Instructions(i)},
          {"flash_bytes", choice.flash_bytes},
          {"kernels", kernels}};
}

ordered_json ToJson(emulate::Core core, const Emulated& e) {
  ordered_json layers = ordered_json::array();
  for (size_t i = 0; i < e.layers().size(); ++i) layers.push_back(LayerJson(e, i));
  ordered_json differences = ordered_json::array();
  for (const emulate::Difference& difference : e.differences) {
    differences.push_back({{"image", difference.image}, {"where", difference.where}});
  }
  return {{"core", emulate::Name(core)},
          {"machine", e.report.machine},
          {"processor", e.report.processor},
          {"compiler", e.report.compiler},
          {"emulator", e.report.emulator},
          {"images", e.run().images.size()},
          {"differences", differences},
          {"instructions", e.Instructions()},
          {"runtime_bytes", e.report.runtime_bytes},
          {"model_bytes", e.report.model_bytes},
          {"flash_bytes", e.report.runtime_bytes + e.report.model_bytes},
          {"arena_bytes", e.firmware().arena_bytes},
          {"stack_bytes", e.run().stack_bytes},
          {"layers", layers}};
}

std::string PerMac(uint64_t instructions, uint64_t macs) {
  if (macs == 0) return "";
  char text[32];
  std::snprintf(text, sizeof text, "%.3f",
                static_cast<double>(instructions) / static_cast<double>(macs));
  return text;
}

// "lean 4896 bytes, ~1358000; rows ...": what was not chosen.
std::string OtherKernels(const packed::FirmwareLayer& layer) {
  std::string text;
  for (size_t k = 1; k < layer.kernels.size(); ++k) {
    const packed::KernelCost& cost = layer.kernels[k];
    text += (k == 1 ? "" : "; ") + std::string(packed::Name(cost.kernel)) + " " +
            std::to_string(cost.flash_bytes) + " bytes, ~" + std::to_string(cost.instructions);
  }
  return text;
}

void PrintLayers(const Emulated& e) {
  std::vector<std::vector<std::string>> rows{{"layer", "kernel", "flash bytes", "MACs",
                                              "instructions", "per MAC",
                                              "other kernels (~: an estimate)"}};
  uint64_t all_macs = 0;
  for (size_t i = 0; i < e.layers().size(); ++i) {
    const packed::Layer& layer = e.layers()[i];
    const packed::FirmwareLayer& choice = e.firmware().layers[i];
    const uint64_t macs = layer.macs_1bit + layer.macs_8bit;
    const uint64_t instructions = e.Instructions(i);
    all_macs += macs;
    rows.push_back(
        {layer.name, choice.kernels.empty() ? "" : std::string(Name(choice.kernels[0].kernel)),
         std::to_string(choice.flash_bytes), std::to_string(macs), std::to_string(instructions),
         PerMac(instructions, macs), OtherKernels(choice)});
  }
  rows.push_back({"all", "", std::to_string(e.firmware().flash_bytes), std::to_string(all_macs),
                  std::to_string(e.Instructions()), PerMac(e.Instructions(), all_macs), ""});
  PrintTable(rows);
}

void Print(emulate::Core core, const Emulated& e) {
  const emulate::Report& report = e.report;
  std::printf("%s: %s of QEMU's %s; %s, %s\n", std::string(emulate::Name(core)).c_str(),
              report.processor.c_str(), report.machine.c_str(), report.compiler.c_str(),
              report.emulator.c_str());
  PrintLayers(e);
  std::printf("flash %llu bytes (code %llu, constants %llu), arena %llu, stack %llu\n",
              static_cast<unsigned long long>(report.runtime_bytes + report.model_bytes),
              static_cast<unsigned long long>(report.runtime_bytes),
              static_cast<unsigned long long>(report.model_bytes),
              static_cast<unsigned long long>(e.firmware().arena_bytes),
              static_cast<unsigned long long>(e.run().stack_bytes));
  for (const emulate::Difference& difference : e.differences) {
    std::printf("%s, image %zu: %s differs\n", std::string(emulate::Name(core)).c_str(),
                difference.image, difference.where.c_str());
  }
  if (e.differences.empty()) {
    std::printf("%zu images: every logit and every layer's checksum is equal\n",
                e.run().images.size());
  }
}

packed::FirmwareOptions FirmwareFor(const EmulateOptions& options, const packed::Network& network) {
  packed::FirmwareOptions firmware;
  if (options.flash_bytes > 0) {
    firmware.flash_bytes = options.flash_bytes;
  } else if (options.kernel.empty()) {
    firmware = packed::PublishedOptions(network);
  }
  for (const packed::Kernel kernel : packed::kKernels) {
    if (options.kernel == packed::Name(kernel)) firmware.kernel = kernel;
  }
  return firmware;
}

Result<int> Emulate(const Shell& shell, const EmulateOptions& options) {
  std::vector<emulate::Core> cores(emulate::kCores.begin(), emulate::kCores.end());
  if (options.core != "all") cores = {BF_TRY(emulate::ParseCore(options.core))};
  const std::string bytes = BF_TRY(ReadFile(options.model, packed::kMaxModelBytes));
  emulate::Case one;
  one.network =
      BF_TRY(packed::Parse({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
  one.golden = BF_TRY(GoldenFor(options, one.network));

  int code = kDone;
  ordered_json all = ordered_json::array();
  for (const emulate::Core core : cores) {
    const Result<Emulated> e = EmulateOn(core, one, FirmwareFor(options, one.network));
    if (!e.ok()) return e.status().In(std::string(emulate::Name(core)));
    if (!e->differences.empty()) code = kFailed;
    if (shell.json) {
      all.push_back(ToJson(core, *e));
    } else {
      if (core != cores.front()) std::printf("\n");
      Print(core, *e);
    }
  }
  if (shell.json) std::printf("%s\n", ordered_json{{"cores", all}}.dump(2).c_str());
  return code;
}

}  // namespace

void AddEmulateCommand(CLI::App& app, Shell& shell) {
  const auto options = std::make_shared<EmulateOptions>();
  CLI::App* command =
      Add(app, shell, "emulate", "Run a model.bnn as firmware on emulated cores; compare, count",
          "bitfoundry emulate model/model.bnn --core m4", options, Emulate);
  command->add_option("FILE", options->model)->required();
  command->add_option("--core", options->core, "m0plus, m3, m4, m7, m33, m55, rv32imc; or all")
      ->capture_default_str();
  command
      ->add_option(
          "--flash", options->flash_bytes,
          "Bytes that the model's constants may take; else the firmware as `artefact pull` "
          "gives it for this core")
      ->check(CLI::PositiveNumber);
  command->add_option("--kernel", options->kernel, "Of all binary layers, instead of choosing")
      ->check(CLI::IsMember({"rows", "lean", "fast"}));
  command->add_option("--golden", options->golden,
                      "Else golden.bin beside the model; else random images");
}

}  // namespace bitfoundry::cli
