// Tasks for people: one sample each, with a slot for every opinion that is wanted.
//
// A person leases a slot as a worker leases a job: each lease gets a higher epoch, and one that ran
// out can be leased by somebody else. Unlike a job's result, a late answer is not refused, because
// a person's work is never thrown away: it fills the slot if that is free, and else is surplus.
//
// Nobody gets one task twice. The claim looks for that, and the table's keys (task, slot) and
// (task, annotator) and the answers' key (sample, annotator) have the last word.
//
// Locks. Whoever changes what a task amounts to (HandIn, AddSlot, Close) holds its sample's row;
// Lease takes slots only and waits for none, so the two cannot deadlock. docs/label_queue.md.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace bitfoundry::db {
struct Tx;
}

namespace bitfoundry::catalog {

inline constexpr int kMaxSlots = 3;  // opinions on one sample, also when they disagree

struct TaskLease {
  int64_t task_id = 0;
  int slot = 0;  // from 1
  int64_t epoch = 0;
  bool operator==(const TaskLease&) const = default;
};

struct LeasedTask {
  TaskLease lease;
  std::string sample;  // its name
};

struct Task {
  int64_t id = 0;
  std::string sample;  // its name
  bool open = false;
  int slots = 0;  // wanted, those withdrawn at the close left out
  int answered = 0;
  int priority = 0;
};

enum class TaskEnd { kAnswered, kRefused };

class Tasks {
 public:
  explicit Tasks(db::Tx& tx) : tx_(tx) {}

  // Asks for `slots` opinions (1 to kMaxSlots) on a sample; false, and nothing changed, if there
  // is a task for it, open or closed.
  Result<bool> Open(int64_t project_id, int64_t sample_id, int slots, int priority);

  // Up to `max` tasks for an annotator, each of another sample. First those held already, whose
  // leases are renewed; then open ones, by priority and age. Only tasks about `samples`, by name;
  // none: about any.
  struct Leased {
    std::vector<LeasedTask> tasks;
    int expired = 0;  // leases of others that had run out: their slots are open again
  };
  Result<Leased> Lease(int64_t project_id, const std::string& annotator,
                       std::chrono::seconds lease_for, int max,
                       const std::vector<std::string>& samples = {});

  // Ends an annotator's work on a task: its slot is filled (`answered`), or open to others again.
  // That is the slot the annotator holds, or the one it once held if that is open. If there is
  // none of these, nothing changes and it is surplus. The sample stays locked.
  //
  // Errors: kNotFound, NEVER_LEASED, if this lease was never given to this annotator.
  struct HandedIn {
    int64_t sample_id = 0;
    bool surplus = false;
  };
  Result<HandedIn> HandIn(const TaskLease& lease, const std::string& annotator, bool answered);

  // Gives a slot back as if it had never been leased.
  // Errors: kAborted, LEASE_LOST, if the annotator does not hold it under this epoch.
  Status Release(const TaskLease& lease, const std::string& annotator);

  // The sample that a lease, running or not, is about. Errors: kNotFound.
  Result<int64_t> SampleOf(const TaskLease& lease);

  // The task that asks about a sample.
  Result<std::optional<Task>> OfSample(int64_t sample_id);

  // One opinion more. The caller has locked the sample and knows that there are under kMaxSlots.
  Status AddSlot(int64_t task_id);

  // Closes a task and withdraws the slots that are not answered. The caller has locked the sample.
  Status Close(int64_t task_id, TaskEnd end);

  // In order of their ids, from the first above `after`.
  Result<std::vector<Task>> List(int64_t project_id, bool open_only, int64_t after, int limit);

  // Open tasks of a project.
  Result<int64_t> CountOpen(int64_t project_id);

  // The slots of all projects.
  struct Depth {
    int64_t open = 0;  // an expired lease counts as open
    int64_t leased = 0;
    int64_t answered = 0;
    double oldest_open_age_seconds = 0;  // since the task was opened; 0: none is open
  };
  Result<Depth> CountSlots();

 private:
  db::Tx& tx_;
};

}  // namespace bitfoundry::catalog
