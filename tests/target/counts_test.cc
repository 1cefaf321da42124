// Instruction counts as golden files: golden/<core>-<compiler's version>.txt. A change of the
// runtime, of the layouts or of the compiler shows up in review as a change of these files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "emulate/emulate.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/packed/random_network.h"

namespace bitfoundry::emulate {
namespace {

using packed::Kernel;
using packed::Network;
using testing::IsOk;

constexpr uint32_t kSeed = 5;

Network Finish(Network network, uint32_t channels, std::mt19937& random) {
  network.Then(packed::GlobalSum{});
  network.Then(packed::testing::RandomDense(channels, 10, random));
  return network;
}

// The layer by which runtimes are compared, and its 1x1 sister.
Network Middle() {
  std::mt19937 random(kSeed);
  Network n;
  n.input = {12, 12, 1};
  n.Then(packed::testing::RandomStem(1, 64, 3, 1, random));
  n.Then(packed::testing::RandomConv(64, 64, 3, 1, random));
  n.Then(packed::testing::RandomConv(64, 64, 1, 1, random));
  return Finish(n, 64, random);
}

Network First(const packed::Shape& input, uint32_t channels) {
  std::mt19937 random(kSeed);
  Network n;
  n.input = input;
  n.mean = {120, input.channels == 3 ? uint8_t{110} : uint8_t{0}};
  n.Then(packed::testing::RandomStem(input.channels, channels, 3, 1, random));
  return Finish(n, channels, random);
}

struct Subject {
  const char* name;
  Network network;
  std::optional<Kernel> kernel;
};

std::vector<Subject> Subjects() {
  return {{"middle-fast", Middle(), Kernel::kFast},
          {"middle-lean", Middle(), Kernel::kLean},
          {"middle-rows", Middle(), Kernel::kRows},
          {"first-28x28x1-to-16", First({28, 28, 1}, 16), {}},
          {"first-32x32x3-to-32", First({32, 32, 3}, 32), {}},
          {"chain", packed::testing::RandomNetwork(3, 1), {}},
          {"skips", packed::testing::RandomSkipNetwork(1), {}}};
}

// "name value", one a line, in the order of the subjects.
struct Count {
  std::string name;
  uint64_t value = 0;
};

class Counts : public ::testing::TestWithParam<Core> {
 protected:
  void Measure() {
    for (const Subject& subject : Subjects()) {
      packed::FirmwareOptions options;
      options.kernel = subject.kernel;
      const auto prepared = Prepare(
          GetParam(), {{subject.network, *RandomGolden(subject.network, 1, kSeed)}}, options);
      ASSERT_THAT(prepared, IsOk());
      const auto report = emulate::Run(*prepared);
      ASSERT_THAT(report, IsOk());
      ASSERT_THAT(Compare(*prepared, *report), ::testing::IsEmpty());
      compiler_ = report->compiler;
      Add(subject.name, *prepared, *report);
    }
  }

  void Add(const std::string& subject, const Prepared& prepared, const Report& report) {
    const ImageRun& image = report.networks[0].images[0];
    for (size_t i = 0; i < prepared.layers[0].size(); ++i) {
      const packed::Layer& layer = prepared.layers[0][i];
      counts_.push_back({subject + " " + layer.name, image.layer_instructions[i]});
    }
    counts_.push_back({subject + " run", image.instructions});
    counts_.push_back({subject + " code-bytes", report.runtime_bytes});
    counts_.push_back({subject + " stack-bytes", report.networks[0].stack_bytes});
  }

  std::string GoldenFile() const {
    return std::string(BF_SOURCE_DIR) + "/tests/target/golden/" + std::string(Name(GetParam())) +
           "-" + compiler_.substr(compiler_.find(' ') + 1) + ".txt";
  }

  std::vector<Count> counts_;
  std::string compiler_;
};
INSTANTIATE_TEST_SUITE_P(Cores, Counts, ::testing::ValuesIn(kCores),
                         [](const auto& core) { return std::string(Name(core.param)); });

TEST_P(Counts, AreThoseOfTheGoldenFile) {
  Measure();
  if (std::getenv("BF_UPDATE_GOLDEN") != nullptr) {
    std::ofstream out(GoldenFile());
    for (const Count& count : counts_) out << count.name << " " << count.value << "\n";
    GTEST_SKIP() << "wrote " << GoldenFile();
  }
  std::ifstream in(GoldenFile());
  if (!in) {
    GTEST_SKIP() << "no counts are known of " << compiler_ << "; BF_UPDATE_GOLDEN=1 writes "
                 << GoldenFile();
  }
  std::map<std::string, uint64_t> golden;
  std::string subject, what;
  for (uint64_t value = 0; in >> subject >> what >> value;) golden[subject + " " + what] = value;
  std::ostringstream diff;
  for (const Count& count : counts_) {
    const auto known = golden.find(count.name);
    if (known == golden.end()) {
      diff << "+ " << count.name << " " << count.value << "\n";
    } else if (known->second != count.value) {
      diff << "- " << count.name << " " << known->second << "\n+ " << count.name << " "
           << count.value << "\n";
    }
    golden.erase(count.name);
  }
  for (const auto& [name, value] : golden) diff << "- " << name << " " << value << "\n";
  EXPECT_EQ(diff.str(), "") << "If that is meant: BF_UPDATE_GOLDEN=1 " << BF_BINARY_DIR
                            << "/tests/target/target_counts_test, and review git diff "
                            << GoldenFile();
}

// By estimates the exporter chooses, so they have to be near what is counted.
TEST(Estimates, AreNearWhatACortexM4Counts) {
  std::vector<Network> networks = {Middle(), packed::testing::RandomNetwork(3, 1),
                                   packed::testing::RandomSkipNetwork(1)};
  for (const Kernel kernel : packed::kKernels) {
    for (const Network& network : networks) {
      packed::FirmwareOptions options;
      options.kernel = kernel;
      const auto prepared =
          Prepare(Core::kM4, {{network, *RandomGolden(network, 1, kSeed)}}, options);
      ASSERT_THAT(prepared, IsOk());
      const auto report = emulate::Run(*prepared);
      ASSERT_THAT(report, IsOk());
      const auto& counted = report->networks[0].images[0].layer_instructions;
      for (size_t i = 0; i < counted.size(); ++i) {
        const auto& costs = prepared->firmware[0].layers[i].kernels;
        if (costs.empty()) continue;
        EXPECT_NEAR(static_cast<double>(costs[0].instructions) / static_cast<double>(counted[i]), 1,
                    0.1)
            << packed::Name(kernel) << " " << prepared->layers[0][i].name;
      }
      // Up to three bytes after each array of bytes.
      EXPECT_GE(report->model_bytes, prepared->firmware[0].flash_bytes);
      EXPECT_LE(report->model_bytes, prepared->firmware[0].flash_bytes + 12);
    }
  }
}

}  // namespace
}  // namespace bitfoundry::emulate
