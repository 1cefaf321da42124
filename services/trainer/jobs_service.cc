#include "services/trainer/jobs_service.h"

#include <map>

#include "catalog/tasks.h"
#include "db/database.h"
#include "jobs/queue.h"
#include "runtime/error.h"
#include "runtime/page.h"

namespace bitfoundry::trainer {

JobsService::JobsService(db::Database& database, prometheus::Registry& metrics)
    : database_(database),
      depth_(prometheus::BuildGauge()
                 .Name("bf_queue_depth")
                 .Help("Jobs that wait or run")
                 .Register(metrics)),
      oldest_(prometheus::BuildGauge()
                  .Name("bf_queue_oldest_ready_age_seconds")
                  .Help("How long the oldest job that is due has waited; 0: none is")
                  .Register(metrics)) {}

Status JobsService::Measure() {
  std::map<std::string, jobs::QueueDepth> by_kind;  // a queue that has run dry is 0, not absent
  for (const char* kind : {"label", "describe", "train", "evaluate", "evaluate_remote"}) {
    by_kind[kind] = {};
  }
  for (const jobs::QueueDepth& depth :
       BF_TRY(database_.Transact([](db::Tx& tx) { return jobs::Queue(tx).Waiting(); }))) {
    by_kind[depth.kind] = depth;
  }
  for (const auto& [kind, depth] : by_kind) {
    depth_.Add({{"queue", kind}, {"state", "ready"}}).Set(static_cast<double>(depth.ready));
    depth_.Add({{"queue", kind}, {"state", "running"}}).Set(static_cast<double>(depth.running));
    oldest_.Add({{"queue", kind}}).Set(depth.oldest_ready_age_seconds);
  }
  return Status();
}

grpc::Status JobsService::ListQueues(grpc::ServerContext*, const v1::ListQueuesRequest*,
                                     v1::ListQueuesResponse* response) {
  catalog::Tasks::Depth people;
  const auto depths = database_.Transact([&](db::Tx& tx) -> Result<std::vector<jobs::QueueDepth>> {
    people = BF_TRY(catalog::Tasks(tx).CountSlots());
    return jobs::Queue(tx).Depths();
  });
  if (!depths.ok()) return runtime::ToGrpc(depths.status());
  if (people.open + people.leased + people.answered > 0) {
    v1::Queue* queue = response->add_queues();
    queue->set_kind("task");
    queue->set_ready(people.open);
    queue->set_running(people.leased);
    queue->set_done(people.answered);
    queue->set_oldest_ready_age_seconds(people.oldest_open_age_seconds);
  }
  for (const jobs::QueueDepth& depth : *depths) {
    v1::Queue* queue = response->add_queues();
    queue->set_kind(depth.kind);
    queue->set_ready(depth.ready);
    queue->set_running(depth.running);
    queue->set_done(depth.done);
    queue->set_dead(depth.dead);
    queue->set_cancelled(depth.cancelled);
    queue->set_oldest_ready_age_seconds(depth.oldest_ready_age_seconds);
  }
  return grpc::Status::OK;
}

grpc::Status JobsService::ListDeadJobs(grpc::ServerContext*, const v1::ListDeadJobsRequest* request,
                                       v1::ListDeadJobsResponse* response) {
  const Result<runtime::Page> page = runtime::ReadPage(request->page_size(), request->page_token());
  if (!page.ok()) return runtime::ToGrpc(page.status());
  const auto dead = database_.Transact(
      [&](db::Tx& tx) { return jobs::Queue(tx).Dead(request->kind(), page->cursor, page->limit); });
  if (!dead.ok()) return runtime::ToGrpc(dead.status());
  for (const jobs::DeadJob& job : *dead) {
    v1::DeadJob* out = response->add_jobs();
    out->set_job_id(job.job_id);
    out->set_kind(job.kind);
    out->set_payload_json(job.payload_json);
    out->set_attempts(job.attempts);
    out->set_error(job.error);
    out->set_finish_time(job.finished_at);
  }
  if (static_cast<int>(dead->size()) == page->limit) {
    response->set_next_page_token(runtime::NextPage(dead->back().job_id));
  }
  return grpc::Status::OK;
}

grpc::Status JobsService::RedriveJobs(grpc::ServerContext*, const v1::RedriveJobsRequest* request,
                                      v1::RedriveJobsResponse* response) {
  if (request->kind().empty() && request->job_ids().empty()) {
    return runtime::ToGrpc({Code::kInvalidArgument, "NOTHING_NAMED", "name a kind, or job ids"});
  }
  const std::vector<int64_t> ids(request->job_ids().begin(), request->job_ids().end());
  const auto redriven =
      database_.Transact([&](db::Tx& tx) { return jobs::Queue(tx).Redrive(request->kind(), ids); });
  if (!redriven.ok()) return runtime::ToGrpc(redriven.status());
  response->set_redriven(*redriven);
  return grpc::Status::OK;
}

}  // namespace bitfoundry::trainer
