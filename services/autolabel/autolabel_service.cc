#include "services/autolabel/autolabel_service.h"

#include "runtime/error.h"

namespace bitfoundry::autolabel {

grpc::Status AutoLabelService::StartAutoLabel(grpc::ServerContext*,
                                              const v1::StartAutoLabelRequest* request,
                                              v1::StartAutoLabelResponse* response) {
  catalog::TeacherBudget::Limits budget;
  if (request->has_max_calls()) budget.max_calls = request->max_calls();
  if (request->has_max_micros()) budget.max_micros = request->max_micros();
  const Result<int64_t> made = desk_.Start(request->project(), budget);
  if (!made.ok()) return runtime::ToGrpc(made.status());
  if (*made > 0) doorbell_.Ring("label");
  response->set_enqueued_images(*made);
  return grpc::Status::OK;
}

grpc::Status AutoLabelService::GetAutoLabelProgress(grpc::ServerContext*,
                                                    const v1::GetAutoLabelProgressRequest* request,
                                                    v1::AutoLabelProgress* response) {
  const Result<Desk::Progress> progress = desk_.GetProgress(request->project());
  if (!progress.ok()) return runtime::ToGrpc(progress.status());
  const catalog::TeacherProgress& counts = progress->counts;
  response->set_images(counts.images);
  response->set_judged_images(counts.judged_images);
  response->set_waiting_jobs(counts.waiting_jobs);
  response->set_dead_jobs(counts.dead_jobs);
  const auto& budget = progress->budget;
  if (budget.max_calls) response->set_max_calls(*budget.max_calls);
  if (budget.max_micros) response->set_max_micros(*budget.max_micros);
  response->set_calls(progress->spent.calls);
  response->set_micros(progress->spent.micros);
  response->set_cache_hits(progress->spent.cache_hits);
  for (const auto& [class_index, answers] : counts.answers) {
    const std::string name =
        class_index < 0 ? "unsure" : progress->classes.at(static_cast<size_t>(class_index));
    (*response->mutable_answers())[name] = answers;
  }
  response->set_open_tasks(counts.open_tasks);
  response->set_people_answers(counts.people_answers);
  response->set_teacher(progress->teacher);
  return grpc::Status::OK;
}

}  // namespace bitfoundry::autolabel
