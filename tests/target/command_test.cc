// `bitfoundry emulate` as it is typed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "emulate/process.h"
#include "packed/bundle.h"
#include "packed/format.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/packed/random_network.h"

namespace bitfoundry::emulate {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// A folder with a name that no shell would leave alone, and an artefact in it.
class Command : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ =
        fs::path(::testing::TempDir()) / ("-emulate $(reboot); 'x' " + std::to_string(getpid()));
    fs::create_directories(folder_);
    for (const packed::File& file : Bundle(packed::testing::RandomSkipNetwork(3))) {
      Write(file.name, file.bytes);
    }
  }
  void TearDown() override { fs::remove_all(folder_); }

  static std::vector<packed::File> Bundle(const packed::Network& network) {
    std::mt19937 random(1);
    packed::Provenance provenance;
    provenance.classes = {"a", "b", "c"};
    return *packed::MakeBundle(*packed::Serialize(network),
                               {packed::testing::RandomImage(network.input, random)}, provenance);
  }

  void Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }

  Finished Emulate(const std::vector<std::string>& options) const {
    std::vector<std::string> arguments = {std::string(BF_BINARY_DIR) + "/bin/bitfoundry", "emulate",
                                          (folder_ / "model.bnn").string()};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return *Execute(arguments, "bitfoundry", folder_, std::chrono::seconds(100));
  }

  fs::path folder_;
};

TEST_F(Command, PrintsEveryLayerAndThatAllIsEqual) {
  const Finished done = Emulate({});
  EXPECT_EQ(done.exit_code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("Cortex-M4"));
  EXPECT_THAT(done.output, HasSubstr("stem1"));
  EXPECT_THAT(done.output, HasSubstr("1 images: every logit and every layer's checksum is equal"));
}

TEST_F(Command, PrintsJson) {
  const Finished done = Emulate({"--json", "--core", "m0plus"});
  ASSERT_EQ(done.exit_code, 0) << done.output;
  const auto core = nlohmann::json::parse(done.output)["cores"][0];
  EXPECT_EQ(core["core"], "m0plus");
  EXPECT_TRUE(core["differences"].empty());
  double sum = 0;
  for (const auto& layer : core["layers"]) sum += layer["instructions"].get<double>();
  // The layers one by one cost a call each more than all of them.
  EXPECT_NEAR(core["instructions"].get<double>(), sum, 0.01 * sum);
  EXPECT_GT(core["arena_bytes"], 0);
  EXPECT_GT(core["stack_bytes"], 0);
}

TEST_F(Command, KeepsToABudgetOfFlashAndSaysWhatElseThereIs) {
  const auto model_bytes = [](const Finished& done) {
    return nlohmann::json::parse(done.output)["cores"][0]["model_bytes"].get<uint64_t>();
  };
  const uint64_t most = model_bytes(Emulate({"--json"}));
  const uint64_t least = model_bytes(Emulate({"--json", "--kernel", "lean"}));
  ASSERT_LT(least, most);
  const uint64_t budget = (least + most) / 2;
  const uint64_t between = model_bytes(Emulate({"--json", "--flash", std::to_string(budget)}));
  EXPECT_LE(between, budget);
  EXPECT_GT(between, least);
  const Finished too_small = Emulate({"--flash", "100"});
  EXPECT_EQ(too_small.exit_code, 1);
  EXPECT_THAT(too_small.output, HasSubstr("DOES_NOT_FIT"));
}

TEST_F(Command, FailsOnAnyDifferenceAndNamesCoreImageAndLayer) {
  packed::Network other = packed::testing::RandomSkipNetwork(3);
  ++std::get<packed::Dense>(other.ops.back().kind).biases[2];
  for (const packed::File& file : Bundle(other)) {
    if (file.name == "golden.bin") Write("other.bin", file.bytes);
  }
  const Finished done = Emulate({"--golden", (folder_ / "other.bin").string()});
  EXPECT_EQ(done.exit_code, 1) << done.output;
  EXPECT_THAT(done.output, HasSubstr("m4, image 0: dense1 differs"));
}

TEST_F(Command, RefusesCoresThatThereAreNot) {
  const Finished done = Emulate({"--core", "z80"});
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.output, HasSubstr("m0plus, m3, m4, m7, m33, m55, rv32imc"));
}

TEST(Tools, ThatAreMissingAreNamedWithTheirPackage) {
  const auto done =
      Execute({"arm-none-eabi-nothing"}, "gcc-arm-none-eabi", "/tmp", std::chrono::seconds(10));
  EXPECT_EQ(done.status().reason(), "TOOL_MISSING");
  EXPECT_THAT(done.status().message(), HasSubstr("gcc-arm-none-eabi"));
}

TEST(Tools, ThatDoNotEndAreEnded) {
  const auto done = Execute({"sleep", "1000"}, "coreutils", "/tmp", std::chrono::seconds(1));
  EXPECT_EQ(done.status().reason(), "TOO_SLOW");
}

}  // namespace
}  // namespace bitfoundry::emulate
