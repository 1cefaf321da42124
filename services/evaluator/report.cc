#include "services/evaluator/report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <set>

#include "base/digest.h"
#include "images/codec.h"
#include "verdicts/words.h"

namespace bitfoundry::evaluator {
namespace {

constexpr char kStyle[] = R"css(
:root { --ink: #1c2024; --soft: #60646c; --line: #e0e3e8; --page: #f6f7f9; --card: #fff;
  --pass: #18794e; --fail: #c62a2f; --inconclusive: #946800; --error: #6e56cf; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 32px 24px 64px; }
h1 { font-size: 26px; margin: 0 0 4px; display: flex; align-items: center; gap: 14px; }
h2 { font-size: 18px; margin: 40px 0 12px; }
p { margin: 4px 0; }
code { font: 12.5px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; overflow-wrap: anywhere; }
.soft { color: var(--soft); }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.badge { display: inline-block; padding: 2px 9px; border-radius: 6px; color: #fff; font-weight: 600;
  font-size: 12px; letter-spacing: .03em; white-space: nowrap; }
h1 .badge { font-size: 18px; padding: 4px 14px; }
.badge.pass { background: var(--pass); } .badge.fail { background: var(--fail); }
.badge.inconclusive { background: var(--inconclusive); } .badge.error { background: var(--error); }
table { border-collapse: collapse; width: 100%; }
th { text-align: left; font-size: 12px; font-weight: 600; color: var(--soft); }
th, td { padding: 9px 12px; border-bottom: 1px solid var(--line); vertical-align: top; }
tr:last-child > * { border-bottom: 0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.reason td { padding-top: 0; } tr:has(+ .reason) td { border-bottom: 0; }
td.claim { white-space: nowrap; }
td a { color: inherit; font-weight: 600; text-decoration: none; }
td a:hover { text-decoration: underline; }
svg { display: block; } svg text { font-size: 10px; fill: var(--soft); }
svg.pass { fill: var(--pass); } svg.fail { fill: var(--fail); }
svg.inconclusive { fill: var(--inconclusive); } svg.error { fill: var(--error); }
details { margin: 10px 0; padding: 4px 18px; }
summary { cursor: pointer; padding: 10px 0; display: flex; align-items: center; gap: 12px; }
summary::before { content: "\25B8"; color: var(--soft); }
details[open] summary::before { content: "\25BE"; }
details h3 { font-size: 13px; margin: 16px 0 8px; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); gap: 12px;
  padding-bottom: 14px; }
figure { margin: 0; }
figure img { width: 100%; aspect-ratio: 1; object-fit: contain; display: block;
  border-radius: 6px; border: 3px solid; background: #000; }
.right img { border-color: var(--pass); } .wrong img { border-color: var(--fail); }
figcaption { font-size: 11.5px; line-height: 1.4; padding-top: 4px; overflow-wrap: anywhere; }
li { margin: 6px 0; } .limits { padding: 8px 20px; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 6px 20px; margin: 0;
  padding: 16px 20px; }
dd { margin: 0; } dt { color: var(--soft); }
)css";

// Safe inside an HTML text or a quoted attribute.
std::string Html(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\'':
        escaped += "&#39;";
        break;
      default:
        escaped += c;
    }
  }
  return escaped;
}

std::string Base64(const std::string& bytes) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t j = 0; j < 3; ++j) {
      group = group << 8 | (i + j < bytes.size() ? static_cast<uint8_t>(bytes[i + j]) : 0U);
    }
    for (size_t j = 0; j < 4; ++j) {
      text += i + j <= bytes.size() ? kDigits[group >> (18 - 6 * j) & 63] : '=';
    }
  }
  return text;
}

std::string Format(const char* format, double value) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}
using verdicts::Word;

std::string Badge(v1::Outcome outcome) {
  return "<span class=\"badge " + Word(outcome) + "\">" + v1::Outcome_Name(outcome) + "</span>";
}

