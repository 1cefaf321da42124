// Keeps the processes of a plan running until told to stop.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "services/bitfoundry/plan.h"

namespace bitfoundry::cli {

// One folder, one supervisor: holds a lock on DATA/lock. Single-threaded.
//
// A process that ends is started again after 0.25 s, then after twice as long each time, at most
// 30 s, for as long as it takes: what it lacks (the database, a port) may come back. 30 s of life
// reset that. Meanwhile it is "failing", and run.json says why and when it is tried next.
class Supervisor {
 public:
  // Makes sure that nothing else runs here: takes the lock, and ends what a supervisor that was
  // killed has left behind, according to run.json and the processes' start times.
  //
  // Errors: kFailedPrecondition, ALREADY_RUNNING.
  static Result<Supervisor> Enter(const Choices& choices);

  Supervisor(Supervisor&& other) noexcept;
  ~Supervisor();

  // Starts everything, migrates the database, supervises until SIGTERM or SIGINT, and stops
  // everything: workers, then doors, then Postgres and Redis. `say` gets a line for each event. A
  // service that ends three times before it is ready cannot start, which is said; the others run.
  //
  // Errors: if Postgres or Redis cannot start, or the database cannot be migrated; all is stopped.
  Status Run(const std::function<void(const std::string&)>& say);

 private:
  using Clock = std::chrono::steady_clock;

  struct Child {
    Planned planned;
    RunEntry entry;
    int failures = 0;        // ends in a row
    bool was_ready = false;  // since its last start
    Clock::time_point started;
    Clock::time_point next_try;
  };

  Supervisor(int lock, Plan plan);
  Status RunStages();
  Status BringUp(Stage stage);
  void Tick(Stage up_to);
  void StartChild(Child& child);
  void Ended(Child& child, const std::string& how);
  void StopAll();
  void Save(const std::string& state);

  int lock_;
  Plan plan_;
  std::vector<Child> children_;
  std::string state_ = "starting";
  std::function<void(const std::string&)> say_;
};

// Ends what run.json names, supervisor first. OK if nothing runs.
Status StopFactory(const std::filesystem::path& data);

}  // namespace bitfoundry::cli
