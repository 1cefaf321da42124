#include "services/ingestion/video.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <opencv2/core/utils/logger.hpp>
#include <opencv2/imgproc.hpp>
#include <opencv2/videoio.hpp>
#include <utility>
#include <vector>

#include "services/ingestion/windows.h"

namespace bitfoundry::ingestion {
namespace {

constexpr size_t kBackgroundFrames = 25;

Status Unreadable(const std::string& why) {
  return {Code::kInvalidArgument, "VIDEO_UNREADABLE", why};
}

Status Check(const FrameRange& range) {
  if (range.from < 0 || range.step < 1 || range.to < 0 ||
      (range.to != 0 && range.to <= range.from)) {
    return {Code::kInvalidArgument, "FRAME_RANGE",
            "frames " + std::to_string(range.from) + " to " + std::to_string(range.to) + " by " +
                std::to_string(range.step) + " are none"};
  }
  return {};
}

images::Image ToImage(const cv::Mat& bgr) {
  images::Image image = images::Blank(bgr.cols, bgr.rows, 3);
  cv::Mat rgb(bgr.rows, bgr.cols, CV_8UC3, image.pixels.data());
  cv::cvtColor(bgr, rgb, cv::COLOR_BGR2RGB);
  return image;
}

// The containers that hold their own frames. FFmpeg also follows playlists, whose author could name
// files of this machine or servers near it.
enum class Container { kNone, kCounted, kUncounted };

Container ContainerOf(const std::string& path) {
  std::string head(12, '\0');
  std::ifstream(path, std::ios::binary).read(head.data(), std::ssize(head));
  if (head.starts_with("RIFF") && head.ends_with("AVI ")) return Container::kCounted;
  if (head.substr(4, 4) == "ftyp") return Container::kCounted;             // MP4, QuickTime
  if (head.starts_with("\x1A\x45\xDF\xA3")) return Container::kUncounted;  // Matroska, WebM
  return Container::kNone;
}

Status Walk(const std::string& path, const FrameRange& range,
            const std::function<Status(Frame)>& visit) {
  const Container container = ContainerOf(path);
  if (container == Container::kNone) {
    return Unreadable("not a video; send AVI, MP4, QuickTime or Matroska");
  }
  // FFmpeg alone: the other backends open cameras, or differ from one machine to another.
  cv::VideoCapture video(path, cv::CAP_FFMPEG);
  if (!video.isOpened()) return Unreadable("FFmpeg cannot open the video");
  if (video.get(cv::CAP_PROP_FRAME_WIDTH) * video.get(cv::CAP_PROP_FRAME_HEIGHT) >
      static_cast<double>(kMaxFramePixels)) {
    return {Code::kInvalidArgument, "IMAGE_TOO_LARGE", "a frame has more than 40,000,000 pixels"};
  }
  const double rate = video.get(cv::CAP_PROP_FPS);
  const double count =
      container == Container::kCounted ? video.get(cv::CAP_PROP_FRAME_COUNT) : 0;  // else guessed
  const int stated = static_cast<int>(std::clamp(count, 0.0, 1e9));
  int taken = 0;
  cv::Mat bgr;
  for (int index = 0; (range.to == 0 || index < range.to) && video.grab(); ++index) {
    if (index < range.from || (index - range.from) % range.step != 0) continue;
    if (!video.retrieve(bgr) || bgr.type() != CV_8UC3) break;
    if (++taken > kMaxFramesPerCall) {
      return {Code::kResourceExhausted, "TOO_MANY_FRAMES",
              "more than 10,000 frames; take them in several calls with from_frame and to_frame"};
    }
    const int64_t time_ms = rate > 0 ? std::llround(index * 1000.0 / rate) : 0;
    BF_TRY(visit({index, time_ms, ToImage(bgr), stated}));
  }
  if (taken == 0) return Unreadable("no frame can be decoded at or after from_frame");
  return {};
}

}  // namespace

Status ForEachFrame(const std::string& path, const FrameRange& range,
                    const std::function<Status(Frame)>& visit) {
  BF_TRY(Check(range));
  cv::utils::logging::setLogLevel(cv::utils::logging::LOG_LEVEL_SILENT);
  try {
    return Walk(path, range, visit);
  } catch (const cv::Exception& error) {
    return Unreadable(error.err);
  }
}

Result<Survey> SurveyVideo(const std::string& path, const FrameRange& range) {
  Survey survey;
  std::vector<images::Image> spread;  // every stride-th frame: 13 to 25, without knowing the length
  int stride = 1;
  BF_TRY(ForEachFrame(path, range, [&](const Frame& frame) {
    if (survey.frames == 0 && frame.stated > range.from) {
      const int end = range.to == 0 ? frame.stated : std::min(range.to, frame.stated);
      survey.frames_stated = (end - range.from + range.step - 1) / range.step;
    }
    if (survey.frames++ % stride != 0) return Status();
    if (spread.size() == kBackgroundFrames) {
      for (size_t i = 1; 2 * i < spread.size(); ++i) spread[i] = std::move(spread[2 * i]);
      spread.resize((kBackgroundFrames + 1) / 2);
      stride *= 2;
      if ((survey.frames - 1) % stride != 0) return Status();
    }
    spread.push_back(Cells(frame.image));
    return Status();
  }));
  survey.background = MedianBackground(spread);
  return survey;
}

}  // namespace bitfoundry::ingestion
