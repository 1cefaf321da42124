// Servers of the Open Inference Protocol for tests: real gRPC, but what they answer is fixed. They
// stand in for a MobileNet or a teacher, whose weights are not in the repository.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

#include "inference/grpc_predict_v2.grpc.pb.h"
#include "runtime/error.h"

namespace bitfoundry::evaluator {

using Shape = std::vector<int64_t>;

// On a port of its own, until the end of its scope.
class Served {
 public:
  explicit Served(grpc::Service& service) {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
  }
  const std::string& address() const { return address_; }
  void Stop() { server_->Shutdown(); }

 private:
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
};

// Calls an image class 1 where its mean is above 128 levels.
class BrightnessModel final : public inference::GRPCInferenceService::Service {
 public:
  struct Tensor {
    std::string type;
    Shape shape;
  };

  std::string version = "1";
  std::string answers_as;  // another version; empty: the same
  std::vector<Tensor> inputs = {{"UINT8", {-1, 16, 16, 1}}};
  std::vector<Tensor> outputs = {{"FP32", {-1, 2}}};
  std::atomic<int> fail_next = 0;  // so many calls answer UNAVAILABLE
  std::atomic<int> calls = 0;
  std::function<void(inference::ModelInferResponse&)> spoil = [](auto&) {};

 private:
  grpc::Status ModelMetadata(grpc::ServerContext*, const inference::ModelMetadataRequest* request,
                             inference::ModelMetadataResponse* response) override {
    if (!Serves(request->name(), request->version())) return NotFound();
    response->set_name("brightness");
    response->add_versions(version);
    for (const Tensor& tensor : inputs) Add(tensor, "pixels", response->add_inputs());
    for (const Tensor& tensor : outputs) Add(tensor, "scores", response->add_outputs());
    return grpc::Status::OK;
  }

  grpc::Status ModelInfer(grpc::ServerContext*, const inference::ModelInferRequest* request,
                          inference::ModelInferResponse* response) override {
    ++calls;
    if (fail_next > 0) {
      --fail_next;
      return {grpc::StatusCode::UNAVAILABLE, "as the test asked for"};
    }
    if (!Serves(request->model_name(), request->model_version())) return NotFound();
    const auto& input = request->inputs(0);
    const auto images = static_cast<size_t>(input.shape(0));
    if (input.name() != "pixels" || input.datatype() != inputs[0].type ||
        (inputs[0].shape[0] == 1 && images != 1)) {
      return {grpc::StatusCode::INVALID_ARGUMENT, "not the tensor of the metadata"};
    }
    response->set_model_version(answers_as.empty() ? version : answers_as);
    auto& output = *response->add_outputs();
    output.set_name("scores");
    output.set_datatype("FP32");
    output.add_shape(static_cast<int64_t>(images));
    output.add_shape(2);
    const std::string& bytes = request->raw_input_contents(0);
    const size_t each = bytes.size() / images;
    std::string& scores = *response->add_raw_output_contents();
    for (size_t i = 0; i < images; ++i) {
      const float brightness = Mean(bytes.substr(i * each, each), input.datatype() == "FP32");
      for (const float score : {128.0F / 255.0F, brightness}) {
        scores.append(reinterpret_cast<const char*>(&score), sizeof(score));
      }
    }
    spoil(*response);
    return grpc::Status::OK;
  }

  bool Serves(const std::string& name, const std::string& asked) const {
    return name == "brightness" && (asked.empty() || asked == version);
  }
  static grpc::Status NotFound() { return {grpc::StatusCode::NOT_FOUND, "no such model"}; }
  static void Add(const Tensor& from, const char* name,
                  inference::ModelMetadataResponse::TensorMetadata* to) {
    to->set_name(name);
    to->set_datatype(from.type);
    to->mutable_shape()->Add(from.shape.begin(), from.shape.end());
  }
  static float Mean(const std::string& bytes, bool fp32) {
    if (!fp32) {
      float sum = 0;
      for (const char c : bytes) sum += static_cast<float>(static_cast<uint8_t>(c)) / 255.0F;
      return sum / static_cast<float>(bytes.size());
    }
    std::vector<float> values(bytes.size() / sizeof(float));
    std::memcpy(values.data(), bytes.data(), bytes.size());
    return std::accumulate(values.begin(), values.end(), 0.0F) / static_cast<float>(values.size());
  }
};

}  // namespace bitfoundry::evaluator
