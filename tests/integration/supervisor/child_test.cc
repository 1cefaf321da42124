#include "services/bitfoundry/child.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

#include "tests/support/status_matchers.h"

namespace bitfoundry::cli {
namespace {

using namespace std::chrono_literals;
using testing::IsOk;
using testing::StatusIs;

class ChildTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(folder_.data()), nullptr); }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  Command Shell(const std::string& script) {
    return {.arguments = {"/bin/sh", "-c", script},
            .environment = {"BF_CHILD_TEST=yes"},
            .log = folder_ + "/log"};
  }
  void Log(const std::string& text) { std::ofstream(folder_ + "/log") << text; }

  std::string folder_ = "/tmp/bf_child_XXXXXX";
};

TEST_F(ChildTest, GetsItsEnvironmentAndItsOutputGoesToTheLog) {
  EXPECT_THAT(RunToEnd(Shell("echo $BF_CHILD_TEST $HOME")), IsOk());
  std::string line;
  std::getline(std::ifstream(folder_ + "/log"), line);
  EXPECT_EQ(line, "yes " + std::string(getenv("HOME") == nullptr ? "" : getenv("HOME")));
}

TEST_F(ChildTest, AFailureCarriesTheLastWords) {
  const Status status = RunToEnd(Shell("echo the disk is on fire >&2; exit 3"));
  EXPECT_THAT(status, StatusIs(Code::kInternal));
  EXPECT_NE(status.message().find("the disk is on fire"), std::string::npos);
}

TEST_F(ChildTest, AProgramThatIsNotThereIsAnError) {
  EXPECT_THAT(Start({.arguments = {folder_ + "/none"}, .environment = {}, .log = folder_ + "/log"}),
              StatusIs(Code::kNotFound));
}

TEST_F(ChildTest, IsToldFromAnotherProcessWithItsPid) {
  const ProcessId child = *Start(Shell("exec sleep 60"));
  EXPECT_TRUE(IsAlive(child));
  EXPECT_FALSE(IsAlive({child.pid, child.start_ticks + 1}));
  Stop({child}, SIGTERM, 5s);
  EXPECT_FALSE(IsAlive(child));
}

TEST_F(ChildTest, OneThatWillNotDrainIsKilledAfterTheLimit) {
  const ProcessId child =
      *Start(Shell("trap '' TERM; touch " + folder_ + "/trapped; while :; do sleep 0.05; done"));
  while (!std::filesystem::exists(folder_ + "/trapped")) usleep(1000);
  Stop({child}, SIGTERM, 200ms);
  EXPECT_FALSE(IsAlive(child));
}

TEST_F(ChildTest, AnEndedChildIsNotAliveThoughNobodyHasWaitedForIt) {
  const ProcessId child = *Start(Shell("exit 0"));
  while (IsAlive(child)) usleep(1000);
  EXPECT_EQ(waitpid(child.pid, nullptr, 0), child.pid);
}

TEST_F(ChildTest, LastWordsAreTheErrorOfTheLastStart) {
  Log(R"({"level":"info","message":"starting"}
{"level":"error","message":"an old trouble"}
{"level":"info","message":"starting"}
{"level":"error","message":"no database"}
{"level":"info","message":"bye"}
)");
  EXPECT_EQ(LastWords(folder_ + "/log"), "no database");
}

TEST_F(ChildTest, LastWordsOfACrashAreItsLastLine) {
  Log("{\"level\":\"info\",\"message\":\"starting\"}\nterminate called after throwing\n");
  EXPECT_EQ(LastWords(folder_ + "/log"), "terminate called after throwing");
  Log("{\"level\":\"error\",\"message\":\"no route\\n\\tto host\\n\"}\n");
  EXPECT_EQ(LastWords(folder_ + "/log"), "no route to host");
  Log("out of memory\n\n");
  EXPECT_EQ(LastWords(folder_ + "/log"), "out of memory");
  Log("{\"level\":\"info\",\"message\":\"starting\"}\n");
  EXPECT_EQ(LastWords(folder_ + "/log"), "");
}

}  // namespace
}  // namespace bitfoundry::cli
