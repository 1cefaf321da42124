#include "services/train-worker/door.h"

#include <algorithm>
#include <thread>

#include "runtime/client.h"
#include "runtime/stream.h"

namespace bitfoundry::train_worker {
namespace {

using runtime::Call;
using runtime::FromGrpc;
using std::chrono::seconds;

constexpr int kWaitForWorkSeconds = 10;
constexpr size_t kMaxDatasetBytes = size_t{16} << 30;
constexpr size_t kMaxCheckpointBytes = size_t{64} << 20;

// `call` (() -> Status) again and again while it says kUnavailable, for `patience` at most.
template <typename Try>
Status Patiently(seconds patience, Try call) {
  const auto end = std::chrono::steady_clock::now() + patience;
  while (true) {
    const Status status = call();
    if (status.code() != Code::kUnavailable || std::chrono::steady_clock::now() > end) {
      return status;
    }
    std::this_thread::sleep_for(seconds(1));
  }
}

Status Append(const std::string& chunk, std::string& to, size_t limit, const char* what) {
  BF_TRY(runtime::CheckChunk(chunk.size(), to.size(), limit, what));
  to += chunk;
  return Status();
}

// Sends `first` with the size and the first chunk of `bytes`, then the other chunks.
template <typename Request, typename Response>
Status SendChunks(grpc::ClientWriter<Request>& writer, Request first, std::string_view bytes) {
  Request message = std::move(first);
  message.set_total_bytes(static_cast<int64_t>(bytes.size()));
  runtime::WriteChunks(bytes, [&](std::string_view chunk) {
    message.set_chunk(std::string(chunk));
    const bool sent = writer.Write(message);
    message.Clear();
    return sent;
  });
  writer.WritesDone();
  return FromGrpc(writer.Finish());
}

}  // namespace

Door::Door(const std::string& address, seconds patience)
    : stub_(v1::TrainingLeases::NewStub(runtime::Connect(address))), patience_(patience) {}

Result<std::optional<v1::AcquireLeaseResponse>> Door::Acquire(const std::string& worker,
                                                              const std::stop_token& stop) {
  v1::AcquireLeaseRequest request;
  request.set_worker(worker);
  request.set_wait_seconds(kWaitForWorkSeconds);
  v1::AcquireLeaseResponse response;
  Call call(seconds(kWaitForWorkSeconds + 10));
  const std::stop_callback cancel(stop, [&call] { call.TryCancel(); });
  BF_TRY(FromGrpc(stub_->AcquireLease(&call, request, &response)));
  if (!response.has_lease()) return std::nullopt;
  return response;
}

Result<v1::HeartbeatResponse> Door::Heartbeat(const v1::RunLease& lease,
                                              const v1::TrainProgress& progress) {
  v1::HeartbeatRequest request;
  *request.mutable_lease() = lease;
  *request.mutable_progress() = progress;
  v1::HeartbeatResponse response;
  Call call(seconds(5));
  BF_TRY(FromGrpc(stub_->Heartbeat(&call, request, &response)));
  return response;
}

Result<Door::Dataset> Door::ReadDataset(const v1::RunLease& lease) {
  v1::ReadDatasetRequest request;
  *request.mutable_lease() = lease;
  Dataset dataset;
  BF_TRY(Patiently(patience_, [&]() -> Status {
    dataset = {};
    Call call(std::chrono::minutes(30));
    const auto reader = stub_->ReadDataset(&call, request);
    v1::ReadDatasetResponse response;
    while (reader->Read(&response)) {
      const bool rows = response.kind() == v1::ReadDatasetResponse::ROWS;
      BF_TRY(Append(response.chunk(), rows ? dataset.rows : dataset.pixels, kMaxDatasetBytes,
                    "a snapshot"));
    }
    return FromGrpc(reader->Finish());
  }));
  return dataset;
}

Result<std::string> Door::ReadCheckpoint(const v1::RunLease& lease) {
  v1::ReadCheckpointRequest request;
  *request.mutable_lease() = lease;
  std::string bytes;
  BF_TRY(Patiently(patience_, [&]() -> Status {
    bytes.clear();
    Call call(std::chrono::minutes(5));
    const auto reader = stub_->ReadCheckpoint(&call, request);
    v1::ReadCheckpointResponse response;
    while (reader->Read(&response)) {
      BF_TRY(Append(response.chunk(), bytes, kMaxCheckpointBytes, "a checkpoint"));
    }
    return FromGrpc(reader->Finish());
  }));
  return bytes;
}

Status Door::SaveCheckpoint(const v1::RunLease& lease, int64_t step, std::string_view bytes) {
  return Patiently(patience_, [&] {
    Call call(std::chrono::minutes(5));
    v1::SaveCheckpointResponse response;
    const auto writer = stub_->SaveCheckpoint(&call, &response);
    v1::SaveCheckpointRequest first;
    *first.mutable_lease() = lease;
    first.set_step(step);
    return SendChunks<v1::SaveCheckpointRequest, v1::SaveCheckpointResponse>(*writer, first, bytes);
  });
}

Result<std::string> Door::Upload(const v1::RunLease& lease, std::string_view bytes) {
  v1::UploadFileResponse response;
  BF_TRY(Patiently(patience_, [&] {
    Call call(std::chrono::minutes(5));
    response.Clear();
    const auto writer = stub_->UploadFile(&call, &response);
    v1::UploadFileRequest first;
    *first.mutable_lease() = lease;
    return SendChunks<v1::UploadFileRequest, v1::UploadFileResponse>(*writer, first, bytes);
  }));
  return response.digest();
}

Status Door::Complete(const v1::RunLease& lease, const std::string& manifest_digest,
                      const v1::TrainProgress& progress) {
  v1::CompleteRequest request;
  *request.mutable_lease() = lease;
  request.set_manifest_digest(manifest_digest);
  *request.mutable_progress() = progress;
  return Patiently(patience_, [&] {
    Call call(std::chrono::minutes(1));
    v1::CompleteResponse response;
    return FromGrpc(stub_->Complete(&call, request, &response));
  });
}

Status Door::Fail(const v1::RunLease& lease, const Status& why) {
  v1::FailRequest request;
  *request.mutable_lease() = lease;
  request.set_message(why.ToString());
  request.set_cancelled(why.code() == Code::kCancelled);
  request.set_retryable(why.retryable());
  Call call(seconds(5));
  v1::FailResponse response;
  return FromGrpc(stub_->Fail(&call, request, &response));
}

}  // namespace bitfoundry::train_worker
