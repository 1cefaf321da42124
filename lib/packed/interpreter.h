// Runs a packed network, plainly: the reference that every faster kernel has to equal.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "packed/network.h"

namespace bitfoundry::packed {

// Allocates once, then runs any number of images. Not thread-safe; one for each thread. Reads
// `network` only while it is made.
class Interpreter {
 public:
  // Errors: those of Describe().
  static Result<Interpreter> Make(const Network& network);

  Interpreter(Interpreter&&) noexcept;
  Interpreter& operator=(Interpreter&&) noexcept;
  ~Interpreter();

  size_t image_bytes() const;
  size_t class_count() const;

  // Classifies one image.
  //
  //   image      [height * width * channels], rows from the top, 0 to 255
  //   checksums  if given, becomes the CRC-32 of each layer's output as it lies in memory,
  //              little-endian: words of bits, or integers of two or four bytes
  //   returns    [class_count] logits, valid until the next call
  //   errors     kInvalidArgument BAD_IMAGE_SIZE
  Result<std::span<const int32_t>> Run(std::span<const uint8_t> image,
                                       std::vector<uint32_t>* checksums = nullptr);

  // What operation `op` gave in the last run: [height][width][channels], bits as -1 and +1.
  std::vector<int32_t> ValuesOf(size_t op) const;

 private:
  struct State;
  explicit Interpreter(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace bitfoundry::packed
