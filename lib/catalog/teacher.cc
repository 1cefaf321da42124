#include "catalog/teacher.h"

#include <nlohmann/json.hpp>

#include "db/database.h"

namespace bitfoundry::catalog {
namespace {

constexpr char kAdd[] = R"sql(
  INSERT INTO detections (image_digest, model, model_version, rule, boxes)
  VALUES ($1, $2, $3, $4, $5::jsonb)
  ON CONFLICT (image_digest, model, model_version, rule) DO NOTHING
)sql";

constexpr char kFind[] = R"sql(
  SELECT boxes FROM detections
   WHERE image_digest = $1 AND model = $2 AND model_version = $3 AND rule = $4
)sql";

constexpr char kOfSession[] = R"sql(
  SELECT DISTINCT ON (d.image_digest) d.image_digest, d.boxes
    FROM samples AS s JOIN detections AS d USING (image_digest)
   WHERE s.project_id = $1 AND s.session = $2
     AND d.model = $3 AND d.model_version = $4 AND d.rule = $5
)sql";

// Two transactions cannot see each other's rows, so each would miss the other's: one waits.
constexpr char kTakeTurns[] =
    "SELECT pg_advisory_xact_lock(hashtextextended('describe ' || $2::text, $1))";

constexpr char kCompleteSession[] = R"sql(
  SELECT count(*) FROM samples
   WHERE project_id = $1 AND session = $2
     AND NOT EXISTS (
       SELECT FROM samples AS s
        WHERE s.project_id = $1 AND s.session = $2
          AND NOT EXISTS (SELECT FROM detections AS d
                           WHERE d.image_digest = s.image_digest
                             AND d.model = $3 AND d.model_version = $4 AND d.rule = $5))
)sql";

constexpr char kSetBudget[] = R"sql(
  INSERT INTO teacher_budgets AS b (project_id, max_calls, max_micros)
  VALUES ($1, greatest($2, 0), greatest($3, 0))
  ON CONFLICT (project_id) DO UPDATE SET max_calls = CASE WHEN $2 < 0 THEN b.max_calls ELSE $2 END,
                                         max_micros = CASE WHEN $3 < 0 THEN b.max_micros ELSE $3 END
)sql";

constexpr char kGetBudget[] =
    "SELECT max_calls, max_micros FROM teacher_budgets WHERE project_id = $1";

constexpr char kLockBudget[] =
    "SELECT max_calls, max_micros FROM teacher_budgets WHERE project_id = $1 FOR UPDATE";

constexpr char kReserve[] = R"sql(
  INSERT INTO teacher_spend (job_id, lease_epoch, project_id, calls, micros)
  VALUES ($2, $3, $1, $4, $5)
  ON CONFLICT (job_id, lease_epoch)
  DO UPDATE SET calls = teacher_spend.calls + $4, micros = teacher_spend.micros + $5
)sql";

constexpr char kGiveBack[] = R"sql(
  UPDATE teacher_spend SET calls = calls - $3, micros = micros - $4
   WHERE job_id = $1 AND lease_epoch = $2
)sql";

constexpr char kSettle[] = R"sql(
  INSERT INTO teacher_spend (job_id, lease_epoch, project_id, calls, micros, cache_hit, settled)
  VALUES ($2, $3, $1, 0, 0, $4, true)
  ON CONFLICT (job_id, lease_epoch) DO UPDATE SET settled = true, cache_hit = $4
)sql";

constexpr char kTotal[] = R"sql(
  SELECT COALESCE(sum(calls), 0)::bigint AS calls, COALESCE(sum(micros), 0)::bigint AS micros,
         count(*) FILTER (WHERE cache_hit) AS cache_hits
    FROM teacher_spend WHERE project_id = $1
)sql";

