// Reads bytes as a model.bnn. Whatever they are: a named error; or a network that is written again
// to a file that reads the same, and that runs, to the same logits by the kernels of any CPU.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "packed/crc32.h"
#include "packed/engine.h"
#include "packed/format.h"
#include "packed/interpreter.h"
#include "packed/plan.h"

extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace bitfoundry::packed {
namespace {

constexpr uint64_t kMacsToRun = 100'000;  // more would only be slow

void Require(bool condition) {
  if (!condition) std::abort();
}

void Check(std::span<const uint8_t> bytes) {
  const auto network = Parse(bytes);
  if (!network.ok()) {
    Require(!network.status().reason().empty());
    return;
  }
  const auto written = Serialize(*network);
  Require(written.ok());
  const auto again = Parse(*written);
  Require(again.ok() && *again == *network);
  const auto layers = Describe(*network);
  Require(layers.ok());
  const Plan plan = PlanArena(*layers);
  Require(plan.offsets.size() == layers->size() && plan.bytes <= 2 * kMaxTensorBytes);
  const Cost cost = Sum(*layers);
  if (cost.macs_1bit + cost.macs_8bit > kMacsToRun || plan.bytes > kMacsToRun) return;
  auto interpreter = Interpreter::Make(*network);
  Require(interpreter.ok());
  std::vector<uint8_t> image(interpreter->image_bytes());
  for (size_t i = 0; i < image.size(); ++i) image[i] = bytes[i % bytes.size()];
  const auto logits = interpreter->Run(image);
  Require(logits.ok());
  const auto cpu = static_cast<Cpu>(bytes[bytes.size() / 2] % (static_cast<int>(BestCpu()) + 1));
  auto engine = Engine::Make(*network, {.cpu = cpu});
  Require(engine.ok());
  const auto fast = engine->Run(image);
  Require(fast.ok() && std::ranges::equal(*fast, *logits));
}

void PutU32(uint8_t* at, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) at[i] = static_cast<uint8_t>(value >> (8 * i));
}

uint32_t U32(const uint8_t* at) {
  return at[0] | uint32_t{at[1]} << 8 | uint32_t{at[2]} << 16 | uint32_t{at[3]} << 24;
}

// Makes the file's length and every CRC-32 right, or no mutation would get past them.
void Seal(std::span<uint8_t> bytes) {
  if (bytes.size() < 16) return;
  PutU32(&bytes[8], static_cast<uint32_t>(bytes.size()));
  PutU32(&bytes[12], Crc32(bytes.first(12)));
  for (size_t at = 16; at + 16 <= bytes.size();) {
    const uint32_t length = U32(&bytes[at + 4]);
    if (length > bytes.size() - at - 16) return;
    PutU32(&bytes[at + 8], Crc32(bytes.subspan(at + 16, length), Crc32(bytes.subspan(at, 8))));
    at += 16 + (size_t{length} + 15) / 16 * 16;
  }
}

}  // namespace
}  // namespace bitfoundry::packed

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  bitfoundry::packed::Check({data, size});
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size, size_t max_size,
                                          unsigned int seed) {
  size = LLVMFuzzerMutate(data, size, max_size);
  if (seed % 8 != 0) bitfoundry::packed::Seal({data, size});
  return size;
}
