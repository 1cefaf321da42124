// The story in small, step by step, so that a test can break something in the middle of a step; and
// what has to be true at its end, whatever broke.
#pragma once

#include <gtest/gtest.h>

#include <fstream>
#include <future>
#include <string>

#include "tests/support/factory.h"

namespace bitfoundry::testing {

// 60 epochs of 10 steps, 5 s on an idle core, with a checkpoint each.
inline constexpr char kRecipe[] = R"json({
  "name": "bars", "epochs": 60, "batch": 12, "threads": 1,
  "stem": {"channels": 32, "kernel": 5, "stride": 4},
  "blocks": [{"channels": 32}, {"channels": 32, "pool": true}]
})json";
inline constexpr int kSteps = Pictures::kTrain / 12;

inline constexpr char kSuite[] =
    "suite: bars\nversion: 1\ndefaults: { positive: person }\n"
    "slices:\n  tall: label == \"person\" && attr.box_height_px >= 24\n"
    "tests:\n  - { id: everything, slice: all, metric: accuracy, at_least: 0.6 }\n"
    "  - { id: tall_found, slice: tall, metric: recall, at_least: 0.5 }\n";

// Whether a line of that log holds those words.
inline bool Says(const std::filesystem::path& log, const std::string& words) {
  std::ifstream file(log);
  for (std::string line; std::getline(file, line);) {
    if (line.find(words) != std::string::npos) return true;
  }
  return false;
}

// Whether its last line holds those words.
inline bool EndsWith(const std::filesystem::path& log, const std::string& words) {
  std::ifstream file(log);
  std::string last;
  for (std::string line; std::getline(file, line);) last = line;
  return last.find(words) != std::string::npos;
}

class SmallStory {
 public:
  // A worker that is silent for 3 s loses its run.
  explicit SmallStory(Factory::Environment environment = {})
      : factory(WithShortLease(std::move(environment))) {
    factory.Up();
    factory.Must("project create bars --classes no_person,person --input 64x64x1");
  }

  Factory factory;
  const Pictures pictures{factory.folder()};

  // The steps, in order: arguments of the command line.
  const std::string ingest_train = "ingest bars " + pictures.train + " --session morning";
  const std::string ingest_test = "ingest bars " + pictures.test + " --session evening --part test";
  const std::string autolabel = "autolabel bars --watch";
  const std::string label = "label bars --annotator maria --answers " + pictures.answers;
  const std::string snapshot = "snapshot bars";
  const std::string train = "train bars --watch --recipe " +
                            WriteText(factory.folder(), "recipe.json", kRecipe) + " --suite " +
                            WriteText(factory.folder(), "suite.yaml", kSuite);

  void UntilSnapshot() {
    for (const auto& step : {ingest_train, ingest_test, autolabel, label, snapshot}) {
      factory.Must(step);
    }
  }

  // Runs the step, and beside it `fault`.
  template <typename Fault>
  Said During(const std::string& step, Fault fault) {
    auto said =
        std::async(std::launch::async, [this, step] { return factory.Cli(step + " --json"); });
    fault();
    return said.get();
  }

  // Waits for the verdict; then expects that everything was done, and done once. Returns what the
  // story came to: digests and counts that no fault may change.
  std::string End() {
    factory.Must("verdict " + factory.One("SELECT digest FROM artefacts"));
    const auto count = [this](const std::string& what) {
      return std::stoi(factory.One("SELECT count(*) FROM " + what));
    };
    constexpr int kAll = Pictures::kTrain + Pictures::kTest;
    constexpr int kAsked = Pictures::kPale + Pictures::kTest;
    EXPECT_EQ(count("samples"), kAll);
    EXPECT_EQ(count("answers WHERE kind = 'teacher'"), kAll);  // one a sample: a key says so
    EXPECT_EQ(count("answers WHERE kind = 'person' AND NOT surplus"), kAsked);
    EXPECT_EQ(count("answers"), kAll + kAsked);
    EXPECT_EQ(count("tasks WHERE closed_as = 'answered'"), kAsked);
    EXPECT_EQ(count("tasks"), kAsked);
    EXPECT_EQ(count("jobs"), 0);
    EXPECT_EQ(count("finished_jobs WHERE state = 'dead'"), 0);
    EXPECT_EQ(count("finished_jobs WHERE kind = 'label'"), kAll);
    EXPECT_EQ(count("finished_jobs WHERE kind = 'train'"), 1);
    EXPECT_EQ(count("finished_jobs WHERE kind = 'evaluate'"), 1);
    EXPECT_EQ(count("artefacts"), 1);
    EXPECT_EQ(count("verdicts"), 1);
    factory.Must("artefact pull " + factory.One("SELECT digest FROM artefacts") + " -o " +
                 (factory.folder() / "model").string());  // checks every digest
    return factory.One(
        "SELECT string_agg(concat_ws(' ', a.snapshot, a.files->'model.bnn'->>'digest', v.outcome, "
        "                            t.test_id, t.successes, t.n), '; ' ORDER BY t.position) "
        "  FROM artefacts a JOIN verdicts v ON v.artefact = a.digest "
        "  JOIN verdict_tests t ON t.verdict_id = v.id");
  }

 private:
  static Factory::Environment WithShortLease(Factory::Environment environment) {
    environment["BF_RUN_LEASE_SECONDS"] = "3";
    return environment;
  }
};

// What the story comes to when nothing is broken; told once.
inline const std::string& Undisturbed() {
  static const std::string end = [] {
    SmallStory story;
    story.UntilSnapshot();
    story.factory.Must(story.train);
    return story.End();
  }();
  return end;
}

}  // namespace bitfoundry::testing
