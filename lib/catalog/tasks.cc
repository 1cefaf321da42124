#include "catalog/tasks.h"

#include "db/array.h"
#include "db/database.h"

namespace bitfoundry::catalog {
namespace {

constexpr char kOpen[] = R"sql(
  WITH made AS (
    INSERT INTO tasks (project_id, sample_id, priority) VALUES ($1, $2, $3)
    ON CONFLICT (project_id, sample_id) DO NOTHING
    RETURNING id)
  INSERT INTO task_slots (task_id, slot, project_id, priority)
  SELECT id, slot, $1, $3 FROM made, generate_series(1, $4::int) AS slot
)sql";

// The annotator's own expired leases are left to kRenew.
constexpr char kSweep[] = R"sql(
  WITH expired AS (
    SELECT task_id, slot FROM task_slots
     WHERE project_id = $1 AND state = 'leased' AND lease_until < now() AND annotator <> $2
     ORDER BY lease_until
     LIMIT 1000
       FOR UPDATE SKIP LOCKED)
  UPDATE task_slots SET state = 'open', annotator = NULL, lease_until = NULL
    FROM expired
   WHERE task_slots.task_id = expired.task_id AND task_slots.slot = expired.slot
)sql";

constexpr char kRenew[] = R"sql(
  WITH held AS (
    SELECT task_id, slot FROM task_slots
     WHERE project_id = $1 AND annotator = $2 AND state = 'leased'
       AND ($5::text[] = '{}' OR task_id IN
            (SELECT tasks.id FROM tasks JOIN samples ON samples.id = sample_id
              WHERE samples.project_id = $1 AND samples.name = ANY ($5::text[])))
     ORDER BY priority DESC, task_id
     LIMIT $4
       FOR UPDATE SKIP LOCKED),
  renewed AS (
    UPDATE task_slots AS s SET lease_until = now() + make_interval(secs => $3)
      FROM held
     WHERE s.task_id = held.task_id AND s.slot = held.slot
    RETURNING s.task_id, s.slot, s.lease_epoch, s.priority)
  SELECT task_id, slot, lease_epoch, samples.name AS sample
    FROM renewed
    JOIN tasks ON tasks.id = task_id
    JOIN samples ON samples.id = sample_id
   ORDER BY renewed.priority DESC, task_id
)sql";

// Of a task's open slots only the lowest is a candidate: one claim must not take two of one task,
// nor may two claims at once by the same annotator.
constexpr char kClaim[] = R"sql(
  WITH picked AS (
    SELECT task_id, slot FROM task_slots AS s
     WHERE project_id = $1 AND state = 'open'
       AND NOT EXISTS (SELECT FROM task_slots AS lower
                        WHERE lower.task_id = s.task_id AND lower.slot < s.slot
                          AND lower.state = 'open')
       AND NOT EXISTS (SELECT FROM task_slots AS own
                        WHERE own.task_id = s.task_id AND own.annotator = $2)
       AND NOT EXISTS (SELECT FROM answers JOIN tasks USING (sample_id)
                        WHERE tasks.id = s.task_id AND answers.annotator = $2)
       AND ($5::text[] = '{}' OR task_id IN
            (SELECT tasks.id FROM tasks JOIN samples ON samples.id = sample_id
              WHERE samples.project_id = $1 AND samples.name = ANY ($5::text[])))
     ORDER BY priority DESC, task_id, slot
     LIMIT $4
       FOR UPDATE SKIP LOCKED),
  claimed AS (
    UPDATE task_slots AS s
       SET state = 'leased', annotator = $2, lease_epoch = lease_epoch + 1,
           lease_until = now() + make_interval(secs => $3)
      FROM picked
     WHERE s.task_id = picked.task_id AND s.slot = picked.slot
    RETURNING s.task_id, s.slot, s.lease_epoch, s.priority),
  noted AS (
    INSERT INTO task_leases (task_id, slot, lease_epoch, annotator)
    SELECT task_id, slot, lease_epoch, $2 FROM claimed)
  SELECT task_id, slot, lease_epoch, samples.name AS sample
    FROM claimed
    JOIN tasks ON tasks.id = task_id
    JOIN samples ON samples.id = sample_id
   ORDER BY claimed.priority DESC, task_id
)sql";

