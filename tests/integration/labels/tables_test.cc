// The rules that hold even if the code above the tables has a bug.
#include "tests/integration/labels/labels_test.h"

namespace bitfoundry {
namespace {

class LabelTablesTest : public testing::LabelsTest {
 protected:
  void SetUp() override {
    LabelsTest::SetUp();
    if (HasFatalFailure()) return;
    Request(AddSample(), /*slots=*/2);
  }

  // The constraint that `sql` breaks; empty if none.
  std::string Breaks(const std::string& sql) {
    try {
      Run(sql);
      return "";
    } catch (const pqxx::sql_error& e) {
      const std::string text = e.what();
      const size_t start = text.find("constraint \"") + 12;
      return text.substr(start, text.find('"', start) - start);
    }
  }
};

TEST_F(LabelTablesTest, NobodyHoldsTwoSlotsOfATask) {
  const std::string lease =
      "UPDATE task_slots SET state = 'leased', lease_until = now(), annotator = 'anna'";
  EXPECT_EQ(Breaks(lease + " WHERE slot = 1"), "");
  EXPECT_EQ(Breaks(lease + " WHERE slot = 2"), "nobody_twice");
}

TEST_F(LabelTablesTest, ASlotExistsOnce) {
  EXPECT_EQ(Breaks("INSERT INTO task_slots (task_id, slot, project_id, priority) "
                   "VALUES (1, 2, 1, 0)"),
            "task_slots_pkey");
}

TEST_F(LabelTablesTest, OnlyAHeldSlotHasAHolder) {
  EXPECT_EQ(Breaks("UPDATE task_slots SET annotator = 'anna'"), "held_by_somebody");
  EXPECT_EQ(Breaks("UPDATE task_slots SET state = 'answered'"), "held_by_somebody");
  EXPECT_EQ(Breaks("UPDATE task_slots SET state = 'leased', annotator = 'a' WHERE slot = 1"),
            "leased_until");
}

TEST_F(LabelTablesTest, NobodyAnswersASampleTwiceNorSaysTwoThings) {
  const std::string answer =
      "INSERT INTO answers (sample_id, annotator, kind, class_list_version, class_index, refusal) ";
  EXPECT_EQ(Breaks(answer + "VALUES (1, 'anna', 'person', 1, 1, NULL)"), "");
  EXPECT_EQ(Breaks(answer + "VALUES (1, 'anna', 'person', 1, 0, NULL)"), "one_answer_each");
  EXPECT_EQ(Breaks(answer + "VALUES (1, 'ben', 'person', 1, 1, 'unsure')"), "a_class_or_a_refusal");
  EXPECT_EQ(Breaks(answer + "VALUES (1, 'ben', 'person', 1, NULL, NULL)"), "a_class_or_a_refusal");
}

TEST_F(LabelTablesTest, ATaskClosesForAReason) {
  EXPECT_EQ(Breaks("UPDATE tasks SET closed_at = now()"), "closed_for_a_reason");
}

}  // namespace
}  // namespace bitfoundry
