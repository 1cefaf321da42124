#include "catalog/snapshots.h"

#include "db/database.h"

namespace bitfoundry::catalog {
namespace {

constexpr char kAdd[] = R"sql(
  INSERT INTO snapshots (digest, pixels_digest, project_id, class_list_version, summary)
  VALUES ($1, $2, $3, $4, $5::jsonb)
  ON CONFLICT (digest) DO NOTHING
)sql";

constexpr char kSelect[] = R"sql(
  SELECT s.digest, s.pixels_digest, s.project_id, p.name AS project, s.class_list_version,
         s.summary
    FROM snapshots AS s
    JOIN projects AS p ON p.id = s.project_id
)sql";

Snapshot FromRow(const pqxx::row& row) {
  return {.digest = row["digest"].as<std::string>(),
          .pixels_digest = row["pixels_digest"].as<std::string>(),
          .project_id = row["project_id"].as<int64_t>(),
          .project = row["project"].as<std::string>(),
          .class_list_version = row["class_list_version"].as<int>(),
          .summary_json = row["summary"].as<std::string>()};
}

}  // namespace

Status Snapshots::Add(const Snapshot& snapshot) {
  tx_.work.exec_params0(kAdd, snapshot.digest, snapshot.pixels_digest, snapshot.project_id,
                        snapshot.class_list_version, snapshot.summary_json);
  return Status();
}

Result<Snapshot> Snapshots::Get(const std::string& digest) {
  const pqxx::result rows =
      tx_.work.exec_params(std::string(kSelect) + "WHERE s.digest = $1", digest);
  if (!rows.empty()) return FromRow(rows[0]);
  return Status(Code::kNotFound, "SNAPSHOT_NOT_FOUND", "no snapshot is called " + digest);
}

Result<std::vector<Snapshot>> Snapshots::List(int64_t project_id, int64_t skip, int limit) {
  std::vector<Snapshot> snapshots;
  for (const auto& row : tx_.work.exec_params(
           std::string(kSelect) +
               "WHERE s.project_id = $1 ORDER BY s.created_at DESC, s.digest OFFSET $2 LIMIT $3",
           project_id, skip, limit)) {
    snapshots.push_back(FromRow(row));
  }
  return snapshots;
}

}  // namespace bitfoundry::catalog
