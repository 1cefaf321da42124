// A model behind the Open Inference Protocol v2, asked with patience. What its tensors mean is said
// by who asks: detector.h, or a service of its own.
//
// A call that fails for a passing reason is tried again after a random pause (full jitter). After
// several failures in a row the breaker opens: nobody calls, everybody waits, and now and then one
// asks ModelReady, which costs nothing, until the model is back. So an absent model stops the
// work and kills none of it.
#pragma once

#include <grpcpp/channel.h>
#include <prometheus/registry.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <vector>

#include "base/status.h"
#include "inference/grpc_predict_v2.grpc.pb.h"

namespace bitfoundry::oip {

struct ClientOptions {
  std::string role = "teacher";  // in messages, and in the names of the metrics
  std::string model = "centernet";
  std::string version = "";  // empty: the server's newest
  std::chrono::milliseconds call_limit{30'000};
  int most_tries = 4;                          // of one call
  std::chrono::milliseconds first_pause{200};  // at most this; twice as much after each failure
  std::chrono::milliseconds most_pause{5'000};
  int failures_to_open = 5;                   // in a row, of anybody's calls
  std::chrono::milliseconds open_for{5'000};  // between questions whether it is back
};

// Asked before each call: OK, or why it may not be made.
using Spend = std::function<Status()>;

using Check = std::function<Status(const inference::ModelInferResponse&)>;

using Tensors =
    google::protobuf::RepeatedPtrField<inference::ModelMetadataResponse::TensorMetadata>;

// Thread-safe.
class Client {
 public:
  Client(std::shared_ptr<grpc::Channel> channel, ClientOptions options,
         prometheus::Registry& metrics);

  // What the server says of the model. Errors: those of the transport; kNotFound, if it serves no
  // such model or version.
  Result<inference::ModelMetadataResponse> Metadata();

  // Which version answers: that of the options, else the newest that `metadata` names.
  std::string Version(const inference::ModelMetadataResponse& metadata) const;

  // One answer to `request`, whose model and version are set here. `check` says whether it is what
  // the model promised; where it is not, that counts as a failure.
  //
  // Errors: what `spend` or `check` returned, and
  //   kCancelled    `stop`
  //   kUnavailable  MODEL_CHANGED: it answers as another version than `version`
  //   of the call itself, after the last try
  Result<inference::ModelInferResponse> Infer(inference::ModelInferRequest request,
                                              const std::string& version, const Spend& spend,
                                              const Check& check, const std::stop_token& stop);

  const ClientOptions& options() const { return options_; }

  // True while the breaker is open.
  bool open() const;

 private:
  using Clock = std::chrono::steady_clock;

  Result<inference::ModelInferResponse> Call(const inference::ModelInferRequest& request,
                                             const std::string& version);
  Status WaitUntilClosed(const std::stop_token& stop);
  void Record(const Status& outcome);
  void SetFailures(int failures);  // under mutex_
  bool IsBack();

  const ClientOptions options_;
  const std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
  prometheus::Family<prometheus::Counter>& calls_;
  prometheus::Gauge& open_gauge_;

  mutable std::mutex mutex_;
  int failures_ = 0;                // guarded by mutex_; in a row; the breaker is open at the limit
  Clock::time_point ask_again_at_;  // guarded by mutex_; while open
};

// Returns early, with kCancelled, on `stop`. Anything from nothing to `most`: callers that failed
// together come back apart.
Status Pause(std::chrono::milliseconds most, const std::stop_token& stop);

// The values of the one output, FP32, from wherever the server put them: `count` of them.
// Errors: kDataLoss, MODEL_GARBAGE.
Result<std::vector<float>> Values(const inference::ModelInferResponse& response, size_t count);

// kDataLoss, MODEL_GARBAGE: an answer that is not what the protocol and the model promise.
Status Garbage(const std::string& what);

}  // namespace bitfoundry::oip
