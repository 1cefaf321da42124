// A teacher for tests: a real gRPC server with bf-teacher's own protocol code, but fixed boxes for
// a network and failures on demand. It stands in for the large model, which is not in the
// repository; nothing here says how good a detector is.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/client.h"
#include "runtime/error.h"
#include "services/teacher/inference_service.h"

namespace bitfoundry::autolabel {

class StubTeacher {
 public:
  StubTeacher() : service_(*this) {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
  }

  std::shared_ptr<grpc::Channel> Channel() const { return runtime::Connect(address_); }

  // Boxes in every tile from now on.
  void See(std::vector<teacher::Detection> boxes) {
    const std::scoped_lock lock(mutex_);
    boxes_ = std::move(boxes);
  }

  std::atomic<int> calls = 0;      // of ModelInfer
  std::atomic<int> fail_next = 0;  // so many of them answer `failure`
  std::atomic<Code> failure = Code::kUnavailable;
  std::atomic<bool> garbage = false;  // answer with a shape that the data do not have
  std::atomic<int> ready_calls = 0;

 private:
  class Service final : public inference::GRPCInferenceService::Service {
   public:
    explicit Service(StubTeacher& stub)
        : stub_(stub), inner_("centernet", "v7", [&stub](const teacher::Tile&) {
            const std::scoped_lock lock(stub.mutex_);
            return Result<std::vector<teacher::Detection>>(stub.boxes_);
          }) {}

    grpc::Status ModelReady(grpc::ServerContext* context,
                            const inference::ModelReadyRequest* request,
                            inference::ModelReadyResponse* response) override {
      ++stub_.ready_calls;
      return inner_.ModelReady(context, request, response);
    }
    grpc::Status ModelMetadata(grpc::ServerContext* context,
                               const inference::ModelMetadataRequest* request,
                               inference::ModelMetadataResponse* response) override {
      return inner_.ModelMetadata(context, request, response);
    }
    grpc::Status ModelInfer(grpc::ServerContext* context,
                            const inference::ModelInferRequest* request,
                            inference::ModelInferResponse* response) override {
      ++stub_.calls;
      if (stub_.fail_next > 0) {
        --stub_.fail_next;
        return runtime::ToGrpc(Status(stub_.failure, "as the test asked for"));
      }
      const grpc::Status status = inner_.ModelInfer(context, request, response);
      if (stub_.garbage) response->mutable_outputs(0)->set_shape(2, 7);
      return status;
    }

   private:
    StubTeacher& stub_;
    teacher::InferenceService inner_;
  };

  std::mutex mutex_;
  std::vector<teacher::Detection> boxes_;
  Service service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

}  // namespace bitfoundry::autolabel
