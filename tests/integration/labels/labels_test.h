// A project with samples, for tests about answers, labels and tasks.
#pragma once

#include <string>

#include "base/digest.h"
#include "catalog/answers.h"
#include "catalog/projects.h"
#include "catalog/samples.h"
#include "catalog/tasks.h"
#include "labels/settle.h"
#include "tests/support/postgres.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::testing {

class LabelsTest : public PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (HasFatalFailure()) return;
    const auto made = database().Transact([](db::Tx& tx) {
      return catalog::Projects(tx).Create({.name = "gate",
                                           .classes = {"no_person", "person"},
                                           .height = 64,
                                           .width = 64,
                                           .channels = 1});
    });
    ASSERT_THAT(made, IsOk());
    project_ = *made;
  }

  const catalog::Project& project() const { return project_; }

  // A new sample of the project: 32x32 pixels of the image `digest`.
  int64_t AddSample(catalog::Part part = catalog::Part::kTrain,
                    const std::string& digest = Sha256("an image")) {
    const auto added = database().Transact([&](db::Tx& tx) -> Result<catalog::Samples::Added> {
      catalog::Samples samples(tx);
      BF_TRY(samples.AddImage(
          {.digest = digest, .format = "png", .width = 640, .height = 480, .bytes = 1}));
      const int n = samples_++;
      return samples.Add({.project_id = project_.id,
                          .image_digest = digest,
                          .window = catalog::Window{.x = n, .y = 8, .width = 32, .height = 32},
                          .part = part,
                          .camera = "north",
                          .session = "monday"});
    });
    EXPECT_THAT(added, IsOk());
    return added->id;
  }

  // Asks people about a sample.
  void Request(int64_t sample_id, int slots = 1, int priority = 0) {
    const auto asked = database().Transact([&](db::Tx& tx) {
      return labels::RequestOpinions(tx, project_, sample_id, slots, priority);
    });
    ASSERT_THAT(asked, IsOk());
    ASSERT_TRUE(*asked);
  }

  // Adds an answer and settles.
  std::optional<labels::Belief> Hear(const catalog::Answer& answer) {
    using Label = std::optional<labels::Belief>;
    const auto label = database().Transact([&](db::Tx& tx) -> Result<Label> {
      EXPECT_TRUE(BF_TRY(catalog::Answers(tx).Add(answer)));
      return labels::Settle(tx, project_, answer.sample_id);
    });
    EXPECT_THAT(label, IsOk());
    return label.ok() ? *label : Label();
  }
  std::optional<labels::Belief> HearPerson(int64_t sample_id, const std::string& who, int index) {
    return Hear({.sample_id = sample_id, .annotator = who, .class_index = index});
  }
  std::optional<labels::Belief> HearTeacher(int64_t sample_id, int index, double confidence) {
    return Hear({.sample_id = sample_id,
                 .annotator = "teacher:centernet",
                 .kind = catalog::AnnotatorKind::kTeacher,
                 .class_index = index,
                 .confidence = confidence});
  }

  catalog::Task TaskOf(int64_t sample_id) {
    const auto task =
        database().Transact([&](db::Tx& tx) { return catalog::Tasks(tx).OfSample(sample_id); });
    EXPECT_TRUE(task.ok() && task->has_value());
    return task->value_or(catalog::Task());
  }

 private:
  catalog::Project project_;
  int samples_ = 0;
};

}  // namespace bitfoundry::testing
