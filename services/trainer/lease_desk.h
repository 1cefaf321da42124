// Training leases: what a worker may do under its lease, and nothing without. Knows no gRPC.
//
// Every function but Acquire takes the lease, and fails with kAborted, LEASE_LOST, once somebody
// else has the run or will: then nothing is written, neither row nor artefact. (Blobs come before
// rows; one that a zombie uploads belongs to nothing and is garbage.)
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include "base/status.h"
#include "blobs/store.h"
#include "catalog/runs.h"
#include "jobs/queue.h"
#include "runtime/job_metrics.h"

namespace bitfoundry::db {
class Database;
}

namespace bitfoundry::trainer {

inline constexpr size_t kMaxCheckpointBytes = size_t{64} << 20;
inline constexpr size_t kMaxFileBytes = size_t{4} << 20;

struct Work {
  jobs::Lease lease;
  catalog::Run run;
  bool has_checkpoint = false;
};

// What a worker is told to do with its run, besides keeping it.
enum class Order {
  kContinue,
  kYield,   // runs of a higher priority wait: save, give the run back, and it goes on later
  kCancel,  // somebody cancelled the run: the lease is lost already
};

class LeaseDesk {
 public:
  // lease_for  a worker that is silent for as long loses its run
  LeaseDesk(db::Database& database, const blobs::Store& store, std::chrono::seconds lease_for,
            prometheus::Registry& metrics)
      : database_(database), store_(store), lease_for_(lease_for), metrics_(metrics, "train") {}

  std::chrono::seconds beat() const { return lease_for_ / 3; }

  // The next run to train; nothing if there is none.
  Result<std::optional<Work>> Acquire(const std::string& worker);

  // For a cancelled run the order instead of LEASE_LOST.
  Result<Order> Heartbeat(const jobs::Lease& lease, const catalog::Progress& progress);

  // The run's snapshot: digests of its rows and of its pixels.
  struct Dataset {
    std::string rows;
    std::string pixels;
  };
  Result<Dataset> GetDataset(const jobs::Lease& lease);

  // Errors: kNotFound, NO_CHECKPOINT.
  Result<std::string> NewestCheckpoint(const jobs::Lease& lease);

  // `blob` is in the store already.
  Status SaveCheckpoint(const jobs::Lease& lease, int64_t step, const std::string& blob);
  Status RecordUpload(const jobs::Lease& lease, const std::string& blob, int64_t bytes);

  // Publishes the artefact of that manifest and ends the run: the artefact's row, the evaluation
  // if a suite was asked for, and the job's completion are one transaction.
  //
  // Errors: kFailedPrecondition if a file was not uploaded under this lease, or the bundle is not
  // true to itself; the run then stays leased.
  Status Complete(const jobs::Lease& lease, const std::string& manifest_digest,
                  const catalog::Progress& progress);

  Result<jobs::GivenBack> GiveUp(const jobs::Lease& lease, const Status& why);

 private:
  Status UnderLease(const jobs::Lease& lease,
                    const std::function<Status(db::Tx&, const catalog::Run&)>& body);

  db::Database& database_;
  const blobs::Store& store_;
  const std::chrono::seconds lease_for_;
  runtime::JobMetrics metrics_;
};

}  // namespace bitfoundry::trainer
