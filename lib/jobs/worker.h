// The loop of every worker: claim a job, compute, write once.
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>

#include "base/status.h"
#include "jobs/doorbell.h"
#include "jobs/queue.h"

namespace bitfoundry::db {
class Database;
}

namespace bitfoundry::jobs {

// What a finished computation wants to leave behind, in one transaction with the job's completion.
// Returns OK, or an error that drops it all and gives the job back.
using Write = std::function<Status(db::Tx&)>;

// Computes one job. No transaction is open meanwhile, and nothing but content-addressed blobs may
// be written: the handler may be running twice. `stop` means the lease is lost or the process is
// going down; return kCancelled soon.
using Handler = std::function<Result<Write>(const Lease&, const std::stop_token& stop)>;

// What became of one attempt, for metrics.
struct Attempt {
  const char* outcome = "";  // "done", "retried", "dead", "given_back", "lost", "unknown"
  std::chrono::duration<double> waited{};
  std::chrono::duration<double> ran{};
  int expired = 0;  // leases of others that the claim found run out
};

struct WorkerOptions {
  std::string kind;                    // the one kind of job this worker takes
  std::string name;                    // lease owner
  std::chrono::seconds lease_for{20};  // renewed every third of it
  std::chrono::seconds poll_every{5};
  std::function<void(const Attempt&)> on_attempt = [](const Attempt&) {};
  std::function<void(const Lease&)> after_done = [](const Lease&) {};  // ring bells here
};

// Works until `stop`, one job at a time; run several for more. A failed job is retried or buried
// as its status says (base/status.h). An unreachable Postgres is waited for.
void Work(const WorkerOptions& options, db::Database& database, Doorbell& doorbell,
          const Handler& handler, const std::stop_token& stop);

}  // namespace bitfoundry::jobs
