#include "catalog/artefacts.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "db/database.h"

namespace bitfoundry::catalog {
namespace {

constexpr char kAdd[] = R"sql(
  INSERT INTO artefacts (digest, run_id, project_id, snapshot, lease_epoch, files, model_bytes)
  VALUES ($1, $2, $3, $4, $5, $6::jsonb, $7)
)sql";

constexpr char kSelect[] = R"sql(
  SELECT a.digest, a.run_id, a.project_id, projects.name AS project, a.snapshot, a.lease_epoch,
         a.files, a.model_bytes
    FROM artefacts AS a JOIN projects ON projects.id = a.project_id
)sql";

Artefact FromRow(const pqxx::row& row) {
  Artefact artefact{.digest = row["digest"].as<std::string>(),
                    .run_id = row["run_id"].as<int64_t>(),
                    .project_id = row["project_id"].as<int64_t>(),
                    .project = row["project"].as<std::string>(),
                    .snapshot = row["snapshot"].as<std::string>(),
                    .lease_epoch = row["lease_epoch"].as<int64_t>(),
                    .model_bytes = row["model_bytes"].as<int64_t>()};
  const auto files = nlohmann::json::parse(row["files"].as<std::string>());
  for (const auto& [name, file] : files.items()) {
    artefact.files.push_back(
        {name, file.at("digest").get<std::string>(), file.at("bytes").get<int64_t>()});
  }
  return artefact;
}

bool IsPrefix(const std::string& text) {
  return text.size() >= 8 && text.size() <= 64 &&
         text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

Result<ArtefactFile> Artefact::File(const std::string& name) const {
  std::string names;
  for (const ArtefactFile& file : files) {
    if (file.name == name) return file;
    names += " " + file.name;
  }
  return Status(Code::kNotFound, "FILE_NOT_FOUND",
                "the artefact has no file '" + name + "'; it has" + names);
}

Status Artefacts::Add(const Artefact& artefact) {
  nlohmann::json files = nlohmann::json::object();
  for (const ArtefactFile& file : artefact.files) {
    files[file.name] = {{"digest", file.digest}, {"bytes", file.bytes}};
  }
  tx_.work.exec_params0(kAdd, artefact.digest, artefact.run_id, artefact.project_id,
                        artefact.snapshot, artefact.lease_epoch, files.dump(),
                        artefact.model_bytes);
  return Status();
}

Result<Artefact> Artefacts::Get(const std::string& prefix) {
  if (!IsPrefix(prefix)) {
    return Status(Code::kInvalidArgument, "ARTEFACT_NAME",
                  "'" + prefix + "' names no artefact: give 8 to 64 lowercase hexadecimal digits");
  }
  const pqxx::result rows =
      tx_.work.exec_params(std::string(kSelect) + "WHERE a.digest LIKE $1 || '%' LIMIT 2", prefix);
  if (rows.empty()) {
    return Status(Code::kNotFound, "ARTEFACT_NOT_FOUND", "no artefact is called " + prefix);
  }
  if (rows.size() > 1) {
    return Status(Code::kInvalidArgument, "ARTEFACT_AMBIGUOUS",
                  prefix + " fits more than one artefact: give more digits");
  }
  return FromRow(rows[0]);
}

Result<std::vector<Artefact>> Artefacts::List(int64_t project_id, int64_t skip, int limit) {
  std::vector<Artefact> artefacts;
  for (const auto& row : tx_.work.exec_params(
           std::string(kSelect) +
               "WHERE a.project_id = $1 ORDER BY a.created_at DESC, a.digest OFFSET $2 LIMIT $3",
           project_id, skip, limit)) {
    artefacts.push_back(FromRow(row));
  }
  return artefacts;
}

}  // namespace bitfoundry::catalog
