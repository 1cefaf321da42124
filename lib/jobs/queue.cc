#include "jobs/queue.h"

#include "base/trace.h"
#include "db/array.h"
#include "db/database.h"

namespace bitfoundry::jobs {
namespace {

// The key is taken before the job is made: of two transactions with one key, the second waits for
// the first and then finds it taken.
constexpr char kEnqueue[] = R"sql(
  WITH taken AS (
    INSERT INTO job_keys (unique_key, job_id)
    SELECT $3, nextval('job_ids') WHERE $3 <> ''
    ON CONFLICT (unique_key) DO NOTHING
    RETURNING job_id),
  fresh AS (
    SELECT job_id FROM taken
    UNION ALL
    SELECT nextval('job_ids') WHERE $3 = '')
  INSERT INTO jobs (id, kind, payload, unique_key, priority, max_attempts, run_limit, traceparent)
  SELECT job_id, $1, $2::jsonb, NULLIF($3, ''), $4, $5, make_interval(secs => $6), NULLIF($7, '')
    FROM fresh
  RETURNING id
)sql";

constexpr char kKnown[] = "SELECT job_id FROM job_keys WHERE unique_key = $1";

constexpr char kEnqueueAll[] = R"sql(
  WITH wanted AS (
    SELECT *, nextval('job_ids') AS id
      FROM unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::int[], $6::int[], $7::text[])
           AS w(kind, payload, unique_key, priority, max_attempts, run_limit, traceparent)),
  taken AS (
    INSERT INTO job_keys (unique_key, job_id)
    SELECT unique_key, id FROM wanted WHERE unique_key <> ''
    ON CONFLICT (unique_key) DO NOTHING
    RETURNING job_id)
  INSERT INTO jobs (id, kind, payload, unique_key, priority, max_attempts, run_limit, traceparent)
  SELECT id, kind, payload::jsonb, NULLIF(unique_key, ''), priority, max_attempts,
         make_interval(secs => run_limit), NULLIF(traceparent, '')
    FROM wanted
   WHERE unique_key = '' OR id IN (SELECT job_id FROM taken)
)sql";

constexpr char kRoom[] = R"sql(
  SELECT count(*) FROM (SELECT FROM jobs WHERE kind = $1 AND state = 'ready' LIMIT $2) AS waiting
)sql";

// One round trip: leases that ran out make their jobs ready for the next claim (or dead, if that
// was the last attempt), and the ready are claimed. A data-modifying WITH sees the table as it was
// before the statement, so what is requeued here is claimed by the caller's next try.
constexpr char kClaim[] = R"sql(
  WITH expired AS (
    SELECT id FROM jobs
     WHERE kind = $1 AND state = 'running' AND lease_until < now()
     LIMIT 100 FOR UPDATE SKIP LOCKED),
  requeued AS (
    UPDATE jobs
       SET state = 'ready', run_at = now(), lease_owner = NULL, lease_until = NULL,
           deadline_at = NULL, last_error = 'lease of ' || lease_owner || ' expired'
     WHERE id IN (SELECT id FROM expired) AND attempt < max_attempts
    RETURNING id),
  buried AS (
    DELETE FROM jobs
     WHERE id IN (SELECT id FROM expired) AND attempt >= max_attempts
    RETURNING *),
  graves AS (
    INSERT INTO finished_jobs (id, kind, state, priority, payload, unique_key, attempt,
                               max_attempts, run_limit, lease_epoch, lease_owner, last_error,
                               traceparent, created_at)
    SELECT id, kind, 'dead', priority, payload, unique_key, attempt, max_attempts, run_limit,
           lease_epoch, lease_owner, 'lease of ' || lease_owner || ' expired on the last attempt',
           traceparent, created_at
      FROM buried
    RETURNING id),
  picked AS (
    SELECT id FROM jobs
     WHERE kind = $1 AND state = 'ready' AND run_at <= now()
     ORDER BY priority DESC, run_at, id
     LIMIT $4
       FOR UPDATE SKIP LOCKED),
  claimed AS (
    UPDATE jobs
       SET state = 'running', attempt = attempt + 1, lease_epoch = lease_epoch + 1,
           lease_owner = $2, deadline_at = now() + run_limit,
           lease_until = now() + LEAST(make_interval(secs => $3), run_limit)
      FROM picked
     WHERE jobs.id = picked.id
    RETURNING jobs.id, lease_epoch, attempt, payload, traceparent, priority, run_at)
  SELECT claimed.id, lease_epoch, attempt, payload, traceparent,
         (extract(epoch FROM now() - run_at) * 1000)::bigint AS waited_ms,
         (SELECT count(*) FROM expired) AS expired
    FROM (VALUES (1)) AS always LEFT JOIN claimed ON true
   ORDER BY priority DESC, run_at, claimed.id
)sql";

