#include "jobs/shared.h"

#include <google/protobuf/util/json_util.h>

#include "base/status.h"

namespace bitfoundry::jobs {
namespace {

std::string ToJson(const google::protobuf::Message& job) {
  std::string json;
  BF_CHECK(google::protobuf::util::MessageToJsonString(job, &json).ok());
  return json;
}

}  // namespace

JobSpec LabelJob(int64_t project_id, const std::string& image_digest) {
  v1::LabelJob job;
  job.set_project_id(project_id);
  job.set_image_digest(image_digest);
  return {.kind = "label",
          .payload_json = ToJson(job),
          .unique_key = "label:" + std::to_string(project_id) + ":" + image_digest};
}

JobSpec EvaluateJob(const v1::EvaluateJob& job) {
  const std::string kind = job.remote_model().empty() ? "evaluate" : "evaluate_remote";
  return {.kind = kind,
          .payload_json = ToJson(job),
          .unique_key = kind + ":" + job.artefact() + job.remote_model() + ":" + job.suite() + ":" +
                        job.snapshot() + (job.baseline().empty() ? "" : ":" + job.baseline()) +
                        (job.first_release() ? ":first_release" : "") +
                        (job.replaces() > 0 ? ":anew:" + std::to_string(job.replaces()) : "")};
}

}  // namespace bitfoundry::jobs
