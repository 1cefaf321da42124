#include "services/autolabel/teacher.h"

#include <prometheus/counter.h>
#include <prometheus/gauge.h>

#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstring>
#include <random>

#include "base/log.h"
#include "runtime/client.h"

namespace bitfoundry::autolabel {
namespace {

using std::chrono::milliseconds;

constexpr int64_t kMostRows = 1000;  // detections of one tile
constexpr int64_t kColumns = 6;      // left, top, right, bottom, score, class

// Returns early, with kCancelled, on `stop`.
Status Sleep(milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any wake;
  wake.wait_for(lock, stop, time, [] { return false; });
  return stop.stop_requested() ? Status(Code::kCancelled, "stopping") : Status();
}

// Anything from nothing to `most`: callers that failed together come back apart.
milliseconds FullJitter(milliseconds most) {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return milliseconds(std::uniform_int_distribution<int64_t>(0, most.count())(random));
}

using Tensors =
    google::protobuf::RepeatedPtrField<inference::ModelMetadataResponse::TensorMetadata>;

Status CheckTensor(const Tensors& tensors, const std::string& name, const std::string& type,
                   int rank, int64_t last) {
  const std::string expected =
      name + " " + type + " of rank " + std::to_string(rank) + ", the last " + std::to_string(last);
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const auto& tensor) { return tensor.name() == name; });
  if (found == tensors.end()) {
    return {Code::kFailedPrecondition, "TEACHER_TENSORS", "expected " + expected + "; not there"};
  }
  const auto& shape = found->shape();
  if (found->datatype() != type || shape.size() != rank ||
      (shape.Get(rank - 1) != last && shape.Get(rank - 1) != -1)) {
    return {Code::kFailedPrecondition, "TEACHER_TENSORS",
            "expected " + expected + "; got " + found->ShortDebugString()};
  }
  return {};
}

inference::ModelInferRequest Encode(const images::Image& image, const std::vector<Window>& tiles) {
  inference::ModelInferRequest request;
  auto& input = *request.add_inputs();
  input.set_name("image");
  input.set_datatype("UINT8");
  input.add_shape(static_cast<int64_t>(tiles.size()));
  input.add_shape(tiles.front().height);
  input.add_shape(tiles.front().width);
  input.add_shape(3);
  std::string& pixels = *request.add_raw_input_contents();
  for (const Window& tile : tiles) {
    for (int y = tile.y; y < tile.y + tile.height; ++y) {
      pixels.append(reinterpret_cast<const char*>(image.Row(y)) + 3 * tile.x,
                    static_cast<size_t>(3 * tile.width));
    }
  }
  return request;
}

Status Garbage(const std::string& what) {
  return {Code::kDataLoss, "TEACHER_GARBAGE", "the teacher's answer: " + what};
}

// The values of the one output, from wherever the server put them.
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

}  // namespace

Result<std::vector<std::vector<Box>>> ReadDetections(const inference::ModelInferResponse& response,
                                                     size_t tiles, int width, int height) {
  if (response.outputs_size() != 1 || response.outputs(0).name() != "detections" ||
      response.outputs(0).datatype() != "FP32") {
    return Garbage("expected the one output detections, FP32");
  }
  const auto& shape = response.outputs(0).shape();
  if (shape.size() != 3 || shape.Get(0) != static_cast<int64_t>(tiles) || shape.Get(1) < 0 ||
      shape.Get(1) > kMostRows || shape.Get(2) != kColumns) {
    return Garbage("expected the shape [" + std::to_string(tiles) + ", 0..1000, 6]");
  }
  const size_t rows = static_cast<size_t>(shape.Get(1));
  const std::vector<float> values = BF_TRY(Values(response, tiles * rows * kColumns));

  std::vector<std::vector<Box>> boxes(tiles);
  for (size_t i = 0; i < tiles * rows; ++i) {
    const float* v = &values[i * kColumns];
    if (!std::all_of(v, v + kColumns, [](float value) { return std::isfinite(value); })) {
      return Garbage("a value is not finite");
    }
    if (v[4] < 0 || v[4] > 1) return Garbage("a score is not within 0 to 1");
    if (v[4] == 0 || v[5] != kPersonClass) continue;
    if (v[0] > v[2] || v[1] > v[3]) return Garbage("a box's sides are out of order");
    const Box box{v[4], std::clamp<double>(v[0], 0, width), std::clamp<double>(v[1], 0, height),
                  std::clamp<double>(v[2], 0, width), std::clamp<double>(v[3], 0, height)};
    if (box.left < box.right && box.top < box.bottom) boxes[i / rows].push_back(box);
  }
  return boxes;
}

Teacher::Teacher(std::shared_ptr<grpc::Channel> channel, TeacherOptions options,
                 prometheus::Registry& metrics)
    : options_(std::move(options)),
      stub_(inference::GRPCInferenceService::NewStub(channel)),
      calls_(prometheus::BuildCounter()
                 .Name("bf_teacher_calls_total")
                 .Help("Calls to the teacher, by how they ended")
                 .Register(metrics)),
      open_gauge_(prometheus::BuildGauge()
                      .Name("bf_teacher_breaker_open")
                      .Help("1 while nobody calls the teacher, because it fails")
                      .Register(metrics)
                      .Add({})) {}

