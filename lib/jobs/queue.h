// The job table as a queue: at-least-once execution, exactly one accepted result.
//
// A job is `ready`, then `running` under a lease, then done, dead or cancelled, which moves it to
// finished_jobs. A worker that dies stops renewing, and its job is claimed again once the lease has
// run out; one that hangs keeps renewing, but no lease outlives the attempt's hard deadline. Each
// claim gets a higher `epoch`, the fencing token: whoever holds an older one can no longer touch
// the job. (`attempt` cannot serve as the token, because a cancelled attempt is given back.)
// Time is Postgres's now() throughout, so the clocks of the workers do not matter.
//
// See docs/jobs.md for the states and migrations/0001_jobs.sql for the tables.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace bitfoundry::db {
struct Tx;
}

namespace bitfoundry::jobs {

// What to do, before it has an identity.
struct JobSpec {
  std::string kind;  // "label", "train", ...: which worker takes it
  std::string
      payload_json;  // the JSON form of the kind's message in proto/bitfoundry/v1/jobs.proto
  std::string unique_key = {};  // two specs with one key are one job, for ever; empty: a new job
  int priority = 0;             // higher first, -32768 to 32767
  int max_attempts = 5;
  std::chrono::seconds run_limit{3600};  // hard deadline of one attempt
  std::string traceparent = {};          // W3C trace context; empty: this thread's (base/trace.h)
};

// The right to work on a job until the lease runs out.
struct Lease {
  int64_t job_id = 0;
  int64_t epoch = 0;
  int attempt = 0;  // from 1
  std::string payload_json = {};
  std::string traceparent = {};
  std::chrono::milliseconds waited{};  // from when it was due until it was claimed
};

struct Claimed {
  std::vector<Lease> leases;
  int expired = 0;  // leases of others that had run out: their jobs are claimable now, or dead
};

enum class GivenBack { kReadyAgain, kDead, kLost };

// How one kind of job stands.
struct QueueDepth {
  std::string kind;
  int64_t ready = 0;
  int64_t running = 0;
  int64_t done = 0;
  int64_t dead = 0;
  int64_t cancelled = 0;
  double oldest_ready_age_seconds = 0;  // 0 if none is ready and due
};

struct DeadJob {
  int64_t job_id = 0;
  std::string kind;
  std::string payload_json;
  int attempts = 0;
  std::string error;
  std::string finished_at;  // RFC 3339, UTC
};

// Where a job stands. Its state is "ready", "running", "done", "dead" or "cancelled".
struct JobState {
  std::string state;
  int priority = 0;
  int attempts = 0;
  std::string last_error;
  std::string traceparent;
};

// A view of the queue inside one transaction.
class Queue {
 public:
  explicit Queue(db::Tx& tx) : tx_(tx) {}

  // Adds a job and returns its id. A unique_key that was ever enqueued adds nothing and returns
  // the id of that job, finished or not.
  Result<int64_t> Enqueue(const JobSpec& spec);

  // Adds many jobs of distinct keys in one statement; those whose key is known are left out.
  // Returns how many were added.
  Result<int64_t> EnqueueAll(std::span<const JobSpec> specs);

  // Back-pressure. Errors: kResourceExhausted, QUEUE_FULL, if `limit` or more of `kind` are ready.
  Status CheckRoom(const std::string& kind, int64_t limit);

  // Takes up to `limit` claimable jobs of `kind`, by priority and then age; none if there is none.
  // Never waits for a job that another worker is claiming at the same moment.
  Result<Claimed> Claim(const std::string& kind, const std::string& worker,
                        std::chrono::seconds lease_for, int limit = 1);

  // Moves the end of the lease to now + lease_for, but not past the attempt's deadline.
  // Errors: kAborted, LEASE_LOST, if somebody else has the job or the deadline has passed.
  Status Renew(const Lease& lease, std::chrono::seconds lease_for);

  // OK while the lease is held, and the job row locked until the transaction ends, so that what is
  // written beside it is fenced. Errors: kAborted, LEASE_LOST.
  Status Check(const Lease& lease);

  // How long the attempt has run; 0 if the lease is lost.
  Result<std::chrono::duration<double>> RanFor(const Lease& lease);

  // Ends an attempt that did not finish. A cancelled one is given back at once and does not count.
  // A retryable one is tried again after a random time of at most 2^attempt seconds (300 at most),
  // if attempts are left. Otherwise the job is dead, with `why` as its cause.
  Result<GivenBack> GiveBack(const Lease& lease, const Status& why);

  // Marks jobs done. Errors: kAborted, LEASE_LOST, if any lease has been lost; the transaction,
  // and with it everything this worker wrote for the jobs, must then be dropped.
  Status Complete(std::span<const Lease> leases);
  Status Complete(const Lease& lease) { return Complete({&lease, 1}); }

  // Ends a job that has not ended, for good: it is claimed no more, and who holds its lease has
  // lost it. False if there is no such job, or it has ended already.
  Result<bool> Cancel(int64_t job_id, const std::string& why);

  // Whether the job was cancelled while `lease` was its newest: the cause of a LEASE_LOST.
  Result<bool> WasCancelled(const Lease& lease);

  // Whether who holds `lease` should give it back: jobs of the same kind and a higher priority have
  // been due for `patience`, so no worker is idle, and fewer running ones than those have a lower
  // priority or, with the same, are newer. One running job at most makes room for each.
  Result<bool> IsOutranked(const Lease& lease, std::chrono::seconds patience);

  // Makes dead jobs ready again with all their attempts: those of `kind` (empty: any) among `ids`
  // (empty: all). A cancelled one rises only if it is named. Returns how many.
  Result<int64_t> Redrive(const std::string& kind, std::span<const int64_t> ids);

  // By kind. Depths counts the finished too, which takes a while when there are millions; Waiting
  // does not (they are 0) and leaves out the kinds that have none waiting or running.
  Result<std::vector<QueueDepth>> Depths();
  Result<std::vector<QueueDepth>> Waiting();

  // Dead jobs of `kind` (empty: any) with an id below `before` (0: from the newest), newest first.
  Result<std::vector<DeadJob>> Dead(const std::string& kind, int64_t before, int limit);

  // Errors: kNotFound.
  Result<JobState> State(int64_t job_id);
  Result<JobState> State(const std::string& unique_key);

 private:
  db::Tx& tx_;
};

}  // namespace bitfoundry::jobs
