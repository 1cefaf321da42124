#include "services/trainer/leases_service.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <mutex>

#include "runtime/error.h"
#include "runtime/stream.h"

namespace bitfoundry::trainer {
namespace {

constexpr int kMaxWaitSeconds = 30;
constexpr std::chrono::milliseconds kLookEvery{500};
constexpr size_t kMaxRowsBytes = size_t{1} << 30;
constexpr size_t kMaxPixelsBytes = size_t{16} << 30;

jobs::Lease LeaseOf(const v1::RunLease& lease) {
  return {.job_id = lease.job_id(), .epoch = lease.epoch()};
}

catalog::Progress ProgressOf(const v1::TrainProgress& p) {
  return {.epoch = p.epoch(),
          .epochs = p.epochs(),
          .step = p.step(),
          .loss = p.loss(),
          .train_accuracy = p.train_accuracy(),
          .images_per_second = p.images_per_second()};
}

Status Check(const v1::TrainProgress& p) {
  const auto measure = [](double value) { return std::isfinite(value) && value >= 0; };
  if (p.epoch() >= 0 && p.epoch() <= p.epochs() && p.step() >= 0 && measure(p.loss()) &&
      measure(p.train_accuracy()) && p.train_accuracy() <= 1 && measure(p.images_per_second())) {
    return Status();
  }
  return {Code::kInvalidArgument, "PROGRESS_INVALID",
          "progress has finite numbers from 0, an epoch up to epochs, an accuracy up to 1"};
}

v1::HeartbeatResponse::Order OrderOf(Order order) {
  if (order == Order::kCancel) return v1::HeartbeatResponse::CANCEL;
  return order == Order::kYield ? v1::HeartbeatResponse::CHECKPOINT_AND_YIELD
                                : v1::HeartbeatResponse::CONTINUE;
}

// Reads a stream of messages with chunks into the store; returns the first message and the blob.
template <typename Message>
struct Received {
  Message first;
  std::string digest;
  size_t bytes = 0;
};

template <typename Message>
Result<Received<Message>> Receive(const grpc::ServerContext& context,
                                  grpc::ServerReader<Message>* reader, const blobs::Store& store,
                                  size_t limit, const char* what) {
  Received<Message> received;
  blobs::Writer writer = BF_TRY(store.Write());
  Message message;
  for (bool first = true; reader->Read(&message); first = false) {
    BF_TRY(runtime::CheckChunk(message.chunk().size(), received.bytes, limit, what));
    BF_TRY(writer.Add(message.chunk()));
    received.bytes += message.chunk().size();
    message.clear_chunk();
    if (first) received.first = message;
  }
  BF_TRY(runtime::CheckWhole(context.IsCancelled(), static_cast<int64_t>(received.bytes),
                             received.first.total_bytes(), "bytes"));
  if (!received.first.has_lease()) {
    return Status(Code::kInvalidArgument, "NO_LEASE", "the first message carries the lease");
  }
  received.digest = BF_TRY(writer.Finish());
  return received;
}

void Pause(const std::stop_token& stop) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any().wait_for(lock, stop, kLookEvery, [] { return false; });
}

template <typename Family>
auto& Metric(Family family, prometheus::Registry& registry, const char* name, const char* help) {
  return family.Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

LeasesService::LeasesService(LeaseDesk& desk, const blobs::Store& store, jobs::Doorbell& doorbell,
                             prometheus::Registry& metrics, std::stop_token stop)
    : desk_(desk),
      store_(store),
      doorbell_(doorbell),
      stop_(std::move(stop)),
      stale_rejected_(Metric(prometheus::BuildCounter(), metrics,
                             "bf_training_stale_calls_rejected_total",
                             "Calls of workers that had lost their lease")),
      images_per_second_(Metric(prometheus::BuildGauge(), metrics, "bf_training_images_per_second",
                                "Training speed, as the last heartbeat told")),
      loss_(Metric(prometheus::BuildGauge(), metrics, "bf_training_loss_nats",
                   "Training loss, as the last heartbeat told")) {}

grpc::Status LeasesService::Answer(const Status& status) {
  if (status.reason() == "LEASE_LOST") stale_rejected_.Increment();
  return runtime::ToGrpc(status);
}

grpc::Status LeasesService::AcquireLease(grpc::ServerContext* context,
                                         const v1::AcquireLeaseRequest* request,
                                         v1::AcquireLeaseResponse* response) {
  if (request->worker().empty() || request->worker().size() > 128) {
    return Answer({Code::kInvalidArgument, "WORKER_NAME", "worker has 1 to 128 bytes"});
  }
  const int wait = std::clamp(request->wait_seconds(), 0, kMaxWaitSeconds);
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(wait);
  while (true) {
    const Result<std::optional<Work>> work = desk_.Acquire(request->worker());
    if (!work.ok()) return Answer(work.status());
    if (work->has_value()) {
      const Work& found = **work;
      response->mutable_lease()->set_job_id(found.lease.job_id);
      response->mutable_lease()->set_epoch(found.lease.epoch);
      response->set_run_id(found.run.id);
      response->set_project(found.run.project);
      response->set_snapshot(found.run.snapshot);
      response->set_recipe_json(found.run.recipe_json);
      response->set_has_checkpoint(found.has_checkpoint);
      response->set_next_heartbeat_seconds(static_cast<int32_t>(desk_.beat().count()));
      return grpc::Status::OK;
    }
    if (std::chrono::steady_clock::now() >= end || stop_.stop_requested() ||
        context->IsCancelled()) {
      return grpc::Status::OK;
    }
    Pause(stop_);
  }
}

grpc::Status LeasesService::Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request,
                                      v1::HeartbeatResponse* response) {
  if (const Status good = Check(request->progress()); !good.ok()) return Answer(good);
  const auto order = desk_.Heartbeat(LeaseOf(request->lease()), ProgressOf(request->progress()));
  if (!order.ok()) return Answer(order.status());
  if (request->progress().epochs() > 0) {
    images_per_second_.Set(request->progress().images_per_second());
    loss_.Set(request->progress().loss());
  }
  response->set_order(OrderOf(*order));
  response->set_next_heartbeat_seconds(static_cast<int32_t>(desk_.beat().count()));
  return grpc::Status::OK;
}

grpc::Status LeasesService::ReadDataset(grpc::ServerContext*, const v1::ReadDatasetRequest* request,
                                        grpc::ServerWriter<v1::ReadDatasetResponse>* writer) {
  const auto dataset = desk_.GetDataset(LeaseOf(request->lease()));
  if (!dataset.ok()) return Answer(dataset.status());
  const auto send = [&](v1::ReadDatasetResponse::Kind kind, const std::string& bytes) {
    return runtime::WriteChunks(bytes, [&](std::string_view chunk) {
      v1::ReadDatasetResponse response;
      response.set_kind(kind);
      response.set_chunk(std::string(chunk));
      return writer->Write(response);
    });
  };
  const Result<std::string> rows = store_.Get(dataset->rows, kMaxRowsBytes);
  if (!rows.ok()) return Answer(rows.status());
  const Result<std::string> pixels = store_.Get(dataset->pixels, kMaxPixelsBytes);
  if (!pixels.ok()) return Answer(pixels.status());
  if (send(v1::ReadDatasetResponse::ROWS, *rows)) {
    send(v1::ReadDatasetResponse::PIXELS, *pixels);
  }
  return grpc::Status::OK;
}

grpc::Status LeasesService::ReadCheckpoint(grpc::ServerContext*,
                                           const v1::ReadCheckpointRequest* request,
                                           grpc::ServerWriter<v1::ReadCheckpointResponse>* writer) {
  const Result<std::string> digest = desk_.NewestCheckpoint(LeaseOf(request->lease()));
  if (!digest.ok()) return Answer(digest.status());
  const Result<std::string> bytes = store_.Get(*digest, kMaxCheckpointBytes);
  if (!bytes.ok()) return Answer(bytes.status());
  runtime::WriteChunks(*bytes, [&](std::string_view chunk) {
    v1::ReadCheckpointResponse response;
    response.set_chunk(std::string(chunk));
    return writer->Write(response);
  });
  return grpc::Status::OK;
}

grpc::Status LeasesService::SaveCheckpoint(grpc::ServerContext* context,
                                           grpc::ServerReader<v1::SaveCheckpointRequest>* reader,
                                           v1::SaveCheckpointResponse*) {
  const auto received = Receive(*context, reader, store_, kMaxCheckpointBytes, "a checkpoint");
  if (!received.ok()) return Answer(received.status());
  if (received->first.step() < 1) {
    return Answer({Code::kInvalidArgument, "STEP", "a checkpoint is of step 1 or later"});
  }
  return Answer(desk_.SaveCheckpoint(LeaseOf(received->first.lease()), received->first.step(),
                                     received->digest));
}

grpc::Status LeasesService::UploadFile(grpc::ServerContext* context,
                                       grpc::ServerReader<v1::UploadFileRequest>* reader,
                                       v1::UploadFileResponse* response) {
  const auto received = Receive(*context, reader, store_, kMaxFileBytes, "a file of an artefact");
  if (!received.ok()) return Answer(received.status());
  response->set_digest(received->digest);
  return Answer(desk_.RecordUpload(LeaseOf(received->first.lease()), received->digest,
                                   static_cast<int64_t>(received->bytes)));
}

grpc::Status LeasesService::Complete(grpc::ServerContext*, const v1::CompleteRequest* request,
                                     v1::CompleteResponse*) {
  if (const Status good = Check(request->progress()); !good.ok()) return Answer(good);
  const Status completed = desk_.Complete(LeaseOf(request->lease()), request->manifest_digest(),
                                          ProgressOf(request->progress()));
  if (completed.ok()) doorbell_.Ring("evaluate");
  return Answer(completed);
}

grpc::Status LeasesService::Fail(grpc::ServerContext*, const v1::FailRequest* request,
                                 v1::FailResponse*) {
  const Code code = request->cancelled()   ? Code::kCancelled
                    : request->retryable() ? Code::kUnavailable
                                           : Code::kInternal;
  const auto given = desk_.GiveUp(LeaseOf(request->lease()), Status(code, request->message()));
  if (!given.ok()) return Answer(given.status());
  if (*given == jobs::GivenBack::kLost) {
    return Answer({Code::kAborted, "LEASE_LOST", "somebody else has the run"});
  }
  return grpc::Status::OK;
}

}  // namespace bitfoundry::trainer
