#include "oip/detector.h"

#include <algorithm>
#include <cmath>

namespace bitfoundry::oip {
namespace {

constexpr int64_t kMostRows = 1000;  // detections of one tile
constexpr int64_t kColumns = 6;      // left, top, right, bottom, score, class

Status CheckTensor(const Tensors& tensors, const std::string& name, const std::string& type,
                   int rank, int64_t last) {
  const std::string expected =
      name + " " + type + " of rank " + std::to_string(rank) + ", the last " + std::to_string(last);
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const auto& tensor) { return tensor.name() == name; });
  if (found == tensors.end()) {
    return {Code::kFailedPrecondition, "MODEL_TENSORS", "expected " + expected + "; not there"};
  }
  const auto& shape = found->shape();
  if (found->datatype() != type || shape.size() != rank ||
      (shape.Get(rank - 1) != last && shape.Get(rank - 1) != -1)) {
    return {Code::kFailedPrecondition, "MODEL_TENSORS",
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

Detector::Detector(std::shared_ptr<grpc::Channel> channel, ClientOptions options,
                   prometheus::Registry& metrics)
    : client_(std::move(channel), std::move(options), metrics) {}

Result<std::string> Detector::Version() {
  {
    const std::scoped_lock lock(mutex_);
    if (!version_.empty()) return version_;
  }
  const auto metadata = BF_TRY(client_.Metadata());
  BF_TRY(CheckTensor(metadata.inputs(), "image", "UINT8", 4, 3));
  BF_TRY(CheckTensor(metadata.outputs(), "detections", "FP32", 3, kColumns));
  const std::scoped_lock lock(mutex_);
  version_ = client_.Version(metadata);
  return version_;
}

Result<std::string> Detector::AwaitVersion(const std::stop_token& stop) {
  std::chrono::milliseconds pause = client_.options().first_pause;
  while (true) {
    const Result<std::string> version = Version();
    if (version.ok() || !version.status().retryable()) return version;
    BF_TRY(Pause(pause, stop));
    pause = std::min(2 * pause, client_.options().most_pause);
  }
}

Result<std::vector<std::vector<Box>>> Detector::Detect(const images::Image& image,
                                                       const std::vector<Window>& tiles,
                                                       const std::string& version,
                                                       const Spend& spend,
                                                       const std::stop_token& stop) {
  BF_CHECK(image.channels == 3 && !tiles.empty() && tiles.size() <= kMostTilesPerCall);
  std::vector<std::vector<Box>> boxes;
  const Check read = [&](const inference::ModelInferResponse& response) -> Status {
    boxes = BF_TRY(ReadDetections(response, tiles.size(), tiles[0].width, tiles[0].height));
    return Status();
  };
  const Status asked = client_.Infer(Encode(image, tiles), version, spend, read, stop).status();
  if (asked.reason() == "MODEL_CHANGED") {
    const std::scoped_lock lock(mutex_);
    version_.clear();
  }
  BF_TRY(asked);
  return boxes;
}

Result<std::vector<Box>> Detector::Look(const images::Image& image, const std::string& version,
                                        const Spend& spend, const std::stop_token& stop) {
  const std::vector<Window> tiles = Tiles(image.width, image.height);
  std::vector<std::vector<Box>> boxes;
  for (size_t first = 0; first < tiles.size(); first += kMostTilesPerCall) {
    const auto from = tiles.begin() + static_cast<std::ptrdiff_t>(first);
    const auto count = std::min(kMostTilesPerCall, tiles.size() - first);
    const std::vector<Window> batch(from, from + static_cast<std::ptrdiff_t>(count));
    for (auto& seen : BF_TRY(Detect(image, batch, version, spend, stop))) {
      boxes.push_back(std::move(seen));
    }
  }
  return Merge(image.width, image.height, tiles, boxes);
}

int Detector::Calls(int width, int height) {
  return static_cast<int>((Tiles(width, height).size() + kMostTilesPerCall - 1) /
                          kMostTilesPerCall);
}

}  // namespace bitfoundry::oip