constexpr char kRenew[] = R"sql(
  UPDATE jobs SET lease_until = LEAST(now() + make_interval(secs => $3), deadline_at)
   WHERE id = $1 AND lease_epoch = $2 AND state = 'running' AND deadline_at > now()
)sql";

constexpr char kCheck[] = R"sql(
  SELECT FROM jobs WHERE id = $1 AND lease_epoch = $2 AND state = 'running' FOR UPDATE
)sql";

constexpr char kRanFor[] = R"sql(
  SELECT extract(epoch FROM now() - (deadline_at - run_limit)) FROM jobs
   WHERE id = $1 AND lease_epoch = $2 AND state = 'running'
)sql";

constexpr char kCancel[] = R"sql(
  UPDATE jobs
     SET state = 'ready', attempt = attempt - 1, run_at = now(),
         lease_owner = NULL, lease_until = NULL, deadline_at = NULL, last_error = $3
   WHERE id = $1 AND lease_epoch = $2 AND state = 'running'
)sql";

constexpr char kRetry[] = R"sql(
  UPDATE jobs
     SET state = 'ready',
         run_at = now() + make_interval(secs => random() * LEAST(300, 2 ^ attempt)),
         lease_owner = NULL, lease_until = NULL, deadline_at = NULL, last_error = $3
   WHERE id = $1 AND lease_epoch = $2 AND state = 'running' AND attempt < max_attempts
)sql";

// Moves a leased job to finished_jobs as $3, with the error $4.
constexpr char kFinish[] = R"sql(
  WITH gone AS (
    DELETE FROM jobs
     USING unnest($1::bigint[], $2::bigint[]) AS held(id, epoch)
     WHERE jobs.id = held.id AND jobs.lease_epoch = held.epoch AND state = 'running'
    RETURNING jobs.*)
  INSERT INTO finished_jobs (id, kind, state, priority, payload, unique_key, attempt, max_attempts,
                             run_limit, lease_epoch, lease_owner, last_error, traceparent,
                             created_at)
  SELECT id, kind, $3::job_end, priority, payload, unique_key, attempt, max_attempts, run_limit,
         lease_epoch, lease_owner, COALESCE($4, last_error), traceparent, created_at
    FROM gone
)sql";

constexpr char kEnd[] = R"sql(
  WITH gone AS (DELETE FROM jobs WHERE id = $1 RETURNING *)
  INSERT INTO finished_jobs (id, kind, state, priority, payload, unique_key, attempt, max_attempts,
                             run_limit, lease_epoch, lease_owner, last_error, traceparent,
                             created_at)
  SELECT id, kind, 'cancelled', priority, payload, unique_key, attempt, max_attempts, run_limit,
         lease_epoch, lease_owner, $2, traceparent, created_at
    FROM gone
)sql";

constexpr char kWasCancelled[] = R"sql(
  SELECT EXISTS (SELECT FROM finished_jobs
                  WHERE id = $1 AND lease_epoch = $2 AND state = 'cancelled')
)sql";

constexpr char kIsOutranked[] = R"sql(
  WITH mine AS (SELECT * FROM jobs WHERE id = $1)
  SELECT (SELECT count(*) FROM jobs AS due, mine
           WHERE due.kind = mine.kind AND due.state = 'ready' AND due.priority > mine.priority
             AND due.run_at <= now() - make_interval(secs => $2))
       > (SELECT count(*) FROM jobs AS lower, mine
           WHERE lower.kind = mine.kind AND lower.state = 'running' AND lower.lease_until > now()
             AND (lower.priority, -lower.id) < (mine.priority, -mine.id))
)sql";