Result<std::string> Teacher::Version() {
  {
    const std::scoped_lock lock(mutex_);
    if (!version_.empty()) return version_;
  }
  runtime::Call call(options_.call_limit);
  inference::ModelMetadataRequest request;
  inference::ModelMetadataResponse response;
  request.set_name(options_.model);
  request.set_version(options_.version);
  BF_TRY(runtime::FromGrpc(stub_->ModelMetadata(&call, request, &response)).In("the teacher"));
  BF_TRY(CheckTensor(response.inputs(), "image", "UINT8", 4, 3));
  BF_TRY(CheckTensor(response.outputs(), "detections", "FP32", 3, kColumns));

  std::string version = options_.version;
  if (version.empty()) {  // a server may name none
    version = response.versions().empty() ? "1" : *response.versions().rbegin();
  }
  const std::scoped_lock lock(mutex_);
  version_ = version;
  return version;
}

Result<std::string> Teacher::AwaitVersion(const std::stop_token& stop) {
  milliseconds pause = options_.first_pause;
  while (true) {
    const Result<std::string> version = Version();
    if (version.ok() || !version.status().retryable()) return version;
    BF_TRY(Sleep(FullJitter(pause), stop));
    pause = std::min(2 * pause, options_.most_pause);
  }
}

Result<std::vector<std::vector<Box>>> Teacher::Detect(const images::Image& image,
                                                      const std::vector<Window>& tiles,
                                                      const std::string& version,
                                                      const Spend& spend,
                                                      const std::stop_token& stop) {
  BF_CHECK(image.channels == 3 && !tiles.empty() && tiles.size() <= kMostTilesPerCall);
  inference::ModelInferRequest request = Encode(image, tiles);
  request.set_model_name(options_.model);
  request.set_model_version(options_.version);
  milliseconds pause = options_.first_pause;
  for (int tries = 1;; ++tries) {
    BF_TRY(WaitUntilClosed(stop));
    BF_TRY(spend());
    const Result<inference::ModelInferResponse> response = Call(request, version);
    const Result<std::vector<std::vector<Box>>> boxes =
        response.ok() ? ReadDetections(*response, tiles.size(), tiles[0].width, tiles[0].height)
                      : Result<std::vector<std::vector<Box>>>(response.status());
    Record(boxes.status());
    if (boxes.ok() || !boxes.status().retryable() || boxes.status().reason() == "TEACHER_CHANGED") {
      return boxes;
    }
    if (tries >= options_.most_tries) return boxes;
    BF_TRY(Sleep(FullJitter(pause), stop));
    pause = std::min(2 * pause, options_.most_pause);
  }
}

Result<inference::ModelInferResponse> Teacher::Call(const inference::ModelInferRequest& request,
                                                    const std::string& version) {
  runtime::Call call(options_.call_limit);
  inference::ModelInferResponse response;
  BF_TRY(runtime::FromGrpc(stub_->ModelInfer(&call, request, &response)).In("the teacher"));
  if (response.model_version().empty() || response.model_version() == version) return response;

  const std::scoped_lock lock(mutex_);
  version_.clear();
  return Status(Code::kUnavailable, "TEACHER_CHANGED",
                "the teacher answers as version " + response.model_version() + ", not " + version);
}

void Teacher::Record(const Status& outcome) {
  calls_.Add({{"outcome", outcome.reason()}}).Increment();
  const std::scoped_lock lock(mutex_);
  SetFailures(outcome.ok() ? 0 : failures_ + 1);
  if (failures_ != options_.failures_to_open) return;
  ask_again_at_ = Clock::now() + options_.open_for;
  Log(Level::kWarning, "the teacher fails; nobody calls it until it is ready again",
      {{"failures", std::to_string(failures_)}, {"last", outcome.ToString()}});
}

void Teacher::SetFailures(int failures) {
  failures_ = failures;
  open_gauge_.Set(failures_ >= options_.failures_to_open ? 1 : 0);
}

bool Teacher::open() const {
  const std::scoped_lock lock(mutex_);
  return failures_ >= options_.failures_to_open;
}

// The breaker is half-open for one caller at a time: whoever finds the time come moves it on for
// all others and asks.
Status Teacher::WaitUntilClosed(const std::stop_token& stop) {
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
      Log(Level::kInfo, "the teacher is ready again");
      const std::scoped_lock lock(mutex_);
      SetFailures(options_.failures_to_open - 1);  // one more opens it again
    }
    if (stop.stop_requested()) return {Code::kCancelled, "stopping"};
  }
  return {};
}

bool Teacher::IsBack() {
  runtime::Call call(options_.call_limit);
  inference::ModelReadyRequest request;
  inference::ModelReadyResponse response;
  request.set_name(options_.model);
  request.set_version(options_.version);
  return stub_->ModelReady(&call, request, &response).ok() && response.ready();
}

}  // namespace bitfoundry::autolabel
