#include "packed/bundle.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/json.h"
#include "packed/crc32.h"
#include "packed/firmware.h"
#include "packed/format.h"
#include "packed/interpreter.h"
#include "packed/plan.h"

namespace bitfoundry::packed {
namespace {

using Json = nlohmann::json;

constexpr char kManifestName[] = "manifest.json";
constexpr char kModelName[] = "model.bnn";
constexpr char kGoldenName[] = "golden.bin";
constexpr char kGoldenMagic[] = "BFGD";
constexpr uint32_t kGoldenVersion = 1;

Status Bad(const char* reason, const std::string& message) {
  return Status(Code::kInvalidArgument, reason, message);
}

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// ---- golden.bin

void AppendU32(std::string& out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) out.push_back(static_cast<char>(value >> shift));
}

Result<std::string> MakeGolden(const Network& network,
                               const std::vector<std::vector<uint8_t>>& images) {
  if (images.empty() || images.size() > kMaxGolden) {
    return Bad("BAD_GOLDEN", std::to_string(images.size()) + " golden images; takes 1 to " +
                                 std::to_string(kMaxGolden));
  }
  Interpreter interpreter = BF_TRY(Interpreter::Make(network));
  std::string out = kGoldenMagic;
  for (const size_t v : {size_t{kGoldenVersion}, images.size(), interpreter.image_bytes(),
                         interpreter.class_count(), network.ops.size()}) {
    AppendU32(out, static_cast<uint32_t>(v));
  }
  std::vector<uint32_t> checksums;
  for (const std::vector<uint8_t>& image : images) {
    const std::span<const int32_t> logits = BF_TRY(interpreter.Run(image, &checksums));
    out.append(image.begin(), image.end());
    out.resize((out.size() + 3) / 4 * 4);
    for (const int32_t logit : logits) AppendU32(out, static_cast<uint32_t>(logit));
    for (const uint32_t checksum : checksums) AppendU32(out, checksum);
  }
  AppendU32(out, Crc32(Bytes(out)));
  return out;
}

Status Replay(const Network& network, const std::vector<Golden>& golden) {
  Interpreter interpreter = BF_TRY(Interpreter::Make(network));
  std::vector<uint32_t> checksums;
  for (size_t i = 0; i < golden.size(); ++i) {
    const std::span<const int32_t> logits = BF_TRY(interpreter.Run(golden[i].image, &checksums));
    if (!std::ranges::equal(logits, golden[i].logits) || checksums != golden[i].checksums) {
      return Status(Code::kDataLoss, "GOLDEN_MISMATCH",
                    "golden image " + std::to_string(i) + " gives other outputs");
    }
  }
  return Status();
}

// ---- report

const char* Name(Values values) {
  constexpr std::array<const char*, 5> kNames = {"pixels", "bits", "ints", "sums", "logits"};
  return kNames[static_cast<size_t>(values)];
}

std::string Text(const Shape& s) {
  return std::to_string(s.height) + "x" + std::to_string(s.width) + "x" +
         std::to_string(s.channels);
}

// Why a firmware was not made is its error.
Json ReportJson(const std::vector<Layer>& layers, size_t model_bytes,
                const Result<Firmware>& firmware) {
  const Cost cost = Sum(layers);
  Json rows = Json::array();
  for (size_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = layers[i];
    rows.push_back({{"name", layer.name},
                    {"in", Text(layer.in)},
                    {"out", Text(layer.out)},
                    {"values", Name(layer.gives)},
                    {"macs_8bit", layer.macs_8bit},
                    {"macs_1bit", layer.macs_1bit},
                    {"flash_bytes", layer.flash_bytes},
                    {"out_bytes", layer.out_bytes}});
    if (!firmware.ok()) continue;
    Json kernels = Json::array();  // the chosen one first
    for (const KernelCost& cost_of : firmware->layers[i].kernels) {
      kernels.push_back({{"kernel", Name(cost_of.kernel)},
                         {"flash_bytes", cost_of.flash_bytes},
                         {"instructions_estimate", cost_of.instructions}});
    }
    rows.back()["kernels"] = kernels;
  }
  Json report = {{"model_bytes", model_bytes},
                 {"flash_bytes", cost.flash_bytes},
                 {"macs_8bit", cost.macs_8bit},
                 {"macs_1bit", cost.macs_1bit},
                 {"layers", rows}};
  if (firmware.ok()) {
    report["firmware"] = {{"flash_bytes", firmware->flash_bytes},
                          {"arena_bytes", firmware->arena_bytes}};
  }
  return report;
}

// "fast, 25,000; lean 4,900": the kernel that was chosen, and what the others would take.
std::string KernelText(const std::vector<KernelCost>& kernels) {
  std::string text;
  for (const KernelCost& cost : kernels) {
    text += (text.empty() ? "**" : "; ") + std::string(Name(cost.kernel)) +
            (text.empty() ? "** " : " ") + std::to_string(cost.flash_bytes) + " B, " +
            std::to_string(cost.instructions) + " instr.";
  }
  return text;
}

std::string ReportMarkdown(const std::vector<Layer>& layers, size_t model_bytes,
                           const Result<Firmware>& firmware) {
  const Cost cost = Sum(layers);
  std::string out = "# What the network costs\n\n";
  out += "- model.bnn: " + std::to_string(model_bytes) +
         " bytes, of which weights and thresholds " + std::to_string(cost.flash_bytes) + "\n";
  out += "- multiply-accumulates of one image: " + std::to_string(cost.macs_1bit) + " in 1 bit, " +
         std::to_string(cost.macs_8bit) + " in 8 bits\n\n";
  out += "| layer | in | out | gives | 1-bit MACs | 8-bit MACs | flash bytes | output bytes |\n";
  out += "|---|---|---|---|---:|---:|---:|---:|\n";
  for (const Layer& l : layers) {
    out += "| " + l.name + " | " + Text(l.in) + " | " + Text(l.out) + " | " + Name(l.gives);
    for (const uint64_t n : {l.macs_1bit, l.macs_8bit, l.flash_bytes, l.out_bytes}) {
      out += " | " + std::to_string(n);
    }
    out += " |\n";
  }
  out += "\n## Firmware\n\n";
  if (!firmware.ok()) return out + "None: " + firmware.status().message() + ".\n";
  out += "- constants in flash: " + std::to_string(firmware->flash_bytes) + " bytes, within " +
         std::to_string(kFirmwareFlashBytes) + "; the runtime's code comes on top\n";
  out += "- arena in RAM: " + std::to_string(firmware->arena_bytes) + " bytes\n\n";
  out +=
      "The kernel of each binary layer, and what the others would have cost: flash, and an "
      "estimate of\ninstructions an image on a Cortex-M4. `bitfoundry artefact pull --emulate` "
      "counts "
      "them into model_emulated.md;\n`--flash` and `--core` choose anew.\n\n";
  out += "| layer | kernels |\n|---|---|\n";
  for (size_t i = 0; i < layers.size(); ++i) {
    if (firmware->layers[i].kernels.empty()) continue;
    out += "| " + layers[i].name + " | " + KernelText(firmware->layers[i].kernels) + " |\n";
  }
  return out;
}

Result<Firmware> FirmwareOf(const Network& network, const std::vector<std::string>& classes) {
  FirmwareOptions options = PublishedOptions(network);
  options.classes = classes;
  return MakeFirmware(network, options);
}

// ---- MODEL_CARD.md

std::string ModelCard(const Provenance& p, const Network& network) {
  std::string classes;
  for (const std::string& name : p.classes) classes += (classes.empty() ? "" : ", ") + name;
  char accuracy[32];
  std::snprintf(accuracy, sizeof accuracy, "%.1f %%", 100 * p.train_accuracy);
  std::string out = "# Model card: " + p.project + "\n\n";
  out += "Tells apart: " + classes + ". Input: " + Text(network.input) + ", 8 bits.\n\n";
  out += "- Trained on " + std::to_string(p.train_images) + " images of snapshot `" + p.snapshot +
         "`, to " + accuracy + " accuracy on those very images.\n";
  out += "- Recipe: `" + p.recipe_json + "`, seed " + std::to_string(p.seed) + ", code `" +
         p.code_revision + "`.\n";
  out += "- The trainer's own forward pass and this packed network gave equal logits on " +
         std::to_string(p.verified_images) + " images.\n\n";
  out +=
      "Where it works and where it does not is in its verdicts, which belong to suites of data "
      "unit\n"
      "tests and are not part of these files. Accuracy on training images says nothing of that, "
      "and\n"
      "images of one camera say nothing of other cameras, places or seasons.\n";
  return out;
}

// ---- manifest.json

Json ManifestJson(const Provenance& p, const std::vector<File>& files) {
  Json listed = Json::array();
  for (const File& file : files) {
    listed.push_back(
        {{"name", file.name}, {"digest", Sha256(file.bytes)}, {"bytes", file.bytes.size()}});
  }
  return {{"format", 1},
          {"project", p.project},
          {"snapshot", p.snapshot},
          {"recipe", p.recipe_json},
          {"seed", p.seed},
          {"code_revision", p.code_revision},
          {"classes", p.classes},
          {"train_images", p.train_images},
          {"verified_images", p.verified_images},
          {"train_accuracy", p.train_accuracy},
          {"logit_scale", p.logit_scale},
          {"files", listed}};
}

const File* Find(std::span<const File> files, std::string_view name) {
  const auto found = std::ranges::find(files, name, &File::name);
  return found == files.end() ? nullptr : &*found;
}

}  // namespace

