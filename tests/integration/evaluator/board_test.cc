#include "services/evaluator/board.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/digest.h"
#include "catalog/artefacts.h"
#include "catalog/projects.h"
#include "catalog/remote_models.h"
#include "catalog/runs.h"
#include "catalog/snapshots.h"
#include "catalog/suites.h"
#include "catalog/verdicts.h"
#include "services/bitfoundry/board_text.h"
#include "services/evaluator/board_page.h"
#include "tests/support/postgres.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::evaluator {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsOk;
using ::testing::Not;
using testing::StatusIs;
using v1::BoardModel;

constexpr char kSuite[] = R"yaml(suite: the <gate>
version: VERSION
tests:
  - { id: right, slice: all, metric: accuracy, at_least: 0.9 }
)yaml";

// A project whose verdicts are written by hand: the board only reads them.
class BoardTest : public testing::PostgresTest {
 protected:
  template <typename Work>
  auto Do(Work work) {
    auto done = database().Transact(work);
    EXPECT_THAT(done, IsOk());
    return *done;
  }

  void SetUp() override {
    PostgresTest::SetUp();
    if (HasFatalFailure()) return;
    project_ = Do([&](db::Tx& tx) {
                 return catalog::Projects(tx).Create({.name = "gate",
                                                      .classes = {"no_person", "person"},
                                                      .height = 16,
                                                      .width = 16,
                                                      .channels = 1});
               }).id;
    suite_ = AddSuite("2");
    snapshot_ = AddSnapshot("may");
  }

  std::string AddSuite(const std::string& version, const std::string& name = "the <gate>") {
    std::string yaml = kSuite;
    yaml.replace(yaml.find("VERSION"), 7, version);
    yaml.replace(yaml.find("the <gate>"), 10, name);
    return Do([&](db::Tx& tx) -> Result<std::string> {
      BF_TRY(catalog::Suites(tx).Add({Sha256(yaml), "gate.yaml", yaml, name, std::stoi(version)}));
      return Sha256(yaml);
    });
  }

  std::string AddSnapshot(const std::string& name) {
    return Do([&](db::Tx& tx) -> Result<std::string> {
      BF_TRY(catalog::Snapshots(tx).Add({.digest = Sha256(name),
                                         .pixels_digest = Sha256(name),
                                         .project_id = project_,
                                         .summary_json = "{}"}));
      return Sha256(name);
    });
  }

  std::string AddArtefact() {
    const int64_t number = ++made_;
    const std::string digest = Sha256("model" + std::to_string(number));
    return Do([&](db::Tx& tx) -> Result<std::string> {
      const int64_t run =
          BF_TRY(catalog::Runs(tx).Add({.project_id = project_,
                                        .snapshot = snapshot_,
                                        .recipe_digest = Sha256(std::to_string(number)),
                                        .recipe_json = "{}",
                                        .job_id = number}));
      BF_TRY(catalog::Artefacts(tx).Add(
          {.digest = digest, .run_id = run, .project_id = project_, .snapshot = snapshot_}));
      return digest;
    });
  }

  v1::RemoteModel AddRemote(const std::string& version) {
    v1::RemoteModel model;
    model.set_project("gate");
    model.set_address("10.0.0.5:9000");
    model.set_model("mobile<net>");
    model.set_version(version);
    model.set_kind(v1::RemoteModel::CLASSIFIER);
    return Do([&](db::Tx& tx) { return catalog::RemoteModels(tx).Add(project_, model); });
  }

  static v1::TestResult Test(const std::string& id, v1::Outcome outcome, int right) {
    v1::TestResult test;
    test.set_test_id(id);
    test.set_slice("all");
    test.set_kind("bound");
    test.set_metric("accuracy");
    test.set_bound(0.9);
    test.set_blocks(true);
    test.set_outcome(outcome);
    test.set_n(100);
    test.set_successes(right);
    test.set_measured(right / 100.0);
    test.set_lower(right / 100.0 - 0.05);
    test.set_upper(std::min(1.0, right / 100.0 + 0.05));
    test.add_groups()->set_name("of no use in a board");
    return test;
  }

