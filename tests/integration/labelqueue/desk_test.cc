#include "services/labelqueue/desk.h"

#include <map>
#include <mutex>
#include <thread>

#include "tests/integration/labelqueue/label_desk.h"

namespace bitfoundry::labelqueue {
namespace {

using catalog::Refusal;
using catalog::TaskLease;
using testing::IsOk;
using testing::StatusIs;

// --- Who gets what

TEST_F(DeskTest, ATaskIsHeldByOneAtATime) {
  AddTask();
  const TaskLease lease = Lease("anna");
  EXPECT_EQ(lease.epoch, 1);
  EXPECT_TRUE(NothingFor("ben"));
}

TEST_F(DeskTest, HeldTasksComeFirstWithANewLease) {
  AddTask();
  AddTask();
  const TaskLease held = Lease("anna");
  AddTask(1, /*priority=*/9);
  ExpireAll();
  EXPECT_EQ(Lease("anna"), held) << "though it ran out and something more urgent waits";
  EXPECT_EQ(One("SELECT lease_until > now() + interval '590 s' FROM task_slots "
                "WHERE state = 'leased'"),
            "t");
  EXPECT_EQ(LeaseUpTo(2, "anna").size(), 2U);
  EXPECT_EQ(LeaseUpTo(2, "anna").size(), 2U) << "holds no more than asked for";
  EXPECT_EQ(One("SELECT count(*) FROM task_slots WHERE state = 'leased'"), "2");
}

TEST_F(DeskTest, TheUrgentComeBeforeTheOldAndTheOldBeforeTheNew) {
  AddTask();
  AddTask();
  AddTask(1, /*priority=*/5);
  EXPECT_EQ(Lease("anna").task_id, 3);
  EXPECT_EQ(Lease("ben").task_id, 1);
  EXPECT_EQ(Lease("carl").task_id, 2);
}

TEST_F(DeskTest, SeveralOpinionsComeFromAsManyPeople) {
  AddTask(/*slots=*/2);
  EXPECT_EQ(LeaseUpTo(10, "anna").size(), 1U);
  EXPECT_EQ(LeaseUpTo(10, "anna").size(), 1U) << "the second slot is not for her either";
  EXPECT_THAT(Submit(Lease("anna"), "anna"), IsOk());
  EXPECT_TRUE(NothingFor("anna"));
  EXPECT_EQ(Lease("ben").slot, 2);
}

TEST_F(DeskTest, WhoeverAnsweredASampleElsewhereIsNotAskedAboutIt) {
  HearPerson(AddTask(/*slots=*/2), "anna", 1);
  EXPECT_TRUE(NothingFor("anna"));
  Lease("ben");
}

// Six people answer thirty tasks of two slots each, three at a time, until none is open.
TEST_F(DeskTest, EverySampleWithoutALabelOrATaskCanBeAskedAboutAtOnce) {
  AddTask();
  AddTask();
  ASSERT_THAT(Submit(Lease("anna"), "anna"), IsOk());  // one has a label now, one a task
  AddSample(catalog::Part::kTrain, digest());
  AddSample(catalog::Part::kTest, digest());
  EXPECT_EQ(*desk().OpenAll("gate"), 2);
  EXPECT_EQ(*desk().OpenAll("gate"), 0);
  EXPECT_EQ(LeaseUpTo(100, "berta").size(), 3U);
  EXPECT_EQ(desk().OpenAll("none").status().reason(), "PROJECT_NOT_FOUND");
}

TEST_F(DeskTest, TasksCanBeLeasedByTheirSamplesNames) {
  for (int i = 0; i < 3; ++i) AddTask();
  const std::string last = LeaseUpTo(3, "anna")[2].sample;
  const auto handout = desk().Lease("gate", "anna", 3, {last, "no such sample"});
  ASSERT_THAT(handout, IsOk());
  ASSERT_EQ(handout->tasks.size(), 1U);
  EXPECT_EQ(handout->tasks[0].sample, last);
  EXPECT_TRUE(desk().Lease("gate", "berta", 3, {last})->tasks.empty());
  ExpireAll();
  EXPECT_EQ(desk().Lease("gate", "berta", 3, {last})->tasks.size(), 1U);
}

class CrowdTest : public DeskTest {
 protected:
  static constexpr int kTasks = 30, kSlots = 2, kPeople = 6;

