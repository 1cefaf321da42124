// bf-train-worker: trains with LibTorch what bf-trainer leases to it. It needs no database and no
// store, only that door, so it can sit in another cluster.
#include "runtime/main.h"

#include <unistd.h>

#include <condition_variable>
#include <cstdlib>
#include <mutex>

#include "base/log.h"
#include "services/train-worker/trainee.h"

using namespace bitfoundry;

constexpr runtime::Option kTrainer{"trainer", "127.0.0.1:50054", "host:port of bf-trainer"};
constexpr runtime::Option kPatience{"patience-seconds", "300",
                                    "how long a call is tried while bf-trainer is away"};

namespace {

void Pause(const std::stop_token& stop) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any().wait_for(lock, stop, std::chrono::seconds(1), [] { return false; });
}

void TrainLeased(train_worker::Door& door, const v1::AcquireLeaseResponse& leased,
                 const std::stop_token& stop) {
  const std::string run = std::to_string(leased.run_id());
  Log(Level::kInfo, "training",
      {{"run", run}, {"resumed", leased.has_checkpoint() ? "yes" : "no"}});
  const Status trained = train_worker::TrainRun(door, leased, stop);
  Log(trained.ok() ? Level::kInfo : Level::kWarning, "trained",
      {{"run", run}, {"status", trained.ToString()}});
  if (trained.ok() || trained.reason() == "LEASE_LOST" || trained.reason() == "RUN_CANCELLED") {
    return;
  }
  const Status told = door.Fail(leased.lease(), trained);
  if (!told.ok()) Log(Level::kWarning, "cannot give the run back", {{"error", told.ToString()}});
}

Status Run(runtime::Process& process) {
  const int64_t patience = BF_TRY(process.options.Integer(kPatience, 1, 86400));
  train_worker::Door door(process.options.Text(kTrainer), std::chrono::seconds(patience));
  while (!process.stop.stop_requested()) {
    const auto leased = door.Acquire(process.name, process.stop);
    if (process.stop.stop_requested() && !leased.ok()) break;
    if (!leased.ok()) {
      Log(Level::kWarning, "bf-trainer does not answer", {{"error", leased.status().ToString()}});
      Pause(process.stop);
    } else if (leased->has_value()) {
      TrainLeased(door, **leased, process.stop);
    }
  }
  return Status();
}

// OpenMP's threads spin for each other unless the environment tells them not to before the library
// is loaded. On shared cores that costs four fifths: 50 images/s instead of 261 were seen.
void LetOpenMpWaitPassively(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/0);
  execv("/proc/self/exe", argv);  // comes back only if it fails, and then it is merely slow
}

}  // namespace

int main(int argc, char** argv) {
  LetOpenMpWaitPassively(argv);
  return runtime::Main(argc, argv, {kTrainer, kPatience}, Run);
}
