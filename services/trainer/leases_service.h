// gRPC for LeaseDesk: decode, call, encode; and what the workers tell, as metrics.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <stop_token>

#include "bitfoundry/v1/trainer.grpc.pb.h"
#include "blobs/store.h"
#include "jobs/doorbell.h"
#include "services/trainer/lease_desk.h"

namespace bitfoundry::trainer {

class LeasesService final : public v1::TrainingLeases::Service {
 public:
  // stop  ends waiting for work, so that draining does not wait for it
  LeasesService(LeaseDesk& desk, const blobs::Store& store, jobs::Doorbell& doorbell,
                prometheus::Registry& metrics, std::stop_token stop);

  grpc::Status AcquireLease(grpc::ServerContext* context, const v1::AcquireLeaseRequest* request,
                            v1::AcquireLeaseResponse* response) override;
  grpc::Status Heartbeat(grpc::ServerContext*, const v1::HeartbeatRequest* request,
                         v1::HeartbeatResponse* response) override;
  grpc::Status ReadDataset(grpc::ServerContext*, const v1::ReadDatasetRequest* request,
                           grpc::ServerWriter<v1::ReadDatasetResponse>* writer) override;
  grpc::Status ReadCheckpoint(grpc::ServerContext*, const v1::ReadCheckpointRequest* request,
                              grpc::ServerWriter<v1::ReadCheckpointResponse>* writer) override;
  grpc::Status SaveCheckpoint(grpc::ServerContext*,
                              grpc::ServerReader<v1::SaveCheckpointRequest>* reader,
                              v1::SaveCheckpointResponse*) override;
  grpc::Status UploadFile(grpc::ServerContext*, grpc::ServerReader<v1::UploadFileRequest>* reader,
                          v1::UploadFileResponse* response) override;
  grpc::Status Complete(grpc::ServerContext*, const v1::CompleteRequest* request,
                        v1::CompleteResponse*) override;
  grpc::Status Fail(grpc::ServerContext*, const v1::FailRequest* request,
                    v1::FailResponse*) override;

 private:
  grpc::Status Answer(const Status& status);  // counts what was refused for a lost lease

  LeaseDesk& desk_;
  const blobs::Store& store_;
  jobs::Doorbell& doorbell_;
  const std::stop_token stop_;
  prometheus::Counter& stale_rejected_;
  prometheus::Gauge& images_per_second_;
  prometheus::Gauge& loss_;
};

}  // namespace bitfoundry::trainer