Result<std::vector<File>> MakeBundle(std::span<const uint8_t> model,
                                     const std::vector<std::vector<uint8_t>>& golden,
                                     const Provenance& provenance) {
  const Network network = BF_TRY(Parse(model));
  const std::vector<Layer> layers = BF_TRY(Describe(network));
  if (provenance.classes.size() != layers.back().out.channels) {
    return Bad("BAD_CLASSES", std::to_string(provenance.classes.size()) + " class names for " +
                                  std::to_string(layers.back().out.channels) + " logits");
  }
  std::vector<File> files;
  files.push_back({kModelName, std::string(model.begin(), model.end())});
  std::string replay = BF_TRY(MakeGolden(network, golden));
  files.push_back({kGoldenName, std::move(replay)});
  Result<Firmware> firmware = FirmwareOf(network, provenance.classes);
  if (!firmware.ok() && firmware.status().reason() != "DOES_NOT_FIT") return firmware.status();
  files.push_back({"report.json", ReportJson(layers, model.size(), firmware).dump(2) + "\n"});
  files.push_back({"report.md", ReportMarkdown(layers, model.size(), firmware)});
  if (firmware.ok()) std::ranges::move(firmware->files, std::back_inserter(files));
  files.push_back({"MODEL_CARD.md", ModelCard(provenance, network)});
  std::ranges::sort(files, {}, &File::name);
  try {
    files.push_back({kManifestName, ManifestJson(provenance, files).dump(2) + "\n"});
  } catch (const Json::exception& e) {  // a name that is not UTF-8
    return Bad("BAD_MANIFEST", Fault(e));
  }
  return files;
}

Status CheckBundle(std::span<const File> files) {
  const File* const manifest_file = Find(files, kManifestName);
  if (manifest_file == nullptr) return Bad("MISSING_FILE", kManifestName);
  const Manifest manifest = BF_TRY(ParseManifest(manifest_file->bytes));
  for (const ManifestFile& listed : manifest.files) {
    const File* const file = Find(files, listed.name);
    if (file == nullptr) return Bad("MISSING_FILE", listed.name);
    if (Sha256(file->bytes) != listed.digest) {
      return Status(Code::kDataLoss, "DIGEST_MISMATCH", listed.name);
    }
  }
  if (files.size() != manifest.files.size() + 1) {
    return Bad("SURPLUS_FILE", "there are files that the manifest does not name");
  }
  const File* const model = Find(files, kModelName);
  const File* const golden = Find(files, kGoldenName);
  if (model == nullptr || golden == nullptr) return Bad("MISSING_FILE", "model.bnn or golden.bin");
  const Network network = BF_TRY(Parse(Bytes(model->bytes)));
  return Replay(network, BF_TRY(ParseGolden(golden->bytes)));
}

}  // namespace bitfoundry::packed
