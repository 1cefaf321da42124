#include "services/bitfoundry/verdict_text.h"

#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace bitfoundry::cli {
namespace {

void AddTest(v1::Verdict& verdict, const std::string& id, v1::Outcome outcome, int32_t n,
             int32_t successes) {
  v1::TestResult& test = *verdict.add_tests();
  test.set_test_id(id);
  test.set_slice("a & b");
  test.set_metric("recall");
  test.set_bound(0.9);
  test.set_blocks(true);
  test.set_outcome(outcome);
  test.set_n(n);
  test.set_successes(successes);
  if (n > 0) test.set_measured(static_cast<double>(successes) / n);
  test.set_lower(0.8);
  test.set_upper(0.95);
  test.set_alpha(0.05);
}

v1::Verdict Sample() {
  v1::Verdict verdict;
  verdict.set_artefact("aaaaaaaaaaaaaaaa");
  verdict.set_suite("bbbbbbbbbbbbbbbb");
  verdict.set_suite_name("person.yaml");
  verdict.set_snapshot("cccccccccccccccc");
  verdict.set_runtime("reference");
  verdict.set_date("2026-12-01");
  verdict.set_outcome(v1::FAIL);
  AddTest(verdict, "found", v1::PASS, 200, 190);
  AddTest(verdict, "far|<away>", v1::FAIL, 100, 50);
  AddTest(verdict, "back", v1::INCONCLUSIVE, 40, 36);
  verdict.mutable_tests(2)->set_reason("39 more would settle it");
  AddTest(verdict, "coat", v1::ERROR, 0, 0);
  verdict.mutable_tests(3)->set_reason("no \"sample\"");
  verdict.mutable_tests(3)->set_blocks(false);
  return verdict;
}

TEST(VerdictText, IsATableLikeATestRunners) {
  EXPECT_EQ(*FormatVerdict(Sample(), "table"),
            "              test        slice  claim          counted  measured  shown\n"
            "PASS          found       a & b  recall >= 0.9  190/200  95.0 %    at least 80.0 %\n"
            "FAIL          far|<away>  a & b  recall >= 0.9  50/100   50.0 %    at most 95.0 %\n"
            "INCONCLUSIVE  back        a & b  recall >= 0.9  36/40    90.0 %    80.0 % to 95.0 %; "
            "39 more would settle it\n"
            "ERROR (warn)  coat        a & b  recall >= 0.9  0/0      -         no \"sample\"\n"
            "\n"
            "FAIL: 1 pass, 1 fail, 1 inconclusive, 1 error\n"
            "artefact      aaaaaaaaaaaaaaaa\n"
            "suite         bbbbbbbbbbbbbbbb (person.yaml)\n"
            "snapshot      cccccccccccccccc\n"
            "held against  nothing\n"
            "judged on     2026-12-01\n"
            "bounds        one-sided, of 95 % each\n"
            "runtime       reference\n"
            "signed        no\n");
}

TEST(VerdictText, IsJunitWhereWhatBlocksFailsAndInconclusiveBlocks) {
  EXPECT_EQ(
      *FormatVerdict(Sample(), "junit"),
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<testsuites name=\"person.yaml\">\n"
      "  <testsuite name=\"a &amp; b\" tests=\"4\" failures=\"2\" errors=\"0\" skipped=\"1\">\n"
      "    <testcase classname=\"a &amp; b\" name=\"found\" assertions=\"200\"/>\n"
      "    <testcase classname=\"a &amp; b\" name=\"far|&lt;away&gt;\" assertions=\"100\">\n"
      "      <failure type=\"FAIL\" message=\"FAIL: recall &gt;= 0.9: 50/100 (50.0 %), at most "
      "95.0 %\"/>\n"
      "    </testcase>\n"
      "    <testcase classname=\"a &amp; b\" name=\"back\" assertions=\"40\">\n"
      "      <failure type=\"INCONCLUSIVE\" message=\"INCONCLUSIVE: recall &gt;= 0.9: 36/40 (90.0 "
      "%), 80.0 % to 95.0 %; 39 more would settle it\"/>\n"
      "    </testcase>\n"
      "    <testcase classname=\"a &amp; b\" name=\"coat\" assertions=\"0\">\n"
      "      <skipped message=\"ERROR: recall &gt;= 0.9: 0/0 (-), no &quot;sample&quot;\"/>\n"
      "    </testcase>\n"
      "  </testsuite>\n"
      "</testsuites>\n");
}

TEST(VerdictText, IsMarkdownThatAnIdCannotBreak) {
  const std::string text = *FormatVerdict(Sample(), "markdown");
  EXPECT_EQ(text.rfind("## Verdict: FAIL\n", 0), 0U);
  EXPECT_NE(
      text.find("| **FAIL** | far\\|\\<away\\> | a & b | recall \\>= 0.9 | 50/100 | 50.0 % |"),
      std::string::npos);
  EXPECT_NE(text.find("artefact `aaaaaaaaaaaa`"), std::string::npos);
}

TEST(VerdictText, IsJsonWithTheNamesOfTheProto) {
  const std::string text = *FormatVerdict(Sample(), "json");
  EXPECT_NE(text.find("\"suite_name\": \"person.yaml\""), std::string::npos);
  EXPECT_NE(text.find("\"outcome\": \"FAIL\""), std::string::npos);
}

TEST(VerdictText, IsSkippedInJunitWhereItIsWaived) {
  v1::Verdict verdict = Sample();
  verdict.mutable_tests(1)->set_waived_by("A. Person");
  EXPECT_NE(FormatVerdict(verdict, "junit")->find("failures=\"1\" errors=\"0\" skipped=\"2\""),
            std::string::npos);
}

TEST(VerdictText, IsAnErrorForPipelinesToWhereAllThatBlocksIsWaived) {
  v1::Verdict verdict = Sample();
  for (auto& test : *verdict.mutable_tests()) test.set_waived_by("A. Person");
  verdict.set_outcome(v1::ERROR);
  const std::string why =
      "no test that blocks shows anything: what is waived, or is a first release, is no pass";
  EXPECT_NE(
      FormatVerdict(verdict, "junit")->find("<error type=\"ERROR\" message=\"" + why + "\"/>"),
      std::string::npos);
  EXPECT_EQ(FormatVerdict(verdict, "github")->find("::error title=ERROR::" + why + "\n"), 0U);
  verdict.set_outcome(v1::PASS);
  EXPECT_EQ(FormatVerdict(verdict, "junit")->find(why), std::string::npos);
}

TEST(VerdictText, IsWorkflowCommandsThatANameCannotBreak) {
  v1::Verdict verdict = Sample();
  verdict.set_suite_name("suites/a,b:c.yaml");
  verdict.mutable_tests(1)->set_line(12);
  verdict.mutable_tests(1)->set_test_id("far\n::error::owned");
  verdict.mutable_tests(2)->set_reason("100%\r\n::set-output");
  EXPECT_EQ(*FormatVerdict(verdict, "github"),
            "::error file=suites/a%2Cb%3Ac.yaml,line=12,title=FAIL%3A far%0A%3A%3Aerror%3A%3Aowned"
            "::recall >= 0.9: 50/100 (50.0 %25), at most 95.0 %25\n"
            "::error file=suites/a%2Cb%3Ac.yaml,title=INCONCLUSIVE%3A back::recall >= 0.9: 36/40 "
            "(90.0 %25), 80.0 %25 to 95.0 %25; 100%25%0D%0A::set-output\n"
            "::warning file=suites/a%2Cb%3Ac.yaml,title=ERROR%3A coat::recall >= 0.9: 0/0 (-), no "
            "\"sample\"\n"
            "FAIL: 1 pass, 1 fail, 1 inconclusive, 1 error\n");
}

TEST(VerdictText, IsAtMostFiftyWorkflowCommandsErrorsFirst) {
  v1::Verdict verdict;
  for (int i = 0; i < 60; ++i) {
    AddTest(verdict, "t" + std::to_string(i), v1::FAIL, 10, 1);
    verdict.mutable_tests(i)->set_blocks(i >= 20);
  }
  const std::string text = *FormatVerdict(verdict, "github");
  EXPECT_EQ(text.rfind("::error", 0), 0U);
  EXPECT_NE(text.find("title=FAIL%3A t59::"), std::string::npos);
  EXPECT_NE(text.find("title=FAIL%3A t9::"), std::string::npos);
  EXPECT_EQ(text.find("title=FAIL%3A t10::"), std::string::npos);
  EXPECT_NE(text.find("::notice title=Bitfoundry::10 more tests did not pass\n"),
            std::string::npos);
}

TEST(VerdictText, IsAModelCardThatSaysWhatWasNotShown) {
  const std::string text = *FormatVerdict(Sample(), "model-card");
  EXPECT_NE(text.find("| PASS | found | a & b |"), std::string::npos);
  const std::string open = text.substr(text.find("## What was not shown"));
  EXPECT_EQ(open.find("found"), std::string::npos);
  EXPECT_NE(open.find("- back: recall"), std::string::npos);
  EXPECT_NE(open.find("The verdict is not signed."), std::string::npos);
}

TEST(VerdictText, KnowsNoOtherForm) {
  EXPECT_THAT(FormatVerdict(Sample(), "yaml"), testing::StatusIs(Code::kInvalidArgument));
}

TEST(VerdictText, ExitsWithACodeForEachOutcome) {
  EXPECT_EQ(ExitCode(v1::PASS), 0);
  EXPECT_EQ(ExitCode(v1::FAIL), 1);
  EXPECT_EQ(ExitCode(v1::INCONCLUSIVE), 2);
  EXPECT_EQ(ExitCode(v1::ERROR), 3);
  EXPECT_EQ(ExitCode(v1::OUTCOME_UNSPECIFIED), 3);
}

}  // namespace
}  // namespace bitfoundry::cli
