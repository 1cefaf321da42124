// Runs packed networks fast on this machine: the kernels that its CPU has, on a plan made once.
//
// Every layer gives the same bits as the Interpreter's, on every CPU.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "packed/kernels.h"
#include "packed/network.h"

namespace bitfoundry::packed {

struct EngineOptions {
  Cpu cpu = BestCpu();   // not above BestCpu()
  uint32_t threads = 1;  // of a batch, 1 to 256; an image is run by one
};

// Packs weights, lays out memory and starts threads when it is made, and never allocates again. One
// caller at a time. Reads `network` only while it is made.
class Engine {
 public:
  // Errors: those of Describe(); kInvalidArgument BAD_THREADS.
  static Result<Engine> Make(const Network& network, EngineOptions options = {});

  Engine(Engine&&) noexcept;
  Engine& operator=(Engine&&) noexcept;
  ~Engine();

  size_t image_bytes() const;
  size_t class_count() const;

  // Classifies one image.
  //
  //   image      [height * width * channels], rows from the top, 0 to 255
  //   checksums  if given, becomes the CRC-32 of each layer's output, as Interpreter::Run has it
  //   returns    [class_count] logits, valid until the next call
  //   errors     kInvalidArgument BAD_IMAGE_SIZE
  Result<std::span<const int32_t>> Run(std::span<const uint8_t> image,
                                       std::vector<uint32_t>* checksums = nullptr);

  // Classifies images that lie one after the other, by all threads.
  //
  //   images  [count][image_bytes]
  //   logits  [count][class_count], written
  //   errors  kInvalidArgument BAD_IMAGE_SIZE, unless both hold the same count of them
  Status RunBatch(std::span<const uint8_t> images, std::span<int32_t> logits);

 private:
  struct State;
  explicit Engine(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bitfoundry::packed