  void WorkThroughAll() {
    for (int i = 0; i < kTasks; ++i) AddTask(kSlots);
    std::vector<std::thread> people;
    for (int i = 0; i < kPeople; ++i) {
      people.emplace_back([this, who = "person " + std::to_string(i)] {
        for (int tries = 0; tries < 5000 && OpenTasks() > 0; ++tries) AnswerThree(who);
      });
    }
    for (std::thread& person : people) person.join();
    EXPECT_EQ(OpenTasks(), 0);
    EXPECT_EQ(One("SELECT count(*) FROM task_slots WHERE state = 'answered'"), "60");
    EXPECT_EQ(errors_, 0);
  }
  int64_t OpenTasks() { return desk().List("gate", true, 0, 1)->open_tasks; }

  std::map<std::pair<int64_t, int>, int> leases_;  // by task and slot
  int surplus_ = 0;
  int errors_ = 0;

 private:
  void AnswerThree(const std::string& who) {
    for (const auto& task : LeaseUpTo(3, who)) {
      const Result<bool> surplus = Submit(task.lease, who);
      const std::scoped_lock lock(mutex_);
      ++leases_[{task.lease.task_id, task.lease.slot}];
      if (!surplus.ok()) {
        ++errors_;
      } else if (*surplus) {
        ++surplus_;
      }
    }
  }

