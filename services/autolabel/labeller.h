// The jobs of bf-autolabel: `label` asks the teacher about one parent image and answers for each of
// its samples; `describe` says how the people of one session move, and where in each sample they
// are (box_height_px; box_left to box_bottom as shares of it), once all its images are known.
// Where there is no teacher, or none for the project's classes, `label` asks people instead.
//
// A class that the teacher is sure of settles the label of a sample of part train. An unsure one
// becomes a task for people, and so does every sample of part test, where the teacher's answer is
// kept beside theirs and settles nothing (lib/labels/settle.h).
//
// Budget exhausted, or none set for a teacher that costs: the job is dead with BUDGET_EXHAUSTED or
// BUDGET_UNSET, its samples stay unanswered, and StartAutoLabel with a budget takes it up again.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <cstdint>
#include <stop_token>
#include <string>

#include "base/status.h"
#include "blobs/store.h"
#include "catalog/projects.h"
#include "catalog/teacher.h"
#include "jobs/worker.h"
#include "oip/detector.h"

namespace bitfoundry::autolabel {

// Where descriptions come from, as stored with them.
inline constexpr char kDescribeRule[] = "describe/1";

// Whether the rule has answers for a project: its classes are among the teacher's.
bool TeacherKnows(const catalog::Project& project);

// Thread-safe.
class Labeller {
 public:
  // teacher       null: there is none
  // price_micros  of one call, in millionths of the currency
  Labeller(db::Database& database, const blobs::Store& store, oip::Detector* teacher,
           int64_t price_micros, prometheus::Registry& metrics);

  // Handlers for jobs::Work; Describe needs a teacher.
  //
  // Errors, besides those of the teacher, the store and the database:
  //   kDataLoss            the payload is not that of the kind
  //   kFailedPrecondition  BUDGET_EXHAUSTED; BUDGET_UNSET
  Result<jobs::Write> Label(const jobs::Lease& lease, const std::stop_token& stop);
  Result<jobs::Write> Describe(const jobs::Lease& lease, const std::stop_token& stop);

 private:
  Result<std::vector<oip::Box>> Look(const jobs::Lease& lease, int64_t project_id,
                                     const std::string& digest, const std::string& version,
                                     const std::stop_token& stop);

  db::Database& database_;
  const blobs::Store& store_;
  oip::Detector* const teacher_;
  const int64_t price_micros_;
  prometheus::Counter& spent_micros_;
};

}  // namespace bitfoundry::autolabel