  // Of the suite and the snapshot unless `verdict` says otherwise.
  int64_t Judge(v1::Verdict verdict, v1::Outcome outcome, int right) {
    if (verdict.suite().empty()) verdict.set_suite(suite_);
    if (verdict.snapshot().empty()) verdict.set_snapshot(snapshot_);
    verdict.set_outcome(outcome);
    verdict.set_report(Sha256("report"));
    if (verdict.tests().empty()) *verdict.add_tests() = Test("right", outcome, right);
    return *Do([&](db::Tx& tx) { return catalog::Verdicts(tx).Add(verdict); });
  }
  std::string JudgeNew(v1::Outcome outcome, int right, const std::string& baseline = "") {
    v1::Verdict verdict;
    verdict.set_artefact(AddArtefact());
    verdict.set_baseline(baseline);
    Judge(verdict, outcome, right);
    return verdict.artefact();
  }

  Result<v1::Board> Board(v1::GetBoardRequest request = {}) {
    if (request.project().empty()) request.set_project("gate");
    return database().Transact([&](db::Tx& tx) { return MakeBoard(tx, request); });
  }

  static std::vector<std::string> Columns(const v1::Board& board) {
    std::vector<std::string> columns;
    for (const BoardModel& model : board.models()) {
      columns.push_back(model.verdict().artefact() + model.verdict().remote_model().digest());
    }
    return columns;
  }

  int64_t project_ = 0;
  int64_t made_ = 0;
  std::string suite_;
  std::string snapshot_;
};

TEST_F(BoardTest, SaysWhatIsNotThere) {
  v1::GetBoardRequest request;
  request.set_project("cats");
  EXPECT_EQ(Board(request).status().reason(), "PROJECT_NOT_FOUND");
  EXPECT_EQ(Board().status().reason(), "VERDICT_NOT_FOUND") << "nothing was judged";
  JudgeNew(v1::PASS, 95);
  request.set_project("gate");
  request.set_suite(Sha256("no suite"));
  EXPECT_EQ(Board(request).status().reason(), "SUITE_NOT_FOUND");
  request.set_suite(AddSuite("7"));
  EXPECT_EQ(Board(request).status().reason(), "VERDICT_NOT_FOUND") << "nobody by that suite";
  request.clear_suite();
  request.set_snapshot(AddSnapshot("june"));
  EXPECT_EQ(Board(request).status().reason(), "VERDICT_NOT_FOUND") << "nobody on that snapshot";
  request.clear_snapshot();
  request.set_candidate("00000000");
  EXPECT_EQ(Board(request).status().reason(), "ARTEFACT_NOT_FOUND");
  request.clear_candidate();
  request.set_max_models(-1);
  EXPECT_THAT(Board(request), StatusIs(Code::kInvalidArgument));
  request.set_max_models(0);
  request.set_max_versions(-1);
  EXPECT_THAT(Board(request), StatusIs(Code::kInvalidArgument));
}

