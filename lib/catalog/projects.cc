#include "catalog/projects.h"

#include <regex>
#include <set>

#include "db/array.h"
#include "db/database.h"

namespace bitfoundry::catalog {
namespace {

constexpr char kSelect[] = R"sql(
  SELECT id, name, height, width, channels, version, array_to_json(classes) AS classes
    FROM projects
    JOIN LATERAL (SELECT version, classes FROM class_lists WHERE project_id = projects.id
                   ORDER BY version DESC LIMIT 1) AS newest ON true
)sql";

constexpr char kCreate[] = R"sql(
  WITH made AS (
    INSERT INTO projects (name, height, width, channels) VALUES ($1, $2, $3, $4)
    ON CONFLICT (name) DO NOTHING RETURNING id)
  INSERT INTO class_lists (project_id, version, classes)
  SELECT id, 1, $5::text[] FROM made
)sql";

// A JSON array of strings without escapes, which class names are: see Check.
std::vector<std::string> Classes(const std::string& json) {
  std::vector<std::string> classes;
  for (size_t start = json.find('"'); start != std::string::npos;) {
    const size_t end = json.find('"', start + 1);
    classes.push_back(json.substr(start + 1, end - start - 1));
    start = json.find('"', end + 1);
  }
  return classes;
}

Project FromRow(const pqxx::row& row) {
  return {.id = row["id"].as<int64_t>(),
          .name = row["name"].as<std::string>(),
          .classes = Classes(row["classes"].as<std::string>()),
          .class_list_version = row["version"].as<int>(),
          .height = row["height"].as<int>(),
          .width = row["width"].as<int>(),
          .channels = row["channels"].as<int>()};
}

Status Refuse(const std::string& what) { return {Code::kInvalidArgument, "PROJECT_INVALID", what}; }

constexpr size_t kMaxName = 63;  // looked at first: a std::regex overflows the stack on long text

std::string Shown(const std::string& name) {
  return name.size() > kMaxName ? "of " + std::to_string(name.size()) + " bytes" : "'" + name + "'";
}

Status Check(const Project& project) {
  static const std::regex name("[a-z0-9][a-z0-9_-]{0,62}");
  static const std::regex class_name("[A-Za-z0-9][A-Za-z0-9_. -]{0,62}");
  if (project.name.size() > kMaxName || !std::regex_match(project.name, name)) {
    return Refuse("name " + Shown(project.name) + ": use 1 to 63 of a-z, 0-9, _ and -");
  }
  if (project.classes.size() < 2 || project.classes.size() > 64) {
    return Refuse("a project has 2 to 64 classes, not " + std::to_string(project.classes.size()));
  }
  std::set<std::string> seen;
  for (const std::string& c : project.classes) {
    if (c.size() > kMaxName || !std::regex_match(c, class_name)) {
      return Refuse("class " + Shown(c) +
                    ": use 1 to 63 letters, digits, spaces, '_', '.' and '-'");
    }
    if (!seen.insert(c).second) return Refuse("class '" + c + "' comes twice");
  }
  const auto side = [](int n) { return n >= 8 && n <= 256; };
  if (!side(project.height) || !side(project.width)) {
    return Refuse("input height and width are 8 to 256 pixels");
  }
  if (project.channels != 1 && project.channels != 3) {
    return Refuse("input channels are 1 (gray) or 3 (RGB)");
  }
  return Status();
}

}  // namespace

Result<Project> Projects::Create(const Project& project) {
  BF_TRY(Check(project));
  const pqxx::result made =
      tx_.work.exec_params(kCreate, project.name, project.height, project.width, project.channels,
                           db::ArrayOf(project.classes));
  if (made.affected_rows() == 0) {
    return Status(Code::kAlreadyExists, "PROJECT_EXISTS",
                  "project '" + project.name + "' exists already");
  }
  return Get(project.name);
}

Result<Project> Projects::Get(const std::string& name) {
  const pqxx::result rows = tx_.work.exec_params(std::string(kSelect) + "WHERE name = $1", name);
  if (!rows.empty()) return FromRow(rows[0]);
  return Status(Code::kNotFound, "PROJECT_NOT_FOUND", "no project is called '" + name + "'");
}

Result<Project> Projects::Get(int64_t id) {
  const pqxx::result rows = tx_.work.exec_params(std::string(kSelect) + "WHERE id = $1", id);
  if (!rows.empty()) return FromRow(rows[0]);
  return Status(Code::kNotFound, "PROJECT_NOT_FOUND", "no project has id " + std::to_string(id));
}

Result<std::vector<Project>> Projects::List(int64_t after, int limit) {
  std::vector<Project> projects;
  for (const auto& row : tx_.work.exec_params(
           std::string(kSelect) + "WHERE id > $1 ORDER BY id LIMIT $2", after, limit)) {
    projects.push_back(FromRow(row));
  }
  return projects;
}

}  // namespace bitfoundry::catalog
