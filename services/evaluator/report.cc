#include "services/evaluator/report.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "services/evaluator/charts.h"
#include "services/evaluator/html.h"
#include "services/evaluator/pictures.h"
#include "verdicts/words.h"

namespace bitfoundry::evaluator {
namespace {

using verdicts::Evidence;
using verdicts::Figure;
using verdicts::Kind;

// Samples of one group are alike; so many independent ones would prove as much.
std::string EffectiveN(const v1::TestResult& test) {
  return Format("%.0f", std::floor(test.n() / std::max(1.0, test.design_effect())));
}

std::string Anchor(size_t test) { return "t" + std::to_string(test); }

bool IsOfFirmware(const v1::TestResult& test) {
  return test.kind() == "fits" || test.kind() == "same_bits";
}

std::string TableRow(const v1::TestResult& test, size_t index) {
  std::string row = "<tr><td>" + Badge(test.outcome());
  if (!test.blocks()) row += "<div class=\"soft\">warns only</div>";
  if (!test.waived_by().empty()) row += "<div class=\"soft\">waived</div>";
  row +=
      "</td><td class=\"name\"><a href=\"#" + Anchor(index) + "\">" + Html(test.test_id()) + "</a>";
  if (!test.slice().empty()) row += "<div class=\"soft\">slice " + Html(test.slice());
  if (!test.transform().empty()) row += ", " + Html(test.transform()) + ", synthetic";
  row += std::string(test.slice().empty() ? "" : "</div>") + "</td><td class=\"claim\">" +
         Html(verdicts::Claim(test)) + "</td><td class=\"number\">" + Html(verdicts::Counted(test));
  if (test.design_effect() > 1) row += "<div class=\"soft\">as " + EffectiveN(test) + "</div>";
  row += "</td><td class=\"number\">" + Html(verdicts::Measured(test)) + "</td><td>" +
         LimitChart(test) + "</td></tr>\n";
  return row + "<tr class=\"reason\"><td></td><td colspan=\"5\">" + Html(verdicts::Finding(test)) +
         "</td></tr>\n";
}

std::string Table(const v1::Verdict& verdict, const verdicts::Suite& suite) {
  std::string html =
      "<div class=\"card\"><table><tr><th></th><th>test</th><th>claim</th>"
      "<th class=\"number\">counted</th><th class=\"number\">measured</th>"
      "<th>limit, and what was shown (%)</th></tr>\n";
  for (int i = 0; i < verdict.tests_size(); ++i) {
    html += TableRow(verdict.tests(i), static_cast<size_t>(i));
  }
  return html + "</table></div><p class=\"soft\">Bars run between two one-sided bounds of " +
         Format("%g", 100 * (1 - suite.alpha)) +
         "&nbsp;% each, exact for rates (Clopper and Pearson), for losses and for gaps (of a scan "
         "the widest); that of a mean is Hoeffding's. The dot is what was observed, the upright "
         "line the limit, red the side that it forbids, a dashed line what a perfect model reaches "
         "with these labels. A test passes when its bar is clear of the red, fails when it is all "
         "inside (and no mere chance among so many tests, by Holm), and is inconclusive otherwise. "
         "Of firmware the bar "
         "is the share of the limit that is used.</p>\n";
}

std::string Facts(const verdicts::Judged& judged) {
  const v1::TestResult& test = judged.result;
  std::string html = "<p class=\"soft\">" + std::to_string(judged.members.size()) +
                     " rows in the slice, " + std::to_string(test.n()) + " that the test counts, " +
                     std::to_string(test.unknown_rows()) + " of unknown membership and left out. ";
  if (!test.cluster().empty()) {
    html += "Rows of one <b>" + Html(test.cluster()) + "</b> are alike: the " +
            std::to_string(test.n()) + " come in " + std::to_string(test.clusters()) +
            " groups and prove as much as " + EffectiveN(test) + " independent ones. ";
  }
  if (test.ceiling() > 0 && test.ceiling() < 1) {
    html += "With labels as sure as these a perfect model would measure " +
            verdicts::Percent(test.ceiling()) + ". ";
  }
  if (test.evaluations() > 1) {
    html += "These rows were judged in <b>" + std::to_string(test.evaluations()) +
            " evaluations</b> so far, this one included. ";
  }
  if (test.p_holds() < 1 || test.p_broken() < 1) {
    html += "p of the proof " + Format("%.2g", test.p_holds()) + ", of the alarm " +
            Format("%.2g", test.p_broken()) + " before Holm. ";
  }
  return html + "Digest of the rows: <code>" + Html(test.rows_digest()) + "</code></p>";
}

std::string Section(const verdicts::Subject& subject, const verdicts::Evaluated& evaluated,
                    const Explanations& explanations, size_t index) {
  const v1::TestResult& test = evaluated.tests[index].result;
  std::string html = "<details class=\"card\" id=\"" + Anchor(index) + "\"" +
                     (test.outcome() == v1::PASS ? "" : " open") + "><summary>" +
                     Badge(test.outcome()) + "<b>" + Html(test.test_id()) + "</b><code>" +
                     Html(test.expression()) + "</code></summary><p>" +
                     Html(verdicts::Claim(test)) + ": " + Html(verdicts::Finding(test)) + "</p>" +
                     Facts(evaluated.tests[index]);
  if (test.kind() == "regression" && evaluated.evidence.has_baseline) {
    html += "<p>Against <code>" + Html(subject.baseline.substr(0, 12)) +
            "</code>, the baseline: <b>" + std::to_string(test.losses()) +
            " lost</b> (right there, wrong here), <b>" + std::to_string(test.gains()) +
            " gained</b>, of " + std::to_string(test.n()) + ".</p>";
  }
  if (test.kind() == "shortcut" && !test.groups().empty()) {
    html +=
        "<p>The bin that differs most from all other rows of the same label, by how many are "
        "said to be <b>" +
        Html(subject.suite.tests[index].positive) + "</b>:</p>";
  }
  html += GroupTable(test);
  if (!subject.suite.tests[index].view().empty()) {
    html += "<p class=\"soft\">Pictures as the network saw them, after " + Html(test.transform()) +
            ".</p>";
  }
  return html + Pictures(subject, evaluated, explanations, index) + "</details>\n";
}

std::string Firmware(const verdicts::Evaluated& evaluated) {
  const Evidence& evidence = evaluated.evidence;
  if (evidence.cores.empty()) return "";
  constexpr Figure kFigures[] = {Figure::kFlashBytes, Figure::kArenaBytes, Figure::kStackBytes,
                                 Figure::kInstructions};
  std::string html =
      "<h2>Firmware</h2><div class=\"card\"><table><tr><th>core</th>"
      "<th class=\"number\">flash bytes</th><th class=\"number\">arena bytes</th>"
      "<th class=\"number\">stack bytes</th><th class=\"number\">instructions</th>"
      "<th>golden images equal, layer by layer</th></tr>\n";
  for (const auto& [core, emulated] : evidence.cores) {
    const std::string name(emulate::Name(core));
    html += "<tr><td><b>" + name + "</b>";
    for (size_t i = 0; i < evaluated.tests.size(); ++i) {
      const v1::TestResult& test = evaluated.tests[i].result;
      if (IsOfFirmware(test) && test.core() == name) html += "<a id=\"" + Anchor(i) + "\"></a>";
    }
    html += "<div class=\"soft\">artefact pull " + Html(emulated.firmware) + "</div></td>";
    if (!emulated.error.empty()) {
      html += "<td colspan=\"5\">was not run: " + Html(emulated.error) + "</td></tr>\n";
      continue;
    }
    for (const Figure figure : kFigures) {
      std::string limit;
      bool over = false;
      for (const verdicts::Judged& judged : evaluated.tests) {
        const v1::TestResult& test = judged.result;
        if (test.kind() != "fits" || test.core() != name || test.metric() != ToString(figure)) {
          continue;
        }
        limit = "<div class=\"soft\">of " + Format("%.0f", test.bound()) + "</div>";
        over = over || test.outcome() == v1::FAIL;
      }
      html += std::string("<td class=\"number") + (over ? " bad" : "") + "\"><b>" +
              Format("%.0f", emulated.figures.at(figure)) + "</b>" + limit + "</td>";
    }
    html += "<td>" + std::to_string(emulated.equal) + " of " + std::to_string(emulated.images) +
            " <span class=\"soft\">" + Html(emulated.difference) + "</span></td></tr>\n";
  }
  return html +
         "</table></div><p class=\"soft\">Built by the cross compiler and run under QEMU on the "
         "golden images of the artefact. Instructions are those of the image that takes most, "
         "counted exactly; they are not cycles. Flash is the runtime's and the model's, without "
         "the program around them.</p>\n";
}

std::string Waivers(const verdicts::Subject& subject, const verdicts::Evaluated& evaluated) {
  if (subject.suite.waivers.empty()) return "";
  std::string html =
      "<h2>Waivers</h2><div class=\"card\"><table><tr><th>test</th><th>until</th><th>by</th>"
      "<th>reason</th><th>on " +
      Html(evaluated.verdict.date()) + "</th></tr>\n";
  for (const verdicts::Waiver& waiver : subject.suite.waivers) {
    const bool expired = evaluated.verdict.date() > waiver.until;
    html += "<tr><td><b>" + Html(waiver.test) + "</b></td><td class=\"number\">" +
            Html(waiver.until) + "</td><td>" + Html(waiver.by) + "</td><td>" + Html(waiver.reason) +
            "</td><td>" + (expired ? "has expired: the test blocks" : "holds") + "</td></tr>\n";
  }
  return html + "</table></div>\n";
}

std::string Join(const std::set<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// How far the samples reach.
std::string Coverage(const v1::Verdict& verdict, const Evidence& evidence) {
  std::set<std::string> cameras;
  std::set<std::string> sessions;
  for (const size_t i : evidence.rows) {
    cameras.insert(evidence.data.rows[i].camera);
    sessions.insert(evidence.data.rows[i].session);
  }
  std::string html = "<li>The " + std::to_string(evidence.rows.size()) + " test samples come from ";
  html += cameras.size() == 1
              ? "<b>one camera</b> (" + Html(Join(cameras)) +
                    "). Nothing here says how the model does on another."
              : std::to_string(cameras.size()) + " cameras (" + Html(Join(cameras)) +
                    "). Nothing here says how the model does on others.";
  html += "</li><li>They come from " +
          (sessions.size() == 1 ? "one session" : std::to_string(sessions.size()) + " sessions") +
          ". Samples of one session resemble each other; ";
  const bool clustered = std::any_of(verdict.tests().begin(), verdict.tests().end(),
                                     [](const auto& test) { return !test.cluster().empty(); });
  return html +
         (clustered ? "tests that name a cluster make up for it, the bounds of the others count "
                      "them as independent: there the truth is less certain than the bars show."
                    : "the bounds count them as independent: the truth is less certain than the "
                      "bars show.") +
         "</li>";
}

// What this verdict cannot show, from the data that it was given on.
std::string Limits(const v1::Verdict& verdict, const Evidence& evidence) {
  std::string html = "<div class=\"card limits\"><ul>";
  if (verdict.has_remote_model()) html += "<li>" + Html(verdicts::Origin(verdict)) + "</li>";
  html += Coverage(verdict, evidence);
  int32_t evaluations = 0;
  bool synthetic = false;
  for (const v1::TestResult& test : verdict.tests()) {
    evaluations = std::max(evaluations, test.evaluations());
    synthetic = synthetic || !test.transform().empty();
  }
  if (evaluations > 1) {
    html += "<li>The same rows were judged in up to <b>" + std::to_string(evaluations) +
            " evaluations</b>, this one included. Each look at the same "
            "labels makes it likelier that the next pass is luck.</li>";
  }
  if (synthetic) {
    html +=
        "<li>Transformed images are <b>synthetic</b>: made from real ones by a formula. They tell "
        "how the model takes that formula, not how it does on such scenes.</li>";
  }
  html +=
      "<li>Labels of the test part were given by people, or stated by whoever brought the images, "
      "never by a teacher. Tags "
      "and attributes of what is in a picture (a person's height, the way somebody walks) come "
      "from a teacher's boxes unless a person gave them. They decide who is in a slice, not "
      "what is right; but whom the teacher missed is in no such slice.</li>"
      "<li>Each bound is wrong with the stated probability at most. To be shipped a model has to "
      "pass all tests that block, so a pass needs no correction for their number; an alarm does, "
      "and has it (Holm).</li>";
  return html + "</ul></div>\n";
}

std::string WhatWasJudged(const v1::Verdict& verdict, bool packed) {
  std::string html = "<h2>What was judged</h2><dl class=\"card\">";
  const auto item = [&](const char* name, const std::string& value) {
    if (value.empty()) return;
    html += std::string("<dt>") + name + "</dt><dd><code>" + Html(value) + "</code></dd>";
  };
  item("artefact", verdict.artefact());
  item("remote model", verdict.remote_model().digest());
  item("input", verdict.remote_model().input());
  item("output", verdict.remote_model().output());
  item("snapshot", verdict.snapshot());
  item("suite", verdict.suite());
  item("held against", verdict.baseline());
  item("waivers as of", verdict.date());
  item("runtime", verdict.runtime());
  return html + "</dl>" +
         (packed ? "<p class=\"soft\">All arithmetic of the network is in integers: the same "
                   "artefact, snapshot and suite give the same verdict on every machine.</p>"
                 : "");
}

}  // namespace

std::string RenderReport(const verdicts::Subject& subject, const verdicts::Evaluated& evaluated,
                         const Explanations& explanations) {
  const v1::Verdict& verdict = evaluated.verdict;
  const verdicts::Suite& suite = subject.suite;
  std::string body = "<h1>" + Badge(verdict.outcome()) + "<span>" + Html(verdict.project()) +
                     "</span></h1><p class=\"soft\">Suite " + Html(suite.name) + ", version " +
                     std::to_string(suite.version) + ", on " +
                     (verdict.has_remote_model() ? "remote model" : "artefact") + " <code>" +
                     Html(verdicts::Model(verdict)) + "</code>";
  if (!verdict.baseline().empty()) {
    body += ", held against <code>" + Html(verdict.baseline().substr(0, 12)) + "</code>";
  }
  body += ". Of " + std::to_string(verdict.tests_size()) + " tests: " + verdicts::Summary(verdict) +
          ".</p>\n<h2>Tests</h2>\n" + Table(verdict, suite) + Waivers(subject, evaluated) +
          "<h2>What this does not say</h2>\n" + Limits(verdict, evaluated.evidence) +
          Firmware(evaluated) + WhereItLooks(subject, explanations) + "<h2>Test by test</h2>\n";
  for (size_t i = 0; i < evaluated.tests.size(); ++i) {
    if (IsOfFirmware(evaluated.tests[i].result) && !evaluated.evidence.cores.empty()) continue;
    body += Section(subject, evaluated, explanations, i);
  }
  return Page(suite.name + ": " + verdicts::Word(verdict.outcome()),
              body + WhatWasJudged(verdict, !subject.predictor));
}

}  // namespace bitfoundry::evaluator
