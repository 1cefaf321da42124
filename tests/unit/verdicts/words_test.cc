#include "verdicts/words.h"

#include <gtest/gtest.h>

namespace bitfoundry::verdicts {
namespace {

v1::TestResult Bound() {
  v1::TestResult test;
  test.set_kind("bound");
  test.set_metric("recall");
  test.set_bound(0.9);
  test.set_outcome(v1::PASS);
  test.set_n(60);
  test.set_successes(57);
  test.set_measured(0.95);
  test.set_lower(0.876);
  test.set_upper(0.986);
  return test;
}

TEST(Words, OfABound) {
  v1::TestResult test = Bound();
  EXPECT_EQ(Claim(test), "recall >= 0.9");
  EXPECT_EQ(Counted(test), "57/60");
  EXPECT_EQ(Measured(test), "95.0 %");
  EXPECT_EQ(Finding(test), "at least 87.6 %");
  test.set_at_most(true);
  test.set_transform("darken(0.25,3)");
  EXPECT_EQ(Claim(test), "recall <= 0.9 darken(0.25,3)");
  EXPECT_EQ(Finding(test), "at most 98.6 %");
  test.set_outcome(v1::FAIL);
  EXPECT_EQ(Finding(test), "at least 87.6 %");
  test.set_outcome(v1::INCONCLUSIVE);
  test.set_reason("why");
  EXPECT_EQ(Finding(test), "87.6 % to 98.6 %; why");
  test.set_outcome(v1::ERROR);
  EXPECT_EQ(Finding(test), "why");
}

TEST(Words, OfAWaivedTestSayWhoWaivedItUntilWhenAndWhy) {
  v1::TestResult test = Bound();
  test.set_outcome(v1::FAIL);
  test.set_waived_by("A. Person");
  test.set_waived_until("2026-12-01");
  test.set_waiver_reason("more labels are on their way");
  EXPECT_EQ(Finding(test),
            "at most 98.6 % (waived until 2026-12-01 by A. Person: more labels are on their way)");
}

TEST(Words, OfARegressionAGapAndAScan) {
  v1::TestResult test = Bound();
  test.set_kind("regression");
  test.set_at_most(true);
  test.set_losses(12);
  test.set_gains(2);
  EXPECT_EQ(Claim(test), "loss of recall <= 0.9");
  EXPECT_EQ(Counted(test), "12 lost, 2 gained of 60");
  test.set_kind("gap");
  EXPECT_EQ(Claim(test), "gap of recall <= 0.9");
  EXPECT_EQ(Counted(test), "60");
  test.set_kind("shortcut");
  EXPECT_EQ(Claim(test), "gap between bins <= 0.9");
  test.set_upper(0.25);
  EXPECT_EQ(Finding(test), "every bin differs by at most 25.0 %");
  test.set_outcome(v1::FAIL);
  v1::Group& inside = *test.add_groups();
  inside.set_name("not person, attr.brightness in 0..0.2");
  inside.set_n(15);
  inside.set_successes(14);
  v1::Group& outside = *test.add_groups();
  outside.set_name("not person, attr.brightness not in 0..0.2");
  outside.set_n(5000);
  outside.set_successes(150);
  EXPECT_EQ(Finding(test),
            "14/15 of not person, attr.brightness in 0..0.2; 150/5000 of not person, "
            "attr.brightness not in 0..0.2");
}

TEST(Words, OfFirmware) {
  v1::TestResult test;
  test.set_kind("fits");
  test.set_metric("flash_bytes");
  test.set_at_most(true);
  test.set_bound(131072);
  test.set_core("m4");
  EXPECT_EQ(Measured(test), "-");
  test.set_measured(37088);
  test.set_outcome(v1::PASS);
  EXPECT_EQ(Claim(test), "flash_bytes <= 131072 on m4");
  EXPECT_EQ(Counted(test), "");
  EXPECT_EQ(Measured(test), "37088");
  EXPECT_EQ(Finding(test), "37088");
  test.set_kind("same_bits");
  EXPECT_EQ(Claim(test), "equal outputs on m4");
  EXPECT_EQ(Finding(test), "equal to the reference, layer by layer");
  test.set_outcome(v1::FAIL);
  test.set_reason("golden image 3 gives another layer 2");
  EXPECT_EQ(Finding(test), "golden image 3 gives another layer 2");
}

TEST(Words, SumUpAVerdict) {
  v1::Verdict verdict;
  for (const v1::Outcome outcome : {v1::PASS, v1::ERROR, v1::PASS, v1::INCONCLUSIVE}) {
    verdict.add_tests()->set_outcome(outcome);
  }
  EXPECT_EQ(Summary(verdict), "2 pass, 1 inconclusive, 1 error");
  EXPECT_EQ(Word(v1::INCONCLUSIVE), "inconclusive");
}

}  // namespace
}  // namespace bitfoundry::verdicts
