// `bitfoundry up` as a user runs it, with a shell script in the place of the one service whose
// health nobody asks for.
#include "services/bitfoundry/supervisor.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <regex>

#include "attest/key.h"
#include "db/database.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::cli {
namespace {

namespace fs = std::filesystem;
using testing::IsOk;

class SupervisorTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_NE(mkdtemp(folder_.data()), nullptr);
    chmod(folder_.c_str(), 0755);  // as root: Postgres's user has to get in
    data_ = folder_ + "/data";
    unsetenv("BF_PG_DSN");
    unsetenv("BF_REDIS_URL");
    fs::copy_file(BF_BINARY_DIR "/bin/bitfoundry", folder_ + "/bitfoundry");
  }
  void TearDown() override {
    EXPECT_EQ(Cli("down"), 0);
    fs::remove_all(folder_);
  }

  void Worker(const std::string& script) {
    const std::string path = folder_ + "/bf-train-worker";
    std::ofstream(path) << "#!/bin/sh\n" << script << "\n";
    chmod(path.c_str(), 0755);
  }
  // The exit code; what it says goes to the file "said".
  int Cli(const std::string& arguments) { return Cli(folder_, data_, arguments); }
  int Cli(const std::string& programs, const std::string& data, const std::string& arguments) {
    const std::string command = programs + "/bitfoundry --data \"" + data + "\" " + arguments;
    return WEXITSTATUS(std::system((command + " > " + folder_ + "/said 2>&1").c_str()));
  }
  std::string Said() {
    std::ostringstream text;
    text << std::ifstream(folder_ + "/said").rdbuf();
    return text.str();
  }
  RunFile Run() { return *ReadRunFile(data_); }
  RunEntry Entry(const std::string& name) { return *Run().Find(name); }

  // A folder with a real service, that needs a real database, beside the command line.
  std::string WithLabelQueue() {
    const std::string programs = folder_ + "/programs";
    fs::create_directory(programs);
    for (const char* name : {"/bitfoundry", "/bf-labelqueue"}) {
      fs::copy_file(std::string(BF_BINARY_DIR "/bin") + name, programs + name);
    }
    return programs;
  }

  std::string folder_ = "/tmp/bf_up_XXXXXX";
  std::string data_;
};

TEST_F(SupervisorTest, ARestartLosesNothing) {
  ASSERT_EQ(Cli("up --detach"), 0) << Said();
  db::Database database(Run().pg_dsn, 1);
  ASSERT_THAT(database.Transact([](db::Tx& tx) {
    tx.work.exec0("CREATE TABLE kept AS SELECT 42 AS answer");
    return Status();
  }),
              IsOk());
  ASSERT_EQ(Cli("down"), 0) << Said();
  EXPECT_EQ(Run().state, "down");
  ASSERT_EQ(Cli("up --detach"), 0) << Said();
  db::Database again(Run().pg_dsn, 1);
  const Result<int> answer = again.Transact([](db::Tx& tx) -> Result<int> {
    return tx.work.exec1("SELECT answer FROM kept")[0].as<int>();
  });
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(*answer, 42);
}

TEST_F(SupervisorTest, ASecondUpSaysThatTheFirstRuns) {
  ASSERT_EQ(Cli("up --detach"), 0) << Said();
  const ProcessId first = Run().supervisor;
  EXPECT_EQ(Cli("up"), 1);
  EXPECT_NE(Said().find("ALREADY_RUNNING"), std::string::npos) << Said();
  EXPECT_EQ(Cli("up --detach"), 0) << Said();
  EXPECT_EQ(Run().supervisor, first);
}

