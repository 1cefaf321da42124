#include "labels/settle.h"

#include <thread>

#include "tests/integration/labels/labels_test.h"

namespace bitfoundry::labels {
namespace {

using catalog::Part;
using catalog::Refusal;
using testing::IsOk;
using testing::StatusIs;

class SettleTest : public testing::LabelsTest {
 protected:
  // What the rest of the factory sees: the sample's class, or nothing.
  std::optional<int> LabelOf(int64_t sample_id) {
    return database()
        .Transact([&](db::Tx& tx) { return catalog::Samples(tx).Get(sample_id); })
        ->class_index;
  }
  std::string Revisions() { return One("SELECT count(*) FROM labels"); }
};

TEST_F(SettleTest, ASureAnswerBecomesTheLabel) {
  const int64_t sample = AddSample();
  EXPECT_EQ(HearTeacher(sample, 1, 0.95)->class_index, 1);
  EXPECT_EQ(LabelOf(sample), 1);
  EXPECT_EQ(One("SELECT answers || ' by ' || rule FROM labels"), "1 by naive_bayes/1");
}

TEST_F(SettleTest, AnUnsureAnswerDoesNot) {
  const int64_t sample = AddSample();
  EXPECT_FALSE(HearTeacher(sample, 1, 0.85).has_value());
  EXPECT_EQ(LabelOf(sample), std::nullopt);
  EXPECT_EQ(Revisions(), "0");
}

TEST_F(SettleTest, ATeacherIsNotHeardOnTheTestPart) {
  const int64_t sample = AddSample(Part::kTest);
  EXPECT_FALSE(HearTeacher(sample, 1, 0.99).has_value());
  EXPECT_EQ(LabelOf(sample), std::nullopt);
  HearPerson(sample, "anna", 0);
  EXPECT_EQ(LabelOf(sample), 0);
  EXPECT_EQ(One("SELECT answers FROM labels"), "1");
}

TEST_F(SettleTest, ARefusalAndAnAnswerForAnotherClassListSayNothing) {
  const int64_t sample = AddSample();
  EXPECT_FALSE(Hear({.sample_id = sample, .annotator = "anna", .refusal = Refusal::kUnsure}));
  EXPECT_FALSE(
      Hear({.sample_id = sample, .annotator = "ben", .class_list_version = 2, .class_index = 1}));
  EXPECT_EQ(Revisions(), "0");
}

TEST_F(SettleTest, ALabelIsRevisedWhenTheEvidenceChangesAndOnlyThen) {
  const int64_t sample = AddSample();
  HearPerson(sample, "anna", 1);
  Hear({.sample_id = sample, .annotator = "ben", .refusal = Refusal::kUnsure});
  EXPECT_EQ(Revisions(), "1");
  HearPerson(sample, "carl", 1);
  EXPECT_EQ(Revisions(), "2");
}

TEST_F(SettleTest, ALabelThatIsPutInDoubtIsTakenBack) {
  const int64_t sample = AddSample();
  HearPerson(sample, "anna", 1);
  EXPECT_FALSE(HearPerson(sample, "ben", 0).has_value());
  EXPECT_EQ(LabelOf(sample), std::nullopt);
  HearPerson(sample, "carl", 0);
  EXPECT_EQ(LabelOf(sample), 0);
  EXPECT_EQ(Revisions(), "3");
}

TEST_F(SettleTest, ATaskClosesWhenItsSlotsAreAnsweredAndTheLabelIsSettled) {
  const int64_t sample = AddSample();
  Request(sample);
  HearTeacher(sample, 1, 0.99);
  EXPECT_TRUE(TaskOf(sample).open) << "somebody was to be asked, whatever the teacher says";
  Run("UPDATE task_slots SET state = 'answered', annotator = 'anna'");
  HearPerson(sample, "anna", 1);
  EXPECT_FALSE(TaskOf(sample).open);
  EXPECT_EQ(One("SELECT closed_as FROM tasks"), "answered");
}

TEST_F(SettleTest, ATaskClosesWhenPeopleHaveSaidElsewhereWhatItAsks) {
  const int64_t sample = AddSample();
  Request(sample, /*slots=*/2);
  Run("UPDATE task_slots SET state = 'leased', annotator = 'dora',"
      " lease_until = now() + interval '1 hour' WHERE slot = 1");
  HearPerson(sample, "anna", 1);
  EXPECT_TRUE(TaskOf(sample).open) << "two opinions are wanted";
  HearPerson(sample, "ben", 1);
  EXPECT_FALSE(TaskOf(sample).open);
  EXPECT_EQ(One("SELECT closed_as FROM tasks"), "answered");
}

TEST_F(SettleTest, DisagreementAddsASlotUntilThereAreThree) {
  const int64_t sample = AddSample();
  Request(sample, /*slots=*/2);
  HearPerson(sample, "anna", 0);
  Run("UPDATE task_slots SET state = 'answered', annotator = 'person ' || slot");
  HearPerson(sample, "ben", 1);
  EXPECT_EQ(TaskOf(sample).slots, 3);
  EXPECT_TRUE(TaskOf(sample).open);

  Run("UPDATE task_slots SET state = 'answered', annotator = 'person ' || slot");
  HearTeacher(sample, 1, 0.6);
  EXPECT_EQ(TaskOf(sample).slots, 3);
  EXPECT_EQ(One("SELECT closed_as FROM tasks"), "refused");
}

TEST_F(SettleTest, WhatHoldsForEverybodyClosesTheTask) {
  for (const Refusal why : {Refusal::kBadImage, Refusal::kClassMissing, Refusal::kPrivacy}) {
    const int64_t sample = AddSample();
    Request(sample, /*slots=*/2);
    Hear({.sample_id = sample, .annotator = "anna", .refusal = why});
    EXPECT_FALSE(TaskOf(sample).open);
    EXPECT_EQ(TaskOf(sample).slots, 0) << "withdrawn";
  }
  EXPECT_EQ(One("SELECT string_agg(DISTINCT closed_as, ' ') FROM tasks"), "refused");
}

TEST_F(SettleTest, ThreeRefusalsCloseTheTask) {
  const int64_t sample = AddSample();
  Request(sample);
  Hear({.sample_id = sample, .annotator = "anna", .refusal = Refusal::kUnsure});
  Hear({.sample_id = sample, .annotator = "ben", .refusal = Refusal::kTooHard});
  EXPECT_TRUE(TaskOf(sample).open);
  Hear({.sample_id = sample, .annotator = "carl", .refusal = Refusal::kUnsure});
  EXPECT_EQ(One("SELECT closed_as FROM tasks"), "refused");
}

TEST_F(SettleTest, PeopleAreAskedOnceAboutASample) {
  const int64_t sample = AddSample();
  Request(sample, /*slots=*/2);
  const auto again =
      database().Transact([&](db::Tx& tx) { return RequestOpinions(tx, project(), sample, 3, 0); });
  EXPECT_FALSE(*again);
  EXPECT_EQ(TaskOf(sample).slots, 2);
}

TEST_F(SettleTest, OfAnswersAtTheSameTimeNoneIsOverlooked) {
  const int64_t sample = AddSample();
  std::vector<std::thread> people;
  for (int i = 0; i < 6; ++i) {
    people.emplace_back([&, i] { HearPerson(sample, "person " + std::to_string(i), 1); });
  }
  for (std::thread& person : people) person.join();
  EXPECT_EQ(One("SELECT answers FROM labels ORDER BY revision DESC LIMIT 1"), "6");
  EXPECT_EQ(Revisions(), "6");
}

TEST_F(SettleTest, ASampleOfAnotherProjectIsNotFound) {
  catalog::Project other = project();
  other.id += 1;
  const int64_t sample = AddSample();
  EXPECT_THAT(database().Transact([&](db::Tx& tx) { return Settle(tx, other, sample); }),
              StatusIs(Code::kNotFound));
}

}  // namespace
}  // namespace bitfoundry::labels
