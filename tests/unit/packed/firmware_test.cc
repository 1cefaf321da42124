#include "packed/firmware.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>

#include "tests/support/status_matchers.h"
#include "tests/unit/packed/random_network.h"

namespace bitfoundry::packed {
namespace {

using bitfoundry::testing::IsOk;
using ::testing::HasSubstr;
using ::testing::Not;

const Network& Chain() {
  static const Network network = testing::RandomNetwork(3, 2);
  return network;
}

Firmware WithBudget(uint64_t flash_bytes) {
  FirmwareOptions options;
  options.flash_bytes = flash_bytes;
  return *MakeFirmware(Chain(), options);
}

uint64_t EstimatedInstructions(const Firmware& firmware) {
  uint64_t sum = 0;
  for (const FirmwareLayer& layer : firmware.layers) {
    if (!layer.kernels.empty()) sum += layer.kernels[0].instructions;
  }
  return sum;
}

std::string FileOf(const Firmware& firmware, const std::string& name) {
  const auto found = std::ranges::find(firmware.files, name, &File::name);
  return found == firmware.files.end() ? "" : found->bytes;
}

TEST(Firmware, IsAFolderThatIsComplete) {
  FirmwareOptions options;
  options.name = "person";
  options.classes = {"no_person", "person"};
  const auto firmware = MakeFirmware(Chain(), options);
  ASSERT_THAT(firmware, IsOk());
  EXPECT_THAT(FileOf(*firmware, "person.h"),
              HasSubstr("#define PERSON_ARENA_BYTES " + std::to_string(firmware->arena_bytes)));
  EXPECT_THAT(FileOf(*firmware, "person.c"), HasSubstr("const bf_model person = {"));
  EXPECT_THAT(FileOf(*firmware, "bf_mcu.h"), HasSubstr("void bf_run("));
  EXPECT_THAT(FileOf(*firmware, "bf_run.c"), HasSubstr("void bf_run("));
  const std::string example = FileOf(*firmware, "example.c");
  EXPECT_THAT(example, HasSubstr("0 no_person, 1 person"));
  EXPECT_LE(std::ranges::count(example, '\n'), 15);
}

// What the host's C compiler says of the model's file after `change` of the one that is named.
int Compile(const Firmware& firmware, const std::string& changed,
            const std::function<void(std::string&)>& change) {
  const std::string folder = ::testing::TempDir() + "bf_firmware_" + std::to_string(getpid());
  std::filesystem::create_directories(folder);
  for (File file : firmware.files) {
    if (file.name == changed) change(file.bytes);
    std::ofstream(folder + "/" + file.name) << file.bytes;
  }
  const std::string command = "gcc -std=c99 -Wall -Wextra -Wpedantic -Werror -fsyntax-only " +
                              folder + "/model.c 2> " + folder + "/log";
  const int status = std::system(command.c_str());
  std::filesystem::remove_all(folder);
  return status;
}

void Replace(std::string& text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  ASSERT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
}

TEST(Firmware, CompilesOnlyAsItWasGenerated) {
  const Firmware firmware = WithBudget(UINT64_MAX);
  EXPECT_EQ(Compile(firmware, "", {}), 0);
  const auto lose_a_weight = [](std::string& c) { Replace(c, " 0x", " // 0x"); };
  EXPECT_NE(Compile(firmware, "model.c", lose_a_weight), 0);
  const auto shrink = [](std::string& h) { Replace(h, "ARENA_BYTES ", "ARENA_BYTES 1 - "); };
  EXPECT_NE(Compile(firmware, "model.h", shrink), 0);
  const auto change_runtime = [](std::string& h) { Replace(h, "BF_LAYOUT 2", "BF_LAYOUT 3"); };
  EXPECT_NE(Compile(firmware, "bf_mcu.h", change_runtime), 0);
}

TEST(Firmware, KeepsToItsBudgetAndIsNoSlowerWithMore) {
  const uint64_t most = WithBudget(UINT64_MAX).flash_bytes;
  FirmwareOptions least;
  least.flash_bytes = 0;
  const Status refused = MakeFirmware(Chain(), least).status();
  EXPECT_EQ(refused.reason(), "DOES_NOT_FIT");
  EXPECT_THAT(refused.message(), HasSubstr("the budget is 0"));

  uint64_t before = UINT64_MAX;
  size_t fits = 0;
  for (uint64_t budget = 0; budget <= most; budget += most / 64) {
    least.flash_bytes = budget;
    const auto firmware = MakeFirmware(Chain(), least);
    if (!firmware.ok()) continue;
    ++fits;
    EXPECT_LE(firmware->flash_bytes, budget);
    EXPECT_LE(EstimatedInstructions(*firmware), before);
    before = EstimatedInstructions(*firmware);
  }
  EXPECT_GT(fits, 10U);
}

// The fewest instructions of any choice within `room` bytes, by trying all.
uint64_t FewestInstructions(const std::vector<FirmwareLayer>& layers, size_t i, uint64_t room) {
  if (i == layers.size()) return 0;
  if (layers[i].kernels.empty()) return FewestInstructions(layers, i + 1, room);
  uint64_t fewest = UINT64_MAX;
  for (const KernelCost& cost : layers[i].kernels) {
    if (cost.flash_bytes > room) continue;
    const uint64_t rest = FewestInstructions(layers, i + 1, room - cost.flash_bytes);
    if (rest != UINT64_MAX) fewest = std::min(fewest, cost.instructions + rest);
  }
  return fewest;
}

TEST(Firmware, NoOtherChoiceWithinTheBudgetIsFaster) {
  size_t mixed = 0;  // the smallest budgets and the largest leave no choice
  for (int seed = 1; seed <= 20; ++seed) {
    const Network network = testing::RandomNetwork(3, seed);
    const Firmware all = *MakeFirmware(network, {});
    uint64_t kernels = 0;
    for (const FirmwareLayer& layer : all.layers) {
      if (!layer.kernels.empty()) kernels += layer.kernels[0].flash_bytes;
    }
    const uint64_t fixed = all.flash_bytes - kernels;
    for (uint64_t room = 0; room < kernels + 64; room += 4 * (1 + room / 512)) {
      FirmwareOptions options;
      options.flash_bytes = fixed + room;
      const auto firmware = MakeFirmware(network, options);
      const uint64_t fewest = FewestInstructions(all.layers, 0, room);
      ASSERT_EQ(firmware.ok(), fewest != UINT64_MAX) << seed << ", " << room;
      if (!firmware.ok()) continue;
      ASSERT_EQ(EstimatedInstructions(*firmware), fewest) << seed << ", " << room;
      ASSERT_LE(firmware->flash_bytes, options.flash_bytes);
      mixed += fewest != EstimatedInstructions(all) ? 1 : 0;
    }
  }
  EXPECT_GT(mixed, 100U);
}

TEST(Firmware, TakesTheFastestKernelOfEachLayerWithoutABudget) {
  const Firmware firmware = WithBudget(UINT64_MAX);
  for (const FirmwareLayer& layer : firmware.layers) {
    for (const KernelCost& cost : layer.kernels) {
      EXPECT_GE(cost.instructions, layer.kernels[0].instructions);
    }
  }
}

TEST(Firmware, TakesTheKernelThatIsAskedFor) {
  for (const Kernel kernel : kKernels) {
    FirmwareOptions options;
    options.kernel = kernel;
    const Firmware firmware = *MakeFirmware(Chain(), options);
    size_t binary = 0;
    for (const FirmwareLayer& layer : firmware.layers) {
      if (layer.kernels.empty()) continue;
      ++binary;
      EXPECT_EQ(layer.kernels[0].kernel, kernel);
    }
    EXPECT_EQ(binary, 3U);
  }
}

// They count in 16 bits; bf_mcu.h.
TEST(Firmware, HasNeitherFastNorLeanForWindowsOfMoreThan65535Bits) {
  std::mt19937 random(1);
  Network n;
  n.input = {46, 46, 1};
  n.Then(testing::RandomStem(1, 32, 1, 1, random));
  n.Then(BinaryDense{2, testing::RandomBits(2 * 46 * 46, 32, random),
                     testing::RandomToBits(2, 46 * 46 * 32, random)});
  n.Then(GlobalSum{});
  n.Then(testing::RandomDense(2, 2, random));
  const auto firmware = MakeFirmware(n, {});
  ASSERT_THAT(firmware, IsOk());
  ASSERT_EQ(firmware->layers[1].kernels.size(), 1U);
  EXPECT_EQ(firmware->layers[1].kernels[0].kernel, Kernel::kRows);
}

TEST(Firmware, RefusesNamesThatAreNoIdentifiers) {
  for (const char* name : {"",         "Person",   "1st",           "a-b",     "../a",
                           "a b",      "\xc3\xa4", "example",       "bf_stem", "bf_mcu",
                           "bf_run",   "layers",   "stem1_weights", "int",     "static",
                           "uint32_t", "arena",    "classify",      "logits",  "image",
                           "linux",    "stdint",   "bitand",        "nullptr", "std",
                           "memcpy",   "aux"}) {
    FirmwareOptions options;
    options.name = name;
    EXPECT_EQ(MakeFirmware(Chain(), options).status().reason(), "BAD_NAME") << name;
  }
}

TEST(Firmware, LetsNoClassNameOutOfItsComment) {
  FirmwareOptions options;
  options.classes = {"*/ int x; /*", "a\nb\\"};
  const std::string example = FileOf(*MakeFirmware(Chain(), options), "example.c");
  EXPECT_THAT(example, HasSubstr("0 __ int x; __, 1 a_b_"));
  EXPECT_THAT(example, Not(HasSubstr("/ int x")));
}

}  // namespace
}  // namespace bitfoundry::packed