// A job's payload is the JSON form of its message, where int64 is a string.
constexpr char kProgress[] = R"sql(
  WITH judged AS (
    SELECT image_digest,
           bool_and(EXISTS (SELECT FROM answers AS a
                             WHERE a.sample_id = s.id AND a.kind = 'teacher')) AS whole
      FROM samples AS s WHERE project_id = $1 GROUP BY image_digest)
  SELECT (SELECT count(*) FROM judged) AS images,
         (SELECT count(*) FROM judged WHERE whole) AS judged_images,
         (SELECT count(*) FROM jobs WHERE kind IN ('label', 'describe')
             AND payload->>'projectId' = $1::text) AS waiting_jobs,
         (SELECT count(*) FROM finished_jobs WHERE kind IN ('label', 'describe')
             AND state = 'dead' AND payload->>'projectId' = $1::text) AS dead_jobs,
         (SELECT count(*) FROM tasks WHERE project_id = $1 AND closed_at IS NULL) AS open_tasks,
         (SELECT count(*) FROM answers AS a JOIN samples AS s ON s.id = a.sample_id
           WHERE s.project_id = $1 AND a.kind <> 'teacher') AS people_answers
)sql";

constexpr char kAnswers[] = R"sql(
  SELECT COALESCE(a.class_index, -1), count(*)
    FROM answers AS a JOIN samples AS s ON s.id = a.sample_id
   WHERE s.project_id = $1 AND a.kind = 'teacher' GROUP BY 1
)sql";

constexpr char kUnjudged[] = R"sql(
  SELECT DISTINCT image_digest FROM samples AS s
   WHERE project_id = $1 AND image_digest > $2
     AND NOT EXISTS (SELECT FROM answers AS a WHERE a.sample_id = s.id AND a.kind = 'teacher')
   ORDER BY image_digest LIMIT $3
)sql";

constexpr char kIsUnjudged[] = R"sql(
  SELECT EXISTS (
    SELECT FROM samples AS s
     WHERE project_id = $1 AND image_digest = $2
       AND NOT EXISTS (SELECT FROM answers AS a WHERE a.sample_id = s.id AND a.kind = 'teacher'))
)sql";

std::vector<Box> FromJson(const pqxx::field& field) {
  std::vector<Box> boxes;
  for (const auto& b : nlohmann::json::parse(field.as<std::string>())) {
    boxes.push_back({b.at(0), b.at(1), b.at(2), b.at(3), b.at(4)});
  }
  return boxes;
}

}  // namespace

Status Detections::Add(const std::string& image_digest, const Eye& eye,
                       const std::vector<Box>& boxes) {
  nlohmann::json json = nlohmann::json::array();
  for (const Box& b : boxes) json.push_back({b.score, b.left, b.top, b.right, b.bottom});
  tx_.work.exec_params0(kAdd, image_digest, eye.model, eye.version, eye.rule, json.dump());
  return Status();
}

Result<std::optional<std::vector<Box>>> Detections::Find(const std::string& image_digest,
                                                         const Eye& eye) {
  const pqxx::result rows =
      tx_.work.exec_params(kFind, image_digest, eye.model, eye.version, eye.rule);
  if (rows.empty()) return std::optional<std::vector<Box>>();
  return std::optional(FromJson(rows[0][0]));
}

Result<std::map<std::string, std::vector<Box>>> Detections::OfSession(int64_t project_id,
                                                                      const std::string& session,
                                                                      const Eye& eye) {
  std::map<std::string, std::vector<Box>> found;
  for (const auto& row :
       tx_.work.exec_params(kOfSession, project_id, session, eye.model, eye.version, eye.rule)) {
    found[row[0].as<std::string>()] = FromJson(row[1]);
  }
  return found;
}

Result<int64_t> Detections::CompleteSession(int64_t project_id, const std::string& session,
                                            const Eye& eye) {
  tx_.work.exec_params1(kTakeTurns, project_id, session);
  const pqxx::row row = tx_.work.exec_params1(kCompleteSession, project_id, session, eye.model,
                                              eye.version, eye.rule);
  return row[0].as<int64_t>();
}

Status TeacherBudget::Set(int64_t project_id, const Limits& limits) {
  if (!limits.max_calls && !limits.max_micros) return Status();
  tx_.work.exec_params0(kSetBudget, project_id, limits.max_calls.value_or(-1),
                        limits.max_micros.value_or(-1));
  return Status();
}

