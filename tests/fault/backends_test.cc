// Redis and Postgres broken in the middle of the story.
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <map>
#include <thread>

#include "tests/fault/small_story.h"

namespace bitfoundry::testing {
namespace {

using namespace std::chrono_literals;

TEST(Redis, MayBeAbsent) {
  SmallStory story(Factory::Environment{{"BF_REDIS_URL", "/tmp/bf_factory_without_redis.sock"}});
  story.UntilSnapshot();
  story.factory.Must(story.train);
  EXPECT_EQ(story.End(), Undisturbed());
}

TEST(Redis, MayBeFlushedAllTheTimeAndThenHang) {
  SmallStory story;
  {
    const std::string flush = "redis-cli -s " + story.factory.Listens("redis") + " flushall";
    const std::jthread flushing([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        EXPECT_EQ(std::system((flush + " > /dev/null").c_str()), 0);
        std::this_thread::sleep_for(10ms);
      }
    });
    story.UntilSnapshot();
  }
  story.factory.Signal("redis", SIGSTOP);
  story.factory.Must(story.train);
  const std::string end = story.End();
  story.factory.Signal("redis", SIGCONT);
  EXPECT_EQ(end, Undisturbed());
}

// A restart by `signal`: SIGINT ends sessions and shuts down ("fast"), SIGQUIT and SIGKILL leave
// a crash to recover from ("immediate").
void RestartPostgres(const Factory& factory, int signal) {
  const pid_t before = factory.Pid("postgres");
  factory.Signal("postgres", signal);
  Await("Postgres to be there again", [&] { return factory.Pid("postgres") != before; });
  factory.AwaitSql("SELECT true");
}

TEST(Postgres, MayBeRestartedAndEveryProcessLives) {
  SmallStory story;
  const Factory& factory = story.factory;
  std::map<std::string, pid_t> pids;
  for (const char* name : {"bf-ingestion", "bf-autolabel", "bf-labelqueue", "bf-trainer",
                           "bf-evaluator", "bf-train-worker"}) {
    pids[name] = factory.Pid(name);
  }

  factory.Must(story.ingest_train);
  {
    Hold answers(factory, "answers");
    factory.Must(story.ingest_test);
    answers.AwaitSomebody();
    RestartPostgres(factory, SIGINT);
  }
  factory.Must(story.autolabel);
  const Said labelled = story.During(story.label, [&] {
    Hold answers(factory, "answers");
    answers.AwaitSomebody();
    RestartPostgres(factory, SIGQUIT);
  });
  EXPECT_EQ(labelled.code, 0) << labelled.text;
  factory.Must(story.snapshot);
  const Said trained = story.During(story.train, [&] {
    factory.AwaitSql("SELECT count(*) >= 2 FROM checkpoints");
    RestartPostgres(factory, SIGQUIT);
    Hold artefacts(factory, "artefacts");
    artefacts.AwaitSomebody();
    RestartPostgres(factory, SIGINT);
    Hold verdicts(factory, "verdicts");
    verdicts.AwaitSomebody();
    RestartPostgres(factory, SIGKILL);
  });
  EXPECT_EQ(trained.code, 0) << trained.text;
  EXPECT_EQ(story.End(), Undisturbed());
  for (const auto& [name, pid] : pids) EXPECT_EQ(factory.Pid(name), pid) << name;
}

// Frozen, it neither answers nor breaks a connection.
TEST(Postgres, ThatHangsIsNoticedAndKeepsNobodyFromEnding) {
  SmallStory story;
  const Factory& factory = story.factory;
  story.UntilSnapshot();
  const std::string postgres = std::to_string(factory.Pid("postgres"));
  const auto signal = [&](const std::string& name) {
    const std::string kill = "kill -" + name + " " + postgres + " $(pgrep -P " + postgres + ")";
    EXPECT_EQ(std::system(kill.c_str()), 0);
  };
  const auto state = [&] { return factory.Cli("status --json").json()["state"]; };
  signal("STOP");
  Await("the status to be degraded", [&] { return state() == "degraded"; });
  const pid_t trainer = factory.Pid("bf-trainer");
  factory.Signal("bf-trainer", SIGTERM);
  Await("bf-trainer to end", [&] { return factory.Pid("bf-trainer") != trainer; });
  signal("CONT");
  Await("the status to be up again", [&] { return state() == "up"; });
  factory.Must(story.train);
  EXPECT_EQ(story.End(), Undisturbed());
}

}  // namespace
}  // namespace bitfoundry::testing
