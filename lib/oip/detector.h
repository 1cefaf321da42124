// A detector of persons behind the Open Inference Protocol. Any server will do that has the tensors
// of bf-teacher (services/teacher/inference_service.h).
#pragma once

#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "images/image.h"
#include "oip/boxes.h"
#include "oip/client.h"

namespace bitfoundry::oip {

inline constexpr size_t kMostTilesPerCall = 8;

// Thread-safe.
class Detector {
 public:
  Detector(std::shared_ptr<grpc::Channel> channel, ClientOptions options,
           prometheus::Registry& metrics);

  // Which version answers: that of the options, else the newest that the server names.
  //
  // Errors: those of the transport, and
  //   kNotFound            the model or the version is not served
  //   kFailedPrecondition  MODEL_TENSORS: its tensors are not those we speak; the message says
  //                        which and what was expected
  Result<std::string> Version();

  // The same, but waits until the detector can be reached. Errors: also kCancelled, by `stop`.
  Result<std::string> AwaitVersion(const std::stop_token& stop);

  // The persons in each tile of an RGB image, in pixels of the tile, as `version` sees them. At
  // most kMostTilesPerCall tiles, all of one size. Errors: those of Client::Infer, and kDataLoss,
  // MODEL_GARBAGE.
  Result<std::vector<std::vector<Box>>> Detect(const images::Image& image,
                                               const std::vector<Window>& tiles,
                                               const std::string& version, const Spend& spend,
                                               const std::stop_token& stop);

  // The persons in an RGB image, by its tiles, best first: Calls(width, height) calls, if none
  // fails. Errors: those of Detect.
  Result<std::vector<Box>> Look(const images::Image& image, const std::string& version,
                                const Spend& spend, const std::stop_token& stop);

  static int Calls(int width, int height);

  const std::string& model() const { return client_.options().model; }

  // True while the breaker is open.
  bool open() const { return client_.open(); }

 private:
  Client client_;
  std::mutex mutex_;
  std::string version_;  // guarded by mutex_; empty: not known
};

// The boxes of an answer, checked: shape, size, finite, scores within 0 to 1, sides in order.
// Unused rows and other classes than persons are left out; what sticks out of a tile is clipped.
// Errors: kDataLoss, MODEL_GARBAGE.
Result<std::vector<std::vector<Box>>> ReadDetections(const inference::ModelInferResponse& response,
                                                     size_t tiles, int width, int height);

}  // namespace bitfoundry::oip
