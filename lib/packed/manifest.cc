#include "packed/manifest.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <span>

#include "base/digest.h"
#include "base/json.h"
#include "packed/crc32.h"

namespace bitfoundry::packed {
namespace {

using Json = nlohmann::json;

constexpr char kManifestName[] = "manifest.json";
constexpr char kGoldenMagic[] = "BFGD";
constexpr uint32_t kGoldenVersion = 1;

Status Bad(const char* reason, const std::string& message) {
  return Status(Code::kInvalidArgument, reason, message);
}

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

uint32_t U32At(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) {
    value |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[at + i])) << (8 * i);
  }
  return value;
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

Result<Manifest> ParseManifest(std::string_view json) {
  if (json.size() > kMaxManifestBytes) return Bad("BAD_MANIFEST", "larger than 64 KiB");
  try {
    return ReadManifest(Json::parse(json));
  } catch (const Json::exception& e) {
    return Bad("BAD_MANIFEST", Fault(e));
  }
}

}  // namespace bitfoundry::packed