constexpr char kRedrive[] = R"sql(
  WITH risen AS (
    DELETE FROM finished_jobs
     WHERE (state = 'dead' OR state = 'cancelled' AND cardinality($2::bigint[]) > 0)
       AND ($1 = '' OR kind = $1)
       AND (cardinality($2::bigint[]) = 0 OR id = ANY ($2::bigint[]))
    RETURNING *)
  INSERT INTO jobs (id, kind, priority, payload, unique_key, max_attempts, run_limit, lease_epoch,
                    last_error, traceparent, created_at)
  SELECT id, kind, priority, payload, unique_key, max_attempts, run_limit, lease_epoch, last_error,
         traceparent, created_at
    FROM risen
)sql";

constexpr char kDepths[] = R"sql(
  SELECT kind, sum(ready) AS ready, sum(running) AS running, sum(done) AS done, sum(dead) AS dead,
         sum(cancelled) AS cancelled, COALESCE(max(age), 0) AS age
    FROM (SELECT kind, count(*) FILTER (WHERE state = 'ready') AS ready,
                 count(*) FILTER (WHERE state = 'running') AS running, 0 AS done, 0 AS dead,
                 0 AS cancelled,
                 extract(epoch FROM
                         now() - min(run_at) FILTER (WHERE state = 'ready' AND run_at <= now()))
                   AS age
            FROM jobs GROUP BY kind
           UNION ALL
          SELECT kind, 0, 0, count(*) FILTER (WHERE state = 'done'),
                 count(*) FILTER (WHERE state = 'dead'),
                 count(*) FILTER (WHERE state = 'cancelled'), NULL
            FROM finished_jobs GROUP BY kind) AS both_tables
   GROUP BY kind ORDER BY kind
)sql";

constexpr char kWaiting[] = R"sql(
  SELECT kind, count(*) FILTER (WHERE state = 'ready') AS ready,
         count(*) FILTER (WHERE state = 'running') AS running, 0 AS done, 0 AS dead,
         0 AS cancelled,
         COALESCE(extract(epoch FROM
                          now() - min(run_at) FILTER (WHERE state = 'ready' AND run_at <= now())),
                  0) AS age
    FROM jobs GROUP BY kind ORDER BY kind
)sql";

constexpr char kDead[] = R"sql(
  SELECT id, kind, payload, attempt, last_error,
         to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS finished_at
    FROM finished_jobs
   WHERE state = 'dead' AND ($1 = '' OR kind = $1) AND ($2 = 0 OR id < $2)
   ORDER BY id DESC LIMIT $3
)sql";

constexpr char kState[] = R"sql(
  SELECT state::text, priority, attempt, last_error, traceparent FROM jobs WHERE id = $1
   UNION ALL
  SELECT state::text, priority, attempt, last_error, traceparent FROM finished_jobs WHERE id = $1
)sql";

constexpr char kFindKey[] = "SELECT job_id FROM job_keys WHERE unique_key = $1";

// Prepared once per connection: planning these costs more than running them.
template <typename... Args>
pqxx::result Exec(db::Tx& tx, const char* name, const char* sql, Args&&... args) {
  tx.work.conn().prepare(name, sql);
  return tx.work.exec_prepared(name, std::forward<Args>(args)...);
}

std::string TraceOf(const JobSpec& spec) {
  return spec.traceparent.empty() ? CurrentTrace() : spec.traceparent;
}

Status Lost(std::span<const Lease> leases) {
  std::string ids;
  for (const Lease& lease : leases) ids += (ids.empty() ? "" : ", ") + std::to_string(lease.job_id);
  return {Code::kAborted, "LEASE_LOST",
          "job " + ids + ": the lease is lost; somebody else has it or will, or it was cancelled"};
}

