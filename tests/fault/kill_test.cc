// kill -9 of every service and of the training worker, each in the middle of its work.
#include <gtest/gtest.h>

#include <optional>

#include "tests/fault/small_story.h"

namespace bitfoundry::testing {
namespace {

TEST(Kill, LosesNothingAndDoublesNothing) {
  SmallStory story;
  const Factory& factory = story.factory;

  // Nobody knows how much of a broken upload was taken, so it is sent again.
  const Said broken = story.During(story.ingest_train, [&] {
    Hold samples(factory, "samples");
    samples.AwaitSomebody();
    factory.Kill("bf-ingestion");
  });
  EXPECT_EQ(broken.code, 1);
  factory.Must(story.ingest_train);
  {
    Hold answers(factory, "answers");
    factory.Must(story.ingest_test);
    answers.AwaitSomebody();
    factory.Kill("bf-autolabel");
  }
  factory.Must(story.autolabel);

  const Said labelled = story.During(story.label, [&] {
    Hold answers(factory, "answers");
    answers.AwaitSomebody();
    factory.Kill("bf-labelqueue");
  });
  EXPECT_EQ(labelled.code, 0) << labelled.text;
  factory.Must(story.snapshot);

  const Said trained = story.During(story.train, [&] {
    factory.AwaitSql("SELECT count(*) >= 2 FROM checkpoints");
    factory.Kill("bf-train-worker");
    factory.AwaitSql("SELECT max(lease_epoch) >= 2 FROM checkpoints");
    factory.Kill("bf-trainer");
    std::optional<Hold> verdicts;
    {
      Hold artefacts(factory, "artefacts");
      artefacts.AwaitSomebody();
      factory.Kill("bf-trainer");
      verdicts.emplace(factory, "verdicts");
    }
    verdicts->AwaitSomebody();
    factory.Kill("bf-evaluator");
  });
  EXPECT_EQ(trained.code, 0) << trained.text;
  EXPECT_EQ(trained.json()["attempts"], 2);
  EXPECT_EQ(factory.One("SELECT min(step) FILTER (WHERE lease_epoch = 2) - "
                        "max(step) FILTER (WHERE lease_epoch = 1) FROM checkpoints"),
            std::to_string(kSteps))
      << "the second worker did not go on where the first had saved";
  EXPECT_EQ(story.End(), Undisturbed());
}

}  // namespace
}  // namespace bitfoundry::testing