Result<TeacherBudget::Limits> TeacherBudget::Get(int64_t project_id) {
  const pqxx::result budget = tx_.work.exec_params(kGetBudget, project_id);
  if (budget.empty()) return Limits();
  return Limits{budget[0][0].as<int64_t>(), budget[0][1].as<int64_t>()};
}

Status TeacherBudget::Reserve(int64_t project_id, int64_t job_id, int64_t lease_epoch,
                              int64_t calls, int64_t price_micros) {
  const int64_t micros = calls * price_micros;
  const pqxx::result budget = tx_.work.exec_params(kLockBudget, project_id);
  if (budget.empty() && price_micros > 0) {
    return Status(Code::kFailedPrecondition, "BUDGET_UNSET",
                  "the teacher costs money and the project has no budget; StartAutoLabel sets one");
  }
  if (!budget.empty()) {
    const auto max_calls = budget[0][0].as<int64_t>();
    const auto max_micros = budget[0][1].as<int64_t>();
    const Spent spent = BF_TRY(Total(project_id));
    if ((max_calls > 0 && spent.calls + calls > max_calls) ||
        (max_micros > 0 && spent.micros + micros > max_micros)) {
      return Status(
          Code::kFailedPrecondition, "BUDGET_EXHAUSTED",
          "the teacher's budget: " + std::to_string(spent.calls) + " calls and " +
              std::to_string(spent.micros) + " micros are spent of " + std::to_string(max_calls) +
              " and " + std::to_string(max_micros) +
              " (0: no limit); raise it with StartAutoLabel: `bitfoundry autolabel --max-calls`");
    }
  }
  tx_.work.exec_params0(kReserve, project_id, job_id, lease_epoch, calls, micros);
  return Status();
}

Status TeacherBudget::GiveBack(int64_t job_id, int64_t lease_epoch, int64_t calls,
                               int64_t price_micros) {
  tx_.work.exec_params0(kGiveBack, job_id, lease_epoch, calls, calls * price_micros);
  return Status();
}

Status TeacherBudget::Settle(int64_t project_id, int64_t job_id, int64_t lease_epoch,
                             bool cache_hit) {
  tx_.work.exec_params0(kSettle, project_id, job_id, lease_epoch, cache_hit);
  return Status();
}

Result<TeacherBudget::Spent> TeacherBudget::Total(int64_t project_id) {
  const pqxx::row row = tx_.work.exec_params1(kTotal, project_id);
  return Spent{row[0].as<int64_t>(), row[1].as<int64_t>(), row[2].as<int64_t>()};
}

Result<TeacherProgress> GetTeacherProgress(db::Tx& tx, int64_t project_id) {
  const pqxx::row row = tx.work.exec_params1(kProgress, project_id);
  TeacherProgress progress{.images = row["images"].as<int64_t>(),
                           .judged_images = row["judged_images"].as<int64_t>(),
                           .waiting_jobs = row["waiting_jobs"].as<int64_t>(),
                           .dead_jobs = row["dead_jobs"].as<int64_t>(),
                           .open_tasks = row["open_tasks"].as<int64_t>(),
                           .people_answers = row["people_answers"].as<int64_t>(),
                           .answers = {}};
  for (const auto& answer : tx.work.exec_params(kAnswers, project_id)) {
    progress.answers[answer[0].as<int>()] = answer[1].as<int64_t>();
  }
  return progress;
}

Result<std::vector<std::string>> UnjudgedImages(db::Tx& tx, int64_t project_id,
                                                const std::string& after, int limit) {
  std::vector<std::string> digests;
  for (const auto& row : tx.work.exec_params(kUnjudged, project_id, after, limit)) {
    digests.push_back(row[0].as<std::string>());
  }
  return digests;
}

Result<bool> IsUnjudged(db::Tx& tx, int64_t project_id, const std::string& image_digest) {
  return tx.work.exec_params1(kIsUnjudged, project_id, image_digest)[0].as<bool>();
}

}  // namespace bitfoundry::catalog
