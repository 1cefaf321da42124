#include "verdicts/evaluate.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace bitfoundry::verdicts {
namespace {

// Twenty gray images of one pixel; the label is whether it is bright.
Subject BrightOrDark() {
  Subject subject;
  subject.artefact = "oip:eye:1:anything/1";
  subject.suite = *ParseSuite(R"yaml(
suite: s
version: 1
defaults: { positive: person }
tests:
  - { id: right, slice: all, metric: accuracy, at_least: 0.8 }
  - { id: dim, slice: all, metric: accuracy, at_least: 0.8, transform: "darken(0.5, 0)" }
  - { id: fits, on: m4, fits: { flash_bytes: 131072 } }
)yaml",
                              "suite.yaml");
  subject.data.classes = {"no_person", "person"};
  subject.data.height = subject.data.width = subject.data.channels = 1;
  for (int i = 0; i < 20; ++i) {
    snapshot::Row row;
    row.name = std::to_string(i);
    row.part = snapshot::Part::kTest;
    row.class_index = i % 2;
    row.posterior = 1;
    subject.data.rows.push_back(row);
    subject.data.pixels.push_back(i % 2 == 1 ? 200 : 20);
  }
  return subject;
}

Result<std::vector<size_t>> IsBright(const snapshot::Snapshot& data,
                                     const std::vector<size_t>& rows, const Transform& transform) {
  std::vector<size_t> said;
  for (const size_t row : rows) {
    said.push_back(Apply(transform, data, row)[0] > 128 ? 1 : 0);
  }
  return said;
}

TEST(Evaluate, JudgesWhatAModelThatIsNotPackedSays) {
  Subject subject = BrightOrDark();
  subject.predictor = [](const auto& data, const auto& rows, const auto& transform, const auto&) {
    return IsBright(data, rows, transform);
  };
  const auto evaluated =
      Evaluate(subject, {"2026-01-01", [](const std::string&) { return 0; }}, {"r", 1}, {});
  ASSERT_THAT(evaluated, testing::IsOk());
  const auto& tests = evaluated->verdict.tests();
  EXPECT_EQ(tests[0].successes(), 20);
  EXPECT_EQ(tests[1].successes(), 10) << "in the dark nobody is seen";
  EXPECT_EQ(tests[2].outcome(), v1::ERROR) << "there is no firmware";
  EXPECT_EQ(evaluated->verdict.artefact(), "oip:eye:1:anything/1");
}

TEST(Evaluate, IsClosedOnATransformThatChangesNothing) {
  Subject subject = BrightOrDark();
  subject.suite.tests[1].transforms = {*ParseTransform("gamma(1.001)")};
  subject.predictor = [](const auto& data, const auto& rows, const auto& transform, const auto&) {
    return IsBright(data, rows, transform);
  };
  const auto evaluated =
      Evaluate(subject, {"2026-01-01", [](const std::string&) { return 0; }}, {"r", 1}, {});
  ASSERT_THAT(evaluated, testing::IsOk());
  EXPECT_EQ(evaluated->verdict.tests(1).outcome(), v1::ERROR);
  EXPECT_EQ(evaluated->verdict.tests(1).reason(), "gamma(1.001) hardly changes these images");
}

// The black ones, which the darkening leaves as they are, are what this test is about.
TEST(Evaluate, IsClosedOnATransformThatChangesNothingOfTheSlice) {
  Subject subject = BrightOrDark();
  subject.suite = *ParseSuite(R"yaml(
suite: s
version: 1
slices: { night: 'label == "no_person"' }
tests:
  - { id: night, slice: night, metric: flip_rate, at_most: 0.5, transform: "darken(0.5, 0)" }
  - { id: all, slice: all, metric: flip_rate, at_most: 0.9, transform: "darken(0.5, 0)" }
)yaml",
                              "suite.yaml");
  for (uint8_t& pixel : subject.data.pixels) pixel = pixel < 100 ? 0 : pixel;
  subject.predictor = [](const auto& data, const auto& rows, const auto& transform, const auto&) {
    return IsBright(data, rows, transform);
  };
  const auto evaluated =
      Evaluate(subject, {"2026-01-01", [](const std::string&) { return 0; }}, {"r", 1}, {});
  ASSERT_THAT(evaluated, testing::IsOk());
  EXPECT_EQ(evaluated->verdict.tests(0).outcome(), v1::ERROR);
  EXPECT_EQ(evaluated->verdict.tests(0).reason(), "darken(0.5,0) hardly changes these images");
  EXPECT_EQ(evaluated->verdict.tests(1).n(), 20);
  EXPECT_EQ(evaluated->verdict.tests(1).successes(), 10);
}

TEST(Evaluate, IsClosedWhereTheModelCannotBeAsked) {
  Subject subject = BrightOrDark();
  subject.predictor = [](const auto& data, const auto& rows, const Transform& transform,
                         const auto&) -> Result<std::vector<size_t>> {
    if (!transform.text.empty()) return Status(Code::kUnimplemented, "it sees the images as shot");
    return IsBright(data, rows, transform);
  };
  const auto evaluated =
      Evaluate(subject, {"2026-01-01", [](const std::string&) { return 0; }}, {"r", 1}, {});
  ASSERT_THAT(evaluated, testing::IsOk());
  const auto& tests = evaluated->verdict.tests();
  EXPECT_EQ(tests[0].outcome(), v1::PASS);
  EXPECT_EQ(tests[1].outcome(), v1::ERROR);
  EXPECT_EQ(tests[1].reason(), "it sees the images as shot");
  EXPECT_EQ(evaluated->verdict.outcome(), v1::ERROR);
}

}  // namespace
}  // namespace bitfoundry::verdicts
