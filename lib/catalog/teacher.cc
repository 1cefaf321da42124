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
  SELECT CASE WHEN bool_and(EXISTS (
                     SELECT FROM detections AS d
                      WHERE d.image_digest = i.image_digest
                        AND d.model = $3 AND d.model_version = $4 AND d.rule = $5))
              THEN count(*) ELSE 0 END
    FROM (SELECT DISTINCT image_digest FROM samples
           WHERE project_id = $1 AND session = $2) AS i
)sql";

constexpr char kCountImages[] = R"sql(
  SELECT count(*) FROM (SELECT DISTINCT image_digest FROM samples WHERE project_id = $1) AS i
    JOIN detections AS d USING (image_digest)
   WHERE d.model = $2 AND d.model_version = $3 AND d.rule = $4
)sql";

constexpr char kSetBudget[] = R"sql(
  INSERT INTO teacher_budgets (project_id, max_calls, max_micros) VALUES ($1, $2, $3)
  ON CONFLICT (project_id) DO UPDATE SET max_calls = $2, max_micros = $3
)sql";

constexpr char kLockBudget[] =
    "SELECT max_calls, max_micros FROM teacher_budgets WHERE project_id = $1 FOR UPDATE";

constexpr char kReserve[] = R"sql(
  INSERT INTO teacher_spend (job_id, lease_epoch, project_id, calls, micros)
  VALUES ($2, $3, $1, $4, $5)
  ON CONFLICT (job_id, lease_epoch)
  DO UPDATE SET calls = teacher_spend.calls + $4, micros = teacher_spend.micros + $5
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

Result<int64_t> Detections::CountImages(int64_t project_id, const Eye& eye) {
  const pqxx::row row =
      tx_.work.exec_params1(kCountImages, project_id, eye.model, eye.version, eye.rule);
  return row[0].as<int64_t>();
}

Status TeacherBudget::Set(int64_t project_id, int64_t max_calls, int64_t max_micros) {
  tx_.work.exec_params0(kSetBudget, project_id, max_calls, max_micros);
  return Status();
}

Status TeacherBudget::Reserve(int64_t project_id, int64_t job_id, int64_t lease_epoch,
                              int64_t calls, int64_t price_micros) {
  const int64_t micros = calls * price_micros;
  const pqxx::result budget = tx_.work.exec_params(kLockBudget, project_id);
  if (!budget.empty()) {
    const auto max_calls = budget[0][0].as<int64_t>();
    const auto max_micros = budget[0][1].as<int64_t>();
    const Spent spent = BF_TRY(Total(project_id));
    if ((max_calls > 0 && spent.calls + calls > max_calls) ||
        (max_micros > 0 && spent.micros + micros > max_micros)) {
      return Status(Code::kFailedPrecondition, "BUDGET_EXHAUSTED",
                    "the teacher's budget: " + std::to_string(spent.calls) + " calls and " +
                        std::to_string(spent.micros) + " micros are spent of " +
                        std::to_string(max_calls) + " and " + std::to_string(max_micros) +
                        " (0: no limit); raise it with StartAutoLabel");
    }
  }
  tx_.work.exec_params0(kReserve, project_id, job_id, lease_epoch, calls, micros);
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

}  // namespace bitfoundry::catalog