// The limit and what was shown, on a line that is zoomed to hold both: the side that the limit
// forbids is red, the interval is the bar, the observed rate the dot, the limit the upright line.
std::string Interval(const v1::TestResult& test) {
  if (test.kind() == "fits" || test.kind() == "same_bits" || test.kind() == "shortcut") return "";
  constexpr double kWidth = 240;
  constexpr double kMargin = 30;  // for the figures at its ends
  const bool seen = test.n() > 0;
  const double least = seen ? std::min(test.bound(), test.lower()) : test.bound();
  const double most = seen ? std::max(test.bound(), test.upper()) : test.bound();
  const double low = std::max(-1.0, std::floor(20 * (least - 0.03)) / 20);
  const double high = std::min(1.0, std::ceil(20 * (most + 0.03)) / 20);
  const auto at = [&](double rate) {
    return kMargin + (rate - low) / (high - low) * (kWidth - 2 * kMargin);
  };
  const auto bar = [&](double from, double to, const char* rest) {
    return "<rect x=\"" + Format("%.1f", at(from)) + "\" width=\"" +
           Format("%.1f", std::max(1.0, at(to) - at(from))) + "\" " + rest + "/>";
  };
  const auto end = [&](double x, const char* anchor, double rate) {
    return "<text x=\"" + Format("%.0f", x) + "\" y=\"17\" text-anchor=\"" + anchor + "\">" +
           Format("%.0f", 100 * rate) + "</text>";
  };

  std::string svg = "<svg width=\"240\" height=\"26\" class=\"" + Word(test.outcome()) + "\">";
  svg += bar(low, high, "y=\"9\" height=\"8\" fill=\"#e6f4ec\"");
  svg += test.at_most() ? bar(test.bound(), high, "y=\"9\" height=\"8\" fill=\"#fbe3e4\"")
                        : bar(low, test.bound(), "y=\"9\" height=\"8\" fill=\"#fbe3e4\"");
  if (seen) {
    svg += bar(test.lower(), test.upper(), "y=\"7\" height=\"12\" rx=\"3\" opacity=\".45\"");
    svg += "<circle cx=\"" + Format("%.1f", at(test.measured())) + "\" cy=\"13\" r=\"3.5\"/>";
  }
  const std::string x = Format("%.1f", at(test.bound()));
  svg += "<line x1=\"" + x + "\" x2=\"" + x +
         "\" y1=\"2\" y2=\"24\" stroke=\"#1c2024\" stroke-width=\"1.5\"/>";
  return svg + end(kMargin - 5, "end", low) + end(kWidth - kMargin + 5, "start", high) + "</svg>";
}

std::string TableRow(const v1::TestResult& test, size_t index) {
  std::string row = "<tr><td>" + Badge(test.outcome());
  if (!test.blocks()) row += "<div class=\"soft\">warns only</div>";
  if (!test.waived_by().empty()) row += "<div class=\"soft\">waived</div>";
  row += "</td><td><a href=\"#t" + std::to_string(index) + "\">" + Html(test.test_id()) + "</a>";
  if (!test.slice().empty()) row += "<div class=\"soft\">slice " + Html(test.slice());
  if (!test.transform().empty()) row += ", " + Html(test.transform()) + ", synthetic";
  row += std::string(test.slice().empty() ? "" : "</div>") + "</td><td class=\"claim\">" +
         Html(verdicts::Claim(test)) + "</td><td class=\"number\">" +
         Html(verdicts::Counted(test)) + "</td><td class=\"number\">" +
         Html(verdicts::Measured(test)) + "</td><td>" + Interval(test) + "</td></tr>\n";
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
  const std::string confidence = Format("%g", 100 * (1 - suite.alpha));
  return html + "</table></div><p class=\"soft\">Bars run between the two exact one-sided " +
         confidence +
         "&nbsp;% bounds (Clopper and Pearson); the dot is the observed rate, the "
         "upright line the limit, red the side that it forbids. A test passes when its bar is "
         "clear of the red, fails when it is all inside, and is inconclusive across the "
         "line.</p>\n";
}

