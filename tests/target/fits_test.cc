// What a suite asks of firmware, `fits`: the firmware that is judged is one that fits, if any does.
#include <gtest/gtest.h>

#include <random>

#include "emulate/emulate.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/packed/random_network.h"
#include "verdicts/evaluate.h"

namespace bitfoundry::verdicts {
namespace {

constexpr uint32_t kSeed = 5;

// Small layers and large ones, so that which kernels are chosen decides how much code there is.
packed::Network Chain() {
  std::mt19937 random(kSeed);
  packed::Network n;
  n.input = {16, 16, 1};
  n.Then(packed::testing::RandomStem(1, 32, 3, 1, random));
  n.Then(packed::testing::RandomConv(32, 32, 3, 1, random));
  n.Then(packed::testing::RandomConv(32, 32, 1, 1, random));
  n.Then(packed::testing::RandomConv(32, 32, 3, 1, random));
  n.Then(packed::testing::RandomConv(32, 32, 1, 1, random));
  n.Then(packed::testing::RandomConv(32, 16, 3, 2, random));
  n.Then(packed::testing::RandomConv(16, 16, 3, 1, random));
  n.Then(packed::testing::RandomConv(16, 64, 1, 1, random));
  n.Then(packed::testing::RandomConv(64, 64, 3, 1, random));
  n.Then(packed::GlobalSum{});
  n.Then(packed::testing::RandomDense(64, 2, random));
  return n;
}

v1::TestResult Fits(const std::string& core, int64_t flash_bytes) {
  Subject subject;
  subject.network = Chain();
  subject.golden = *emulate::RandomGolden(subject.network, 1, kSeed);
  subject.suite =
      *ParseSuite("suite: s\nversion: 1\ntests:\n  - { id: f, on: " + core +
                      ", fits: { flash_bytes: " + std::to_string(flash_bytes) + " } }\n",
                  "suite.yaml");
  subject.data.classes = {"a", "b"};
  subject.data.height = subject.data.width = 16;
  subject.data.channels = 1;
  subject.data.rows = {{.name = "1", .part = snapshot::Part::kTest, .posterior = 1}};
  subject.data.pixels.resize(256);
  const auto evaluated =
      Evaluate(subject, {"2026-01-01", [](const std::string&) { return 0; }}, {"r", 1}, {});
  EXPECT_THAT(evaluated, testing::IsOk());
  return evaluated->verdict.tests(0);
}

TEST(Fits, ItsCodeCountsAndWhatIsOverComesOffTheBudgetUntilItFits) {
  uint64_t least = UINT64_MAX;  // of one kernel for all
  for (const packed::Kernel kernel : packed::kKernels) {
    const auto prepared = *emulate::Prepare(emulate::Core::kM4,
                                            {{Chain(), *emulate::RandomGolden(Chain(), 1, kSeed)}},
                                            {.kernel = kernel});
    const auto report = emulate::Run(prepared);
    ASSERT_THAT(report, testing::IsOk());
    least = std::min(least, report->runtime_bytes + report->model_bytes);
  }
  const auto smallest = static_cast<int64_t>(least);
  for (const int64_t limit : {smallest, smallest + 500, smallest + 6000, smallest + 36'000}) {
    const v1::TestResult fits = Fits("m4", limit);
    EXPECT_EQ(fits.outcome(), v1::PASS) << limit << ": " << fits.measured() << fits.firmware();
  }
  EXPECT_EQ(Fits("m4", smallest / 2).outcome(), v1::FAIL);
}

TEST(Fits, OnACoreWhoseFastestKernelIsNoneOfTheSmallest) {
  const v1::TestResult any = Fits("m55", 1'000'000);
  EXPECT_EQ(any.outcome(), v1::PASS);
  const auto prepared =
      *emulate::Prepare(emulate::Core::kM55, {{Chain(), *emulate::RandomGolden(Chain(), 1, kSeed)}},
                        {.kernel = packed::Kernel::kLean});
  const auto report = emulate::Run(prepared);
  ASSERT_THAT(report, testing::IsOk());
  const auto lean = static_cast<int64_t>(report->runtime_bytes + report->model_bytes);
  EXPECT_EQ(Fits("m55", lean).outcome(), v1::PASS);
}

}  // namespace
}  // namespace bitfoundry::verdicts