TEST_F(BoardTest, StandsTheCandidateBesideWhatIsShippedTheBaselineAndTheTeacher) {
  const std::string first = JudgeNew(v1::FAIL, 70);
  const std::string baseline = JudgeNew(v1::FAIL, 75);
  const std::string shipped = JudgeNew(v1::PASS, 96);
  v1::Verdict teacher;
  *teacher.mutable_remote_model() = AddRemote("7");
  Judge(teacher, v1::PASS, 99);
  const std::string candidate = JudgeNew(v1::INCONCLUSIVE, 92, baseline);

  const auto board = Board();
  ASSERT_THAT(board, IsOk());
  EXPECT_THAT(Columns(*board),
              ElementsAre(candidate, shipped, baseline, teacher.remote_model().digest(), first));
  EXPECT_THAT(board->models(0).roles(), ElementsAre(BoardModel::CANDIDATE));
  EXPECT_THAT(board->models(1).roles(), ElementsAre(BoardModel::SHIPPED));
  EXPECT_THAT(board->models(2).roles(), ElementsAre(BoardModel::BASELINE));
  EXPECT_THAT(board->models(3).roles(), ElementsAre(BoardModel::REMOTE));
  EXPECT_THAT(board->models(4).roles(), ElementsAre(BoardModel::EARLIER));
  EXPECT_EQ(board->suite_title(), "the <gate>");
  EXPECT_EQ(board->suite().digest(), suite_);
  EXPECT_EQ(board->snapshot(), snapshot_);
  ASSERT_EQ(board->tests_size(), 1);
  ASSERT_EQ(board->tests(0).cells_size(), 5);
  EXPECT_EQ(board->tests(0).cells(0).successes(), 92);
  EXPECT_EQ(board->tests(0).cells(3).successes(), 99);
  EXPECT_EQ(board->tests(0).cells(3).groups_size(), 0);
  EXPECT_EQ(board->models(0).verdict().tests_size(), 0);
}

TEST_F(BoardTest, AModelThatPlaysTwoPartsHasOneColumn) {
  const std::string shipped = JudgeNew(v1::PASS, 96);
  const std::string candidate = JudgeNew(v1::FAIL, 80, shipped);
  const auto board = Board();
  ASSERT_THAT(board, IsOk());
  EXPECT_THAT(Columns(*board), ElementsAre(candidate, shipped));
  EXPECT_THAT(board->models(1).roles(), ElementsAre(BoardModel::SHIPPED, BoardModel::BASELINE));
}

TEST_F(BoardTest, WhatIsShippedIsThereThoughItWasNeverJudgedSo) {
  v1::Verdict other;
  other.set_artefact(AddArtefact());
  other.set_suite(AddSuite("1"));
  Judge(other, v1::PASS, 99);
  const std::string candidate = JudgeNew(v1::FAIL, 80);
  const auto board = Board();
  ASSERT_THAT(board, IsOk());
  EXPECT_THAT(Columns(*board), ElementsAre(candidate, other.artefact()));
  EXPECT_EQ(board->models(1).verdict().verdict_id(), 0);
  EXPECT_EQ(board->tests(0).cells(1).test_id(), "");
  EXPECT_EQ(board->versions_size(), 2);
  EXPECT_EQ(board->more_models(), 0);
}

TEST_F(BoardTest, WhatPassesByAnotherSuiteIsNeitherShippedNorHistory) {
  v1::Verdict other;
  other.set_artefact(AddArtefact());
  other.set_suite(AddSuite("1", "another"));
  Judge(other, v1::PASS, 99);
  const std::string candidate = JudgeNew(v1::FAIL, 80);
  v1::GetBoardRequest request;
  request.set_suite(suite_);
  const auto board = Board(request);
  ASSERT_THAT(board, IsOk());
  EXPECT_THAT(Columns(*board), ElementsAre(candidate));
  EXPECT_EQ(board->versions_size(), 1);
}

TEST_F(BoardTest, TakesTheCandidateThatIsNamed) {
  const std::string first = JudgeNew(v1::FAIL, 70);
  const std::string second = JudgeNew(v1::FAIL, 75);
  v1::GetBoardRequest request;
  request.set_candidate(first.substr(0, 8));
  EXPECT_THAT(Columns(*Board(request)), ElementsAre(first, second));
  EXPECT_EQ(Board(request)->models(1).roles(0), BoardModel::EARLIER);
}

