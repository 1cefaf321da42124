// A front end in JavaScript labels through the real bf-labelqueue.
#include <cstdlib>

#include "tests/integration/labelqueue/label_desk.h"

namespace bitfoundry::labelqueue {
namespace {

using FrontEndTest = DeskTest;

TEST_F(FrontEndTest, LeasesShowsAndAnswersATask) {
  const int64_t answered = AddTask(/*slots=*/1, /*priority=*/1);
  const int64_t skipped = AddTask();
  setenv("BF_PG_DSN", dsn().c_str(), 1);
  setenv("BF_BLOBS", folder().c_str(), 1);
  ASSERT_EQ(
      std::system(BF_SOURCE_DIR "/tests/frontend/run " BF_BINARY_DIR "/bin/bf-labelqueue gate"), 0);
  EXPECT_FALSE(TaskOf(answered).open);
  EXPECT_TRUE(TaskOf(skipped).open);
  EXPECT_EQ(One("SELECT string_agg(annotator || ':' || COALESCE(class_index::text, refusal::text),"
                " ' ' ORDER BY id) FROM answers"),
            "node:1 node:too_hard");
}

}  // namespace
}  // namespace bitfoundry::labelqueue
