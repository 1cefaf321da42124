#include "services/bitfoundry/board_text.h"

#include <algorithm>

#include "services/bitfoundry/text_table.h"
#include "verdicts/words.h"

namespace bitfoundry::cli {
namespace {

std::string Short(const std::string& digest) { return digest.substr(0, 12); }

constexpr char kWaived[] = " (waived)";

std::string Name(v1::Outcome outcome) {
  return outcome == v1::OUTCOME_UNSPECIFIED ? "not judged" : v1::Outcome_Name(outcome);
}

std::string CellOf(const v1::TestResult& test) {
  if (test.test_id().empty()) return "-";
  return Name(test.outcome()) + " " + verdicts::Measured(test) +
         (test.waived_by().empty() ? "" : kWaived);
}

// What a row asks, by the first model that was asked.
std::string Claim(const v1::BoardTest& row) {
  for (const v1::TestResult& cell : row.cells()) {
    if (!cell.test_id().empty()) return verdicts::Claim(cell) + (cell.blocks() ? "" : " (warn)");
  }
  return "";
}

// Tests by models; the first two rows are the head.
Rows Models(const v1::Board& board) {
  Rows rows = {{"", "", ""}, {"test", "slice", "claim"}};
  std::vector<std::string> last = {"the suite", "", ""};
  for (const v1::BoardModel& model : board.models()) {
    rows[0].push_back(verdicts::Roles(model));
    rows[1].push_back(verdicts::Model(model.verdict()));
    last.push_back(Name(model.verdict().outcome()));
  }
  for (const v1::BoardTest& test : board.tests()) {
    rows.push_back({test.test_id(), test.slice(), Claim(test)});
    for (const v1::TestResult& cell : test.cells()) rows.back().push_back(CellOf(cell));
  }
  rows.push_back(last);
  return rows;
}

Rows Versions(const v1::Board& board) {
  Rows rows = {{"", "artefact", "judged", "suite version", "suite", "snapshot", "verdict"}};
  for (const v1::BoardVersion& version : board.versions()) {
    const v1::Verdict& verdict = version.verdict();
    rows.push_back({"#" + std::to_string(rows.size()), Short(verdict.artefact()),
                    verdict.create_time(), std::to_string(version.suite_version()),
                    version.same_suite() ? "the same" : "other: " + Short(verdict.suite()),
                    version.same_snapshot() ? "the same" : "other: " + Short(verdict.snapshot()),
                    Name(verdict.outcome())});
  }
  return rows;
}

// Tests by versions; what is not comparable has a '~' before it.
Rows History(const v1::Board& board) {
  Rows rows = {{"test", "slice"}};
  for (int i = 1; i <= board.versions_size(); ++i) rows[0].push_back("#" + std::to_string(i));
  for (const v1::BoardTest& test : board.tests()) {
    std::vector<std::string> row = {test.test_id(), test.slice()};
    row.resize(2 + static_cast<size_t>(board.versions_size()), "-");
    for (const v1::BoardPoint& point : test.history()) {
      row[2 + static_cast<size_t>(point.version())] = (point.comparable() ? "" : "~ ") +
                                                      Name(point.outcome()) + " " + point.shown() +
                                                      (point.waived() ? kWaived : "");
    }
    rows.push_back(row);
  }
  return rows;
}

std::string Head(const v1::Board& board) {
  return board.project() + ": " + board.suite_title() + ", version " +
         std::to_string(board.suite_version()) + " (" + board.suite().name() + ", " +
         Short(board.suite().digest()) + "), snapshot " + Short(board.snapshot());
}

// What the tables leave out, and what is not to be compared: sentences.
std::vector<std::string> Notes(const v1::Board& board) {
  std::vector<std::string> notes;
  const bool mixed =
      std::any_of(board.tests().begin(), board.tests().end(), [](const v1::BoardTest& test) {
        return std::any_of(test.history().begin(), test.history().end(),
                           [](const auto& point) { return !point.comparable(); });
      });
  if (mixed) {
    notes.emplace_back(
        "~ was held against another suite, snapshot or baseline: not comparable with the rest.");
  }
  for (const v1::BoardModel& model : board.models()) {
    const std::string origin = verdicts::Origin(model.verdict());
    if (!origin.empty()) notes.push_back(verdicts::Model(model.verdict()) + ": " + origin);
  }
  if (board.more_models() > 0) {
    notes.push_back(std::to_string(board.more_models()) + " more models were judged so; --models " +
                    "shows more.");
  }
  if (board.more_versions() > 0) {
    notes.push_back(std::to_string(board.more_versions()) + " older versions are left out; " +
                    "--versions shows more.");
  }
  return notes;
}

std::string Table(const v1::Board& board) {
  std::string text = Head(board) + "\n\n" + Align(Models(board)) + "\nversions, oldest first\n" +
                     Align(Versions(board)) + "\n" + Align(History(board));
  for (const std::string& note : Notes(board)) text += "\n" + note + "\n";
  return text;
}

std::string Markdown(const v1::Board& board) {
  std::string text = "## " + MarkdownCell(Head(board)) + "\n\n" + MarkdownTable(Models(board)) +
                     "\n### Versions, oldest first\n\n" + MarkdownTable(Versions(board)) + "\n" +
                     MarkdownTable(History(board));
  for (const std::string& note : Notes(board)) text += "\n" + MarkdownCell(note) + "\n";
  return text;
}

}  // namespace

Result<std::string> FormatBoard(const v1::Board& board, const std::string& form) {
  if (form == "table") return Table(board);
  if (form == "markdown") return Markdown(board);
  if (form == "json") return ToJson(board, /*on_lines=*/true);
  return Status(Code::kInvalidArgument,
                "no such form: " + form + "; there are table, json and " + "markdown");
}

}  // namespace bitfoundry::cli
