// Packed networks on emulated microcontrollers: the firmware that ships, run and compared.
//
//   Prepare   networks and their golden images as one program
//   Run       that program on a core: what every image gave, and what it took
//   Compare   what it gave against what it should have given, bit for bit
#pragma once

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "emulate/machine.h"
#include "packed/bundle.h"
#include "packed/firmware.h"
#include "packed/network.h"

namespace bitfoundry::emulate {

struct Case {
  packed::Network network;
  std::vector<packed::Golden> golden;  // images with what they should give
};

// Random images of the network's size, with what the reference interpreter makes of them.
//
// Errors: those of packed::Interpreter.
Result<std::vector<packed::Golden>> RandomGolden(const packed::Network& network, size_t images,
                                                 uint32_t seed);

struct Prepared {
  Core core = Core::kM4;
  Program program;
  std::vector<Case> cases;
  std::vector<packed::Firmware> firmware;          // of each case
  std::vector<std::vector<packed::Layer>> layers;  // of each case
};

// `options` for a core: kernels are chosen by its instruction set.
packed::FirmwareOptions OptionsFor(Core core, packed::FirmwareOptions options);

// The program that runs all cases.
//
//   options  for each network, by OptionsFor; the name is ours
//   errors   those of packed::MakeFirmware(); kInvalidArgument BAD_GOLDEN, where a case has no
//            images, or some that are not the network's
Result<Prepared> Prepare(Core core, std::vector<Case> cases, packed::FirmwareOptions options = {});

// What one image gave and took. Instructions are those executed between call and return.
struct ImageRun {
  std::vector<int32_t> logits;               // of bf_run
  std::vector<uint32_t> checksums;           // of each layer's output, by bf_step
  std::vector<int32_t> stepped_logits;       // by bf_step
  uint64_t instructions = 0;                 // of bf_run
  std::vector<uint64_t> layer_instructions;  // of each bf_step
};

struct NetworkRun {
  std::vector<ImageRun> images;
  uint64_t stack_bytes = 0;  // the deepest that bf_run went
};

struct Report {
  std::string machine;    // QEMU's
  std::string processor;  // of the machine
  std::string compiler;   // "gcc 12.2.1"
  std::string emulator;   // "QEMU 7.2.22"
  std::vector<NetworkRun> networks;
  uint64_t runtime_bytes = 0;  // code in flash, of the kernels that are used
  uint64_t model_bytes = 0;    // constants in flash, of all networks
};

// Builds and runs it. The program checks that nothing is written outside the arena.
//
// Errors: those of BuildAndRun(); kInternal RUN_FAILED, where regions or results are missing.
Result<Report> Run(const Prepared& prepared,
                   std::chrono::seconds limit = std::chrono::seconds(120));

// Where a run and its golden outputs part.
struct Difference {
  size_t network = 0;
  size_t image = 0;
  std::string where;  // the first layer that differs, or "logits"
};

// One for each image that differs, in order.
std::vector<Difference> Compare(const Prepared& prepared, const Report& report);

}  // namespace bitfoundry::emulate