// One sample as the network saw it.
std::string Picture(const verdicts::Evidence& evidence, const verdicts::DataTest& test,
                    size_t place) {
  const snapshot::Snapshot& data = evidence.data;
  const size_t index = evidence.rows[place];
  const snapshot::Row& row = data.rows[index];
  const std::string& actual = data.classes[static_cast<size_t>(row.class_index)];
  const std::string& predicted = data.classes[evidence.predictions.at(test.view())[place]];

  images::Image image;
  image.width = data.width;
  image.height = data.height;
  image.channels = data.channels;
  const auto pixels = data.Image(index);
  image.pixels = test.view().empty() ? std::vector<uint8_t>(pixels.begin(), pixels.end())
                                     : verdicts::Apply(test.transforms[0], data, index);

  std::string facts;
  for (const auto& [key, value] : row.tags) {
    facts += (facts.empty() ? "" : ", ") + key + "=" + value;
  }
  return std::string("<figure class=\"") + (actual == predicted ? "right" : "wrong") +
         "\" title=\"" + Html(row.name) + "\"><img alt=\"" + Html(actual) +
         "\" src=\"data:image/png;base64," + Base64(images::EncodePng(image)) +
         "\"><figcaption>said <b>" + Html(predicted) + "</b>, is <b>" + Html(actual) +
         "</b><div class=\"soft\">" + Html(facts) + "</div></figcaption></figure>\n";
}

// Up to kPicturesPerTest of `places`, drawn by the digests of their names: neighbours in the data
// set are often neighbours in a video, and twelve of one moment show nothing.
std::string Pictures(const verdicts::Evidence& evidence, const verdicts::DataTest& test,
                     const std::string& title, const std::vector<size_t>& places) {
  if (places.empty()) return "";
  std::vector<std::pair<std::string, size_t>> drawn;
  for (const size_t place : places) {
    drawn.emplace_back(Sha256(evidence.data.rows[evidence.rows[place]].name), place);
  }
  std::sort(drawn.begin(), drawn.end());
  if (drawn.size() > kPicturesPerTest) drawn.resize(kPicturesPerTest);
  std::string html = "<h3>" + title + ": " + std::to_string(drawn.size()) + " of " +
                     std::to_string(places.size()) + "</h3><div class=\"pictures\">\n";
  for (const auto& [key, place] : drawn) html += Picture(evidence, test, place);
  return html + "</div>";
}

std::string Section(const verdicts::Evidence& evidence, const verdicts::DataTest& test,
                    const verdicts::Judged& judged, size_t index) {
  const v1::TestResult& result = judged.result;
  std::vector<size_t> right;
  std::vector<size_t> wrong;
  for (const size_t place : judged.counted) {
    const auto label = static_cast<size_t>(evidence.data.rows[evidence.rows[place]].class_index);
    const size_t said = evidence.predictions.at(test.view())[place];
    (said == label ? right : wrong).push_back(place);
  }
  std::string html = "<details class=\"card\" id=\"t" + std::to_string(index) + "\"" +
                     (result.outcome() == v1::PASS ? "" : " open") + "><summary>" +
                     Badge(result.outcome()) + "<b>" + Html(result.test_id()) + "</b><code>" +
                     Html(result.expression()) + "</code></summary><p class=\"soft\">" +
                     std::to_string(judged.members.size()) + " rows in the slice, " +
                     std::to_string(result.n()) + " that " + Html(result.metric()) + " counts, " +
                     std::to_string(result.unknown_rows()) +
                     " of unknown membership and left out. Digest of the rows: <code>" +
                     Html(result.rows_digest()) + "</code></p>";
  if (!result.transform().empty()) {
    html += "<p class=\"soft\">Pictures as the network saw them, after " +
            Html(result.transform()) + ".</p>";
  }
  html += Pictures(evidence, test, "Wrong", wrong);
  html += Pictures(evidence, test, "Right", right);
  return html + "</details>\n";
}