constexpr char kLockLeased[] = R"sql(
  SELECT samples.id
    FROM task_leases
    JOIN tasks ON tasks.id = task_id
    JOIN samples ON samples.id = sample_id
   WHERE task_id = $1 AND slot = $2 AND lease_epoch = $3 AND annotator = $4
     FOR NO KEY UPDATE OF samples
)sql";

// $4: the new state. The slot held now goes before the one held once.
constexpr char kHandIn[] = R"sql(
  WITH mine AS (
    SELECT task_id, slot FROM task_slots
     WHERE task_id = $1
       AND ((state = 'leased' AND annotator = $3) OR (state = 'open' AND slot = $2))
     ORDER BY state = 'leased' DESC
     LIMIT 1
       FOR UPDATE)
  UPDATE task_slots
     SET state = $4::slot_state, lease_until = NULL,
         annotator = CASE WHEN $4::slot_state = 'answered' THEN $3 END
    FROM mine
   WHERE task_slots.task_id = mine.task_id AND task_slots.slot = mine.slot
)sql";

constexpr char kRelease[] = R"sql(
  UPDATE task_slots SET state = 'open', annotator = NULL, lease_until = NULL
   WHERE task_id = $1 AND slot = $2 AND lease_epoch = $3 AND annotator = $4 AND state = 'leased'
)sql";

constexpr char kSampleOf[] = R"sql(
  SELECT sample_id FROM task_leases JOIN tasks ON tasks.id = task_id
   WHERE task_id = $1 AND slot = $2 AND lease_epoch = $3
)sql";

constexpr char kSelect[] = R"sql(
  SELECT tasks.id, samples.name AS sample, closed_at IS NULL AS open, priority, slots, answered
    FROM tasks
    JOIN samples ON samples.id = sample_id
    JOIN LATERAL (SELECT count(*) FILTER (WHERE state <> 'withdrawn') AS slots,
                         count(*) FILTER (WHERE state = 'answered') AS answered
                    FROM task_slots WHERE task_id = tasks.id) AS counts ON true
)sql";

constexpr char kAddSlot[] = R"sql(
  INSERT INTO task_slots (task_id, slot, project_id, priority)
  SELECT id, (SELECT max(slot) + 1 FROM task_slots WHERE task_id = id), project_id, priority
    FROM tasks WHERE id = $1
)sql";

constexpr char kClose[] = R"sql(
  WITH closed AS (
    UPDATE tasks SET closed_at = now(), closed_as = $2 WHERE id = $1)
  UPDATE task_slots SET state = 'withdrawn', annotator = NULL, lease_until = NULL
   WHERE task_id = $1 AND state IN ('open', 'leased')
)sql";

constexpr char kCountOpen[] =
    "SELECT count(*) FROM tasks WHERE project_id = $1 AND closed_at IS NULL";

// Ids grow with time, so the lowest open task is the oldest.
constexpr char kCountSlots[] = R"sql(
  WITH counts AS (
    SELECT count(*) FILTER (WHERE free) AS open, count(*) FILTER (WHERE NOT free) AS leased,
           min(task_id) FILTER (WHERE free) AS oldest
      FROM (SELECT task_id, state = 'open' OR lease_until < now() AS free
              FROM task_slots WHERE state IN ('open', 'leased')) AS slots)
  SELECT open, leased, (SELECT count(*) FROM task_slots WHERE state = 'answered') AS answered,
         COALESCE(extract(epoch FROM now() - created_at), 0) AS age
    FROM counts LEFT JOIN tasks ON tasks.id = oldest
)sql";

Task FromRow(const pqxx::row& row) {
  return {.id = row["id"].as<int64_t>(),
          .sample = row["sample"].as<std::string>(),
          .open = row["open"].as<bool>(),
          .slots = row["slots"].as<int>(),
          .answered = row["answered"].as<int>(),
          .priority = row["priority"].as<int>()};
}

void Append(const pqxx::result& rows, std::vector<LeasedTask>& tasks) {
  for (const auto& row : rows) {
    tasks.push_back({.lease = {.task_id = row["task_id"].as<int64_t>(),
                               .slot = row["slot"].as<int>(),
                               .epoch = row["lease_epoch"].as<int64_t>()},
                     .sample = row["sample"].as<std::string>()});
  }
}

std::string ToString(const TaskLease& lease) {
  return "task " + std::to_string(lease.task_id) + ", slot " + std::to_string(lease.slot) +
         ", lease " + std::to_string(lease.epoch);
}

}  // namespace

