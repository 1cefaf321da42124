#include "bnn/checkpoint.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "base/json.h"
#include "packed/crc32.h"

namespace bitfoundry::bnn {
namespace {

using Json = nlohmann::json;

static_assert(std::endian::native == std::endian::little, "values are written as they lie");

constexpr std::string_view kMagic = "BFCK";
constexpr uint32_t kVersion = 1;
constexpr size_t kHeaderBytes = 12;
constexpr size_t kMaxTensors = 1000;

Status Bad(const std::string& message) {
  return Status(Code::kInvalidArgument, "BAD_CHECKPOINT", message);
}

void AppendU32(std::string& out, uint32_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

uint32_t U32At(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

uint32_t CrcOf(std::string_view bytes) {
  return packed::Crc32({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

// Throws nlohmann::json's exceptions; ParseCheckpoint catches them. Takes the values of the tensors
// off `values`.
Result<Checkpoint> Read(const Json& fields, std::string_view values) {
  Checkpoint c;
  c.recipe = BF_TRY(ParseRecipe(fields.at("recipe").get<std::string>()));
  const auto image = fields.at("image").get<std::array<uint32_t, 3>>();
  c.image = {image[0], image[1], image[2]};
  fields.at("class_count").get_to(c.class_count);
  fields.at("examples").get_to(c.examples);
  fields.at("epoch").get_to(c.epoch);
  fields.at("step_in_epoch").get_to(c.step_in_epoch);
  fields.at("loss_sum").get_to(c.loss_sum);
  fields.at("correct").get_to(c.correct);
  fields.at("last_loss").get_to(c.last_loss);
  fields.at("last_accuracy").get_to(c.last_accuracy);
  if (c.image.height == 0 || c.image.height > packed::kMaxImageSide || c.image.width == 0 ||
      c.image.width > packed::kMaxImageSide || (c.image.channels != 1 && c.image.channels != 3)) {
    return Bad("image is out of range");
  }
  if (c.class_count < 2 || c.class_count > static_cast<int32_t>(packed::kMaxClasses) ||
      c.epoch < 0 || c.epoch > c.recipe.epochs || c.step_in_epoch < 0 || !IsDigest(c.examples)) {
    return Bad("a field is out of range");
  }
  const Json& tensors = fields.at("tensors");
  if (!tensors.is_array() || tensors.size() > kMaxTensors) return Bad("tensors is no short array");
  for (const Json& entry : tensors) {
    NamedTensor t;
    entry.at("name").get_to(t.name);
    entry.at("shape").get_to(t.shape);
    uint64_t bytes = sizeof(float);
    for (const int64_t side : t.shape) {
      if (side < 1 || side > (1 << 20)) return Bad(t.name + ": shape is out of range");
      bytes *= static_cast<uint64_t>(side);
      if (bytes > values.size()) return Bad(t.name + ": more values than there are bytes");
    }
    t.values.resize(bytes / sizeof(float));
    std::memcpy(t.values.data(), values.data(), bytes);
    values.remove_prefix(bytes);
    c.tensors.push_back(std::move(t));
  }
  if (!values.empty()) return Bad("surplus bytes");
  return c;
}

}  // namespace

const NamedTensor* Checkpoint::Find(std::string_view name) const {
  const auto found = std::ranges::find(tensors, name, &NamedTensor::name);
  return found == tensors.end() ? nullptr : &*found;
}

std::string SerializeCheckpoint(const Checkpoint& c) {
  Json tensors = Json::array();
  for (const NamedTensor& t : c.tensors) tensors.push_back({{"name", t.name}, {"shape", t.shape}});
  const Json fields = {{"recipe", CanonicalJson(c.recipe)},
                       {"image", {c.image.height, c.image.width, c.image.channels}},
                       {"class_count", c.class_count},
                       {"examples", c.examples},
                       {"epoch", c.epoch},
                       {"step_in_epoch", c.step_in_epoch},
                       {"loss_sum", c.loss_sum},
                       {"correct", c.correct},
                       {"last_loss", c.last_loss},
                       {"last_accuracy", c.last_accuracy},
                       {"tensors", tensors}};
  const std::string text = fields.dump();
  std::string out(kMagic);
  AppendU32(out, kVersion);
  AppendU32(out, static_cast<uint32_t>(text.size()));
  out += text;
  for (const NamedTensor& t : c.tensors) {
    out.append(reinterpret_cast<const char*>(t.values.data()), t.values.size() * sizeof(float));
  }
  AppendU32(out, CrcOf(out));
  return out;
}

Result<Checkpoint> ParseCheckpoint(std::string_view bytes) {
  if (bytes.size() > kMaxCheckpointBytes) return Bad("larger than 64 MiB");
  if (bytes.size() < kHeaderBytes + 4 || !bytes.starts_with(kMagic)) return Bad("no checkpoint");
  const std::string_view body = bytes.substr(0, bytes.size() - 4);
  if (CrcOf(body) != U32At(bytes, body.size())) return Bad("CRC-32 is wrong");
  if (U32At(body, 4) != kVersion) return Bad("unknown version");
  const uint32_t fields_bytes = U32At(body, 8);
  if (fields_bytes > body.size() - kHeaderBytes) return Bad("truncated");
  try {
    return Read(Json::parse(body.substr(kHeaderBytes, fields_bytes)),
                body.substr(kHeaderBytes + fields_bytes));
  } catch (const Json::exception& e) {
    return Bad(Fault(e));
  }
}

std::vector<Convolution> Convolutions(const Recipe& recipe) {
  std::vector<Convolution> all = {recipe.stem};
  all.insert(all.end(), recipe.blocks.begin(), recipe.blocks.end());
  return all;
}

std::vector<NamedTensor> NetworkTensors(const Recipe& recipe, const packed::Shape& image,
                                        int32_t class_count) {
  std::vector<NamedTensor> tensors;
  int64_t in = image.channels;
  int index = 0;
  for (const Convolution& c : Convolutions(recipe)) {
    const std::string prefix = "conv" + std::to_string(index++) + ".";
    tensors.push_back({prefix + "weight", {c.channels, in, c.kernel, c.kernel}, {}});
    for (const char* name : {"gamma", "beta", "mean", "var"}) {
      tensors.push_back({prefix + name, {c.channels}, {}});
    }
    if (recipe.residual && index > 1) tensors.push_back({prefix + "offset", {in}, {}});
    in = c.channels;
  }
  tensors.push_back({"head.weight", {class_count, in}, {}});
  tensors.push_back({"head.bias", {class_count}, {}});
  return tensors;
}

}  // namespace bitfoundry::bnn
