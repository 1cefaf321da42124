// gRPC for RunDesk: decode, call, encode.
#pragma once

#include "bitfoundry/v1/trainer.grpc.pb.h"
#include "blobs/store.h"
#include "services/trainer/run_desk.h"

namespace bitfoundry::trainer {

class TrainerService final : public v1::Trainer::Service {
 public:
  TrainerService(RunDesk& desk, const blobs::Store& store) : desk_(desk), store_(store) {}

  grpc::Status CreateRun(grpc::ServerContext*, const v1::CreateRunRequest* request,
                         v1::Run* response) override;
  grpc::Status GetRun(grpc::ServerContext*, const v1::GetRunRequest* request,
                      v1::Run* response) override;
  grpc::Status CancelRun(grpc::ServerContext*, const v1::CancelRunRequest* request,
                         v1::Run* response) override;
  grpc::Status ListRuns(grpc::ServerContext*, const v1::ListRunsRequest* request,
                        v1::ListRunsResponse* response) override;
  grpc::Status WatchRun(grpc::ServerContext* context, const v1::GetRunRequest* request,
                        grpc::ServerWriter<v1::Run>* writer) override;
  grpc::Status GetArtefact(grpc::ServerContext*, const v1::GetArtefactRequest* request,
                           v1::Artefact* response) override;
  grpc::Status ListArtefacts(grpc::ServerContext*, const v1::ListArtefactsRequest* request,
                             v1::ListArtefactsResponse* response) override;
  grpc::Status ReadArtefactFile(grpc::ServerContext*, const v1::ReadArtefactFileRequest* request,
                                grpc::ServerWriter<v1::ReadArtefactFileResponse>* writer) override;

 private:
  RunDesk& desk_;
  const blobs::Store& store_;
};

}  // namespace bitfoundry::trainer
