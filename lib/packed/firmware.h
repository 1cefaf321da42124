// A packed network as C for a microcontroller: what a firmware engineer drops into a build.
//
//   model.h, model.c   the network as constants for the runtime's kernels
//   example.c          how to call it
//   bf_mcu.h, bf_*.c   the runtime (lib/mcu), the same for every network
//
// A binary layer has a choice of kernels, of which bf_mcu.h says what each does: `fast` takes 5.3
// times the flash of `lean` and fewer instructions; `rows` is the smallest where output channels
// are no multiple of 32, and on cores with Helium (M55) the fastest too.
#pragma once

#include <array>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "packed/bundle.h"
#include "packed/network.h"
#include "packed/plan.h"

namespace bitfoundry::packed {

enum class Kernel { kRows, kLean, kFast };
inline constexpr std::array kKernels = {Kernel::kRows, Kernel::kLean, Kernel::kFast};
std::string_view Name(Kernel kernel);  // "rows", "lean", "fast"

// Whose instructions are estimated: of M3, M4, M7 and M33; of M0+; of M55; of rv32imc.
enum class Isa { kArmv7m, kArmv6m, kHelium, kRv32 };

// What a kernel would cost a layer.
struct KernelCost {
  Kernel kernel = Kernel::kRows;
  uint64_t flash_bytes = 0;   // of weights, thresholds, scales and biases
  uint64_t instructions = 0;  // of one image; an estimate, to choose by: `emulate` counts
};

struct FirmwareLayer {
  uint64_t flash_bytes = 0;
  std::vector<KernelCost> kernels;  // of a binary layer: the chosen one first; else empty
};

struct FirmwareOptions {
  std::string name = "model";        // of files, of the bf_model, and in capitals of the macros
  std::vector<std::string> classes;  // names, for the example; may be empty
  std::optional<Kernel> kernel;      // of all binary layers, instead of choosing
  Isa isa = Isa::kArmv7m;            // to choose for
  uint64_t flash_bytes = std::numeric_limits<uint64_t>::max();  // that constants may take
};

struct Firmware {
  std::vector<File> files;
  std::vector<FirmwareLayer> layers;
  uint64_t flash_bytes = 0;  // of all constants, padding included; the runtime's code comes on top
  Plan plan;                 // where each layer's output lies in the arena
  uint64_t arena_bytes = 0;  // with the scratch, which lies behind the plan's
};

// Of the firmware that an artefact is published with: kernels within kFirmwareFlashBytes, or, where
// none are so small, the smallest within kMaxFirmwareFlashBytes.
FirmwareOptions PublishedOptions(const Network& network);

// Chooses kernels within the budget: of all choices that fit, one of the fewest instructions, and
// exactly so where up to 256 KiB are left beside the smallest kernels; beyond, each layer's bytes
// are rounded up to a 65536th of what is left. Instructions are estimates for options.isa.
//
// Errors: those of Describe(); kInvalidArgument BAD_NAME, where the name is no identifier of C in
// lower case, or one that is taken; kFailedPrecondition DOES_NOT_FIT, where the smallest kernels,
// or those asked for, exceed the budget.
Result<Firmware> MakeFirmware(const Network& network, const FirmwareOptions& options);

}  // namespace bitfoundry::packed
