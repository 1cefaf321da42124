// Emulated microcontrollers: builds C for a core, runs it under QEMU, counts its instructions.
//
// Instructions are counted exactly, by a QEMU plugin (board/count.c). They are not cycles: QEMU
// knows of no wait states, no caches and no dual issue.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "packed/bundle.h"

namespace bitfoundry::emulate {

enum class Core { kM0Plus, kM3, kM4, kM7, kM33, kM55, kRv32 };
inline constexpr std::array kCores = {Core::kM0Plus, Core::kM3,  Core::kM4,  Core::kM7,
                                      Core::kM33,    Core::kM55, Core::kRv32};

// QEMU has no Cortex-M0+: its programs run on a micro:bit's Cortex-M0, which has the same
// instruction set, ARMv6-M; and, what does not fit into 16 KiB of RAM, on a Cortex-M3, which
// executes ARMv6-M code instruction by instruction and is told to trap the unaligned accesses that
// ARMv6-M traps.
//
// "m0plus", "m3", "m4", "m7", "m33", "m55", "rv32imc".
std::string_view Name(Core core);

// Errors: kInvalidArgument UNKNOWN_CORE, which lists those that there are.
Result<Core> ParseCore(std::string_view name);

// C for a core, with a main(). The board adds what happens before it, semihosting.h and markers.h;
// there is no libc. Objects named bf_* are the runtime, model* a network: they may have no data
// that is written.
struct Program {
  std::vector<packed::File> sources;  // .c are compiled, .h lie beside them
  std::vector<std::string> options;   // for the compiler, after ours
  std::vector<packed::File> inputs;   // files that the program may open
  std::string output;                 // a file that it writes, or empty: none
};

struct Outcome {
  std::string output;             // of Program::output
  std::vector<uint64_t> regions;  // instructions between markers, in the order they ran
  uint64_t total = 0;             // instructions from reset to the end
  std::string machine;            // QEMU's name of it
  std::string processor;          // that it has: for "m0plus" a Cortex-M0, or a Cortex-M3
};

// Builds and runs it.
//
//   limit    for each of compiler, linker and emulator
//   errors   kFailedPrecondition TOOL_MISSING, DOES_NOT_FIT (flash or RAM of the largest machine);
//            kInternal DOES_NOT_BUILD, RUN_FAILED (it faulted, or returned other than 0); as
//            Execute()
Result<Outcome> BuildAndRun(Core core, const Program& program, std::chrono::seconds limit);

// "gcc 12.2.1", and "QEMU 7.2.22": instruction counts depend on the first.
Result<std::string> CompilerOf(Core core);
Result<std::string> EmulatorOf(Core core);

}  // namespace bitfoundry::emulate
