#include "packed/bundle.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/json.h"
#include "packed/crc32.h"
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

uint32_t U32At(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    value |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[at + i])) << (8 * i);
  }
  return value;
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

Json ReportJson(const std::vector<Layer>& layers, size_t model_bytes) {
  const Cost cost = Sum(layers);
  Json rows = Json::array();
  for (const Layer& layer : layers) {
    rows.push_back({{"name", layer.name},
                    {"in", Text(layer.in)},
                    {"out", Text(layer.out)},
                    {"values", Name(layer.gives)},
                    {"macs_8bit", layer.macs_8bit},
                    {"macs_1bit", layer.macs_1bit},
                    {"flash_bytes", layer.flash_bytes},
                    {"out_bytes", layer.out_bytes}});
  }
  return {{"model_bytes", model_bytes},
          {"flash_bytes", cost.flash_bytes},
          {"arena_bytes", PlanArena(layers).bytes},
          {"macs_8bit", cost.macs_8bit},
          {"macs_1bit", cost.macs_1bit},
          {"layers", rows}};
}

std::string ReportMarkdown(const std::vector<Layer>& layers, size_t model_bytes) {
  const Cost cost = Sum(layers);
  std::string out = "# What the network costs\n\n";
  out += "- model.bnn: " + std::to_string(model_bytes) +
         " bytes, of which weights and thresholds " + std::to_string(cost.flash_bytes) + "\n";
  out += "- RAM: " + std::to_string(PlanArena(layers).bytes) + " bytes for values between layers\n";
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
  return out;
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

bool IsPlainName(const std::string& name) {
  return !name.empty() && name.size() <= 64 && name[0] != '.' && name != kManifestName &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '.' || c == '_' || c == '-';
         });
}

// Throws nlohmann::json's exceptions; ParseManifest catches them.
Result<Manifest> ReadManifest(const Json& json) {
  if (Integer<int>(json.at("format")) != 1) return Bad("BAD_MANIFEST", "format is not 1");
  Manifest manifest;
  Provenance& p = manifest.provenance;
  json.at("project").get_to(p.project);
  json.at("snapshot").get_to(p.snapshot);
  json.at("recipe").get_to(p.recipe_json);
  p.seed = Integer<uint64_t>(json.at("seed"));
  json.at("code_revision").get_to(p.code_revision);
  json.at("classes").get_to(p.classes);
  p.train_images = Integer<int64_t>(json.at("train_images"));
  p.verified_images = Integer<int64_t>(json.at("verified_images"));
  json.at("train_accuracy").get_to(p.train_accuracy);
  json.at("logit_scale").get_to(p.logit_scale);
  for (const Json& entry : json.at("files")) {
    ManifestFile file;
    entry.at("name").get_to(file.name);
    entry.at("digest").get_to(file.digest);
    file.bytes = Integer<int64_t>(entry.at("bytes"));
    if (!IsPlainName(file.name)) return Bad("BAD_MANIFEST", "a file's name is not a plain name");
    if (!IsDigest(file.digest)) return Bad("BAD_MANIFEST", file.name + ": not a digest");
    if (!manifest.files.empty() && manifest.files.back().name >= file.name) {
      return Bad("BAD_MANIFEST", "files are not in order of name: " + file.name);
    }
    manifest.files.push_back(std::move(file));
  }
  return manifest;
}

const File* Find(std::span<const File> files, std::string_view name) {
  const auto found = std::ranges::find(files, name, &File::name);
  return found == files.end() ? nullptr : &*found;
}

}  // namespace

Result<std::vector<Golden>> ParseGolden(std::string_view bytes) {
  constexpr size_t kHeader = 24;
  if (bytes.size() < kHeader + 4 || !bytes.starts_with(kGoldenMagic)) {
    return Bad("BAD_GOLDEN", "not a golden.bin");
  }
  const std::string_view body = bytes.substr(0, bytes.size() - 4);
  if (Crc32(Bytes(body)) != U32At(bytes, body.size())) return Bad("BAD_GOLDEN", "CRC-32 is wrong");
  if (U32At(body, 4) != kGoldenVersion) return Bad("BAD_GOLDEN", "unknown version");
  const uint64_t count = U32At(body, 8);
  const uint64_t image_bytes = U32At(body, 12);
  const uint64_t classes = U32At(body, 16);
  const uint64_t layers = U32At(body, 20);
  const uint64_t stride = (image_bytes + 3) / 4 * 4 + 4 * classes + 4 * layers;
  if (count == 0 || count > kMaxGolden || body.size() != kHeader + count * stride) {
    return Bad("BAD_GOLDEN", "its length is not what its header says");
  }
  std::vector<Golden> golden(count);
  size_t at = kHeader;
  for (Golden& item : golden) {
    const std::span<const uint8_t> image = Bytes(body.substr(at, image_bytes));
    item.image.assign(image.begin(), image.end());
    at += (image_bytes + 3) / 4 * 4;
    for (uint64_t i = 0; i < classes; ++i, at += 4) {
      item.logits.push_back(static_cast<int32_t>(U32At(body, at)));
    }
    for (uint64_t i = 0; i < layers; ++i, at += 4) item.checksums.push_back(U32At(body, at));
  }
  return golden;
}

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
  files.push_back({kGoldenName, BF_TRY(MakeGolden(network, golden))});
  files.push_back({"report.json", ReportJson(layers, model.size()).dump(2) + "\n"});
  files.push_back({"report.md", ReportMarkdown(layers, model.size())});
  files.push_back({"MODEL_CARD.md", ModelCard(provenance, network)});
  std::ranges::sort(files, {}, &File::name);
  try {
    files.push_back({kManifestName, ManifestJson(provenance, files).dump(2) + "\n"});
  } catch (const Json::exception& e) {  // a name that is not UTF-8
    return Bad("BAD_MANIFEST", e.what());
  }
  return files;
}

Result<Manifest> ParseManifest(std::string_view json) {
  if (json.size() > kMaxManifestBytes) return Bad("BAD_MANIFEST", "larger than 64 KiB");
  try {
    return ReadManifest(Json::parse(json));
  } catch (const Json::exception& e) {
    return Bad("BAD_MANIFEST", e.what());
  }
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
