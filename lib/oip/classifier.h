// A classifier behind the Open Inference Protocol: scores for each class of a project.
//
//   input   one, UINT8 (levels) or FP32 (levels / 255), [n, height, width, channels]; n is -1 (any)
//           or 1. Another size than the images have is resized to, and gray is repeated over three
//           channels; -1 takes what the images have
//   output  one, FP32 [n, classes]; the largest is the answer, the first of equal ones
#pragma once

#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <vector>

#include "images/image.h"
#include "oip/client.h"

namespace bitfoundry::oip {

inline constexpr int kMostSide = 512;             // pixels of the input, so that one fits a message
inline constexpr size_t kMostImagesPerCall = 64;  // fewer where they are large

// What a server says of a model.
struct Signature {
  std::string version;
  std::string input;   // "image UINT8 [-1,64,64,1]"
  std::string output;  // "scores FP32 [-1,2]"

  bool operator==(const Signature&) const = default;
};

// Of one thread at a time.
class Classifier {
 public:
  // Images of this size, and so many classes, whatever the server likes.
  Classifier(std::shared_ptr<grpc::Channel> channel, ClientOptions options,
             prometheus::Registry& metrics, const images::Image& like, size_t classes);

  // Asks the server.
  //
  // Errors: those of the transport, and
  //   kNotFound            the model or the version is not served
  //   kFailedPrecondition  MODEL_TENSORS: what was expected, and what it has
  //                        MODEL_DOES_NOT_FIT: it scores another number of classes
  Result<Signature> Describe();

  // The class of each image, as the version that Describe found says. Requires: Describe.
  //
  // Errors: those of Client::Infer, and kDataLoss, MODEL_GARBAGE.
  Result<std::vector<size_t>> Classify(std::span<const images::Image> images,
                                       const std::stop_token& stop);

 private:
  inference::ModelInferRequest Encode(std::span<const images::Image> images) const;
  Status ReadInput(const inference::ModelMetadataResponse& metadata);
  Status ReadOutput(const inference::ModelMetadataResponse& metadata);

  Client client_;
  const int height_;
  const int width_;
  const int channels_;
  const size_t classes_;

  std::string version_;  // empty: not described yet
  std::string input_;    // name
  bool fp32_ = false;
  images::Image wanted_;  // its size, without pixels
  size_t most_per_call_ = 1;
};

// The answers in the scores of `images` many images: shape, size and finite values are checked.
// Errors: kDataLoss, MODEL_GARBAGE.
Result<std::vector<size_t>> ReadScores(const inference::ModelInferResponse& response, size_t images,
                                       size_t classes);

}  // namespace bitfoundry::oip