  std::mutex mutex_;
};

TEST_F(CrowdTest, NeverSharesASlot) {
  WorkThroughAll();
  EXPECT_EQ(leases_.size(), size_t{kTasks} * kSlots);
  for (const auto& [slot, times] : leases_) EXPECT_EQ(times, 1) << "task " << slot.first;
  EXPECT_EQ(One("SELECT count(*) FROM answers"), "60");
}

TEST_F(CrowdTest, LosesNoAnswerThoughItsLeasesKeepRunningOut) {
  std::jthread clock([this](const std::stop_token& stop) {
    while (!stop.stop_requested()) ExpireAll();
  });
  WorkThroughAll();
  EXPECT_EQ(One("SELECT count(*) FROM answers WHERE NOT surplus"), "60");
  EXPECT_EQ(One("SELECT count(*) FROM answers WHERE surplus"), std::to_string(surplus_));
}

// --- When a lease runs out

TEST_F(DeskTest, AnExpiredTaskGoesToSomebodyElse) {
  AddTask();
  const TaskLease lost = Lease("anna");
  ExpireAll();
  const auto handout = desk().Lease("gate", "ben", 1);
  ASSERT_THAT(handout, IsOk());
  ASSERT_EQ(handout->tasks.size(), 1U);
  EXPECT_EQ(handout->expired, 1);
  EXPECT_EQ(handout->tasks[0].lease.epoch, lost.epoch + 1);
}

TEST_F(DeskTest, ALateAnswerFillsTheSlotIfNobodyTookIt) {
  const int64_t unswept = AddTask();
  const TaskLease lease = Lease("anna");
  ExpireAll();
  EXPECT_FALSE(*Submit(lease, "anna"));
  EXPECT_EQ(TaskOf(unswept).answered, 1);

  const int64_t reopened = AddTask();
  const TaskLease first = Lease("anna");
  ExpireAll();
  ASSERT_THAT(desk().Release(Lease("ben"), "ben"), IsOk());
  EXPECT_FALSE(*Submit(first, "anna"));
  EXPECT_EQ(TaskOf(reopened).answered, 1);
  EXPECT_FALSE(TaskOf(reopened).open);
}

TEST_F(DeskTest, ALateAnswerAfterSomebodyTookTheSlotIsSurplusAndStillCounts) {
  const int64_t sample = AddTask();
  const TaskLease late = Lease("anna");
  ExpireAll();
  const TaskLease current = Lease("ben");
  EXPECT_TRUE(*Submit(late, "anna", 0));
  EXPECT_EQ(TaskOf(sample).answered, 0) << "the slot is still ben's";
  EXPECT_FALSE(*Submit(current, "ben", 1));
  EXPECT_TRUE(TaskOf(sample).open) << "they disagree, so a third is asked";
  EXPECT_EQ(One("SELECT string_agg(annotator, ' ') FROM answers WHERE surplus"), "anna");
}

TEST_F(DeskTest, ALateAnswerFillsTheSlotThatItsAuthorHoldsNow) {
  const int64_t sample = AddTask(/*slots=*/2);
  const TaskLease late = Lease("anna");
  ExpireAll();
  const TaskLease bens = Lease("ben");
  ASSERT_EQ(bens.slot, late.slot);
  ASSERT_EQ(Lease("anna").slot, 2);
  ASSERT_THAT(desk().Release(bens, "ben"), IsOk());
  EXPECT_FALSE(*Submit(late, "anna"));
  EXPECT_EQ(One("SELECT slot FROM task_slots WHERE state = 'answered'"), "2");
  EXPECT_EQ(TaskOf(sample).answered, 1);
  EXPECT_EQ(Lease("carl").slot, 1);
}

// --- Who may answer, and how often

TEST_F(DeskTest, WhoeverNeverHeldATaskCannotAnswerIt) {
  AddTask();
  const TaskLease lease = Lease("anna");
  const TaskLease next_epoch{lease.task_id, lease.slot, lease.epoch + 1};
  const TaskLease other_slot{lease.task_id, lease.slot + 1, lease.epoch};
  EXPECT_THAT(Submit(lease, "ben"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Submit(next_epoch, "anna"), StatusIs(Code::kNotFound));
  EXPECT_THAT(Skip(other_slot, "anna"), StatusIs(Code::kNotFound));
  EXPECT_EQ(Submit({}, "anna").status().reason(), "NEVER_LEASED");
  EXPECT_EQ(One("SELECT count(*) FROM answers"), "0");
}

TEST_F(DeskTest, TheSameRequestGetsTheSameAnswerAndIsCountedOnce) {
  AddTask();
  const TaskLease late = Lease("anna");
  ExpireAll();
  Lease("ben");
  const Slip slip{NewRequest(), late, "anna"};
  EXPECT_TRUE(*desk().Submit(slip, 1, {}));
  EXPECT_TRUE(*desk().Submit(slip, 1, {}));
  EXPECT_EQ(One("SELECT count(*) FROM answers"), "1");
  EXPECT_EQ(desk().Skip(slip, Refusal::kUnsure).status().reason(), "REQUEST_ID");
  EXPECT_EQ(desk().Submit(slip, 0, {}).status().reason(), "REQUEST_ID");
  EXPECT_EQ(desk().Submit(slip, 1, {{"light", "dusk"}}).status().reason(), "REQUEST_ID");
  EXPECT_EQ(desk().Submit({"", late, "anna"}, 1, {}).status().reason(), "REQUEST_ID");
}

TEST_F(DeskTest, NobodyAnswersTwice) {
  AddTask(/*slots=*/2);
  const TaskLease lease = Lease("anna");
  ASSERT_THAT(Submit(lease, "anna", 1), IsOk());
  EXPECT_EQ(Submit(lease, "anna", 0).status().reason(), "ANSWERED_BEFORE");
  EXPECT_EQ(Skip(lease, "anna").status().reason(), "ANSWERED_BEFORE");
  EXPECT_EQ(One("SELECT string_agg(class_index::text, ' ') FROM answers"), "1");
}

TEST_F(DeskTest, NobodyAnswersAfterSkipping) {
  const int64_t sample = AddTask();
  const TaskLease lease = Lease("anna");
  ASSERT_THAT(Skip(lease, "anna"), IsOk());
  EXPECT_EQ(Submit(lease, "anna").status().reason(), "ANSWERED_BEFORE");
  EXPECT_EQ(TaskOf(sample).answered, 0) << "the refused answer has filled the slot";
}

TEST_F(DeskTest, ANameThatCouldBeMistakenIsRefused) {
  for (const std::string& name : {std::string(), std::string(129, 'a'), std::string("a\nb"),
                                  std::string("a\0b", 3), std::string("teacher:centernet@1")}) {
    EXPECT_EQ(desk().Lease("gate", name, 1).status().reason(), "ANNOTATOR_INVALID") << name;
  }
  EXPECT_THAT(desk().Lease("gate", std::string(128, 'a'), 1), IsOk());
}

TEST_F(DeskTest, TheNumberOfTasksIsLimited) {
  EXPECT_EQ(desk().Lease("gate", "anna", 101).status().reason(), "MAX_TASKS");
  EXPECT_EQ(desk().Lease("gate", "anna", -1).status().reason(), "MAX_TASKS");
  EXPECT_THAT(desk().Lease("gate", "anna", 100), IsOk());
  EXPECT_EQ(desk().Lease("garden", "anna", 1).status().reason(), "PROJECT_NOT_FOUND");
}

// --- What an answer does

TEST_F(DeskTest, AnAnswerBecomesTheLabelAndClosesTheTask) {
  const int64_t sample = AddTask();
  EXPECT_FALSE(*desk().Submit({NewRequest(), Lease("anna"), "anna"}, 1, {{"distractor", "yes"}}));
  const auto labelled =
      database().Transact([&](db::Tx& tx) { return catalog::Samples(tx).Get(sample); });
  EXPECT_EQ(labelled->class_index, 1);
  EXPECT_EQ(labelled->tags.at("distractor"), "yes");
  EXPECT_FALSE(TaskOf(sample).open);
  EXPECT_EQ(One("SELECT source FROM sample_tags"), "person:anna");
  EXPECT_EQ(One("SELECT kind || ' ' || task_id FROM answers"), "person 1");
}

TEST_F(DeskTest, ARefusedAnswerLeavesNothingBehind) {
  AddTask();
  const TaskLease lease = Lease("anna");
  EXPECT_EQ(Submit(lease, "anna", 2).status().reason(), "CLASS_UNKNOWN");
  EXPECT_EQ(Submit(lease, "anna", UINT32_MAX).status().reason(), "CLASS_UNKNOWN");
  EXPECT_EQ(desk().Submit({NewRequest(), lease, "anna"}, 1, {{"Loud", ""}}).status().reason(),
            "TAG_INVALID");
  EXPECT_EQ(desk().Submit({"again", lease, "anna"}, 1, {}).status().reason(), "REQUEST_ID");
  EXPECT_EQ(One("SELECT state FROM task_slots"), "leased");
  EXPECT_EQ(One("SELECT count(*) FROM requests"), "0");
  EXPECT_THAT(Submit(lease, "anna"), IsOk());
}

TEST_F(DeskTest, TwoWhoDisagreeAreDecidedByAThird) {
  const int64_t sample = AddTask(/*slots=*/2);
  ASSERT_THAT(Submit(Lease("anna"), "anna", 0), IsOk());
  ASSERT_THAT(Submit(Lease("ben"), "ben", 1), IsOk());
  EXPECT_TRUE(TaskOf(sample).open);
  EXPECT_TRUE(NothingFor("anna"));
  EXPECT_TRUE(NothingFor("ben"));
  ASSERT_THAT(Submit(Lease("carl"), "carl", 1), IsOk());
  EXPECT_EQ(One("SELECT closed_as FROM tasks"), "answered");
}

TEST_F(DeskTest, ASkippedTaskGoesToOthersAndNeverComesBack) {
  AddTask();
  EXPECT_FALSE(*Skip(Lease("anna"), "anna"));
  EXPECT_TRUE(NothingFor("anna"));
  EXPECT_FALSE(*Skip(Lease("ben"), "ben", Refusal::kTooHard));
  EXPECT_FALSE(*Skip(Lease("carl"), "carl"));
  EXPECT_TRUE(NothingFor("dora")) << "three have refused it";
  EXPECT_EQ(One("SELECT string_agg(refusal::text, ' ' ORDER BY id) FROM answers"),
            "unsure too_hard unsure");
}

TEST_F(DeskTest, ASkipThatHoldsForEverybodyEndsTheTask) {
  AddTask(/*slots=*/3);
  const TaskLease annas = Lease("anna");
  const TaskLease bens = Lease("ben");
  EXPECT_FALSE(*Skip(annas, "anna", Refusal::kPrivacy));
  EXPECT_TRUE(NothingFor("carl"));
  EXPECT_TRUE(NothingFor("ben")) << "held, but withdrawn";
  EXPECT_TRUE(*Submit(bens, "ben")) << "kept as surplus";
  EXPECT_EQ(desk().Release(bens, "ben").reason(), "LEASE_LOST");
}

TEST_F(DeskTest, AReleasedTaskMayComeAgain) {
  AddTask();
  const TaskLease lease = Lease("anna");
  ASSERT_THAT(desk().Release(lease, "anna"), IsOk());
  const TaskLease again = Lease("anna");
  EXPECT_EQ(again.epoch, lease.epoch + 1);
  EXPECT_EQ(desk().Release(lease, "anna").reason(), "LEASE_LOST") << "of an older lease";
  EXPECT_EQ(desk().Release(again, "ben").reason(), "LEASE_LOST") << "of somebody else's";
  EXPECT_THAT(Submit(again, "anna"), IsOk());
  EXPECT_EQ(desk().Release(again, "anna").reason(), "LEASE_LOST") << "of an answered task";
}

// --- What is shown

TEST_F(DeskTest, TheImageIsTheWindowOfItsParentPixelForPixel) {
  AddTask();
  AddTask();
  for (const auto& task : LeaseUpTo(2, "anna")) {
    const auto png = desk().ReadImage(task.lease);
    ASSERT_THAT(png, IsOk());
    const int x = static_cast<int>(task.lease.task_id) - 1;  // see LabelsTest::AddSample
    EXPECT_EQ(*images::Decode(*png), *images::Crop(image(), {x, 8, 32, 32}));
  }
  EXPECT_THAT(desk().ReadImage({1, 1, 2}), StatusIs(Code::kNotFound));
}

TEST_F(DeskTest, TheListingCountsSlotsAndWhatIsStillOpen) {
  AddTask();
  AddTask(/*slots=*/2, /*priority=*/3);
  AddTask();
  ASSERT_THAT(Submit(Lease("anna"), "anna"), IsOk());  // task 2
  ASSERT_THAT(Submit(Lease("anna"), "anna"), IsOk());  // task 1, which is done with that
  const auto all = desk().List("gate", /*open_only=*/false, 0, 10);
  ASSERT_EQ(all->tasks.size(), 3U);
  EXPECT_EQ(all->open_tasks, 2);
  EXPECT_FALSE(all->tasks[0].open);
  EXPECT_EQ(all->tasks[1].slots, 2);
  EXPECT_EQ(all->tasks[1].answered, 1);
  EXPECT_EQ(all->tasks[1].priority, 3);
  const auto open = desk().List("gate", /*open_only=*/true, 0, 1);
  ASSERT_EQ(open->tasks.size(), 1U);
  EXPECT_EQ(open->tasks[0].id, 2);
  EXPECT_EQ(desk().List("gate", true, 2, 1)->tasks[0].id, 3);
}

TEST_F(DeskTest, TheAgeOfTheQueueIsThatOfTheOldestTaskNobodyHolds) {
  EXPECT_EQ(desk().CountSlots()->oldest_open_age_seconds, 0);
  AddTask();
  AddTask(/*slots=*/2);
  Run("UPDATE tasks SET created_at = now() - interval '1 hour' * id");
  Lease("anna");
  EXPECT_NEAR(desk().CountSlots()->oldest_open_age_seconds, 7200, 60);
  EXPECT_EQ(desk().CountSlots()->open, 2);
  EXPECT_EQ(desk().CountSlots()->leased, 1);
  ExpireAll();
  EXPECT_NEAR(desk().CountSlots()->oldest_open_age_seconds, 3600, 60);
  EXPECT_EQ(desk().CountSlots()->open, 3);
}

}  // namespace
}  // namespace bitfoundry::labelqueue
