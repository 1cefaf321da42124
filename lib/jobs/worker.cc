#include "jobs/worker.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "base/log.h"
#include "base/trace.h"
#include "db/database.h"

namespace bitfoundry::jobs {
namespace {

using Clock = std::chrono::steady_clock;

// Renews a lease while it lives; asks `work` to stop once it is lost, or when Postgres has not
// answered for as long as the lease lasts.
class Heartbeat {
 public:
  Heartbeat(const WorkerOptions& options, db::Database& database, const Lease& lease,
            std::stop_source work)
      : thread_([&options, &database, &lease, work](const std::stop_token& stop) mutable {
          std::mutex mutex;
          std::unique_lock lock(mutex);
          std::condition_variable_any wake;
          Clock::time_point held_until = Clock::now() + options.lease_for;
          while (!stop.stop_requested()) {
            const std::chrono::milliseconds beat = options.lease_for;
            wake.wait_for(lock, stop, beat / 3, [] { return false; });
            if (stop.stop_requested()) return;
            const Status renewed = database.Transact(
                [&](db::Tx& tx) { return Queue(tx).Renew(lease, options.lease_for); });
            if (renewed.ok()) held_until = Clock::now() + options.lease_for;
            if (renewed.code() == Code::kAborted || Clock::now() > held_until) work.request_stop();
          }
        }) {}

 private:
  std::jthread thread_;
};

Result<Write> Compute(const WorkerOptions& options, db::Database& database, const Lease& lease,
                      const Handler& handler, const std::stop_token& stop) {
  std::stop_source work;
  const std::stop_callback forward(stop, [&work] { work.request_stop(); });
  const Heartbeat heartbeat(options, database, lease, work);
  return handler(lease, work.get_token());
}

// Ends an attempt that failed with `why`; returns the outcome's name.
const char* GiveBack(db::Database& database, const Lease& lease, const Status& why) {
  if (why.code() == Code::kUnknown) return "unknown";  // the lease will settle it
  const Result<GivenBack> given =
      database.Transact([&](db::Tx& tx) { return Queue(tx).GiveBack(lease, why); });
  if (!given.ok()) return "unknown";
  if (*given == GivenBack::kLost) return "lost";
  if (*given == GivenBack::kDead) return "dead";
  return why.code() == Code::kCancelled ? "given_back" : "retried";
}

void RunOne(const WorkerOptions& options, db::Database& database, const Lease& lease,
            const Handler& handler, int expired, const std::stop_token& stop) {
  const TraceScope trace(lease.traceparent);
  const auto start = Clock::now();
  const Result<Write> computed = Compute(options, database, lease, handler, stop);
  const Status written =
      !computed.ok() ? computed.status() : database.Transact([&](db::Tx& tx) -> Status {
        BF_TRY(Queue(tx).Check(lease));  // before writing: locks the job against its next claim
        BF_TRY((*computed)(tx));
        return Queue(tx).Complete(lease);
      });
  const char* outcome = written.ok() ? "done" : GiveBack(database, lease, written);
  const std::chrono::duration<double> ran = Clock::now() - start;
  options.on_attempt({outcome, lease.waited, ran, expired});
  if (written.ok()) {
    options.after_done(lease);
  } else {
    Log(Level::kWarning, "job not done",
        {{"kind", options.kind},
         {"job", std::to_string(lease.job_id)},
         {"attempt", std::to_string(lease.attempt)},
         {"outcome", outcome},
         {"error", written.ToString()}});
  }
}

}  // namespace

void Work(const WorkerOptions& options, db::Database& database, Doorbell& doorbell,
          const Handler& handler, const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const Result<Claimed> claimed = database.Transact(
        [&](db::Tx& tx) { return Queue(tx).Claim(options.kind, options.name, options.lease_for); });
    if (!claimed.ok()) {
      Log(Level::kWarning, "cannot claim",
          {{"kind", options.kind}, {"error", claimed.status().ToString()}});
      doorbell.Wait(options.kind, std::chrono::seconds(1), stop);
    } else if (!claimed->leases.empty()) {
      RunOne(options, database, claimed->leases[0], handler, claimed->expired, stop);
    } else if (claimed->expired == 0) {
      doorbell.Wait(options.kind, options.poll_every, stop);
    }
  }
}

}  // namespace bitfoundry::jobs
