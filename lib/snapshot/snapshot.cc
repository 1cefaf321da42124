#include "snapshot/snapshot.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "base/digest.h"
#include "base/json.h"

namespace bitfoundry::snapshot {
namespace {

using Json = nlohmann::ordered_json;

constexpr char kFormat[] = "bitfoundry-snapshot/1";

Json ToJson(const Row& row) {
  Json json;
  json["name"] = row.name;
  json["part"] = row.part == Part::kTest ? "test" : "train";
  json["class"] = row.class_index;
  json["posterior"] = row.posterior;
  json["camera"] = row.camera;
  json["session"] = row.session;
  json["position"] = row.position;
  json["tags"] = row.tags;
  json["attributes"] = row.attributes;
  return json;
}

Row RowFrom(const Json& json) {
  Row row;
  row.name = json.at("name").get<std::string>();
  const std::string part = json.at("part").get<std::string>();
  if (part != "train" && part != "test") throw std::invalid_argument("part is " + part);
  row.part = part == "test" ? Part::kTest : Part::kTrain;
  row.class_index = Integer<int>(json.at("class"));
  row.posterior = json.at("posterior").get<double>();
  row.camera = json.at("camera").get<std::string>();
  row.session = json.at("session").get<std::string>();
  row.position = Integer<int64_t>(json.at("position"));
  row.tags = json.at("tags").get<std::map<std::string, std::string>>();
  row.attributes = json.at("attributes").get<std::map<std::string, double>>();
  return row;
}

Json HeaderOf(const Snapshot& s, const std::string& pixels_digest) {
  Json json;
  json["format"] = kFormat;
  json["project"] = s.project;
  json["classes"] = s.classes;
  json["height"] = s.height;
  json["width"] = s.width;
  json["channels"] = s.channels;
  json["samples"] = s.rows.size();
  json["pixels_sha256"] = pixels_digest;
  return json;
}

// What a row must hold in this snapshot; nothing if it does.
std::optional<std::string> Fault(const Snapshot& snapshot, const Row& row) {
  if (row.class_index < 0 || row.class_index >= static_cast<int>(snapshot.classes.size())) {
    return "class " + std::to_string(row.class_index) + " is not in the class list";
  }
  if (!(row.posterior >= 0 && row.posterior <= 1)) return "posterior is outside [0, 1]";
  for (const auto& [key, value] : row.attributes) {
    if (!std::isfinite(value)) return "attribute " + key + " is not a finite number";
  }
  return std::nullopt;
}

Status Malformed(size_t line, const std::string& what) {
  return {Code::kDataLoss, "SNAPSHOT_MALFORMED",
          "snapshot rows, line " + std::to_string(line) + ": " + what};
}

Status DecodeHeader(const Json& json, Snapshot& snapshot, size_t& samples, std::string& digest) {
  if (json.at("format") != kFormat) return Malformed(1, "format is not " + std::string(kFormat));
  snapshot.project = json.at("project").get<std::string>();
  snapshot.classes = json.at("classes").get<std::vector<std::string>>();
  snapshot.height = Integer<int>(json.at("height"));
  snapshot.width = Integer<int>(json.at("width"));
  snapshot.channels = Integer<int>(json.at("channels"));
  samples = Integer<size_t>(json.at("samples"));
  digest = json.at("pixels_sha256").get<std::string>();
  const auto side = [](int n) { return n >= 1 && n <= 4096; };
  if (!side(snapshot.height) || !side(snapshot.width) || snapshot.channels < 1 ||
      snapshot.channels > 4 || samples > kMaxSamples) {
    return Malformed(1, "height, width, channels or samples are out of their limits");
  }
  return Status();
}

// The rows, and the digest that the header gives to the pixels.
Result<Snapshot> DecodeRows(std::string_view rows, std::string& digest) {
  Snapshot snapshot;
  size_t samples = 0;
  size_t line = 0;
  try {
    for (size_t start = 0; start < rows.size(); ++line) {
      const size_t end = rows.find('\n', start);
      if (end == std::string_view::npos) return Malformed(line + 1, "the last line is cut off");
      const Json json = Json::parse(rows.substr(start, end - start));
      start = end + 1;
      if (line == 0) {
        BF_TRY(DecodeHeader(json, snapshot, samples, digest));
        continue;
      }
      snapshot.rows.push_back(RowFrom(json));
      if (const auto fault = Fault(snapshot, snapshot.rows.back())) {
        return Malformed(line + 1, *fault);
      }
    }
  } catch (const std::exception& e) {  // nlohmann's; RowFrom's
    return Malformed(line + 1, e.what());
  }
  if (line == 0) return Malformed(1, "no header");
  if (snapshot.rows.size() != samples) {
    return Malformed(line, std::to_string(snapshot.rows.size()) + " rows where the header says " +
                               std::to_string(samples));
  }
  return snapshot;
}

}  // namespace

Result<Encoded> Encode(const Snapshot& snapshot) {
  BF_CHECK(snapshot.pixels.size() == snapshot.rows.size() * snapshot.SampleBytes());
  if (snapshot.rows.size() > kMaxSamples) {
    return Status(Code::kInvalidArgument, "TOO_MANY_SAMPLES",
                  "a snapshot holds at most " + std::to_string(kMaxSamples) + " samples");
  }
  std::vector<size_t> order(snapshot.rows.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return snapshot.rows[a].name < snapshot.rows[b].name; });

  Encoded encoded;
  std::string lines;
  encoded.pixels.reserve(snapshot.pixels.size());
  for (size_t k = 0; k < order.size(); ++k) {
    const Row& row = snapshot.rows[order[k]];
    if (k > 0 && snapshot.rows[order[k - 1]].name == row.name) {
      return Status(Code::kInvalidArgument, row.name + ": twice in one snapshot");
    }
    if (const auto fault = Fault(snapshot, row)) {
      return Status(Code::kInvalidArgument, row.name + ": " + *fault);
    }
    lines += ToJson(row).dump() + "\n";
    const auto image = snapshot.Image(order[k]);
    encoded.pixels.append(image.begin(), image.end());
  }
  encoded.rows = HeaderOf(snapshot, Sha256(encoded.pixels)).dump() + "\n" + lines;
  encoded.digest = Sha256(encoded.rows);
  return encoded;
}

Result<Snapshot> Decode(std::string_view rows, std::string pixels) {
  std::string digest;
  Snapshot snapshot = BF_TRY(DecodeRows(rows, digest));
  if (pixels.size() != snapshot.rows.size() * snapshot.SampleBytes() || Sha256(pixels) != digest) {
    return Status(Code::kDataLoss, "SNAPSHOT_MALFORMED",
                  "the pixels are not those that the header names");
  }
  snapshot.pixels.assign(pixels.begin(), pixels.end());
  return snapshot;
}

Result<Snapshot> DecodeRows(std::string_view rows) {
  std::string digest;
  return DecodeRows(rows, digest);
}

Result<std::string> PixelsDigest(std::string_view rows) {
  Snapshot snapshot;
  size_t samples = 0;
  std::string digest;
  try {
    BF_TRY(DecodeHeader(Json::parse(rows.substr(0, rows.find('\n'))), snapshot, samples, digest));
  } catch (const std::exception& e) {  // nlohmann's; Integer's
    return Malformed(1, e.what());
  }
  return digest;
}

}  // namespace bitfoundry::snapshot
