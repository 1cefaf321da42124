// The teacher client against a real server of the protocol; no database.
#include <gtest/gtest.h>

#include <limits>
#include <thread>

#include "oip/detector.h"
#include "tests/integration/autolabel/stub_teacher.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::autolabel {
namespace {

using namespace oip;

using bitfoundry::testing::IsOk;
using bitfoundry::testing::StatusIs;
using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Pauses of nothing, so that the tests need not wait.
ClientOptions Hasty() {
  ClientOptions options;
  options.first_pause = options.most_pause = milliseconds(0);
  options.open_for = milliseconds(0);
  return options;
}

class TeacherClientTest : public ::testing::Test {
 protected:
  Result<std::vector<std::vector<Box>>> Detect(Detector& teacher, int tiles = 1,
                                               const std::string& version = "v7") {
    const std::vector<Window> windows(static_cast<size_t>(tiles), Window{0, 0, 10, 10});
    const auto spend = [this] {
      ++spent_;
      return allowed_;
    };
    return teacher.Detect(images::Blank(10, 10, 3), windows, version, spend, stop_.get_token());
  }

  StubTeacher stub_;
  prometheus::Registry metrics_;
  std::stop_source stop_;
  Status allowed_;
  std::atomic<int> spent_ = 0;
};

TEST_F(TeacherClientTest, PersonsComeBackByTileAndOtherClassesDoNot) {
  stub_.See({{1, 2, 30, 4, 0.5F, 0}, {1, 2, 3, 4, 0.5F, 16}});
  Detector teacher(stub_.Channel(), Hasty(), metrics_);
  EXPECT_EQ(*teacher.Version(), "v7");
  const auto boxes = Detect(teacher, 3);
  ASSERT_THAT(boxes, IsOk());
  const auto clipped = ElementsAre(Box{0.5, 1, 2, 10, 4});
  EXPECT_THAT(*boxes, ElementsAre(clipped, clipped, clipped));
  EXPECT_EQ(spent_, 1);
}

TEST_F(TeacherClientTest, APassingFailureIsTriedAgainAndEachTryIsSpent) {
  stub_.fail_next = 3;
  Detector teacher(stub_.Channel(), Hasty(), metrics_);
  EXPECT_THAT(Detect(teacher), IsOk());
  EXPECT_EQ(stub_.calls, 4);
  EXPECT_EQ(spent_, 4);
}

TEST_F(TeacherClientTest, TriesAreLimitedAndALastingFailureIsNotTriedAgain) {
  ClientOptions patient = Hasty();
  patient.failures_to_open = 100;
  Detector teacher(stub_.Channel(), patient, metrics_);
  stub_.fail_next = 100;
  EXPECT_THAT(Detect(teacher), StatusIs(Code::kUnavailable));
  EXPECT_EQ(stub_.calls, patient.most_tries);

  stub_.failure = Code::kInvalidArgument;
  EXPECT_THAT(Detect(teacher), StatusIs(Code::kInvalidArgument));
  EXPECT_EQ(stub_.calls, patient.most_tries + 1);
}

TEST_F(TeacherClientTest, AfterFailuresInARowTheBreakerOpensAndNobodyCalls) {
  ClientOptions options = Hasty();
  options.failures_to_open = 2;
  options.open_for = std::chrono::hours(1);
  stub_.fail_next = 100;
  Detector teacher(stub_.Channel(), options, metrics_);

  Status first, second;
  std::thread a([&] { first = Detect(teacher).status(); });
  while (!teacher.open()) std::this_thread::yield();
  std::thread b([&] { second = Detect(teacher).status(); });
  stop_.request_stop();
  a.join();
  b.join();
  EXPECT_THAT(first, StatusIs(Code::kCancelled));
  EXPECT_THAT(second, StatusIs(Code::kCancelled));
  EXPECT_EQ(stub_.calls, 2);
  EXPECT_EQ(spent_, 2);
}

TEST_F(TeacherClientTest, AnOpenBreakerAsksForReadinessAndClosesWhenTheTeacherIsBack) {
  ClientOptions options = Hasty();
  options.failures_to_open = 2;
  stub_.fail_next = 3;
  Detector teacher(stub_.Channel(), options, metrics_);
  EXPECT_THAT(Detect(teacher), IsOk());
  EXPECT_EQ(stub_.calls, 4);
  EXPECT_EQ(stub_.ready_calls, 2);  // the second failure opened it, the third did so anew
  EXPECT_FALSE(teacher.open());
}

TEST_F(TeacherClientTest, WhatMayNotBeSpentIsNotCalled) {
  allowed_ = Status(Code::kFailedPrecondition, "BUDGET_EXHAUSTED", "no");
  Detector teacher(stub_.Channel(), Hasty(), metrics_);
  EXPECT_THAT(Detect(teacher), StatusIs(Code::kFailedPrecondition));
  EXPECT_EQ(stub_.calls, 0);
}

TEST_F(TeacherClientTest, AnAnswerOfAnotherVersionIsRefused) {
  Detector teacher(stub_.Channel(), Hasty(), metrics_);
  EXPECT_EQ(Detect(teacher, 1, "v6").status().reason(), "MODEL_CHANGED");
  EXPECT_EQ(stub_.calls, 1);
}

TEST_F(TeacherClientTest, AModelThatIsNotServedIsSaidAtTheStart) {
  ClientOptions options = Hasty();
  options.model = "yolo";
  EXPECT_THAT(Detector(stub_.Channel(), options, metrics_).Version(), StatusIs(Code::kNotFound));
}

class ReadDetectionsTest : public ::testing::Test {
 protected:
  ReadDetectionsTest() {
    auto& output = *answer_.add_outputs();
    output.set_name("detections");
    output.set_datatype("FP32");
    for (const int size : {1, 1, 6}) output.add_shape(size);
    SetRow({1, 2, 3, 4, 0.5F, 0});
  }
  void SetRow(const std::vector<float>& row) {
    answer_.clear_raw_output_contents();
    answer_.add_raw_output_contents(
        std::string(reinterpret_cast<const char*>(row.data()), row.size() * sizeof(float)));
  }
  Result<std::vector<std::vector<Box>>> Read() { return ReadDetections(answer_, 1, 10, 10); }

