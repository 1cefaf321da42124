#include "services/teacher/centernet.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <mutex>
#include <opencv2/dnn.hpp>

#include "base/digest.h"

namespace bitfoundry::teacher {
namespace {

constexpr int kInput = 512;  // pixels
constexpr int kGrid = kCells * kCells;

bool IsPeak(std::span<const float> map, int y, int x) {
  const float here = map[static_cast<size_t>(y * kCells + x)];
  for (int ny = std::max(y - 1, 0); ny <= std::min(y + 1, kCells - 1); ++ny) {
    for (int nx = std::max(x - 1, 0); nx <= std::min(x + 1, kCells - 1); ++nx) {
      if (map[static_cast<size_t>(ny * kCells + nx)] > here) return false;
    }
  }
  return true;
}

std::span<const float> Values(const cv::Mat& blob) { return {blob.ptr<float>(), blob.total()}; }

}  // namespace

std::vector<Detection> Decode(std::span<const float> peaks, std::span<const float> sides,
                              int tile_height, int tile_width) {
  const auto height = static_cast<float>(tile_height), width = static_cast<float>(tile_width);
  const auto side = [&](int which, int cell) {
    return sides[static_cast<size_t>(which * kGrid + cell)];
  };
  std::vector<Detection> found;
  for (int c = 0; c < kClasses; ++c) {
    const std::span<const float> map = peaks.subspan(static_cast<size_t>(c * kGrid), kGrid);
    for (int cell = 0; cell < kGrid; ++cell) {
      const float score = map[static_cast<size_t>(cell)];
      const int y = cell / kCells, x = cell % kCells;
      if (score < kLeastScore || !IsPeak(map, y, x)) continue;
      constexpr float kStep = static_cast<float>(kInput) / kCells;
      const float cx = static_cast<float>(x) * kStep, cy = static_cast<float>(y) * kStep;
      found.push_back({std::clamp((cx - side(0, cell)) / kInput * width, 0.0F, width),
                       std::clamp((cy - side(1, cell)) / kInput * height, 0.0F, height),
                       std::clamp((cx + side(2, cell)) / kInput * width, 0.0F, width),
                       std::clamp((cy + side(3, cell)) / kInput * height, 0.0F, height), score,
                       static_cast<float>(c)});
    }
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Detection& a, const Detection& b) { return a.score > b.score; });
  if (found.size() > kMostDetections) found.resize(kMostDetections);
  return found;
}

struct CenterNet::Network {
  std::mutex turn;
  cv::dnn::Net net;
};

CenterNet::CenterNet(std::unique_ptr<Network> network, std::string version)
    : network_(std::move(network)), version_(std::move(version)) {}
CenterNet::~CenterNet() = default;
CenterNet::CenterNet(CenterNet&&) noexcept = default;

Result<CenterNet> CenterNet::Load(const std::string& onnx_file, int threads) {
  std::ifstream file(onnx_file, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  if (bytes.empty()) {
    return Status(Code::kFailedPrecondition, "MODEL_MISSING",
                  onnx_file + ": cannot be read; scripts/teacher/install makes it");
  }
  auto network = std::make_unique<Network>();
  try {
    cv::setNumThreads(threads);
    network->net = cv::dnn::readNetFromONNX(bytes.data(), bytes.size());
  } catch (const cv::Exception& e) {
    return Status(Code::kFailedPrecondition, "MODEL_UNREADABLE", onnx_file + ": " + e.what());
  }
  CenterNet model(std::move(network), Sha256(bytes).substr(0, 12));
  const std::vector<uint8_t> black(3, 0);
  const Result<std::vector<Detection>> tried = model.Detect({1, 1, black});
  if (!tried.ok()) {
    return Status(Code::kFailedPrecondition, "MODEL_UNREADABLE",
                  onnx_file + ": " + tried.status().message());
  }
  return model;
}

Result<std::vector<Detection>> CenterNet::Detect(const Tile& tile) try {
  // OpenCV wants a mutable pointer for what it only reads.
  const cv::Mat rgb(tile.height, tile.width, CV_8UC3, const_cast<uint8_t*>(tile.pixels.data()));
  const cv::Mat input = cv::dnn::blobFromImage(rgb, 1.0, cv::Size(kInput, kInput));
  std::vector<cv::Mat> heads;
  {
    const std::scoped_lock lock(network_->turn);
    network_->net.setInput(input);
    network_->net.forward(heads, std::vector<cv::String>{"tower_0/keypoints", "tower_0/wh"});
    for (cv::Mat& head : heads) head = head.clone();  // the next call reuses the network's memory
  }
  if (heads.size() != 2 || heads[0].total() != size_t{kClasses} * kGrid ||
      heads[1].total() != size_t{4} * kGrid || heads[0].type() != CV_32F ||
      heads[1].type() != CV_32F) {
    return Status(Code::kInternal, "the network's outputs are not CenterNet's");
  }
  return Decode(Values(heads[0]), Values(heads[1]), tile.height, tile.width);
} catch (const cv::Exception& e) {
  return Status(Code::kInternal, std::string("OpenCV: ") + e.what());
}

}  // namespace bitfoundry::teacher
