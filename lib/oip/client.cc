#include "oip/client.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <algorithm>
#include <condition_variable>
#include <cstring>
#include <random>

#include "base/log.h"
#include "runtime/client.h"

namespace bitfoundry::oip {
namespace {

using std::chrono::milliseconds;

Status Sleep(milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any wake;
  wake.wait_for(lock, stop, time, [] { return false; });
  return stop.stop_requested() ? Status(Code::kCancelled, "stopping") : Status();
}

}  // namespace

Status Pause(milliseconds most, const std::stop_token& stop) {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return Sleep(milliseconds(std::uniform_int_distribution<int64_t>(0, most.count())(random)), stop);
}

Status Garbage(const std::string& what) {
  return {Code::kDataLoss, "MODEL_GARBAGE", "the model's answer: " + what};
}

Result<std::vector<float>> Values(const inference::ModelInferResponse& response, size_t count) {
  const auto& typed = response.outputs(0).contents().fp32_contents();
  std::vector<float> values(typed.begin(), typed.end());
  if (response.raw_output_contents_size() == 1 && typed.empty()) {
    const std::string& raw = response.raw_output_contents(0);
    values.resize(raw.size() / sizeof(float));
    if (!values.empty()) std::memcpy(values.data(), raw.data(), values.size() * sizeof(float));
    if (raw.size() % sizeof(float) != 0) values.clear();
  }
  if (values.size() != count) return Garbage("its data are not of the size that its shape says");
  return values;
}

Client::Client(std::shared_ptr<grpc::Channel> channel, ClientOptions options,
               prometheus::Registry& metrics)
    : options_(std::move(options)),
      stub_(inference::GRPCInferenceService::NewStub(channel)),
      calls_(prometheus::BuildCounter()
                 .Name("bf_" + options_.role + "_calls_total")
                 .Help("Calls to the " + options_.role + ", by how they ended")
                 .Register(metrics)),
      open_gauge_(prometheus::BuildGauge()
                      .Name("bf_" + options_.role + "_breaker_open")
                      .Help("1 while nobody calls the " + options_.role + ", because it fails")
                      .Register(metrics)
                      .Add({})) {}

Result<inference::ModelMetadataResponse> Client::Metadata() {
  runtime::Call call(options_.call_limit);
  inference::ModelMetadataRequest request;
  inference::ModelMetadataResponse response;
  request.set_name(options_.model);
  request.set_version(options_.version);
  BF_TRY(runtime::FromGrpc(stub_->ModelMetadata(&call, request, &response))
             .In("the " + options_.role));
  return response;
}

std::string Client::Version(const inference::ModelMetadataResponse& metadata) const {
  if (!options_.version.empty()) return options_.version;
  return metadata.versions().empty() ? "1" : *metadata.versions().rbegin();  // some name none
}

Result<inference::ModelInferResponse> Client::Infer(inference::ModelInferRequest request,
                                                    const std::string& version, const Spend& spend,
                                                    const Check& check,
                                                    const std::stop_token& stop) {
  request.set_model_name(options_.model);
  request.set_model_version(options_.version);
  milliseconds pause = options_.first_pause;
  for (int tries = 1;; ++tries) {
    BF_TRY(WaitUntilClosed(stop));
    BF_TRY(spend());
    Result<inference::ModelInferResponse> response = Call(request, version);
    const Status outcome = response.ok() ? check(*response) : response.status();
    Record(outcome);
    if (outcome.ok()) return response;
    if (!outcome.retryable() || outcome.reason() == "MODEL_CHANGED") return outcome;
    if (tries >= options_.most_tries) return outcome;
    BF_TRY(Pause(pause, stop));
    pause = std::min(2 * pause, options_.most_pause);
  }
}

Result<inference::ModelInferResponse> Client::Call(const inference::ModelInferRequest& request,
                                                   const std::string& version) {
  runtime::Call call(options_.call_limit);
  inference::ModelInferResponse response;
  BF_TRY(
      runtime::FromGrpc(stub_->ModelInfer(&call, request, &response)).In("the " + options_.role));
  if (response.model_version().empty() || response.model_version() == version) return response;
  return Status(Code::kUnavailable, "MODEL_CHANGED",
                "the " + options_.role + " answers as version " + response.model_version() +
                    ", not " + version);
}

void Client::Record(const Status& outcome) {
  calls_.Add({{"outcome", outcome.reason()}}).Increment();
  const std::scoped_lock lock(mutex_);
  SetFailures(outcome.ok() ? 0 : failures_ + 1);
  if (failures_ != options_.failures_to_open) return;
  ask_again_at_ = Clock::now() + options_.open_for;
  Log(Level::kWarning, "the " + options_.role + " fails; nobody calls it until it is ready again",
      {{"failures", std::to_string(failures_)}, {"last", outcome.ToString()}});
}

void Client::SetFailures(int failures) {
  failures_ = failures;
  open_gauge_.Set(failures_ >= options_.failures_to_open ? 1 : 0);
}

bool Client::open() const {
  const std::scoped_lock lock(mutex_);
  return failures_ >= options_.failures_to_open;
}

// The breaker is half-open for one caller at a time: whoever finds the time come moves it on for
// all others and asks.
Status Client::WaitUntilClosed(const std::stop_token& stop) {
  while (open()) {
    milliseconds wait{0};
    {
      const std::scoped_lock lock(mutex_);
      const Clock::time_point now = Clock::now();
      if (now >= ask_again_at_) {
        ask_again_at_ = now + options_.open_for;
      } else {
        wait = std::chrono::ceil<milliseconds>(ask_again_at_ - now);
      }
    }
    if (wait.count() > 0) {
      BF_TRY(Sleep(wait, stop));
      continue;
    }
    if (IsBack()) {
      Log(Level::kInfo, "the " + options_.role + " is ready again");
      const std::scoped_lock lock(mutex_);
      SetFailures(options_.failures_to_open - 1);  // one more opens it again
    }
    if (stop.stop_requested()) return {Code::kCancelled, "stopping"};
  }
  return {};
}

bool Client::IsBack() {
  runtime::Call call(options_.call_limit);
  inference::ModelReadyRequest request;
  inference::ModelReadyResponse response;
  request.set_name(options_.model);
  request.set_version(options_.version);
  return stub_->ModelReady(&call, request, &response).ok() && response.ready();
}

}  // namespace bitfoundry::oip
