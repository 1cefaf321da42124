// What the microcontroller runtime takes, by emulation:  bench_mcu layers | networks
//
// Prints Markdown. Instructions are exact and the same in every run; weights are random, which
// changes instructions by less than a percent.
#include <cstdio>
#include <string>
#include <vector>

#include "bnn/recipe.h"
#include "emulate/emulate.h"
#include "tests/bench/packed/resnet20.h"
#include "tests/unit/packed/random_network.h"

namespace bitfoundry::bench {
namespace {

using emulate::Core;
using packed::Kernel;
using packed::Network;

struct Counted {
  emulate::Prepared prepared;
  emulate::Report report;

  const emulate::ImageRun& image() const { return report.networks[0].images[0]; }
};

Counted Count(Core core, const Network& network, const packed::FirmwareOptions& options) {
  const auto golden = emulate::RandomGolden(network, 1, /*seed=*/1);
  BF_CHECK(golden.ok());
  Counted counted;
  counted.prepared = *emulate::Prepare(core, {{network, *golden}}, options);
  counted.report = *emulate::Run(counted.prepared);
  BF_CHECK(emulate::Compare(counted.prepared, counted.report).empty());
  return counted;
}

Network Finish(Network network, uint32_t channels, std::mt19937& random) {
  network.Then(packed::GlobalSum{});
  network.Then(packed::testing::RandomDense(channels, 10, random));
  return network;
}

// 12x12x64 -> 64, to bits or to integers.
Network MiddleLayer(uint32_t kernel, bool integers) {
  std::mt19937 random(/*seed=*/1);
  Network n;
  n.input = {12, 12, 1};
  n.Then(packed::testing::RandomStem(1, 64, 3, 1, random));
  packed::BinaryConv conv = packed::testing::RandomConv(64, 64, kernel, 1, random);
  if (integers) {
    conv.output = packed::ToInts{packed::testing::RandomIntegers(64, -32, 32, random),
                                 packed::testing::RandomIntegers(64, -500, 500, random), 5};
  }
  n.Then(std::move(conv));
  return Finish(n, 64, random);
}

Network FirstLayer(const packed::Shape& input, uint32_t channels) {
  std::mt19937 random(/*seed=*/1);
  Network n;
  n.input = input;
  n.Then(packed::testing::RandomStem(input.channels, channels, 3, 1, random));
  return Finish(n, channels, random);
}

// The demo's network, with random weights.
Network PersonNet() {
  const bnn::Recipe recipe = bnn::DefaultRecipe();
  std::mt19937 random(/*seed=*/1);
  Network n;
  n.input = {64, 64, 1};
  n.mean = {128};
  const auto number = [](int32_t v) { return static_cast<uint32_t>(v); };
  uint32_t channels = number(recipe.stem.channels);
  n.Then(packed::testing::RandomStem(1, channels, number(recipe.stem.kernel),
                                     number(recipe.stem.stride), random));
  for (const bnn::Convolution& c : recipe.blocks) {
    n.Then(packed::testing::RandomConv(channels, number(c.channels), number(c.kernel),
                                       number(c.stride), random));
    channels = number(c.channels);
    if (c.pool) n.Then(packed::MaxPool{});
  }
  n.Then(packed::GlobalSum{});
  n.Then(packed::testing::RandomDense(channels, 2, random));
  return n;
}

void PrintLayers() {
  const struct {
    const char* name;
    Network network;
    size_t layer;
    std::optional<Kernel> kernel;
  } rows[] = {{"3x3 12x12x64 -> 64, to bits, fast", MiddleLayer(3, false), 1, Kernel::kFast},
              {"the same, lean", MiddleLayer(3, false), 1, Kernel::kLean},
              {"the same, rows", MiddleLayer(3, false), 1, Kernel::kRows},
              {"to integers, fast", MiddleLayer(3, true), 1, Kernel::kFast},
              {"to integers, lean", MiddleLayer(3, true), 1, Kernel::kLean},
              {"to integers, rows", MiddleLayer(3, true), 1, Kernel::kRows},
              {"1x1 12x12x64 -> 64, to bits, fast", MiddleLayer(1, false), 1, Kernel::kFast},
              {"the same, lean", MiddleLayer(1, false), 1, Kernel::kLean},
              {"8-bit stem 3x3, 28x28x1 -> 16", FirstLayer({28, 28, 1}, 16), 0, {}},
              {"8-bit stem 3x3, 32x32x3 -> 32", FirstLayer({32, 32, 3}, 32), 0, {}}};
  std::printf("| layer |");
  for (const Core core : emulate::kCores) std::printf(" %s |", std::string(Name(core)).c_str());
  std::printf("\n|---|%s\n", "---:|---:|---:|---:|---:|---:|---:|");
  for (const auto& row : rows) {
    std::printf("| %s |", row.name);
    for (const Core core : emulate::kCores) {
      packed::FirmwareOptions options;
      options.kernel = row.kernel;
      const Counted counted = Count(core, row.network, options);
      const packed::Layer& layer = counted.prepared.layers[0][row.layer];
      const auto macs = static_cast<double>(layer.macs_1bit + layer.macs_8bit);
      const uint64_t instructions = counted.image().layer_instructions[row.layer];
      std::printf(" %.3f |", static_cast<double>(instructions) / macs);
      std::fflush(stdout);
    }
    std::printf("\n");
  }
}

void PrintNetwork(const char* name, const Network& network) {
  std::printf(
      "\n%s\n\n| core | kernels | instructions | code B | constants B | arena B | stack B |\n"
      "|---|---|---:|---:|---:|---:|---:|\n",
      name);
  for (const Core core : emulate::kCores) {
    for (const Kernel kernel : {Kernel::kFast, Kernel::kLean, Kernel::kRows}) {
      const bool helium = core == Core::kM55;
      if ((kernel == Kernel::kRows) != helium) continue;
      packed::FirmwareOptions options;
      options.kernel = kernel;
      const Counted counted = Count(core, network, options);
      std::printf("| %s | %s | %llu | %llu | %llu | %llu | %llu |\n",
                  std::string(Name(core)).c_str(), std::string(Name(kernel)).c_str(),
                  static_cast<unsigned long long>(counted.image().instructions),
                  static_cast<unsigned long long>(counted.report.runtime_bytes),
                  static_cast<unsigned long long>(counted.report.model_bytes),
                  static_cast<unsigned long long>(counted.prepared.firmware[0].arena_bytes),
                  static_cast<unsigned long long>(counted.report.networks[0].stack_bytes));
      std::fflush(stdout);
    }
  }
}

}  // namespace
}  // namespace bitfoundry::bench

int main(int argc, char** argv) {
  using namespace bitfoundry;
  const std::string what = argc == 2 ? argv[1] : "";
  if (what == "layers") {
    bench::PrintLayers();
  } else if (what == "networks") {
    bench::PrintNetwork("Person net, 64x64x1", bench::PersonNet());
    bench::PrintNetwork("ResNet-20 of bits, 32x32x3", bench::ResNet20());
  } else {
    std::fprintf(stderr, "bench_mcu layers | networks\n");
    return 2;
  }
}