TEST_F(BoardTest, HasAsManyColumnsAndVersionsAsAskedForAndCountsTheRest) {
  std::vector<std::string> made;
  for (int i = 0; i < 5; ++i) made.push_back(JudgeNew(v1::FAIL, 70 + i));
  v1::Verdict teacher;
  *teacher.mutable_remote_model() = AddRemote("7");
  Judge(teacher, v1::FAIL, 80);
  v1::GetBoardRequest request;
  request.set_max_models(3);
  request.set_max_versions(2);
  const auto board = Board(request);
  ASSERT_THAT(board, IsOk());
  EXPECT_THAT(Columns(*board), ElementsAre(made[4], teacher.remote_model().digest(), made[3]));
  EXPECT_EQ(board->more_models(), 3);
  ASSERT_EQ(board->versions_size(), 2);
  EXPECT_EQ(board->versions(0).verdict().artefact(), made[3]) << "oldest first";
  EXPECT_EQ(board->versions(1).verdict().artefact(), made[4]);
  EXPECT_EQ(board->more_versions(), 3);
  request.set_max_models(1000);
  request.set_max_versions(1000);
  EXPECT_EQ(Board(request)->models_size(), 6) << "a large number is no error";
}

TEST_F(BoardTest, TheHistorySaysWhatIsNotComparable) {
  const std::string old_suite = AddSuite("1");
  v1::Verdict verdict;
  verdict.set_artefact(AddArtefact());
  verdict.set_suite(old_suite);
  *verdict.add_tests() = Test("right", v1::FAIL, 60);
  *verdict.add_tests() = Test("gone", v1::PASS, 99);
  Judge(verdict, v1::FAIL, 60);
  verdict.Clear();
  verdict.set_artefact(AddArtefact());
  verdict.set_snapshot(AddSnapshot("april"));
  Judge(verdict, v1::FAIL, 70);
  JudgeNew(v1::FAIL, 80);
  const std::string newest = JudgeNew(v1::PASS, 95);
  verdict.Clear();  // a later look by the old suite says less
  verdict.set_artefact(newest);
  verdict.set_suite(old_suite);
  Judge(verdict, v1::FAIL, 50);

  v1::GetBoardRequest request;
  request.set_suite(suite_);
  request.set_snapshot(snapshot_);
  const auto board = Board(request);
  ASSERT_THAT(board, IsOk());
  ASSERT_EQ(board->versions_size(), 4);
  EXPECT_FALSE(board->versions(0).same_suite());
  EXPECT_EQ(board->versions(0).suite_version(), 1);
  EXPECT_TRUE(board->versions(1).same_suite());
  EXPECT_FALSE(board->versions(1).same_snapshot());
  ASSERT_EQ(board->tests_size(), 1) << "a test that the suite has no more is no row";
  const auto& history = board->tests(0).history();
  ASSERT_EQ(history.size(), 4);
  const double measured[] = {0.6, 0.7, 0.8, 0.95};
  for (int i = 0; i < 4; ++i) {
    EXPECT_DOUBLE_EQ(history[i].measured(), measured[i]);
    EXPECT_EQ(history[i].comparable(), i >= 2) << i;
  }
}

TEST_F(BoardTest, ARegressionIsComparableOnlyWithOneAgainstTheSameBaseline) {
  const std::string one = JudgeNew(v1::PASS, 90);
  const std::string two = JudgeNew(v1::PASS, 90);
  for (const std::string& baseline : {one, two, two}) {
    v1::Verdict verdict;
    verdict.set_artefact(AddArtefact());
    verdict.set_baseline(baseline);
    *verdict.add_tests() = Test("no_loss", v1::PASS, 1);
    verdict.mutable_tests(0)->set_kind("regression");
    Judge(verdict, v1::PASS, 0);
  }
  const auto board = Board();
  ASSERT_THAT(board, IsOk());
  const auto& history = board->tests(0).history();
  ASSERT_EQ(history.size(), 3);
  EXPECT_FALSE(history[0].comparable());
  EXPECT_TRUE(history[1].comparable());
  EXPECT_TRUE(history[2].comparable());
}

