// Which pixels a packed network's answer hangs on, found by changing them and asking again: on the
// very bytes that ship, in integers, so every map is the same on every machine.
//
// A gradient would be cheaper, but a binarized network has none. surrogate.h has that of a network
// that is like it, as a preview.
//
// The score of a class is its margin: its logit less the largest of the others. What is taken away
// becomes the network's mean, the value that it sees outside of every image.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "packed/engine.h"
#include "packed/network.h"

namespace bitfoundry::saliency {

// A value for each pixel; above 0 speaks for the class.
struct Heatmap {
  uint32_t height = 0;
  uint32_t width = 0;
  std::vector<double> values;  // [height][width], in logits
};

// A rectangle of pixels, within the image.
struct Box {
  uint32_t left = 0;
  uint32_t top = 0;
  uint32_t width = 0;
  uint32_t height = 0;
};

struct OcclusionOptions {
  uint32_t patch = 8;   // side of the square that is taken away, 1 to the image's
  uint32_t stride = 4;  // 1 to patch
};

// Squares of an eighth of the image's shorter side, overlapping by half.
OcclusionOptions OcclusionFor(const packed::Shape& input);

struct RiseOptions {
  uint32_t masks = 4000;  // 1 to 100,000
  uint32_t grid = 7;      // cells across a mask, 2 to 32
  uint64_t seed = 1;
};

// How the score falls as the most salient pixels are taken away (deletion), or rises as they are
// put back (insertion). The curve is the margin over that of the whole image, between 0 and 1.
struct Curve {
  std::vector<double> values;  // [kCurveSteps + 1], from the untouched image (deletion) or the
                               // empty one (insertion)
  double area = 0;             // mean of values: low is good of deletion, high of insertion
};
inline constexpr size_t kCurveSteps = 32;

// Explains one network. One caller at a time.
class Explainer {
 public:
  // Errors: those of packed::Engine::Make().
  static Result<Explainer> Make(const packed::Network& network, packed::EngineOptions options = {});

  // Each pixel: how much the score falls on average over the squares that cover it.
  // Source: Zeiler and Fergus, "Visualizing and understanding convolutional networks", 2014.
  //
  //   image    [height][width][channels] of the network's input
  //   errors   kInvalidArgument BAD_IMAGE_SIZE, BAD_CLASS, BAD_OPTIONS
  Result<Heatmap> Occlusion(std::span<const uint8_t> image, size_t of_class,
                            const OcclusionOptions& options = {});

  // Each pixel: the mean score of random masks that show it, less the mean score of all masks.
  // Source: Petsiuk, Das and Saenko, "RISE: Randomized Input Sampling for Explanation of Black-box
  // Models", 2018, https://arxiv.org/abs/1806.07421.
  Result<Heatmap> Rise(std::span<const uint8_t> image, size_t of_class,
                       const RiseOptions& options = {});

  // Source: the same. Errors: as above; kFailedPrecondition NOT_THE_ANSWER unless the network says
  // this class of the image.
  Result<Curve> Deletion(std::span<const uint8_t> image, size_t of_class, const Heatmap& map);
  Result<Curve> Insertion(std::span<const uint8_t> image, size_t of_class, const Heatmap& map);

 private:
  Explainer(packed::Engine engine, const packed::Network& network);

  Status Check(std::span<const uint8_t> image, size_t of_class) const;
  Result<std::vector<int32_t>> Scores(size_t count, size_t of_class);
  void Put(size_t slot, std::span<const uint8_t> image);
  void Erase(size_t slot, size_t pixel);
  Result<Curve> Trace(std::span<const uint8_t> image, size_t of_class, const Heatmap& map,
                      bool insert);

  packed::Engine engine_;
  packed::Shape shape_;
  std::array<uint8_t, 3> mean_;
  std::vector<uint8_t> images_;  // [kBatch][height][width][channels]
  std::vector<int32_t> logits_;  // [kBatch][classes]
};

// The share of what speaks for the class that lies in the box: the sum of the positive values there
// over the sum of all positive values. 0 if there are none.
double EnergyInside(const Heatmap& map, const Box& box);

// The mean of maps of one size.
Heatmap Mean(std::span<const Heatmap> maps);

}  // namespace bitfoundry::saliency