TEST_F(SupervisorTest, WhatDiesIsStartedAgain) {
  Worker("exec sleep 600");
  ASSERT_EQ(Cli("up --detach"), 0) << Said();
  for (const std::string name : {"bf-train-worker", "redis", "postgres"}) {
    const ProcessId before = Entry(name).id;
    kill(before.pid, SIGKILL);
    while (Entry(name).state != "ready" || Entry(name).id == before) usleep(10'000);
    EXPECT_EQ(Entry(name).restarts, 1) << name;
  }
}

TEST_F(SupervisorTest, WhatCannotStartSaysWhyAndLeavesTheOthersRunning) {
  Worker("echo the oven is cold; exit 1");
  EXPECT_EQ(Cli("up --detach"), 1);
  EXPECT_NE(Said().find("bf-train-worker cannot start: exit 1: the oven is cold"),
            std::string::npos)
      << Said();
  EXPECT_EQ(Entry("bf-train-worker").state, "failing");
  EXPECT_TRUE(IsAlive(Entry("postgres").id));
}

TEST_F(SupervisorTest, WhatDiesInAnOutageOfPostgresIsTriedUntilItIsOver) {
  ASSERT_EQ(Cli("up --detach"), 0) << Said();
  setenv("BF_PG_DSN", Run().pg_dsn.c_str(), 1);
  const std::string programs = WithLabelQueue(), data = folder_ + "/other";
  const auto queue = [&] { return *ReadRunFile(data)->Find("bf-labelqueue"); };
  ASSERT_EQ(Cli(programs, data, "up --detach"), 0) << Said();
  EXPECT_EQ(Cli(programs, data, "status"), 0) << Said();
  EXPECT_LT(std::stoi(queue().listen.substr(queue().listen.rfind(':') + 1)), 32768)
      << "a port that somebody's connection may have while it is down";

  ASSERT_EQ(Cli("down"), 0) << Said();
  kill(queue().id.pid, SIGKILL);
  while (queue().restarts < 6) usleep(10'000);
  EXPECT_EQ(Cli(programs, data, "status"), 1);
  EXPECT_EQ(Said().find("degraded"), 0U) << Said();
  EXPECT_NE(Said().find("\nbf-labelqueue failing: exit 1: Postgres: "), std::string::npos)
      << Said();
  EXPECT_NE(Said().find(", next try in "), std::string::npos) << Said();

  unsetenv("BF_PG_DSN");
  ASSERT_EQ(Cli("up --detach"), 0) << Said();
  while (queue().state != "ready") usleep(10'000);
  EXPECT_EQ(Cli(programs, data, "down"), 0) << Said();
}

TEST_F(SupervisorTest, WhatDiesTogetherComesBackTogether) {
  const std::string programs = WithLabelQueue();
  ASSERT_EQ(Cli(programs, data_, "up --detach"), 0) << Said();
  const RunFile before = Run();
  for (const RunEntry& entry : before.processes) kill(entry.id.pid, SIGKILL);
  for (const RunEntry& entry : before.processes) {
    while (Entry(entry.name).state != "ready" || Entry(entry.name).id == entry.id) usleep(10'000);
  }
}

TEST_F(SupervisorTest, ADatabaseThatCannotBeUsedIsExplainedInOneLine) {
  ASSERT_EQ(Cli("up --detach"), 0) << Said();
  const std::string good = Run().pg_dsn;
  const std::pair<std::string, std::string> cases[] = {
      {"host=127.0.0.1 port=1", "could not connect|Connection refused"},
      {"host=127.0.0.1 port", "missing \"=\""},
      {good + " user=nobody", "role \"nobody\" does not exist"},
      {good + " dbname=nowhere", "database \"nowhere\" does not exist"}};
  for (const auto& [dsn, why] : cases) {
    setenv("BF_PG_DSN", dsn.c_str(), 1);
    EXPECT_EQ(Cli(folder_, folder_ + "/other", "up --detach --json"), 1) << dsn;
    const auto error = nlohmann::json::parse(Said())["error"];
    EXPECT_EQ(error["reason"], "CANNOT_START");
    const auto message = error["message"].get<std::string>();
    EXPECT_TRUE(std::regex_search(message, std::regex(why))) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
  unsetenv("BF_PG_DSN");
}

TEST_F(SupervisorTest, MakesItsOwnKeyOnceAndRefusesABadOneBeforeAnythingRuns) {
  ASSERT_EQ(Cli("up --detach"), 0) << Said();
  const auto key = attest::PrivateKey::Read(data_ + "/keys/key.pem");
  ASSERT_THAT(key, IsOk());  // which includes that nobody else may read it
  EXPECT_EQ(attest::PublicKey::Read(data_ + "/keys/public.pem")->id(), key->Public().id());
  ASSERT_EQ(Cli("down"), 0);
  ASSERT_EQ(Cli("up --detach"), 0) << Said();
  EXPECT_EQ(attest::PrivateKey::Read(data_ + "/keys/key.pem")->Public().id(), key->Public().id());

  const std::string other = folder_ + "/other";
  EXPECT_EQ(Cli(folder_, other, "up --detach --signing-key " + folder_ + "/gone.pem"), 1);
  EXPECT_NE(Said().find("gone.pem"), std::string::npos) << Said();
  EXPECT_NE(Said().find("KEY_UNREADABLE"), std::string::npos) << Said();
  EXPECT_FALSE(fs::exists(other + "/postgres"));
}

TEST_F(SupervisorTest, ItsFolderMayHaveAnyNameWithoutAComma) {
  EXPECT_EQ(Cli(folder_, folder_ + "/1,2", "up"), 1);
  EXPECT_NE(Said().find("COMMA_IN_PATH"), std::string::npos) << Said();
  data_ = folder_ + "/o'neill \\\\ 1";  // a backslash, for the shell
  ASSERT_EQ(Cli("up --detach"), 0) << Said();
  EXPECT_EQ(Cli("status"), 0) << Said();
}

TEST_F(SupervisorTest, AKilledSupervisorLeavesNothingThatTheNextOneDoesNotEnd) {
  Worker("trap '' TERM; while :; do sleep 0.1; done");  // does not even end when asked
  ASSERT_EQ(Cli("up --detach"), 0) << Said();
  const RunFile before = Run();
  kill(before.supervisor.pid, SIGKILL);
  while (IsAlive(before.supervisor)) usleep(10'000);
  EXPECT_EQ(Cli("status"), 1);
  EXPECT_NE(Said().find("supervisor killed"), std::string::npos) << Said();
  EXPECT_TRUE(IsAlive(before.Find("bf-train-worker")->id));
  Worker("exec sleep 600");
  ASSERT_EQ(Cli("up --detach"), 0) << Said();
  for (const RunEntry& entry : before.processes) EXPECT_FALSE(IsAlive(entry.id)) << entry.name;
  for (const RunEntry& entry : Run().processes) EXPECT_TRUE(IsAlive(entry.id)) << entry.name;
}

}  // namespace
}  // namespace bitfoundry::cli
