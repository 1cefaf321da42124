// A checkpoint that the next worker cannot use.
#include <gtest/gtest.h>

#include <csignal>
#include <pqxx/pqxx>

#include "blobs/store.h"
#include "tests/fault/small_story.h"

namespace bitfoundry::testing {
namespace {

TEST(Checkpoint, ThatIsUnfitCostsWhatWasTrainedAndNotTheRun) {
  SmallStory story;
  const Factory& factory = story.factory;
  story.UntilSnapshot();
  const Said trained = story.During(story.train, [&] {
    factory.AwaitSql("SELECT count(*) >= 2 FROM checkpoints");
    factory.Signal("bf-train-worker", SIGSTOP);
    factory.AwaitSql("SELECT lease_until < now() FROM jobs WHERE kind = 'train'");
    const auto store = blobs::Store::Open(factory.folder() / "data/blobs");
    pqxx::connection connection(factory.Dsn());
    pqxx::work work(connection);
    work.exec_params("UPDATE checkpoints SET blob = $1", *store->Put("no checkpoint at all"));
    work.commit();
    factory.Kill("bf-train-worker");
  });
  EXPECT_EQ(trained.code, 0) << trained.text;
  EXPECT_EQ(trained.json()["attempts"], 2);
  EXPECT_TRUE(Says(factory.folder() / "data/log/bf-train-worker.log", "training starts anew"));
  EXPECT_EQ(factory.One("SELECT min(step) FROM checkpoints WHERE lease_epoch = 2"),
            std::to_string(kSteps));
  EXPECT_EQ(story.End(), Undisturbed());
}

}  // namespace
}  // namespace bitfoundry::testing
