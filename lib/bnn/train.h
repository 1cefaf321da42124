// Trains a binarized network and packs it. LibTorch stays behind this header.
//
//   Train(examples, recipe) -> checkpoint -> Export(checkpoint, images) -> packed::Network
//
// A checkpoint is a byte string that holds everything: weights, batch norm, optimizer, position.
// Training continues from it, in this process or another, and ends in the same bytes as if nothing
// had happened: the order of the examples and their augmentation follow from (seed, epoch, index).
//
// Source: Hubara et al., "Binarized Neural Networks", NeurIPS 2016,
// https://arxiv.org/abs/1602.02830
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "bnn/recipe.h"
#include "packed/network.h"

namespace bitfoundry::bnn {

// Borrowed.
struct Examples {
  packed::Shape image;               // 1 or 3 channels
  std::span<const uint8_t> pixels;   // [n][height][width][channels]
  std::span<const int32_t> classes;  // [n], each in [0, class_count)
  int32_t class_count = 0;
};

struct Progress {
  int32_t epoch = 0;  // completed
  int32_t epochs = 0;
  int64_t step = 0;              // batches, over all epochs
  double loss = 0;               // mean cross-entropy of the epoch so far, nats
  double train_accuracy = 0;     // of the epoch so far, on augmented images, 0 to 1
  double images_per_second = 0;  // of the epoch so far, in this process
};

enum class Order {
  kContinue,
  kCheckpointAndStop,  // save at once, then stop
  kStop,
};

struct Hooks {
  // After every step; has to return quickly.
  std::function<Order(const Progress&)> on_step;
  // After every epoch, and on kCheckpointAndStop. An error ends the training with it.
  std::function<Status(const Progress&, std::string_view checkpoint)> on_checkpoint;
};

struct Trained {
  std::string checkpoint;  // with all epochs completed
  Progress progress;       // of the last epoch
};

// Trains, from the start or, if it is not empty, from `checkpoint`. Sets the threads of LibTorch
// and the thresholds of malloc for the whole process. On shared cores run it with
// OMP_WAIT_POLICY=passive in the environment: OpenMP's threads otherwise spin for each other.
//
// Errors:
//   kInvalidArgument     BAD_EXAMPLES: none, sizes disagree, or a class out of range
//                        BAD_RECIPE: the recipe does not fit the images
//                        BAD_CHECKPOINT: truncated, damaged or malformed
//   kFailedPrecondition  OTHER_CHECKPOINT: of another recipe or of other examples
//   kCancelled           a hook said stop
//   kInternal            DIVERGED: the loss is not finite; TORCH: LibTorch threw, its message
Result<Trained> Train(const Examples& examples, const Recipe& recipe, std::string_view checkpoint,
                      const Hooks& hooks);

// The logits of the trainer's own forward pass, where weights and activations are signs; each batch
// norm is evaluated in float64 or, in a stream, as the scales and biases that it was rounded to.
//
//   pixels   [n][height][width][channels] of the checkpoint's input shape
//   returns  [n][class_count]
//   errors   BAD_CHECKPOINT, BAD_EXAMPLES, DIVERGED, TORCH as above
Result<std::vector<int32_t>> SignForward(std::string_view checkpoint,
                                         std::span<const uint8_t> pixels);

struct Exported {
  packed::Network network;
  double logit_scale = 0;  // a logit times this is in nats
  double stream_unit = 1;  // of a residual network: what 1 in its stream is in training
  int64_t verified = 0;    // images on which the trainer and the packed network agree
};

// Folds a checkpoint into integers. Then runs the packed network on `verification` and compares: it
// is not given out unless every integer of every operation equals that of the trainer's own forward
// pass (SignForward).
//
//   errors  those of SignForward; kInternal UNEQUAL: the first image, layer and position that
//           differ; kInvalidArgument OVERFLOW: a bias does not fit int32, or the stream not int16
Result<Exported> Export(std::string_view checkpoint, std::span<const uint8_t> verification);

}  // namespace bitfoundry::bnn
