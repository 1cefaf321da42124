#include "services/trainer/trainer_service.h"

#include <google/protobuf/util/message_differencer.h>

#include <chrono>
#include <thread>

#include "runtime/error.h"
#include "runtime/page.h"
#include "runtime/stream.h"
#include "services/trainer/lease_desk.h"

namespace bitfoundry::trainer {
namespace {

using runtime::ToGrpc;

constexpr std::chrono::milliseconds kLookEvery{500};

v1::Run::State StateOf(const std::string& job_state) {
  if (job_state == "ready") return v1::Run::WAITING;
  if (job_state == "running") return v1::Run::RUNNING;
  if (job_state == "cancelled") return v1::Run::CANCELLED;
  return job_state == "done" ? v1::Run::DONE : v1::Run::DEAD;
}

void Encode(const RunState& state, v1::Run* out) {
  const catalog::Run& run = state.run;
  out->Clear();
  out->set_run_id(run.id);
  out->set_project(run.project);
  out->set_snapshot(run.snapshot);
  out->set_recipe_json(run.recipe_json);
  out->set_state(StateOf(state.job.state));
  out->set_attempts(state.job.attempts);
  out->set_artefact(run.artefact);
  out->set_error(state.job.last_error);
  out->set_job_id(run.job_id);
  out->set_priority(state.job.priority);
  if (!run.progress.has_value()) return;
  v1::TrainProgress* progress = out->mutable_progress();
  progress->set_epoch(run.progress->epoch);
  progress->set_epochs(run.progress->epochs);
  progress->set_step(run.progress->step);
  progress->set_loss(run.progress->loss);
  progress->set_train_accuracy(run.progress->train_accuracy);
  progress->set_images_per_second(run.progress->images_per_second);
}

void Encode(const catalog::Artefact& artefact, v1::Artefact* out) {
  out->set_digest(artefact.digest);
  out->set_project(artefact.project);
  out->set_run_id(artefact.run_id);
  out->set_snapshot(artefact.snapshot);
  out->set_model_bytes(artefact.model_bytes);
  for (const catalog::ArtefactFile& file : artefact.files) {
    v1::ArtefactFile* to = out->add_files();
    to->set_name(file.name);
    to->set_digest(file.digest);
    to->set_bytes(file.bytes);
  }
}

}  // namespace

grpc::Status TrainerService::CreateRun(grpc::ServerContext*, const v1::CreateRunRequest* request,
                                       v1::Run* response) {
  const Result<RunState> run = desk_.Create({.project = request->project(),
                                             .snapshot = request->snapshot(),
                                             .recipe_json = request->recipe_json(),
                                             .suite = request->suite(),
                                             .priority = request->priority()});
  if (!run.ok()) return ToGrpc(run.status());
  Encode(*run, response);
  return grpc::Status::OK;
}

grpc::Status TrainerService::GetRun(grpc::ServerContext*, const v1::GetRunRequest* request,
                                    v1::Run* response) {
  const Result<RunState> run = desk_.Get(request->run_id());
  if (!run.ok()) return ToGrpc(run.status());
  Encode(*run, response);
  return grpc::Status::OK;
}

grpc::Status TrainerService::CancelRun(grpc::ServerContext*, const v1::CancelRunRequest* request,
                                       v1::Run* response) {
  const Result<RunState> run = desk_.Cancel(request->run_id());
  if (!run.ok()) return ToGrpc(run.status());
  Encode(*run, response);
  return grpc::Status::OK;
}

grpc::Status TrainerService::ListRuns(grpc::ServerContext*, const v1::ListRunsRequest* request,
                                      v1::ListRunsResponse* response) {
  const Result<runtime::Page> page = runtime::ReadPage(request->page_size(), request->page_token());
  if (!page.ok()) return ToGrpc(page.status());
  const auto runs = desk_.List(request->project(), page->cursor, page->limit);
  if (!runs.ok()) return ToGrpc(runs.status());
  for (const RunState& run : *runs) Encode(run, response->add_runs());
  if (static_cast<int>(runs->size()) == page->limit) {
    response->set_next_page_token(runtime::NextPage(runs->back().run.id));
  }
  return grpc::Status::OK;
}

grpc::Status TrainerService::WatchRun(grpc::ServerContext* context,
                                      const v1::GetRunRequest* request,
                                      grpc::ServerWriter<v1::Run>* writer) {
  v1::Run last;
  while (!context->IsCancelled()) {
    const Result<RunState> run = desk_.Get(request->run_id());
    if (!run.ok()) return ToGrpc(run.status());
    v1::Run now;
    Encode(*run, &now);
    const bool moved = !google::protobuf::util::MessageDifferencer::Equals(now, last);
    if (moved && !writer->Write(now)) break;
    if (now.state() != v1::Run::WAITING && now.state() != v1::Run::RUNNING) break;
    last = now;
    std::this_thread::sleep_for(kLookEvery);
  }
  return grpc::Status::OK;
}

grpc::Status TrainerService::GetArtefact(grpc::ServerContext*,
                                         const v1::GetArtefactRequest* request,
                                         v1::Artefact* response) {
  const auto artefact = desk_.GetArtefact(request->digest());
  if (!artefact.ok()) return ToGrpc(artefact.status());
  Encode(*artefact, response);
  return grpc::Status::OK;
}

grpc::Status TrainerService::ListArtefacts(grpc::ServerContext*,
                                           const v1::ListArtefactsRequest* request,
                                           v1::ListArtefactsResponse* response) {
  const Result<runtime::Page> page = runtime::ReadPage(request->page_size(), request->page_token());
  if (!page.ok()) return ToGrpc(page.status());
  const auto artefacts = desk_.ListArtefacts(request->project(), page->cursor, page->limit);
  if (!artefacts.ok()) return ToGrpc(artefacts.status());
  for (const auto& artefact : *artefacts) Encode(artefact, response->add_artefacts());
  if (static_cast<int>(artefacts->size()) == page->limit) {
    response->set_next_page_token(runtime::NextPage(page->cursor + page->limit));
  }
  return grpc::Status::OK;
}

grpc::Status TrainerService::ReadArtefactFile(
    grpc::ServerContext*, const v1::ReadArtefactFileRequest* request,
    grpc::ServerWriter<v1::ReadArtefactFileResponse>* writer) {
  const auto artefact = desk_.GetArtefact(request->artefact());
  if (!artefact.ok()) return ToGrpc(artefact.status());
  const auto file = artefact->File(request->name());
  if (!file.ok()) return ToGrpc(file.status());
  const Result<std::string> bytes = store_.Get(file->digest, kMaxFileBytes);
  if (!bytes.ok()) return ToGrpc(bytes.status());
  runtime::WriteChunks(*bytes, [&](std::string_view chunk) {
    v1::ReadArtefactFileResponse response;
    response.set_chunk(std::string(chunk));
    return writer->Write(response);
  });
  return grpc::Status::OK;
}

}  // namespace bitfoundry::trainer
