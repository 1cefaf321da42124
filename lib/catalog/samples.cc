#include "catalog/samples.h"

#include <bit>
#include <nlohmann/json.hpp>
#include <regex>

#include "db/database.h"

namespace bitfoundry::catalog {
namespace {

constexpr char kAddImage[] = R"sql(
  INSERT INTO images (digest, format, width, height, bytes) VALUES ($1, $2, $3, $4, $5)
  ON CONFLICT (digest) DO NOTHING
)sql";

constexpr char kGetImage[] =
    "SELECT digest, format, width, height, bytes FROM images WHERE digest = $1";

constexpr char kAdd[] = R"sql(
  INSERT INTO samples (project_id, name, image_digest, x, y, width, height, part, camera, session,
                       position, attributes, phash)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8::sample_part, $9, $10, $11, $12::jsonb, $13)
  ON CONFLICT (project_id, name) DO NOTHING
  RETURNING id
)sql";

constexpr char kTakeTurns[] = "SELECT pg_advisory_xact_lock(hashtextextended($1, $2))";

constexpr char kIsInOtherPart[] = R"sql(
  SELECT EXISTS (SELECT FROM samples
                  WHERE project_id = $1 AND image_digest = $2 AND part <> $3::sample_part)
)sql";

constexpr char kFindId[] = "SELECT id FROM samples WHERE project_id = $1 AND name = $2";

constexpr char kSetTag[] = R"sql(
  INSERT INTO sample_tags (sample_id, key, value, source) VALUES ($1, $2, $3, $4)
  ON CONFLICT (sample_id, key) DO UPDATE SET value = EXCLUDED.value, source = EXCLUDED.source
)sql";

constexpr char kSetAttribute[] = R"sql(
  INSERT INTO sample_attributes (sample_id, key, value, source) VALUES ($1, $2, $3, $4)
  ON CONFLICT (sample_id, key) DO UPDATE SET value = EXCLUDED.value, source = EXCLUDED.source
)sql";

constexpr char kSelect[] = R"sql(
  SELECT s.id, s.project_id, s.name, s.image_digest, s.x, s.y, s.width, s.height, s.part::text,
         s.camera, s.session, s.position, s.phash,
         s.attributes || COALESCE((SELECT jsonb_object_agg(key, value) FROM sample_attributes
                                    WHERE sample_id = s.id), '{}') AS attributes,
         COALESCE((SELECT jsonb_object_agg(key, value) FROM sample_tags WHERE sample_id = s.id),
                  '{}') AS tags,
         l.class_index, l.posterior
    FROM samples AS s
    LEFT JOIN LATERAL (SELECT class_index, posterior FROM labels WHERE sample_id = s.id
                        ORDER BY revision DESC LIMIT 1) AS l ON true
)sql";

constexpr char kImagesOf[] = R"sql(
  SELECT DISTINCT image_digest FROM samples
   WHERE project_id = $1 AND image_digest > $2 ORDER BY image_digest LIMIT $3
)sql";

Sample FromRow(const pqxx::row& row) {
  Sample sample{.id = row["id"].as<int64_t>(),
                .project_id = row["project_id"].as<int64_t>(),
                .name = row["name"].as<std::string>(),
                .image_digest = row["image_digest"].as<std::string>(),
                .part = row["part"].as<std::string>() == "test" ? Part::kTest : Part::kTrain,
                .camera = row["camera"].as<std::string>(),
                .session = row["session"].as<std::string>(),
                .position = row["position"].as<int64_t>(),
                .phash = std::bit_cast<uint64_t>(row["phash"].as<int64_t>()),
                .posterior = row["posterior"].as<double>(0)};
  if (!row["x"].is_null()) {
    sample.window = Window{row["x"].as<int>(), row["y"].as<int>(), row["width"].as<int>(),
                           row["height"].as<int>()};
  }
  if (!row["class_index"].is_null()) sample.class_index = row["class_index"].as<int>();
  using nlohmann::json;
  sample.attributes =
      json::parse(row["attributes"].as<std::string>()).get<std::map<std::string, double>>();
  sample.tags =
      json::parse(row["tags"].as<std::string>()).get<std::map<std::string, std::string>>();
  return sample;
}

std::vector<Sample> FromRows(const pqxx::result& rows) {
  std::vector<Sample> samples;
  for (const auto& row : rows) samples.push_back(FromRow(row));
  return samples;
}

std::string Name(Part part) { return part == Part::kTest ? "test" : "train"; }

}  // namespace

std::string SampleName(const std::string& image_digest, const std::optional<Window>& window) {
  if (!window.has_value()) return image_digest;
  return image_digest + "@" + std::to_string(window->x) + "," + std::to_string(window->y) + "," +
         std::to_string(window->width) + "," + std::to_string(window->height);
}

Result<SamplePlace> ReadSampleName(const std::string& name) {
  static const std::regex form(
      "([0-9a-f]{64})(@([0-9]{1,6}),([0-9]{1,6}),([0-9]{1,6}),([0-9]{1,6}))?");
  std::smatch parts;
  if (name.size() > 128 || !std::regex_match(name, parts, form)) {
    return Status(Code::kInvalidArgument, "SAMPLE_NAME",
                  "'" + name.substr(0, 128) + "' is no sample's name");
  }
  SamplePlace place{.image_digest = parts[1]};
  if (!parts[2].matched) return place;
  const auto number = [&](size_t i) { return std::stoi(parts[i].str()); };
  place.window = Window{number(3), number(4), number(5), number(6)};
  return place;
}