std::string Join(const std::set<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

// What this verdict cannot show, from the data that it was given on.
std::string Limits(const v1::Verdict& verdict, const verdicts::Evidence& evidence) {
  std::set<std::string> cameras;
  std::set<std::string> sessions;
  for (const size_t i : evidence.rows) {
    cameras.insert(evidence.data.rows[i].camera);
    sessions.insert(evidence.data.rows[i].session);
  }
  std::string html = "<div class=\"card limits\"><ul>";
  html += "<li>The " + std::to_string(evidence.rows.size()) + " test samples come from ";
  html += cameras.size() == 1
              ? "<b>one camera</b> (" + Html(Join(cameras)) +
                    "). Nothing here says how the model does on another."
              : std::to_string(cameras.size()) + " cameras (" + Html(Join(cameras)) +
                    "). Nothing here says how the model does on others.";
  html += "</li><li>They come from " +
          (sessions.size() == 1 ? "one session" : std::to_string(sessions.size()) + " sessions") +
          ". Samples of one session resemble each other, and the bounds count them as independent: "
          "the truth is less certain than the bars show.</li>";
  const bool synthetic = std::any_of(verdict.tests().begin(), verdict.tests().end(),
                                     [](const auto& test) { return !test.transform().empty(); });
  if (synthetic) {
    html +=
        "<li>Darkened images are <b>synthetic</b>: made from lit ones by a formula. They tell "
        "how the model takes that formula, not how it does at night.</li>";
  }
  html +=
      "<li>Labels of the test part come from the label queue alone, never from the teacher. Tags "
      "and attributes of what is in a picture (a person's height, the way somebody walks) come "
      "from the teacher's boxes unless a person gave them. They decide who is in a slice, not "
      "what is right; but whom the teacher missed is in no such slice.</li>"
      "<li>Each bound is wrong with the stated probability at most; no correction is made for "
      "looking at several. That is right for shipping, where all have to pass.</li>";
  return html + "</ul></div>\n";
}

}  // namespace

std::string RenderReport(const v1::Verdict& verdict, const verdicts::Suite& suite,
                         const std::vector<verdicts::Judged>& tests,
                         const verdicts::Evidence& evidence) {
  std::string html =
      "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
      "<meta http-equiv=\"Content-Security-Policy\" "
      "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\"><title>" +
      Html(suite.name) + ": " + Word(verdict.outcome()) + "</title><style>" + kStyle +
      "</style></head><body><main>\n";
  html +=
      "<h1>" + Badge(verdict.outcome()) + "<span>" + Html(verdict.project()) + "</span></h1>" +
      "<p class=\"soft\">Suite " + Html(suite.name) + ", version " + std::to_string(suite.version) +
      ", on artefact <code>" + Html(verdict.artefact().substr(0, 12)) + "</code>. Of " +
      std::to_string(verdict.tests_size()) + " tests: " + verdicts::Summary(verdict) + ".</p>\n";
  html += "<h2>Tests</h2>\n" + Table(verdict, suite);
  html += "<h2>What this does not say</h2>\n" + Limits(verdict, evidence);
  html += "<h2>Pictures</h2>\n";
  for (size_t i = 0; i < tests.size(); ++i) {
    html += Section(evidence, suite.tests[i], tests[i], i);
  }
  html += "<h2>What was judged</h2><dl class=\"card\"><dt>artefact</dt><dd><code>" +
          Html(verdict.artefact()) + "</code></dd><dt>snapshot</dt><dd><code>" +
          Html(verdict.snapshot()) + "</code></dd><dt>suite</dt><dd><code>" +
          Html(verdict.suite()) + "</code></dd><dt>runtime</dt><dd><code>" +
          Html(verdict.runtime()) + "</code></dd></dl>" +
          "<p class=\"soft\">All arithmetic of the network is in integers: the same artefact, "
          "snapshot and suite give the same verdict on every machine.</p></main></body></html>\n";
  return html;
}

}  // namespace bitfoundry::evaluator