Result<bool> Tasks::Open(int64_t project_id, int64_t sample_id, int slots, int priority) {
  BF_CHECK(slots >= 1 && slots <= kMaxSlots);
  tx_.work.conn().prepare("tasks_open", kOpen);
  return tx_.work.exec_prepared("tasks_open", project_id, sample_id, priority, slots)
             .affected_rows() > 0;
}

Result<Tasks::Leased> Tasks::Lease(int64_t project_id, const std::string& annotator,
                                   std::chrono::seconds lease_for, int max,
                                   const std::vector<std::string>& samples) {
  const std::string names = db::ArrayOf(samples);
  Leased leased;
  leased.expired =
      static_cast<int>(tx_.work.exec_params(kSweep, project_id, annotator).affected_rows());
  Append(tx_.work.exec_params(kRenew, project_id, annotator, lease_for.count(), max, names),
         leased.tasks);
  const int room = max - static_cast<int>(leased.tasks.size());
  if (room > 0) {
    Append(tx_.work.exec_params(kClaim, project_id, annotator, lease_for.count(), room, names),
           leased.tasks);
  }
  return leased;
}

Result<Tasks::HandedIn> Tasks::HandIn(const TaskLease& lease, const std::string& annotator,
                                      bool answered) {
  const pqxx::result sample =
      tx_.work.exec_params(kLockLeased, lease.task_id, lease.slot, lease.epoch, annotator);
  if (sample.empty()) {
    return Status(Code::kNotFound, "NEVER_LEASED",
                  ToString(lease) + " was never leased to '" + annotator + "'");
  }
  const pqxx::result taken = tx_.work.exec_params(kHandIn, lease.task_id, lease.slot, annotator,
                                                  std::string(answered ? "answered" : "open"));
  return HandedIn{sample[0][0].as<int64_t>(), taken.affected_rows() == 0};
}

Status Tasks::Release(const TaskLease& lease, const std::string& annotator) {
  const pqxx::result released =
      tx_.work.exec_params(kRelease, lease.task_id, lease.slot, lease.epoch, annotator);
  if (released.affected_rows() == 1) return Status();
  return {Code::kAborted, "LEASE_LOST",
          ToString(lease) + " is not held by '" + annotator + "' any more"};
}

Result<int64_t> Tasks::SampleOf(const TaskLease& lease) {
  const pqxx::result rows = tx_.work.exec_params(kSampleOf, lease.task_id, lease.slot, lease.epoch);
  if (!rows.empty()) return rows[0][0].as<int64_t>();
  return Status(Code::kNotFound, "NEVER_LEASED", ToString(lease) + " was never given out");
}

Result<std::optional<Task>> Tasks::OfSample(int64_t sample_id) {
  const pqxx::result rows =
      tx_.work.exec_params(std::string(kSelect) + "WHERE sample_id = $1", sample_id);
  if (rows.empty()) return std::optional<Task>();
  return std::optional<Task>(FromRow(rows[0]));
}

Status Tasks::AddSlot(int64_t task_id) {
  tx_.work.exec_params0(kAddSlot, task_id);
  return Status();
}

Status Tasks::Close(int64_t task_id, TaskEnd end) {
  tx_.work.exec_params0(kClose, task_id,
                        std::string(end == TaskEnd::kAnswered ? "answered" : "refused"));
  return Status();
}

Result<std::vector<Task>> Tasks::List(int64_t project_id, bool open_only, int64_t after,
                                      int limit) {
  std::vector<Task> tasks;
  for (const auto& row : tx_.work.exec_params(
           std::string(kSelect) + "WHERE tasks.project_id = $1 AND tasks.id > $2 "
                                  "AND (closed_at IS NULL OR NOT $3) ORDER BY tasks.id LIMIT $4",
           project_id, after, open_only, limit)) {
    tasks.push_back(FromRow(row));
  }
  return tasks;
}

Result<int64_t> Tasks::CountOpen(int64_t project_id) {
  return tx_.work.exec_params1(kCountOpen, project_id)[0].as<int64_t>();
}

Result<Tasks::Depth> Tasks::CountSlots() {
  const pqxx::row row = tx_.work.exec1(kCountSlots);
  return Depth{.open = row["open"].as<int64_t>(),
               .leased = row["leased"].as<int64_t>(),
               .answered = row["answered"].as<int64_t>(),
               .oldest_open_age_seconds = row["age"].as<double>()};
}

}  // namespace bitfoundry::catalog