Result<int64_t> Finish(db::Tx& tx, std::span<const Lease> leases, const char* end,
                       const std::optional<std::string>& error) {
  const auto id = [](const Lease& l) { return std::to_string(l.job_id); };
  const auto epoch = [](const Lease& l) { return std::to_string(l.epoch); };
  const pqxx::result done = Exec(tx, "jobs_finish", kFinish, db::ArrayOf(leases, id),
                                 db::ArrayOf(leases, epoch), std::string(end), error);
  return static_cast<int64_t>(done.affected_rows());
}

std::vector<QueueDepth> DepthsFrom(const pqxx::result& rows) {
  std::vector<QueueDepth> depths;
  for (const auto& row : rows) {
    depths.push_back({.kind = row["kind"].as<std::string>(),
                      .ready = row["ready"].as<int64_t>(),
                      .running = row["running"].as<int64_t>(),
                      .done = row["done"].as<int64_t>(),
                      .dead = row["dead"].as<int64_t>(),
                      .cancelled = row["cancelled"].as<int64_t>(),
                      .oldest_ready_age_seconds = row["age"].as<double>()});
  }
  return depths;
}

}  // namespace

Result<int64_t> Queue::Enqueue(const JobSpec& spec) {
  const pqxx::result added =
      Exec(tx_, "jobs_enqueue", kEnqueue, spec.kind, spec.payload_json, spec.unique_key,
           spec.priority, spec.max_attempts, spec.run_limit.count(), TraceOf(spec));
  if (!added.empty()) return added[0][0].as<int64_t>();
  return tx_.work.exec_params1(kKnown, spec.unique_key)[0].as<int64_t>();
}

Result<int64_t> Queue::EnqueueAll(std::span<const JobSpec> specs) {
  const auto number = [](auto n) { return std::to_string(n); };
  const pqxx::result added =
      Exec(tx_, "jobs_enqueue_all", kEnqueueAll,
           db::ArrayOf(specs, [](const JobSpec& s) { return s.kind; }),
           db::ArrayOf(specs, [](const JobSpec& s) { return s.payload_json; }),
           db::ArrayOf(specs, [](const JobSpec& s) { return s.unique_key; }),
           db::ArrayOf(specs, [&](const JobSpec& s) { return number(s.priority); }),
           db::ArrayOf(specs, [&](const JobSpec& s) { return number(s.max_attempts); }),
           db::ArrayOf(specs, [&](const JobSpec& s) { return number(s.run_limit.count()); }),
           db::ArrayOf(specs, TraceOf));
  return static_cast<int64_t>(added.affected_rows());
}

Status Queue::CheckRoom(const std::string& kind, int64_t limit) {
  const auto ready = Exec(tx_, "jobs_room", kRoom, kind, limit)[0][0].as<int64_t>();
  if (ready < limit) return Status();
  return {Code::kResourceExhausted, "QUEUE_FULL",
          std::to_string(limit) + " or more " + kind + " jobs are waiting; come back later"};
}

Result<Claimed> Queue::Claim(const std::string& kind, const std::string& worker,
                             std::chrono::seconds lease_for, int limit) {
  const pqxx::result rows = Exec(tx_, "jobs_claim", kClaim, kind, worker, lease_for.count(), limit);
  Claimed claimed;
  claimed.expired = rows[0]["expired"].as<int>();
  for (const auto& row : rows) {
    if (row["id"].is_null()) break;
    claimed.leases.push_back({.job_id = row["id"].as<int64_t>(),
                              .epoch = row["lease_epoch"].as<int64_t>(),
                              .attempt = row["attempt"].as<int>(),
                              .payload_json = row["payload"].as<std::string>(),
                              .traceparent = row["traceparent"].as<std::string>(""),
                              .waited = std::chrono::milliseconds(row["waited_ms"].as<int64_t>())});
  }
  return claimed;
}

Status Queue::Renew(const Lease& lease, std::chrono::seconds lease_for) {
  const pqxx::result renewed =
      Exec(tx_, "jobs_renew", kRenew, lease.job_id, lease.epoch, lease_for.count());
  return renewed.affected_rows() == 1 ? Status() : Lost({&lease, 1});
}