Status CheckTags(const std::map<std::string, std::string>& tags) {
  static const std::regex key("[a-z][a-z0-9_]{0,31}");
  const auto wrong = [](const std::string& what) {
    return Status(Code::kInvalidArgument, "TAG_INVALID", what);
  };
  if (tags.size() > 32) return wrong("more than 32 tags");
  for (const auto& [name, value] : tags) {
    // The length first: a std::regex overflows the stack on long text.
    if (name.size() > 32 || !std::regex_match(name, key)) {
      const std::string size = "of " + std::to_string(name.size()) + " bytes";  // uncut: it is text
      return wrong("tag " + (name.size() > 32 ? size : "'" + name + "'") +
                   ": a key is a-z, then up to 31 of a-z 0-9 _");
    }
    if (value.size() > 128) return wrong("tag '" + name + "' has more than 128 bytes");
  }
  return Status();
}

Status Samples::AddImage(const Image& image) {
  tx_.work.exec_params0(kAddImage, image.digest, image.format, image.width, image.height,
                        image.bytes);
  return Status();
}

Result<Image> Samples::GetImage(const std::string& digest) {
  const pqxx::result rows = tx_.work.exec_params(kGetImage, digest);
  if (rows.empty()) return Status(Code::kNotFound, "no image " + digest);
  return Image{.digest = digest,
               .format = rows[0]["format"].as<std::string>(),
               .width = rows[0]["width"].as<int>(),
               .height = rows[0]["height"].as<int>(),
               .bytes = rows[0]["bytes"].as<int64_t>()};
}

Result<Samples::Added> Samples::Add(const Sample& sample) {
  const std::string name = SampleName(sample.image_digest, sample.window);
  std::optional<int> x, y, width, height;
  if (sample.window.has_value()) {
    x = sample.window->x;
    y = sample.window->y;
    width = sample.window->width;
    height = sample.window->height;
  }
  tx_.work.conn().prepare("samples_add", kAdd);
  const pqxx::result added = tx_.work.exec_prepared(
      "samples_add", sample.project_id, name, sample.image_digest, x, y, width, height,
      Name(sample.part), sample.camera, sample.session, sample.position,
      nlohmann::json(sample.attributes).dump(), std::bit_cast<int64_t>(sample.phash));
  if (added.empty()) {
    return Added{tx_.work.exec_params1(kFindId, sample.project_id, name)[0].as<int64_t>(), false};
  }
  const auto id = added[0][0].as<int64_t>();
  for (const auto& [key, value] : sample.tags) BF_TRY(SetTag(id, key, value, "capture"));
  return Added{id, true};
}

Result<bool> Samples::IsInOtherPart(int64_t project_id, const std::string& image_digest,
                                    Part part) {
  tx_.work.exec_params1(kTakeTurns, image_digest, project_id);
  return tx_.work.exec_params1(kIsInOtherPart, project_id, image_digest, Name(part))[0].as<bool>();
}

Status Samples::SetTag(int64_t sample_id, const std::string& key, const std::string& value,
                       const std::string& source) {
  tx_.work.conn().prepare("samples_set_tag", kSetTag);
  tx_.work.exec_prepared0("samples_set_tag", sample_id, key, value, source);
  return Status();
}

Status Samples::SetAttribute(int64_t sample_id, const std::string& key, double value,
                             const std::string& source) {
  tx_.work.conn().prepare("samples_set_attribute", kSetAttribute);
  tx_.work.exec_prepared0("samples_set_attribute", sample_id, key, value, source);
  return Status();
}

Result<Sample> Samples::Get(int64_t project_id, const std::string& name) {
  const pqxx::result rows = tx_.work.exec_params(
      std::string(kSelect) + "WHERE s.project_id = $1 AND s.name = $2", project_id, name);
  if (!rows.empty()) return FromRow(rows[0]);
  return Status(Code::kNotFound, "SAMPLE_NOT_FOUND", "the project has no sample " + name);
}

Result<Sample> Samples::Get(int64_t id) {
  const pqxx::result rows = tx_.work.exec_params(std::string(kSelect) + "WHERE s.id = $1", id);
  if (!rows.empty()) return FromRow(rows[0]);
  return Status(Code::kNotFound, "SAMPLE_NOT_FOUND", "no sample has id " + std::to_string(id));
}

Result<std::vector<Sample>> Samples::List(int64_t project_id, int64_t after, int limit) {
  return FromRows(tx_.work.exec_params(
      std::string(kSelect) + "WHERE s.project_id = $1 AND s.id > $2 ORDER BY s.id LIMIT $3",
      project_id, after, limit));
}

Result<std::vector<Sample>> Samples::OfImage(int64_t project_id, const std::string& image_digest) {
  return FromRows(tx_.work.exec_params(
      std::string(kSelect) + "WHERE s.project_id = $1 AND s.image_digest = $2 ORDER BY s.id",
      project_id, image_digest));
}

Result<std::vector<Sample>> Samples::OfSession(int64_t project_id, const std::string& session) {
  return FromRows(tx_.work.exec_params(
      std::string(kSelect) + "WHERE s.project_id = $1 AND s.session = $2 ORDER BY s.position, s.id",
      project_id, session));
}

Result<std::vector<std::string>> Samples::ImagesOf(int64_t project_id, const std::string& after,
                                                   int limit) {
  std::vector<std::string> digests;
  for (const auto& row : tx_.work.exec_params(kImagesOf, project_id, after, limit)) {
    digests.push_back(row[0].as<std::string>());
  }
  return digests;
}

}  // namespace bitfoundry::catalog
