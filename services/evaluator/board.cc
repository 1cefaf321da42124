#include "services/evaluator/board.h"

#include <algorithm>
#include <map>
#include <utility>

#include "catalog/artefacts.h"
#include "catalog/projects.h"
#include "catalog/suites.h"
#include "catalog/verdicts.h"
#include "verdicts/words.h"

namespace bitfoundry::evaluator {
namespace {

using catalog::Verdicts;
using v1::BoardModel;

constexpr int kMostSuites = 200;                // that are looked through for the history
constexpr int kMostJudged = 100;                // models of which the columns are chosen
constexpr size_t kMostBytes = size_t{7} << 19;  // of runtime::kMaxMessageBytes

Result<int> Limit(const char* name, int asked, int usual, int most) {
  if (asked < 0) {
    return Status(Code::kInvalidArgument, "BOARD_LIMIT", std::string(name) + " is below 0");
  }
  return asked == 0 ? usual : std::min(asked, most);
}

std::string DigestOf(const v1::Verdict& verdict) {
  return verdict.artefact() + verdict.remote_model().digest();  // one of the two
}

v1::Verdict WithoutTests(v1::Verdict verdict) {
  verdict.clear_tests();
  return verdict;
}

class Maker {
 public:
  Maker(db::Tx& tx, const v1::GetBoardRequest& request) : tx_(tx), request_(request) {}

  Result<v1::Board> Make() {
    most_models_ = BF_TRY(Limit("max_models", request_.max_models(), 8, 32));
    most_versions_ = BF_TRY(Limit("max_versions", request_.max_versions(), 20, 100));
    const auto project = BF_TRY(catalog::Projects(tx_).Get(request_.project()));
    project_id_ = project.id;
    board_.set_project(project.name);
    BF_TRY(ChooseSuite());
    BF_TRY(ChooseModels());
    BF_TRY(AddHistory());
    if (board_.ByteSizeLong() <= kMostBytes) return std::move(board_);
    return Status(Code::kResourceExhausted, "BOARD_TOO_LARGE",
                  "the board does not fit a message: ask for fewer models or versions");
  }

 private:
  Status ChooseSuite();
  Status ChooseModels();
  Result<std::string> Candidate(const Verdicts::Best& judged);
  Status AddModel(const std::string& digest, BoardModel::Role role);
  void AddTests(const v1::Verdict& verdict, int column);
  Status AddHistory();
  v1::BoardTest& RowOf(const v1::TestResult& test);
  v1::BoardPoint Point(const v1::Verdict& verdict, const v1::TestResult& test, int version) const;

