// gRPC for Desk: decode, call, encode.
#pragma once

#include "bitfoundry/v1/autolabel.grpc.pb.h"
#include "jobs/doorbell.h"
#include "services/autolabel/desk.h"

namespace bitfoundry::autolabel {

class AutoLabelService final : public v1::AutoLabel::Service {
 public:
  AutoLabelService(Desk& desk, jobs::Doorbell& doorbell) : desk_(desk), doorbell_(doorbell) {}

  grpc::Status StartAutoLabel(grpc::ServerContext*, const v1::StartAutoLabelRequest* request,
                              v1::StartAutoLabelResponse* response) override;
  grpc::Status GetAutoLabelProgress(grpc::ServerContext*,
                                    const v1::GetAutoLabelProgressRequest* request,
                                    v1::AutoLabelProgress* response) override;

 private:
  Desk& desk_;
  jobs::Doorbell& doorbell_;
};

}  // namespace bitfoundry::autolabel
