#include "services/labelqueue/label_service.h"

#include <optional>

#include "runtime/error.h"
#include "runtime/page.h"
#include "runtime/stream.h"

namespace bitfoundry::labelqueue {
namespace {

using catalog::Refusal;

catalog::TaskLease FromMessage(const v1::TaskLease& lease) {
  return {.task_id = lease.task_id(), .slot = lease.slot(), .epoch = lease.epoch()};
}

std::optional<Refusal> FromMessage(v1::SkipReason reason) {
  switch (reason) {
    case v1::UNSURE:
      return Refusal::kUnsure;
    case v1::TOO_HARD:
      return Refusal::kTooHard;
    case v1::BAD_IMAGE:
      return Refusal::kBadImage;
    case v1::CLASS_MISSING:
      return Refusal::kClassMissing;
    case v1::PRIVACY:
      return Refusal::kPrivacy;
    default:
      return std::nullopt;
  }
}

template <typename Request>
Slip SlipOf(const Request& request) {
  return {request.request_id(), FromMessage(request.lease()), request.annotator()};
}

prometheus::Gauge& TaskGauge(prometheus::Registry& metrics, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(metrics).Add({{"queue", "task"}});
}

}  // namespace

LabelService::LabelService(Desk& desk, prometheus::Registry& metrics)
    : desk_(desk),
      answers_(prometheus::BuildCounter()
                   .Name("bf_answers_total")
                   .Help("What people handed in; surplus: after the slot had gone to another")
                   .Register(metrics)),
      answered_(answers_.Add({{"outcome", "answered"}})),
      skipped_(answers_.Add({{"outcome", "skipped"}})),
      surplus_(answers_.Add({{"outcome", "surplus"}})),
      expired_(prometheus::BuildCounter()
                   .Name("bf_queue_expired_leases_total")
                   .Help("Leases that ran out before their holder was done")
                   .Register(metrics)
                   .Add({{"queue", "task"}})),
      depth_(prometheus::BuildGauge()
                 .Name("bf_queue_depth")
                 .Help("What waits and what is held; for tasks: slots")
                 .Register(metrics)),
      open_(depth_.Add({{"queue", "task"}, {"state", "ready"}})),
      leased_(depth_.Add({{"queue", "task"}, {"state", "running"}})),
      oldest_open_(TaskGauge(metrics, "bf_queue_oldest_ready_age_seconds",
                             "Since when the oldest of those that wait has waited")) {}

Status LabelService::Observe() {
  const catalog::Tasks::Depth depth = BF_TRY(desk_.CountSlots());
  open_.Set(static_cast<double>(depth.open));
  leased_.Set(static_cast<double>(depth.leased));
  oldest_open_.Set(depth.oldest_open_age_seconds);
  return Status();
}

grpc::Status LabelService::LeaseTasks(grpc::ServerContext*, const v1::LeaseTasksRequest* request,
                                      v1::LeaseTasksResponse* response) {
  const Result<Desk::Handout> handout =
      desk_.Lease(request->project(), request->annotator(), request->max_tasks(),
                  {request->samples().begin(), request->samples().end()});
  if (!handout.ok()) return runtime::ToGrpc(handout.status());
  expired_.Increment(handout->expired);
  for (const catalog::LeasedTask& task : handout->tasks) {
    v1::LeasedTask* out = response->add_tasks();
    out->mutable_lease()->set_task_id(task.lease.task_id);
    out->mutable_lease()->set_slot(task.lease.slot);
    out->mutable_lease()->set_epoch(task.lease.epoch);
    out->set_sample(task.sample);
    out->set_lease_seconds(static_cast<int32_t>(desk_.lease_for().count()));
  }
  response->mutable_classes()->Add(handout->classes.begin(), handout->classes.end());
  return grpc::Status::OK;
}

grpc::Status LabelService::ReadTaskImage(grpc::ServerContext*,
                                         const v1::ReadTaskImageRequest* request,
                                         grpc::ServerWriter<v1::ReadTaskImageResponse>* writer) {
  const Result<std::string> png = desk_.ReadImage(FromMessage(request->lease()));
  if (!png.ok()) return runtime::ToGrpc(png.status());
  runtime::WriteChunks(*png, [&](std::string_view chunk) {
    v1::ReadTaskImageResponse message;
    message.set_chunk(std::string(chunk));
    return writer->Write(message);
  });
  return grpc::Status::OK;
}

grpc::Status LabelService::SubmitAnswer(grpc::ServerContext*,
                                        const v1::SubmitAnswerRequest* request,
                                        v1::SubmitAnswerResponse* response) {
  const Result<bool> surplus = desk_.Submit(SlipOf(*request), request->class_index(),
                                            {request->tags().begin(), request->tags().end()});
  if (!surplus.ok()) return runtime::ToGrpc(surplus.status());
  (*surplus ? surplus_ : answered_).Increment();
  response->set_surplus(*surplus);
  return grpc::Status::OK;
}

grpc::Status LabelService::SkipTask(grpc::ServerContext*, const v1::SkipTaskRequest* request,
                                    v1::SkipTaskResponse* response) {
  const std::optional<Refusal> reason = FromMessage(request->reason());
  if (!reason.has_value()) {
    return runtime::ToGrpc({Code::kInvalidArgument, "REASON_MISSING", "say why: set reason"});
  }
  const Result<bool> surplus = desk_.Skip(SlipOf(*request), *reason);
  if (!surplus.ok()) return runtime::ToGrpc(surplus.status());
  (*surplus ? surplus_ : skipped_).Increment();
  response->set_surplus(*surplus);
  return grpc::Status::OK;
}

grpc::Status LabelService::ReleaseTask(grpc::ServerContext*, const v1::ReleaseTaskRequest* request,
                                       v1::ReleaseTaskResponse*) {
  return runtime::ToGrpc(desk_.Release(FromMessage(request->lease()), request->annotator()));
}

grpc::Status LabelService::OpenTasks(grpc::ServerContext*, const v1::OpenTasksRequest* request,
                                     v1::OpenTasksResponse* response) {
  const Result<int64_t> opened = desk_.OpenAll(request->project());
  if (!opened.ok()) return runtime::ToGrpc(opened.status());
  response->set_opened(*opened);
  return grpc::Status::OK;
}

grpc::Status LabelService::ListTasks(grpc::ServerContext*, const v1::ListTasksRequest* request,
                                     v1::ListTasksResponse* response) {
  const Result<runtime::Page> page = runtime::ReadPage(request->page_size(), request->page_token());
  if (!page.ok()) return runtime::ToGrpc(page.status());
  const Result<Desk::Listing> listing =
      desk_.List(request->project(), request->open_only(), page->cursor, page->limit);
  if (!listing.ok()) return runtime::ToGrpc(listing.status());
  for (const catalog::Task& task : listing->tasks) {
    v1::Task* out = response->add_tasks();
    out->set_task_id(task.id);
    out->set_sample(task.sample);
    out->set_open(task.open);
    out->set_slots(task.slots);
    out->set_answered(task.answered);
    out->set_priority(task.priority);
  }
  response->set_open_tasks(listing->open_tasks);
  if (std::ssize(listing->tasks) == page->limit) {
    response->set_next_page_token(runtime::NextPage(listing->tasks.back().id));
  }
  return grpc::Status::OK;
}

}  // namespace bitfoundry::labelqueue
