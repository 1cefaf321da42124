// A detector behind the Open Inference Protocol v2 (proto/inference/grpc_predict_v2.proto).
//
// One model:
//   input   image       UINT8 [n, height, width, 3]  RGB; n 1 to 8, sides 1 to 1024 pixels
//   output  detections  FP32 [n, k, 6]  left, top, right, bottom (pixels of the tile), score, class
//                       (COCO's index); k is the most of any tile, unused rows have score 0
// Pixels come raw or as uint_contents; detections are always sent raw, little-endian.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "inference/grpc_predict_v2.grpc.pb.h"
#include "services/teacher/centernet.h"

namespace bitfoundry::teacher {

inline constexpr int kMostTiles = 8;
inline constexpr int kMostPixels = 1024;  // of a side

// What is served: CenterNet::Detect, or a test's fixed boxes.
using Detect = std::function<Result<std::vector<Detection>>(const Tile&)>;

class InferenceService final : public inference::GRPCInferenceService::Service {
 public:
  // `detect` is called from many threads.
  InferenceService(std::string model, std::string version, Detect detect)
      : model_(std::move(model)), version_(std::move(version)), detect_(std::move(detect)) {}

  grpc::Status ServerLive(grpc::ServerContext*, const inference::ServerLiveRequest*,
                          inference::ServerLiveResponse* response) override;
  grpc::Status ServerReady(grpc::ServerContext*, const inference::ServerReadyRequest*,
                           inference::ServerReadyResponse* response) override;
  grpc::Status ModelReady(grpc::ServerContext*, const inference::ModelReadyRequest* request,
                          inference::ModelReadyResponse* response) override;
  grpc::Status ServerMetadata(grpc::ServerContext*, const inference::ServerMetadataRequest*,
                              inference::ServerMetadataResponse* response) override;
  grpc::Status ModelMetadata(grpc::ServerContext*, const inference::ModelMetadataRequest* request,
                             inference::ModelMetadataResponse* response) override;
  grpc::Status ModelInfer(grpc::ServerContext* context, const inference::ModelInferRequest* request,
                          inference::ModelInferResponse* response) override;

 private:
  Status CheckModel(const std::string& name, const std::string& version) const;

  const std::string model_;
  const std::string version_;
  const Detect detect_;
};

}  // namespace bitfoundry::teacher