  db::Tx& tx_;
  const v1::GetBoardRequest& request_;
  int most_models_ = 0;
  int most_versions_ = 0;
  int64_t project_id_ = 0;
  v1::Board board_;
  std::map<std::string, int64_t> versions_;    // of the suites that call themselves the same
  std::map<std::string, v1::Verdict> judged_;  // by model
  std::map<std::pair<std::string, std::string>, int> rows_;
  std::string baseline_;  // that regressions of the candidate were held against
};

Status Maker::ChooseSuite() {
  const auto used = BF_TRY(Verdicts(tx_).SuitesOf(project_id_, kMostSuites));
  if (!request_.suite().empty()) BF_TRY(catalog::Suites(tx_).Get(request_.suite()));
  const auto chosen = std::find_if(used.begin(), used.end(), [&](const auto& u) {
    return request_.suite().empty() || u.suite == request_.suite();
  });
  if (chosen == used.end()) {
    return {Code::kNotFound, "VERDICT_NOT_FOUND",
            "no model of project " + board_.project() + " was judged " +
                (request_.suite().empty() ? "yet" : "by this suite") +
                ": `bitfoundry evaluate` judges one"};
  }
  board_.set_snapshot(request_.snapshot().empty() ? chosen->snapshot : request_.snapshot());
  board_.mutable_suite()->set_digest(chosen->suite);
  board_.mutable_suite()->set_name(chosen->name);
  board_.set_suite_title(chosen->title);
  board_.set_suite_version(static_cast<int32_t>(chosen->version));
  for (const Verdicts::Used& u : used) {
    if (u.title == chosen->title) versions_[u.suite] = u.version;
  }
  return {};
}

Result<std::string> Maker::Candidate(const Verdicts::Best& judged) {
  if (!request_.candidate().empty()) {
    const auto artefact = BF_TRY(catalog::Artefacts(tx_).Get(request_.candidate()));
    if (artefact.project_id == project_id_) return artefact.digest;
    return Status(Code::kInvalidArgument, "BOARD_CANDIDATE",
                  "artefact " + artefact.digest + " is of project " + artefact.project + ", not " +
                      board_.project());
  }
  const auto newest = std::find_if(judged.verdicts.begin(), judged.verdicts.end(),
                                   [](const auto& v) { return !v.has_remote_model(); });
  return newest == judged.verdicts.end() ? std::string() : newest->artefact();
}

Status Maker::ChooseModels() {
  const std::string& suite = board_.suite().digest();
  const auto judged = BF_TRY(Verdicts(tx_).BestOf(project_id_,
                                                  {.suites = {suite},
                                                   .only_snapshot = board_.snapshot(),
                                                   .suite = suite,
                                                   .snapshot = board_.snapshot(),
                                                   .remote = true},
                                                  kMostJudged));
  if (judged.verdicts.empty()) {
    return {Code::kNotFound, "VERDICT_NOT_FOUND",
            "no model was judged by this suite on snapshot " + board_.snapshot()};
  }
  for (const v1::Verdict& verdict : judged.verdicts) judged_[DigestOf(verdict)] = verdict;
  const std::string candidate = BF_TRY(Candidate(judged));
  const std::string shipped =
      BF_TRY(Verdicts(tx_).Shipped(project_id_, board_.suite_title(), candidate));
  BF_TRY(AddModel(candidate, BoardModel::CANDIDATE));
  BF_TRY(AddModel(shipped, BoardModel::SHIPPED));
  if (judged_.contains(candidate)) baseline_ = judged_[candidate].baseline();
  BF_TRY(AddModel(baseline_, BoardModel::BASELINE));
  for (const bool remote : {true, false}) {
    for (const v1::Verdict& verdict : judged.verdicts) {
      const std::string digest = DigestOf(verdict);
      const bool is_there =
          std::any_of(board_.models().begin(), board_.models().end(),
                      [&](const BoardModel& model) { return DigestOf(model.verdict()) == digest; });
      if (is_there || verdict.has_remote_model() != remote) continue;
      BF_TRY(AddModel(digest, remote ? BoardModel::REMOTE : BoardModel::EARLIER));
    }
  }
  const auto shown = std::count_if(board_.models().begin(), board_.models().end(),
                                   [](const auto& m) { return m.verdict().verdict_id() != 0; });
  board_.set_more_models(static_cast<int32_t>(judged.models - shown));
  return {};
}

// A column, unless there is one already, or no room.
Status Maker::AddModel(const std::string& digest, BoardModel::Role role) {
  if (digest.empty()) return {};
  for (BoardModel& model : *board_.mutable_models()) {
    if (DigestOf(model.verdict()) != digest) continue;
    model.add_roles(role);
    return {};
  }
  if (board_.models_size() == most_models_) return {};
  if (!judged_.contains(digest)) {  // older than those that were looked through, or not at all
    const auto verdict =
        BF_TRY(Verdicts(tx_).Newest(digest, board_.suite().digest(), board_.snapshot()));
    if (verdict) judged_[digest] = *verdict;
  }
  BoardModel& model = *board_.add_models();
  model.add_roles(role);
  for (v1::BoardTest& row : *board_.mutable_tests()) row.add_cells();
  const auto found = judged_.find(digest);
  if (found == judged_.end()) {
    model.mutable_verdict()->set_artefact(digest);
    return {};
  }
  *model.mutable_verdict() = WithoutTests(found->second);
  AddTests(found->second, board_.models_size() - 1);
  return {};
}

v1::BoardTest& Maker::RowOf(const v1::TestResult& test) {
  const auto [found, fresh] =
      rows_.try_emplace({test.test_id(), test.slice()}, board_.tests_size());
  if (!fresh) return *board_.mutable_tests(found->second);
  v1::BoardTest& row = *board_.add_tests();
  row.set_test_id(test.test_id());
  row.set_slice(test.slice());
  for (int i = 0; i < board_.models_size(); ++i) row.add_cells();
  return row;
}

void Maker::AddTests(const v1::Verdict& verdict, int column) {
  for (const v1::TestResult& test : verdict.tests()) {
    v1::TestResult& cell = *RowOf(test).mutable_cells(column);
    cell = test;
    cell.clear_groups();
  }
}

v1::BoardPoint Maker::Point(const v1::Verdict& verdict, const v1::TestResult& test,
                            int version) const {
  const v1::BoardVersion& of = board_.versions(version);
  v1::BoardPoint point;
  point.set_version(version);
  point.set_comparable(of.same_suite() && of.same_snapshot() &&
                       (test.kind() != "regression" || verdict.baseline() == baseline_));
  point.set_outcome(test.outcome());
  point.set_measured(test.measured());
  point.set_lower(test.lower());
  point.set_upper(test.upper());
  point.set_bound(test.bound());
  point.set_n(test.n());
  point.set_shown(verdicts::Measured(test));
  point.set_waived(!test.waived_by().empty());
  return point;
}

Status Maker::AddHistory() {
  Verdicts::Wish wish{.suite = board_.suite().digest(), .snapshot = board_.snapshot()};
  for (const auto& [digest, version] : versions_) wish.suites.push_back(digest);
  auto best = BF_TRY(Verdicts(tx_).BestOf(project_id_, wish, most_versions_));
  std::reverse(best.verdicts.begin(), best.verdicts.end());
  for (const v1::Verdict& verdict : best.verdicts) {
    const int version = board_.versions_size();
    v1::BoardVersion& of = *board_.add_versions();
    *of.mutable_verdict() = WithoutTests(verdict);
    of.set_suite_version(static_cast<int32_t>(versions_.at(verdict.suite())));
    of.set_same_suite(verdict.suite() == wish.suite);
    of.set_same_snapshot(verdict.snapshot() == wish.snapshot);
    for (const v1::TestResult& test : verdict.tests()) {
      const auto row = rows_.find({test.test_id(), test.slice()});
      if (row == rows_.end()) continue;  // a test that the suite has no more
      *board_.mutable_tests(row->second)->add_history() = Point(verdict, test, version);
    }
  }
  board_.set_more_versions(static_cast<int32_t>(best.models) - board_.versions_size());
  return {};
}

}  // namespace

Result<v1::Board> MakeBoard(db::Tx& tx, const v1::GetBoardRequest& request) {
  return Maker(tx, request).Make();
}

}  // namespace bitfoundry::evaluator
