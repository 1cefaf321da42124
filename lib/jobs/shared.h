// Jobs that more than one service asks for. Whoever does gets the same one, because its key is made
// here alone.
#pragma once

#include <cstdint>
#include <string>

#include "bitfoundry/v1/jobs.pb.h"
#include "jobs/queue.h"

namespace bitfoundry::jobs {

// Labels the samples of an image by the teacher: bf-ingestion and bf-autolabel ask.
JobSpec LabelJob(int64_t project_id, const std::string& image_digest);

// Judges a model: bf-evaluator and, when a training ends, bf-trainer ask. A remote model has a kind
// of its own, "evaluate_remote".
JobSpec EvaluateJob(const v1::EvaluateJob& job);

}  // namespace bitfoundry::jobs
