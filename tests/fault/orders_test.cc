// What bf-trainer orders, and the real worker obeys: drop a cancelled run, make room for an urgent
// one and go on afterwards.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/fault/small_story.h"

namespace bitfoundry::testing {
namespace {

// An epoch of half a minute, so that only a heartbeat can stop it in time.
constexpr char kSlow[] = R"json({
  "name": "slow", "epochs": 2, "batch": 4, "threads": 1,
  "stem": {"channels": 128, "kernel": 3, "stride": 1},
  "blocks": [{"channels": 128, "pool": true}]
})json";

TEST(Orders, ACancelledRunIsDroppedAndOneThatYieldedEndsAsIfUndisturbed) {
  SmallStory story;
  const Factory& factory = story.factory;
  story.UntilSnapshot();

  const std::string slow = WriteText(factory.folder(), "slow.json", kSlow);
  const Said cancelled = story.During("train bars --watch --recipe " + slow, [&] {
    factory.AwaitSql("SELECT count(*) >= 1 FROM run_progress");
    EXPECT_EQ(factory.Must("cancel 1")["state"], "CANCELLED");
    EXPECT_EQ(factory.Must("cancel 1")["state"], "CANCELLED");
  });
  EXPECT_EQ(cancelled.code, 1);
  EXPECT_EQ(cancelled.json()["error"]["reason"], "RUN_CANCELLED");
  Await("the worker to obey", [&] {
    return Says(factory.folder() / "data/log/bf-train-worker.log",
                "says that the run was cancelled");
  });
  EXPECT_EQ(factory.Must("status")["runs"][0]["state"], "CANCELLED");

  const Said trained = story.During(story.train, [&] {
    factory.AwaitSql("SELECT count(*) >= 1 FROM checkpoints WHERE run_id = 2");
    factory.Signal("bf-train-worker", SIGSTOP);  // or it might be done before
    std::string urgent = kRecipe;
    urgent.replace(urgent.find("60"), 2, "2");
    factory.Must("train bars --priority 1 --recipe " +
                 WriteText(factory.folder(), "urgent.json", urgent));
    factory.AwaitSql("SELECT run_at < now() - interval '1 second' FROM jobs WHERE priority = 1");
    factory.Signal("bf-train-worker", SIGCONT);
    factory.AwaitSql("SELECT count(*) = 1 FROM artefacts WHERE run_id = 3");
    EXPECT_EQ(factory.One("SELECT count(*) FROM artefacts WHERE run_id = 2"), "0");
  });
  EXPECT_EQ(trained.code, 0) << trained.text;
  EXPECT_EQ(trained.json()["attempts"], 1);
  EXPECT_EQ(factory.One("SELECT lease_epoch FROM artefacts WHERE run_id = 2"), "2");
  EXPECT_EQ(factory.One("SELECT count(*) FROM artefacts WHERE run_id = 1"), "0");
  const std::string model =
      factory.One("SELECT files->'model.bnn'->>'digest' FROM artefacts WHERE run_id = 2");
  EXPECT_NE(Undisturbed().find(model), std::string::npos);
}

}  // namespace
}  // namespace bitfoundry::testing
