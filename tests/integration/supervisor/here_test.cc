// Commands that answer here, without the factory: suite, and run with its pictures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "emulate/process.h"
#include "images/codec.h"
#include "packed/format.h"
#include "tests/unit/packed/random_network.h"

namespace bitfoundry::cli {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class Here : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(::testing::TempDir()) / ("here " + std::to_string(getpid()));
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void Write(const std::string& name, std::string_view bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
  }
  std::string Read(const std::string& name) const {
    std::ifstream file(folder_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  emulate::Finished Bitfoundry(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), BF_BINARY_DIR "/bin/bitfoundry");
    return *emulate::Execute(arguments, "bitfoundry", folder_, std::chrono::seconds(100));
  }

  fs::path folder_;
};

TEST_F(Here, ASuiteIsCheckedAndEveryTestListed) {
  fs::copy(BF_SOURCE_DIR "/scripts/demo_suite.yaml", folder_ / "suite.yaml");
  const auto shown = Bitfoundry({"suite", "suite.yaml"});
  EXPECT_EQ(shown.exit_code, 0) << shown.output;
  EXPECT_THAT(shown.output, HasSubstr("person at a fixed camera, version 2"));
  EXPECT_THAT(shown.output, HasSubstr("far: label == \"person\" && attr.box_height_px < 60"));
  EXPECT_THAT(shown.output, HasSubstr("recall >= 0.7"));
  EXPECT_THAT(shown.output, HasSubstr("gap over attr.brightness <= 0.2"));
  EXPECT_THAT(shown.output, HasSubstr("flash_bytes <= 131072 on m4"));

  // What --json prints is a suite file, and of it the same comes.
  const auto json = Bitfoundry({"suite", "suite.yaml", "--json"});
  EXPECT_EQ(nlohmann::json::parse(json.output)["tests"][1]["id"], "far_found");
  Write("suite.json", json.output);
  EXPECT_EQ(Bitfoundry({"suite", "suite.json", "--json"}).output, json.output);

  Write("wrong.yaml", "suite: x\nversion: 1\ntests:\n- { id: a, slcie: all }\n");
  const auto refused = Bitfoundry({"suite", "wrong.yaml"});
  EXPECT_EQ(refused.exit_code, 1);
  EXPECT_THAT(refused.output, HasSubstr("wrong.yaml:4:12: unknown key 'slcie' in a test; did you "
                                        "mean 'slice'?"));
}

TEST_F(Here, AnAnswerIsExplainedByAPicture) {
  const packed::Network network = packed::testing::RandomSkipNetwork(1);
  const auto model = *packed::Serialize(network);
  Write("model.bnn", {reinterpret_cast<const char*>(model.data()), model.size()});
  images::Image image = images::Blank(28, 36, 3);
  std::mt19937 random(/*seed=*/2);
  for (uint8_t& level : image.pixels) level = static_cast<uint8_t>(random() % 256);
  Write("shot.png", images::EncodePng(image));

  std::set<std::string> pictures;
  for (const char* method : {"occlusion", "rise", "gradient"}) {
    const auto done = Bitfoundry(
        {"run", "model.bnn", "shot.png", "--explain", "why.png", "--method", method, "--json"});
    ASSERT_EQ(done.exit_code, 0) << done.output;
    const auto answer = nlohmann::json::parse(done.output);
    const auto picture = images::Decode(Read("why.png"));
    ASSERT_TRUE(picture.ok());
    EXPECT_EQ(picture->height, 18 * 17);  // 320 / 18 times the input's side
    EXPECT_EQ(picture->width, 2 * 14 * 17 + 16);
    pictures.insert(Read("why.png"));
    const bool surrogate = answer["explained"]["by"] == "the gradient of a surrogate";
    EXPECT_EQ(surrogate, std::string(method) == "gradient");
    EXPECT_EQ(answer["explained"].contains("rank_correlation_with_occlusion"), surrogate);
  }
  EXPECT_EQ(pictures.size(), 3U);
  EXPECT_THAT(Bitfoundry({"run", "model.bnn", "shot.png", "--explain", "why.png"}).output,
              HasSubstr(", by occlusion"));
  EXPECT_EQ(Bitfoundry({"run", "model.bnn", "shot.png", "--method", "rise"}).exit_code, 2);
}

}  // namespace
}  // namespace bitfoundry::cli