TEST_F(BoardTest, RefusesWhatDoesNotFitAMessage) {
  for (int model = 0; model < 4; ++model) {
    v1::Verdict verdict;
    verdict.set_artefact(AddArtefact());
    for (int i = 0; i < 500; ++i) {
      *verdict.add_tests() = Test("t" + std::to_string(i), v1::PASS, 95);
      verdict.mutable_tests(i)->set_reason(std::string(2500, 'x'));
    }
    Judge(verdict, v1::PASS, 95);
  }
  EXPECT_EQ(Board().status().reason(), "BOARD_TOO_LARGE");
  v1::GetBoardRequest request;
  request.set_max_models(2);
  EXPECT_THAT(Board(request), IsOk());
}

TEST_F(BoardTest, IsATableForTheTerminalAndForAChange) {
  JudgeNew(v1::PASS, 96);
  v1::Verdict teacher;
  *teacher.mutable_remote_model() = AddRemote("7");
  Judge(teacher, v1::PASS, 99);
  JudgeNew(v1::FAIL, 80);
  v1::Board board = *Board();
  for (int i = 0; i < 2; ++i) {
    board.mutable_versions(i)->mutable_verdict()->set_create_time("2026-12-01T00:00:00Z");
  }
  const std::string table = *cli::FormatBoard(board, "table");
  const std::string wide(35, ' ');
  EXPECT_THAT(table, HasSubstr(wide + "candidate     shipped       remote\n"
                                      "test       slice  claim            "));
  EXPECT_THAT(table, HasSubstr("right      all    accuracy >= 0.9  FAIL 80.0 %   PASS 96.0 %   "
                               "PASS 99.0 %\nthe suite" +
                               wide.substr(9) + "FAIL          PASS          PASS\n"));
  EXPECT_THAT(table, HasSubstr("right  all    PASS 96.0 %  FAIL 80.0 %\n"));
  EXPECT_THAT(table, HasSubstr("Answers that the classifier mobile<net> 7 at 10.0.0.5:9000 gave"));
  EXPECT_THAT(table, Not(HasSubstr("~")));
  const std::string markdown = *cli::FormatBoard(board, "markdown");
  EXPECT_THAT(markdown,
              HasSubstr("| right | all | accuracy \\>= 0.9 | FAIL 80.0 % | PASS 96.0 % |"));
  EXPECT_THAT(markdown, HasSubstr("mobile\\<net\\> 7"));
  EXPECT_THAT(*cli::FormatBoard(board, "json"), HasSubstr("\"more_models\": 0"));
  EXPECT_THAT(cli::FormatBoard(board, "pdf"), StatusIs(Code::kInvalidArgument));
  board.mutable_tests(0)->mutable_history(0)->set_comparable(false);
  EXPECT_THAT(*cli::FormatBoard(board, "table"), HasSubstr("~ PASS 96.0 %"));
  EXPECT_THAT(*cli::FormatBoard(board, "table"), HasSubstr("not comparable"));
}

TEST_F(BoardTest, IsAPageThatRunsNothingAndTellsOutcomesWithoutColour) {
  JudgeNew(v1::PASS, 96);
  JudgeNew(v1::INCONCLUSIVE, 90);
  v1::Verdict teacher;
  *teacher.mutable_remote_model() = AddRemote("7");
  Judge(teacher, v1::ERROR, 99);
  JudgeNew(v1::FAIL, 80);
  const std::string html = RenderBoard(*Board());
  for (const char* part : {"mobile&lt;net&gt; 7", "the &lt;gate&gt;", "default-src 'none'",
                           "&#10003; PASS", "&#10007; FAIL", "? INCONCLUSIVE", "! ERROR",
                           "class=\"chip shipped\">shipped<", "<svg class=\"history\"",
                           "aria-label=\"#1: pass 96.0 %; #2: inconclusive 90.0 %; "
                           "#3: fail 80.0 %\"",
                           "No replay can give them again"}) {
    EXPECT_THAT(html, HasSubstr(part));
  }
  for (const char* loads : {"<script", "http:", "https:", "url(", "<gate>", "<net>"}) {
    EXPECT_THAT(html, Not(HasSubstr(loads)));
  }
}

}  // namespace
}  // namespace bitfoundry::evaluator
