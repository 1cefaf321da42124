// Frames of a video file, decoded in order by OpenCV.
//
// A frame becomes an image like any other: its bytes are images::EncodePng of its pixels, its name
// is their digest.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/status.h"
#include "images/image.h"

namespace bitfoundry::ingestion {

inline constexpr int kMaxFramesPerCall = 10'000;
inline constexpr int64_t kMaxFramePixels = 40'000'000;

// The frames from, from + step, ... below `to`.
struct FrameRange {
  int from = 0;
  int to = 0;  // 0: to the end
  int step = 1;
};

struct Frame {
  int index = 0;        // in the video, from 0
  int64_t time_ms = 0;  // index / frame rate; 0 where the file states no frame rate
  images::Image image;  // RGB
  int stated = 0;       // frames of the whole video, by the file's header; 0: it states none
};

// Calls `visit` for each frame of the range, in order, until it fails.
//
// Frames that are left out are decoded all the same: seeking in a compressed video is not exact.
//
//   errors  kInvalidArgument  FRAME_RANGE       the range is empty or negative
//           kInvalidArgument  VIDEO_UNREADABLE  no frame of the range can be decoded
//           kInvalidArgument  IMAGE_TOO_LARGE   a frame has more than kMaxFramePixels
//           kResourceExhausted TOO_MANY_FRAMES  the range has more than kMaxFramesPerCall
//           and whatever `visit` returns
Status ForEachFrame(const std::string& path, const FrameRange& range,
                    const std::function<Status(Frame)>& visit);

// A first pass over a video: what the second needs to know.
struct Survey {
  int frames = 0;            // in the range, decoded
  int frames_stated = 0;     // in the range, by the file's header; 0: it states none
  images::Image background;  // quarter-size gray, see MedianBackground in windows.h
};

// Errors are those of ForEachFrame.
Result<Survey> SurveyVideo(const std::string& path, const FrameRange& range);

}  // namespace bitfoundry::ingestion