Status Queue::Check(const Lease& lease) {
  const pqxx::result held = Exec(tx_, "jobs_check", kCheck, lease.job_id, lease.epoch);
  return held.size() == 1 ? Status() : Lost({&lease, 1});
}

Result<std::chrono::duration<double>> Queue::RanFor(const Lease& lease) {
  const pqxx::result rows = tx_.work.exec_params(kRanFor, lease.job_id, lease.epoch);
  return std::chrono::duration<double>(rows.empty() ? 0 : rows[0][0].as<double>());
}

Result<GivenBack> Queue::GiveBack(const Lease& lease, const Status& why) {
  const auto moved = [&](const char* name, const char* sql) {
    return Exec(tx_, name, sql, lease.job_id, lease.epoch, why.ToString()).affected_rows() == 1;
  };
  if (why.code() == Code::kCancelled) {
    return moved("jobs_cancel", kCancel) ? GivenBack::kReadyAgain : GivenBack::kLost;
  }
  if (why.retryable() && moved("jobs_retry", kRetry)) return GivenBack::kReadyAgain;
  const int64_t buried = BF_TRY(Finish(tx_, {&lease, 1}, "dead", why.ToString()));
  return buried == 1 ? GivenBack::kDead : GivenBack::kLost;
}

Status Queue::Complete(std::span<const Lease> leases) {
  const int64_t done = BF_TRY(Finish(tx_, leases, "done", std::nullopt));
  return done == static_cast<int64_t>(leases.size()) ? Status() : Lost(leases);
}

Result<bool> Queue::Cancel(int64_t job_id, const std::string& why) {
  return tx_.work.exec_params(kEnd, job_id, why).affected_rows() == 1;
}

Result<bool> Queue::WasCancelled(const Lease& lease) {
  return tx_.work.exec_params1(kWasCancelled, lease.job_id, lease.epoch)[0].as<bool>();
}

Result<bool> Queue::IsOutranked(const Lease& lease, std::chrono::seconds patience) {
  return tx_.work.exec_params1(kIsOutranked, lease.job_id, patience.count())[0].as<bool>();
}

Result<int64_t> Queue::Redrive(const std::string& kind, std::span<const int64_t> ids) {
  const std::string array = db::ArrayOf(ids, [](int64_t id) { return std::to_string(id); });
  return static_cast<int64_t>(tx_.work.exec_params(kRedrive, kind, array).affected_rows());
}

Result<std::vector<QueueDepth>> Queue::Depths() { return DepthsFrom(tx_.work.exec(kDepths)); }

Result<std::vector<QueueDepth>> Queue::Waiting() { return DepthsFrom(tx_.work.exec(kWaiting)); }

Result<std::vector<DeadJob>> Queue::Dead(const std::string& kind, int64_t before, int limit) {
  std::vector<DeadJob> dead;
  for (const auto& row : tx_.work.exec_params(kDead, kind, before, limit)) {
    dead.push_back({.job_id = row["id"].as<int64_t>(),
                    .kind = row["kind"].as<std::string>(),
                    .payload_json = row["payload"].as<std::string>(),
                    .attempts = row["attempt"].as<int>(),
                    .error = row["last_error"].as<std::string>(),
                    .finished_at = row["finished_at"].as<std::string>()});
  }
  return dead;
}

Result<JobState> Queue::State(int64_t job_id) {
  const pqxx::result rows = tx_.work.exec_params(kState, job_id);
  if (rows.empty()) return Status(Code::kNotFound, "job " + std::to_string(job_id));
  return JobState{.state = rows[0]["state"].as<std::string>(),
                  .priority = rows[0]["priority"].as<int>(),
                  .attempts = rows[0]["attempt"].as<int>(),
                  .last_error = rows[0]["last_error"].as<std::string>(""),
                  .traceparent = rows[0]["traceparent"].as<std::string>("")};
}

Result<JobState> Queue::State(const std::string& unique_key) {
  const pqxx::result rows = tx_.work.exec_params(kFindKey, unique_key);
  if (rows.empty()) return Status(Code::kNotFound, "no job was ever asked for as " + unique_key);
  return State(rows[0][0].as<int64_t>());
}

}  // namespace bitfoundry::jobs
