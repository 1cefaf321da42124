// CenterNet, a detector of the 80 COCO classes, run by OpenCV. OpenCV ends here.
//
// The network sees 512x512 RGB. Per class it gives a heat map of box centres on a 128x128 grid, and
// per cell the distances from the centre to the sides of the box; a box is a peak of the map.
// Source: Zhou et al., "Objects as Points", 2019; scripts/teacher/install fetches the weights.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace bitfoundry::teacher {

// RGB bytes, row-major: pixels[(y * width + x) * 3 + channel].
struct Tile {
  int height = 0;
  int width = 0;
  std::span<const uint8_t> pixels;
};

struct Detection {
  float left = 0, top = 0, right = 0, bottom = 0;  // pixels of the tile
  float score = 0;                                 // 0 to 1
  float class_index = 0;                           // COCO's, from 0: 0 is person
};
static_assert(sizeof(Detection) == 6 * sizeof(float), "a row of the output tensor");

inline constexpr int kCells = 128;  // the grid's side
inline constexpr int kClasses = 80;
inline constexpr int kMostDetections = 100;
inline constexpr float kLeastScore = 0.1F;

// The boxes in the network's two heads, best first, clipped to the tile.
//
//   peaks  [kClasses][kCells][kCells], 0 to 1
//   sides  [4][kCells][kCells], left, top, right, bottom of the centre, in pixels of 512
std::vector<Detection> Decode(std::span<const float> peaks, std::span<const float> sides,
                              int tile_height, int tile_width);

class CenterNet {
 public:
  // Reads what scripts/teacher/install wrote, and tries it once. `threads` serve one Detect().
  // Errors: kFailedPrecondition if the file is absent or is not this network.
  static Result<CenterNet> Load(const std::string& onnx_file, int threads);

  ~CenterNet();
  CenterNet(CenterNet&&) noexcept;

  // Thread-safe; calls take turns.
  // Errors: kInternal if OpenCV fails.
  Result<std::vector<Detection>> Detect(const Tile& tile);

  // Names the weights: the first 12 digits of the file's SHA-256.
  const std::string& version() const { return version_; }

 private:
  struct Network;
  CenterNet(std::unique_ptr<Network> network, std::string version);

  std::unique_ptr<Network> network_;
  std::string version_;
};

}  // namespace bitfoundry::teacher
