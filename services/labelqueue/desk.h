// Where people get tasks and hand in answers: the logic of the label queue, without gRPC.
//
// Every function is one transaction. What the errors mean is written in labelqueue.proto; besides
// those, all return what db::Database::Transact does.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"
#include "blobs/store.h"
#include "catalog/answers.h"
#include "catalog/tasks.h"
#include "db/database.h"

namespace bitfoundry::labelqueue {

// Tasks one call may lease, and with that the most that one annotator holds.
inline constexpr int kMaxTasks = 100;
inline constexpr size_t kMaxSamples = 1000;  // that one call may ask for by name

// Who hands in, and what for.
struct Slip {
  std::string request_id;  // a UUID
  catalog::TaskLease lease;
  std::string annotator;
};

class Desk {
 public:
  // lease_for: how long a person has for a task before it may go to somebody else.
  Desk(db::Database& database, const blobs::Store& store, std::chrono::seconds lease_for)
      : database_(database), store_(store), lease_for_(lease_for) {}

  std::chrono::seconds lease_for() const { return lease_for_; }

  struct Handout {
    std::vector<catalog::LeasedTask> tasks;
    std::vector<std::string> classes;
    int expired = 0;  // leases of others that had run out
  };
  Result<Handout> Lease(const std::string& project, const std::string& annotator, int max_tasks,
                        const std::vector<std::string>& samples = {});

  // The sample's pixels, as PNG, in their own size.
  Result<std::string> ReadImage(const catalog::TaskLease& lease);

  // True if the answer is surplus: the slot had gone to somebody else.
  Result<bool> Submit(const Slip& slip, uint32_t class_index,
                      const std::map<std::string, std::string>& tags);
  Result<bool> Skip(const Slip& slip, catalog::Refusal reason);

  Status Release(const catalog::TaskLease& lease, const std::string& annotator);

  // Opens a task for every sample without label or task; returns how many.
  Result<int64_t> OpenAll(const std::string& project);

  struct Listing {
    std::vector<catalog::Task> tasks;
    int64_t open_tasks = 0;
  };
  Result<Listing> List(const std::string& project, bool open_only, int64_t after, int limit);

  Result<catalog::Tasks::Depth> CountSlots();

 private:
  // Hands in `answer`, once for each request_id.
  Result<bool> Record(const Slip& slip, const char* method, const catalog::Answer& answer,
                      const std::map<std::string, std::string>& tags);

  db::Database& database_;
  const blobs::Store& store_;
  const std::chrono::seconds lease_for_;
};

}  // namespace bitfoundry::labelqueue
