// What the command line refuses before it asks any service.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

namespace bitfoundry::cli {
namespace {

struct Refusal {
  int code = 0;
  nlohmann::json error;
};

Refusal Refused(const std::string& arguments) {
  const std::string command =
      BF_BINARY_DIR "/bin/bitfoundry --data /nowhere --json " + arguments + " 2>&1";
  FILE* output = popen(command.c_str(), "r");
  std::string text;
  for (int c = fgetc(output); c != EOF; c = fgetc(output)) text += static_cast<char>(c);
  Refusal refusal;
  refusal.code = WEXITSTATUS(pclose(output));
  refusal.error = nlohmann::json::parse(text, nullptr, false).value("error", nlohmann::json());
  return refusal;
}

TEST(Usage, AMistakeIsJsonWhereJsonWasAskedFor) {
  for (const auto& [arguments, code] :
       {std::pair{"", 2}, std::pair{"train", 2}, std::pair{"status --colour", 2},
        std::pair{"evaluate 3f9a2b1c", 3}, std::pair{"verdict", 3}}) {
    const Refusal refusal = Refused(arguments);
    EXPECT_EQ(refusal.code, code) << arguments;
    EXPECT_EQ(refusal.error["code"], "INVALID_ARGUMENT") << arguments;
    EXPECT_EQ(refusal.error["reason"], "USAGE") << arguments;
    EXPECT_NE(refusal.error["message"], "") << arguments;
  }
}

TEST(Usage, AnInputShapeIsReadToItsEnd) {
  for (const char* input : {"64x64x1junk", "64x64", "64x64x"}) {
    const Refusal refusal =
        Refused(std::string("project create person --classes a b --input ") + input);
    EXPECT_EQ(refusal.error["reason"], "INVALID_ARGUMENT") << refusal.error;
    EXPECT_EQ(refusal.error["message"], std::string("--input ") + input + ": write it as 64x64x1");
  }
}

TEST(Usage, ASuiteThatIsNotUtf8IsRefusedWithThePlace) {
  std::string folder = "/tmp/bf_usage_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/suite.yaml";
  const std::pair<std::string, int> cases[] = {
      {"suite: caf\xE9\n", 10},               // Latin-1
      {"caf\xC3\xA9 \xE2\x82\xAC \xC3", 10},  // cut short, after good characters
      {"a\xC0\xAF", 1},                       // too long a form
      {"\xED\xA0\x80", 0},                    // a surrogate
      {"ab\xF4\x90\x80\x80", 2}};             // above U+10FFFF
  for (const auto& [text, at] : cases) {
    std::ofstream(path, std::ios::binary) << text;
    const Refusal refusal = Refused("evaluate 3f9a2b1c --suite " + path);
    EXPECT_EQ(refusal.code, 3);
    EXPECT_EQ(refusal.error["reason"], "SUITE_INVALID") << refusal.error;
    EXPECT_EQ(refusal.error["message"], path + ": not UTF-8 at byte " + std::to_string(at));
  }
  std::ofstream(path) << "suite: caf\xC3\xA9 \xF0\x9F\x98\x80\n";
  EXPECT_EQ(Refused("evaluate 3f9a2b1c --suite " + path).error["reason"], "NEVER_STARTED");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace bitfoundry::cli
