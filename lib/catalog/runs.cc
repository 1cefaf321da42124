#include "catalog/runs.h"

#include "db/database.h"

namespace bitfoundry::catalog {
namespace {

constexpr char kAdd[] = R"sql(
  INSERT INTO runs (project_id, snapshot, recipe_digest, recipe, suite, job_id)
  VALUES ($1, $2, $3, $4, NULLIF($5, ''), $6)
  ON CONFLICT (snapshot, recipe_digest) DO NOTHING
)sql";

constexpr char kFind[] = "SELECT id FROM runs WHERE snapshot = $1 AND recipe_digest = $2";

constexpr char kSelect[] = R"sql(
  SELECT r.id, r.project_id, projects.name AS project, r.snapshot, r.recipe_digest, r.recipe,
         r.suite, r.job_id, a.digest AS artefact, p.epoch, p.epochs, p.step, p.loss,
         p.train_accuracy, p.images_per_second
    FROM runs AS r
    JOIN projects ON projects.id = r.project_id
    LEFT JOIN artefacts AS a ON a.run_id = r.id
    LEFT JOIN LATERAL (SELECT * FROM run_progress WHERE run_id = r.id
                        ORDER BY lease_epoch DESC, step DESC LIMIT 1) AS p ON true
)sql";

constexpr char kAddProgress[] = R"sql(
  INSERT INTO run_progress (run_id, lease_epoch, step, epoch, epochs, loss, train_accuracy,
                            images_per_second)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
  ON CONFLICT (run_id, lease_epoch, step) DO NOTHING
)sql";

constexpr char kAddCheckpoint[] = R"sql(
  INSERT INTO checkpoints (run_id, step, lease_epoch, blob) VALUES ($1, $2, $3, $4)
  ON CONFLICT (run_id, step) DO UPDATE SET lease_epoch = EXCLUDED.lease_epoch, blob = EXCLUDED.blob
)sql";

constexpr char kNewestCheckpoint[] =
    "SELECT blob FROM checkpoints WHERE run_id = $1 ORDER BY lease_epoch DESC, step DESC LIMIT 1";

constexpr char kAddUpload[] = R"sql(
  INSERT INTO uploads (job_id, lease_epoch, digest, bytes) VALUES ($1, $2, $3, $4)
  ON CONFLICT (job_id, lease_epoch, digest) DO NOTHING
)sql";

constexpr char kWasUploaded[] = R"sql(
  SELECT EXISTS (SELECT FROM uploads WHERE job_id = $1 AND lease_epoch = $2 AND digest = $3)
)sql";

Run FromRow(const pqxx::row& row) {
  Run run{.id = row["id"].as<int64_t>(),
          .project_id = row["project_id"].as<int64_t>(),
          .project = row["project"].as<std::string>(),
          .snapshot = row["snapshot"].as<std::string>(),
          .recipe_digest = row["recipe_digest"].as<std::string>(),
          .recipe_json = row["recipe"].as<std::string>(),
          .suite = row["suite"].as<std::string>(""),
          .job_id = row["job_id"].as<int64_t>(),
          .artefact = row["artefact"].as<std::string>("")};
  if (!row["step"].is_null()) {
    run.progress = Progress{.epoch = row["epoch"].as<int>(),
                            .epochs = row["epochs"].as<int>(),
                            .step = row["step"].as<int64_t>(),
                            .loss = row["loss"].as<double>(),
                            .train_accuracy = row["train_accuracy"].as<double>(),
                            .images_per_second = row["images_per_second"].as<double>()};
  }
  return run;
}

Result<Run> Only(const pqxx::result& rows, const std::string& what) {
  if (!rows.empty()) return FromRow(rows[0]);
  return Status(Code::kNotFound, "RUN_NOT_FOUND", "there is no " + what);
}

}  // namespace

Result<int64_t> Runs::Add(const Run& run) {
  tx_.work.exec_params0(kAdd, run.project_id, run.snapshot, run.recipe_digest, run.recipe_json,
                        run.suite, run.job_id);
  return tx_.work.exec_params1(kFind, run.snapshot, run.recipe_digest)[0].as<int64_t>();
}

Result<Run> Runs::Get(int64_t id) {
  return Only(tx_.work.exec_params(std::string(kSelect) + "WHERE r.id = $1", id),
              "run " + std::to_string(id));
}

Result<Run> Runs::OfJob(int64_t job_id) {
  return Only(tx_.work.exec_params(std::string(kSelect) + "WHERE r.job_id = $1", job_id),
              "run of job " + std::to_string(job_id));
}

Result<std::vector<Run>> Runs::List(int64_t project_id, int64_t before, int limit) {
  std::vector<Run> runs;
  for (const auto& row : tx_.work.exec_params(
           std::string(kSelect) + "WHERE ($1 = 0 OR r.project_id = $1) AND ($2 = 0 OR r.id < $2) "
                                  "ORDER BY r.id DESC LIMIT $3",
           project_id, before, limit)) {
    runs.push_back(FromRow(row));
  }
  return runs;
}

Status Runs::AddProgress(int64_t run_id, int64_t lease_epoch, const Progress& p) {
  tx_.work.exec_params0(kAddProgress, run_id, lease_epoch, p.step, p.epoch, p.epochs, p.loss,
                        p.train_accuracy, p.images_per_second);
  return Status();
}

Status Runs::AddCheckpoint(int64_t run_id, int64_t step, int64_t lease_epoch,
                           const std::string& blob) {
  tx_.work.exec_params0(kAddCheckpoint, run_id, step, lease_epoch, blob);
  return Status();
}

Result<std::optional<std::string>> Runs::NewestCheckpoint(int64_t run_id) {
  const pqxx::result rows = tx_.work.exec_params(kNewestCheckpoint, run_id);
  if (rows.empty()) return std::nullopt;
  return rows[0][0].as<std::string>();
}

Status Runs::AddUpload(int64_t job_id, int64_t lease_epoch, const std::string& digest,
                       int64_t bytes) {
  tx_.work.exec_params0(kAddUpload, job_id, lease_epoch, digest, bytes);
  return Status();
}

Result<bool> Runs::WasUploaded(int64_t job_id, int64_t lease_epoch, const std::string& digest) {
  return tx_.work.exec_params1(kWasUploaded, job_id, lease_epoch, digest)[0].as<bool>();
}

}  // namespace bitfoundry::catalog
