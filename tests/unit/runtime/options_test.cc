#include "runtime/options.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace bitfoundry::runtime {
namespace {

using testing::StatusIs;

constexpr Option kDepth{"queue-depth", "8", "help"};
constexpr Option kKey{"api-key", "", "help", true};

Result<Options> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "program");
  return Options::Parse(static_cast<int>(arguments.size()), arguments.data(), {kDepth, kKey});
}

TEST(Options, CommandLineBeatsEnvironmentBeatsFallback) {
  unsetenv("BF_QUEUE_DEPTH");
  EXPECT_EQ(Parse({})->Text(kDepth), "8");
  setenv("BF_QUEUE_DEPTH", "16", /*overwrite=*/1);
  EXPECT_EQ(Parse({})->Text(kDepth), "16");
  EXPECT_EQ(Parse({"--queue-depth=32"})->Text(kDepth), "32");
  unsetenv("BF_QUEUE_DEPTH");
}

TEST(Options, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(Parse({"--queue-dept=1"}), StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(Parse({"32"}), StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(Parse({"--queue-depth=many"})->Integer(kDepth), StatusIs(Code::kInvalidArgument));
}

TEST(Options, RefusesANumberOutOfItsRange) {
  EXPECT_EQ(*Parse({"--queue-depth=64"})->Integer(kDepth, 1, 64), 64);
  EXPECT_THAT(Parse({"--queue-depth=65"})->Integer(kDepth, 1, 64),
              StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(Parse({"--queue-depth=0"})->Integer(kDepth, 1, 64), StatusIs(Code::kInvalidArgument));
}

TEST(Options, HelpNamesEveryOptionAndItsVariable) {
  const Result<Options> help = Parse({"--help"});
  ASSERT_THAT(help, StatusIs(Code::kCancelled));
  EXPECT_NE(help.status().message().find("--queue-depth=8"), std::string::npos);
  EXPECT_NE(help.status().message().find("BF_QUEUE_DEPTH"), std::string::npos);
}

TEST(Options, SecretsAreNotWrittenOut) {
  EXPECT_EQ(Parse({"--api-key=hunter2", "--queue-depth=9"})->ToString(),
            "--queue-depth=9 --api-key=***");
}

}  // namespace
}  // namespace bitfoundry::runtime
