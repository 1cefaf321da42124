#include "services/evaluator/board_page.h"

#include <algorithm>

#include "services/evaluator/history_chart.h"
#include "services/evaluator/html.h"
#include "verdicts/words.h"

namespace bitfoundry::evaluator {
namespace {

constexpr char kStyle[] = R"css(
:root { color-scheme: light dark; --pass-bg: #e6f4ec; --fail-bg: #fbe3e4;
  --inconclusive-bg: #faf0d7; --error-bg: #ece8fa; --pass-ink: #11603d; --fail-ink: #a11d22;
  --inconclusive-ink: #6d4d00; --error-ink: #523ea8; --chip: #eef0f3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #a0a6b0; --line: #343941;
  --page: #14161a; --card: #1c1f24; --pass-bg: #15301f; --fail-bg: #3d191c;
  --inconclusive-bg: #382a0c; --error-bg: #2a2347; --pass-ink: #7fd6a5; --fail-ink: #ff9ea0;
  --inconclusive-ink: #f0c462; --error-ink: #bcaeff; --chip: #2a2e35; } }
main { max-width: 1400px; }
h1 { flex-wrap: wrap; } .scroll { overflow-x: auto; }
.board { border-collapse: separate; border-spacing: 0; }
.board th, .board td { vertical-align: top; min-width: 132px; }
.board thead th { border-bottom: 2px solid var(--line); color: var(--ink); }
.board th:first-child { position: sticky; left: 0; z-index: 1; background: var(--card);
  min-width: 170px; max-width: 260px; border-right: 1px solid var(--line); color: var(--ink);
  font-size: 14px; overflow-wrap: anywhere; }
.board tr:last-child th { border-bottom: 0; }
.board th .soft, .board td .soft { font-size: 12px; font-weight: 400; }
.board code { display: block; font-weight: 600; font-size: 13px; }
.chip { display: inline-block; padding: 0 8px; margin: 0 4px 4px 0; border-radius: 9px;
  background: var(--chip); font-size: 11.5px; line-height: 19px; font-weight: 600; }
.chip.candidate { background: var(--ink); color: var(--card); }
td.cell { border-left: 3px solid var(--card); max-width: 230px; }
td.cell .between { white-space: nowrap; }
td.cell b { font-size: 17px; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.cell .mark { display: block; font-size: 12px; font-weight: 600; letter-spacing: .02em; }
td.cell.pass { background: var(--pass-bg); } td.cell.pass .mark { color: var(--pass-ink); }
td.cell.fail { background: var(--fail-bg); } td.cell.fail .mark { color: var(--fail-ink); }
td.cell.inconclusive { background: var(--inconclusive-bg); }
td.cell.inconclusive .mark { color: var(--inconclusive-ink); }
td.cell.error { background: var(--error-bg); } td.cell.error .mark { color: var(--error-ink); }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(290px, 1fr)); gap: 14px; }
.charts figure { padding: 12px 14px 6px; min-width: 0; display: flex; flex-direction: column;
  justify-content: space-between; }
.charts + p { margin-top: 12px; }
.charts figcaption { overflow-wrap: anywhere; margin-bottom: 6px; }
svg.history { width: 100%; height: auto; } svg.history text { font-size: 10.5px; }
.history .forbidden { fill: var(--fail-bg); } .history .limit { stroke: var(--ink); }
.history .way { stroke: var(--soft); stroke-opacity: .55; }
.history .pass { fill: var(--pass-ink); stroke: var(--pass-ink); }
.history .fail { fill: var(--fail-ink); stroke: var(--fail-ink); }
.history .inconclusive { fill: var(--inconclusive-ink); stroke: var(--inconclusive-ink); }
.history .error { fill: var(--error-ink); stroke: var(--error-ink); }
.history .interval { stroke-width: 5; stroke-opacity: .3; stroke-linecap: round; }
.history .cross { stroke-width: 2.2; } .history .ring { fill: var(--card); stroke-width: 2; }
.history .pale { opacity: .38; }
.other { color: var(--inconclusive-ink); font-weight: 600; }
.notes { padding: 8px 20px 8px 36px; } .notes li { overflow-wrap: anywhere; }
@media (max-width: 640px) { main { padding: 20px 12px 48px; }
  .board th:first-child { min-width: 118px; max-width: 128px; font-size: 13px; }
  .board th, .board td { min-width: 104px; padding: 7px 8px; } }
)css";

std::string Short(const std::string& digest) { return Html(digest.substr(0, 12)); }

std::string Day(const v1::Verdict& verdict) { return Html(verdict.create_time().substr(0, 10)); }

// A sign before the word, so that colour says nothing that shape does not.
std::string Sign(v1::Outcome outcome) {
  switch (outcome) {
    case v1::PASS:
      return "&#10003; ";
    case v1::FAIL:
      return "&#10007; ";
    case v1::INCONCLUSIVE:
      return "? ";
    default:
      return "! ";
  }
}

std::string ModelHead(const v1::BoardModel& model) {
  const v1::Verdict& verdict = model.verdict();
  std::string html = "<th scope=\"col\">";
  for (const int role : model.roles()) {
    v1::BoardModel one;
    one.add_roles(static_cast<v1::BoardModel::Role>(role));
    const std::string word = verdicts::Roles(one);
    html += "<span class=\"chip " + word + "\">" + word + "</span>";
  }
  html += "<code>" + Html(verdicts::Model(verdict)) + "</code>";
  if (verdict.verdict_id() == 0) return html + "<div class=\"soft\">not judged so</div></th>";
  html += "<div class=\"soft\">" + Day(verdict);
  if (!verdict.baseline().empty()) html += ", against " + Short(verdict.baseline());
  if (verdict.has_remote_model()) html += "<br>" + Html(verdict.remote_model().address());
  return html + "</div>" + Badge(verdict.outcome()) + "</th>";
}

std::string Between(const v1::TestResult& test) {
  if (test.kind() == "fits" || test.kind() == "same_bits") return "";
  return verdicts::Percent(test.lower()) + " to " + verdicts::Percent(test.upper());
}

std::string Cell(const v1::TestResult& test) {
  if (test.test_id().empty()) return "<td class=\"soft\">&ndash;</td>";
  std::string html = "<td class=\"cell " + verdicts::Word(test.outcome()) + "\" title=\"" +
                     Html(verdicts::Finding(test)) + "\"><span class=\"mark\">" +
                     Sign(test.outcome()) + v1::Outcome_Name(test.outcome()) +
                     (test.waived_by().empty() ? "" : ", waived") + "</span>";
  if (test.outcome() == v1::ERROR) {
    return html + "<div class=\"soft\">" + Html(verdicts::Finding(test)) + "</div></td>";
  }
  html += "<b>" + Html(verdicts::Measured(test)) + "</b>";
  return html + "<div class=\"soft\">" + Html(verdicts::Counted(test)) +
         "</div><div class=\"soft between\">" + Html(Between(test)) + "</div></td>";
}

// What a row asks, from the first model that was asked.
const v1::TestResult& Asked(const v1::BoardTest& row) {
  const auto found = std::find_if(row.cells().begin(), row.cells().end(),
                                  [](const auto& cell) { return !cell.test_id().empty(); });
  return found == row.cells().end() ? v1::TestResult::default_instance() : *found;
}

std::string Name(const v1::BoardTest& row) {
  const v1::TestResult& asked = Asked(row);
  std::string html =
      "<b>" + Html(row.test_id()) + "</b><div class=\"soft\">" + Html(verdicts::Claim(asked));
  if (!row.slice().empty()) html += "<br>slice " + Html(row.slice());
  if (!asked.blocks()) html += "<br>warns only";
  return html + "</div>";
}

std::string Models(const v1::Board& board) {
  std::string html =
      "<div class=\"card scroll\"><table class=\"board\"><thead><tr><th scope=\"col\">test</th>";
  for (const v1::BoardModel& model : board.models()) html += ModelHead(model);
  html += "</tr></thead><tbody>\n";
  for (const v1::BoardTest& row : board.tests()) {
    html += "<tr><th scope=\"row\">" + Name(row) + "</th>";
    for (const v1::TestResult& cell : row.cells()) html += Cell(cell);
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n";
}

std::string Charts(const v1::Board& board) {
  std::string html = "<div class=\"charts\">\n";
  for (const v1::BoardTest& row : board.tests()) {
    const v1::TestResult& asked = Asked(row);
    const std::string chart =
        HistoryChart(row, asked.kind(), asked.at_most(), board.versions_size());
    if (chart.empty()) continue;
    html +=
        "<figure class=\"card\"><figcaption>" + Name(row) + "</figcaption>" + chart + "</figure>\n";
  }
  return html +
         "</div><p class=\"soft\">Bars run between the two bounds of each verdict. A disc passed, "
         "a cross failed, a ring is inconclusive, a block at the bottom is an error; the line is "
         "the limit of this suite and the shade the side that it forbids. What is pale was held "
         "against another suite, snapshot or baseline: no line leads to it, for the figures are "
         "not comparable.</p>\n";
}

std::string Same(bool same, const std::string& digest) {
  return same ? "the same"
              : "<span class=\"other\">other</span> <code>" + Short(digest) + "</code>";
}

std::string Versions(const v1::Board& board) {
  std::string html =
      "<div class=\"card scroll\"><table><tr><th>version</th><th>artefact</th><th>judged</th>"
      "<th>suite</th><th>snapshot</th><th>against</th><th>verdict</th></tr>\n";
  for (int i = 0; i < board.versions_size(); ++i) {
    const v1::BoardVersion& version = board.versions(i);
    const v1::Verdict& verdict = version.verdict();
    html += "<tr><td>#" + std::to_string(i + 1) + "</td><td><code>" + Short(verdict.artefact()) +
            "</code></td><td>" + Day(verdict) + "</td><td>version " +
            std::to_string(version.suite_version()) + ", " +
            Same(version.same_suite(), verdict.suite()) + "</td><td>" +
            Same(version.same_snapshot(), verdict.snapshot()) + "</td><td><code>" +
            (verdict.baseline().empty() ? "&ndash;" : Short(verdict.baseline())) +
            "</code></td><td>" + Badge(verdict.outcome()) + "</td></tr>\n";
  }
  return html + "</table></div>\n";
}

std::string Notes(const v1::Board& board) {
  std::string html;
  for (const v1::BoardModel& model : board.models()) {
    const std::string origin = verdicts::Origin(model.verdict());
    if (!origin.empty()) html += "<li>" + Html(origin) + "</li>";
  }
  if (board.more_models() > 0) {
    html += "<li>" + std::to_string(board.more_models()) +
            " more models were judged by this suite on this snapshot and are not shown.</li>";
  }
  if (board.more_versions() > 0) {
    html += "<li>" + std::to_string(board.more_versions()) +
            " older versions are not in the history.</li>";
  }
  return "<ul class=\"card notes\">" + html +
         "<li>All models of the table were judged by the same text on the same samples. A "
         "difference between two cells is shown by it only where their intervals do not touch; a "
         "test of kind regression compares sample by sample.</li></ul>\n";
}

}  // namespace

std::string RenderBoard(const v1::Board& board) {
  std::string body = "<h1>" + Html(board.project()) + ": models and tests</h1><p class=\"soft\">" +
                     "Suite " + Html(board.suite_title()) + ", version " +
                     std::to_string(board.suite_version()) + " (" + Html(board.suite().name()) +
                     ", <code>" + Short(board.suite().digest()) + "</code>), on snapshot <code>" +
                     Short(board.snapshot()) + "</code>.</p>\n<h2>Models</h2>\n" + Models(board) +
                     "<h2>What to know</h2>\n" + Notes(board);
  if (board.versions_size() > 0) {
    body += "<h2>History</h2>\n" + Charts(board) + "<h2>Versions</h2>\n" + Versions(board);
  }
  return Page(board.project() + ": models and tests", body, kStyle);
}

}  // namespace bitfoundry::evaluator
