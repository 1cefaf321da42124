// The worker's side of TrainingLeases: each call with its deadline, tried again while the door is
// away. A restart of bf-trainer is a pause, not an error.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/status.h"
#include "bitfoundry/v1/trainer.grpc.pb.h"

namespace bitfoundry::train_worker {

// Safe for threads. Every call of a lost lease: kAborted, LEASE_LOST.
class Door {
 public:
  // patience  how long a call is tried while the door does not answer
  Door(const std::string& address, std::chrono::seconds patience);

  // Waits some seconds for a run, or until `stop`; nothing if there is none. Not tried again: the
  // caller loops.
  Result<std::optional<v1::AcquireLeaseResponse>> Acquire(const std::string& worker,
                                                          const std::stop_token& stop);

  // Not tried again either: the next beat is soon.
  Result<v1::HeartbeatResponse> Heartbeat(const v1::RunLease& lease,
                                          const v1::TrainProgress& progress);

  struct Dataset {
    std::string rows;
    std::string pixels;
  };
  Result<Dataset> ReadDataset(const v1::RunLease& lease);
  Result<std::string> ReadCheckpoint(const v1::RunLease& lease);
  Status SaveCheckpoint(const v1::RunLease& lease, int64_t step, std::string_view bytes);

  // Returns the digest.
  Result<std::string> Upload(const v1::RunLease& lease, std::string_view bytes);

  Status Complete(const v1::RunLease& lease, const std::string& manifest_digest,
                  const v1::TrainProgress& progress);
  Status Fail(const v1::RunLease& lease, const Status& why);

 private:
  const std::unique_ptr<v1::TrainingLeases::Stub> stub_;
  const std::chrono::seconds patience_;
};

}  // namespace bitfoundry::train_worker
