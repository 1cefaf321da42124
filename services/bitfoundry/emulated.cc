#include "services/bitfoundry/emulated.h"

#include <algorithm>
#include <cstdio>

#include "services/bitfoundry/text_table.h"

namespace bitfoundry::cli {
namespace {

using nlohmann::ordered_json;

const std::vector<packed::Layer>& LayersOf(const Emulated& e) { return e.prepared.layers[0]; }
const packed::Firmware& FirmwareOf(const Emulated& e) { return e.prepared.firmware[0]; }
const emulate::NetworkRun& RunOf(const Emulated& e) { return e.report.networks[0]; }
std::string CoreOf(const Emulated& e) { return std::string(emulate::Name(e.prepared.core)); }

uint64_t FlashBytes(const Emulated& e) { return e.report.runtime_bytes + e.report.model_bytes; }

uint64_t Instructions(const Emulated& e) {
  uint64_t most = 0;
  for (const auto& image : RunOf(e).images) most = std::max(most, image.instructions);
  return most;
}

uint64_t Instructions(const Emulated& e, size_t layer) {
  uint64_t most = 0;
  for (const auto& image : RunOf(e).images) most = std::max(most, image.layer_instructions[layer]);
  return most;
}

ordered_json LayerJson(const Emulated& e, size_t i) {
  const packed::Layer& layer = LayersOf(e)[i];
  const packed::FirmwareLayer& choice = FirmwareOf(e).layers[i];
  ordered_json kernels = ordered_json::array();  // the first is the one that is used
  for (const packed::KernelCost& cost : choice.kernels) {
    kernels.push_back({{"kernel", packed::Name(cost.kernel)},
                       {"flash_bytes", cost.flash_bytes},
                       {"estimated_instructions", cost.instructions}});
  }
  return {{"name", layer.name},
          {"macs_8bit", layer.macs_8bit},
          {"macs_1bit", layer.macs_1bit},
          {"instructions", Instructions(e, i)},
          {"flash_bytes", choice.flash_bytes},
          {"kernels", kernels}};
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

Rows LayerRows(const Emulated& e) {
  Rows rows{{"layer", "kernel", "flash bytes", "MACs", "instructions", "per MAC",
             "other kernels (~: an estimate)"}};
  uint64_t all_macs = 0;
  for (size_t i = 0; i < LayersOf(e).size(); ++i) {
    const packed::Layer& layer = LayersOf(e)[i];
    const packed::FirmwareLayer& choice = FirmwareOf(e).layers[i];
    const uint64_t macs = layer.macs_1bit + layer.macs_8bit;
    const uint64_t instructions = Instructions(e, i);
    all_macs += macs;
    rows.push_back(
        {layer.name, choice.kernels.empty() ? "" : std::string(Name(choice.kernels[0].kernel)),
         std::to_string(choice.flash_bytes), std::to_string(macs), std::to_string(instructions),
         PerMac(instructions, macs), OtherKernels(choice)});
  }
  rows.push_back({"all", "", std::to_string(FirmwareOf(e).flash_bytes), std::to_string(all_macs),
                  std::to_string(Instructions(e)), PerMac(Instructions(e), all_macs), ""});
  return rows;
}

std::string Where(const Emulated& e) {
  const emulate::Report& report = e.report;
  return CoreOf(e) + ": " + report.processor + " of QEMU's " + report.machine + "; " +
         report.compiler + ", " + report.emulator;
}

std::string Memory(const Emulated& e) {
  return "flash " + std::to_string(FlashBytes(e)) + " bytes (code " +
         std::to_string(e.report.runtime_bytes) + ", constants " +
         std::to_string(e.report.model_bytes) + "), arena " +
         std::to_string(FirmwareOf(e).arena_bytes) + ", stack " +
         std::to_string(RunOf(e).stack_bytes);
}

// A line for each image that differs, or one that none does.
std::vector<std::string> Comparison(const Emulated& e) {
  std::vector<std::string> lines;
  for (const emulate::Difference& difference : e.differences) {
    lines.push_back(CoreOf(e) + ", image " + std::to_string(difference.image) + ": " +
                    difference.where + " differs");
  }
  if (lines.empty()) {
    lines.push_back(std::to_string(RunOf(e).images.size()) +
                    " images: every logit and every layer's checksum is equal");
  }
  return lines;
}

}  // namespace

packed::FirmwareOptions FirmwareFor(const packed::Network& network, uint64_t flash_bytes,
                                    const std::string& kernel) {
  if (flash_bytes == 0 && kernel.empty()) return packed::PublishedOptions(network);
  packed::FirmwareOptions options;
  if (flash_bytes > 0) options.flash_bytes = flash_bytes;
  for (const packed::Kernel k : packed::kKernels) {
    if (kernel == packed::Name(k)) options.kernel = k;
  }
  return options;
}

Result<Emulated> EmulateOn(emulate::Core core, const emulate::Case& one,
                           const packed::FirmwareOptions& options) {
  const auto run = [&]() -> Result<Emulated> {
    Emulated e;
    e.prepared = BF_TRY(emulate::Prepare(core, {one}, options));
    e.report = BF_TRY(emulate::Run(e.prepared));
    e.differences = emulate::Compare(e.prepared, e.report);
    return e;
  };
  Result<Emulated> emulated = run();
  if (!emulated.ok()) return emulated.status().In(std::string(emulate::Name(core)));
  return emulated;
}

ordered_json ToJson(const Emulated& e) {
  ordered_json layers = ordered_json::array();
  for (size_t i = 0; i < LayersOf(e).size(); ++i) layers.push_back(LayerJson(e, i));
  ordered_json differences = ordered_json::array();
  for (const emulate::Difference& difference : e.differences) {
    differences.push_back({{"image", difference.image}, {"where", difference.where}});
  }
  return {{"core", CoreOf(e)},
          {"machine", e.report.machine},
          {"processor", e.report.processor},
          {"compiler", e.report.compiler},
          {"emulator", e.report.emulator},
          {"images", RunOf(e).images.size()},
          {"differences", differences},
          {"instructions", Instructions(e)},
          {"runtime_bytes", e.report.runtime_bytes},
          {"model_bytes", e.report.model_bytes},
          {"flash_bytes", FlashBytes(e)},
          {"arena_bytes", FirmwareOf(e).arena_bytes},
          {"stack_bytes", RunOf(e).stack_bytes},
          {"layers", layers}};
}

std::string ToText(const Emulated& e) {
  std::string text = Where(e) + "\n" + Align(LayerRows(e)) + Memory(e) + "\n";
  for (const std::string& line : Comparison(e)) text += line + "\n";
  return text;
}

std::string ToMarkdown(const Emulated& e) {
  std::string text = "# The firmware on an emulated core\n\n- " + MarkdownCell(Where(e)) + "\n- " +
                     MarkdownCell(Memory(e)) + "\n";
  for (const std::string& line : Comparison(e)) text += "- " + MarkdownCell(line) + "\n";
  return text + "\n" + MarkdownTable(LayerRows(e)) +
         "\nInstructions are counted exactly, of the golden image that takes most; they are not "
         "cycles.\n";
}

}  // namespace bitfoundry::cli