  inference::ModelInferResponse answer_;
};

TEST_F(ReadDetectionsTest, AWellFormedAnswerIsRead) {
  EXPECT_THAT(*Read(), ElementsAre(ElementsAre(Box{0.5, 1, 2, 3, 4})));
  SetRow({9, 9, 1, 1, 0, 0});  // unused
  EXPECT_THAT(*Read(), ElementsAre(IsEmpty()));
}

TEST_F(ReadDetectionsTest, ValuesThatTheModelDoesNotPromiseAreGarbage) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<std::vector<float>> rows = {
      {1, 2, 3, 4, kNan, 0},  {kNan, 2, 3, 4, 0.5F, 0}, {1, 2, 3, 4, 1.5F, 0},
      {1, 2, 3, 4, -0.5F, 0}, {3, 2, 1, 4, 0.5F, 0},    {1, 4, 3, 2, 0.5F, 0},
      {1, 2, 3, 4, 0.5F},     {1, 2, 3, 4, 0.5F, 0, 0}, {}};
  for (size_t i = 0; i < rows.size(); ++i) {
    SetRow(rows[i]);
    EXPECT_EQ(Read().status().reason(), "MODEL_GARBAGE") << "row " << i;
  }
}

TEST_F(ReadDetectionsTest, AFormThatTheModelDoesNotPromiseIsGarbage) {
  const inference::ModelInferResponse good = answer_;
  for (const int64_t size : {int64_t{0}, int64_t{2}, int64_t{-1}, INT64_MAX}) {
    for (const int axis : {0, 1, 2}) {
      answer_ = good;
      answer_.mutable_outputs(0)->set_shape(axis, size);
      EXPECT_EQ(Read().status().reason(), "MODEL_GARBAGE") << axis << " " << size;
    }
  }
  answer_ = good;
  answer_.mutable_outputs(0)->set_datatype("FP64");
  EXPECT_EQ(Read().status().reason(), "MODEL_GARBAGE");
  answer_ = good;
  answer_.clear_outputs();
  EXPECT_EQ(Read().status().reason(), "MODEL_GARBAGE");
}

}  // namespace
}  // namespace bitfoundry::autolabel
