// kill -9 of every service and of the training worker, each in the middle of its work; and a drain
// of all of them.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <optional>
#include <thread>

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

// Killed while it owes an answer. Blind, it is sure that nobody is there.
TEST(Kill, ATeacherThatIsKilledIsAskedAgain) {
  Factory factory;
  const Pictures pictures(factory.folder());
  factory.UpWithABlindTeacher();
  factory.Must("project create bars --classes no_person,person --input 64x64x1");
  factory.Signal("bf-teacher", SIGSTOP);
  factory.Must("ingest bars " + pictures.train);
  const std::string calls = "SELECT sum(calls) FROM teacher_spend";
  factory.AwaitSql("SELECT count(*) > 0 FROM teacher_spend WHERE NOT settled");
  factory.Kill("bf-teacher");
  const nlohmann::json labelled = factory.Must("autolabel bars --watch");
  const std::string all = std::to_string(Pictures::kTrain);
  EXPECT_EQ(labelled["judged_images"], all);
  EXPECT_EQ(labelled["answers"]["no_person"], all);
  EXPECT_EQ(labelled["dead_jobs"], "0");
  EXPECT_GT(std::stoi(factory.One(calls)), Pictures::kTrain) << "no call was cut";
  EXPECT_EQ(factory.One("SELECT count(*) FROM labels"), all);
}

TEST(Drain, EndsEverythingInTheMiddleOfItsWorkAndLosesNoneOfIt) {
  SmallStory story;
  const Factory& factory = story.factory;
  const std::string processes[] = {"bf-ingestion", "bf-autolabel", "bf-labelqueue",
                                   "bf-trainer",   "bf-evaluator", "bf-train-worker"};
  const auto again = [&] {
    for (const std::string& process : processes) {  // a worker loads LibTorch before it listens
      Await(process + " to have begun", [&] {
        return Says(factory.folder() / "data/log" / (process + ".log"),
                    "\"pid\":\"" + std::to_string(factory.Pid(process)) + "\"");
      });
    }
    story.factory.Down();
    for (const std::string& process : processes) {
      EXPECT_TRUE(EndsWith(factory.folder() / "data/log" / (process + ".log"), "\"stopped\""))
          << process << " did not end by itself";
    }
    story.factory.Up();
  };
  {
    std::optional<Hold> answers(std::in_place, factory, "answers");
    factory.Must(story.ingest_train);
    answers->AwaitSomebody();
    const std::jthread lets_go([&] {
      std::this_thread::sleep_for(std::chrono::seconds(1));  // into the drain
      answers.reset();
    });
    again();
  }
  factory.Must(story.ingest_test);
  for (const auto& step : {story.autolabel, story.label, story.snapshot}) factory.Must(step);
  const Said trained = story.During(story.train, [&] {
    factory.AwaitSql("SELECT count(*) >= 2 FROM checkpoints");
    again();
  });
  EXPECT_EQ(trained.code, 0) << trained.text;
  EXPECT_EQ(trained.json()["attempts"], 1) << "a drained attempt counts as a failed one";
  EXPECT_EQ(story.End(), Undisturbed());
}

}  // namespace
}  // namespace bitfoundry::testing
