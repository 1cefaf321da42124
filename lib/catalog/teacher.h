// What the teacher saw, and what it cost: the cache of its detections, and its budget.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace bitfoundry::db {
struct Tx;
}

namespace bitfoundry::catalog {

// What a detector found, in pixels of the image.
struct Box {
  double score = 0;  // 0 to 1
  double left = 0, top = 0, right = 0, bottom = 0;

  bool operator==(const Box&) const = default;
};

// Who saw: another model, version or rule (of how tiles and boxes were made) sees anew.
struct Eye {
  std::string model;
  std::string version;
  std::string rule;
};

class Detections {
 public:
  explicit Detections(db::Tx& tx) : tx_(tx) {}

  // Remembers. What is there already stays.
  Status Add(const std::string& image_digest, const Eye& eye, const std::vector<Box>& boxes);

  // What is remembered; nothing if nothing is.
  Result<std::optional<std::vector<Box>>> Find(const std::string& image_digest, const Eye& eye);

  // Of the images of one session of a project, by digest. Those never looked at are missing.
  Result<std::map<std::string, std::vector<Box>>> OfSession(int64_t project_id,
                                                            const std::string& session,
                                                            const Eye& eye);

  // How many samples a session has, once all their images were looked at; 0 before. Transactions
  // that add the last detections of a session side by side take turns here until they end, so that
  // one of them sees all.
  Result<int64_t> CompleteSession(int64_t project_id, const std::string& session, const Eye& eye);

 private:
  db::Tx& tx_;
};

// The teacher's budget for a project, spent by reservation: a call is counted before it is made.
// What an attempt reserved is settled with its result; what a crashed one reserved stays counted,
// because nobody knows how far it came.
class TeacherBudget {
 public:
  explicit TeacherBudget(db::Tx& tx) : tx_(tx) {}

  struct Limits {
    std::optional<int64_t> max_calls;  // in all, for good; 0: no limit
    std::optional<int64_t> max_micros;
  };

  // A limit that is not given stays as it is, or is none if there is no budget yet. Without any,
  // nothing is set.
  Status Set(int64_t project_id, const Limits& limits);

  // Nothing, if there is no budget yet.
  Result<Limits> Get(int64_t project_id);

  // Counts `calls` at `price_micros` each for this attempt of a job. Concurrent reservations of a
  // project take turns, so that together they never pass its limits.
  //
  // Errors: kFailedPrecondition
  //   BUDGET_EXHAUSTED  it would pass a limit
  //   BUDGET_UNSET      calls cost something and nobody has called Set
  Status Reserve(int64_t project_id, int64_t job_id, int64_t lease_epoch, int64_t calls,
                 int64_t price_micros);

  // Takes back what an attempt reserved for calls that were never made.
  Status GiveBack(int64_t job_id, int64_t lease_epoch, int64_t calls, int64_t price_micros);

  // Marks the attempt's calls as accounted for by a result; `cache_hit` if it needed none.
  Status Settle(int64_t project_id, int64_t job_id, int64_t lease_epoch, bool cache_hit);

  struct Spent {
    int64_t calls = 0;
    int64_t micros = 0;
    int64_t cache_hits = 0;
  };
  Result<Spent> Total(int64_t project_id);

 private:
  db::Tx& tx_;
};

// How the auto-labelling of a project stands.
struct TeacherProgress {
  int64_t images = 0;
  int64_t judged_images = 0;  // a teacher has answered for each of its samples
  int64_t waiting_jobs = 0;   // label and describe jobs, ready or running
  int64_t dead_jobs = 0;
  int64_t open_tasks = 0;          // for people
  int64_t people_answers = 0;      // theirs, and of whoever brought the images
  std::map<int, int64_t> answers;  // a teacher's, by class index; -1: refusals
};
Result<TeacherProgress> GetTeacherProgress(db::Tx& tx, int64_t project_id);

// Digests of the project's images with a sample for which no teacher has answered, in order, from
// the first after `after`.
Result<std::vector<std::string>> UnjudgedImages(db::Tx& tx, int64_t project_id,
                                                const std::string& after, int limit);
Result<bool> IsUnjudged(db::Tx& tx, int64_t project_id, const std::string& image_digest);

}  // namespace bitfoundry::catalog
