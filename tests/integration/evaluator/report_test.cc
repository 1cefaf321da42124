// The report of a verdict with a test of every kind, on data that is easy to foresee.
#include "services/evaluator/report.h"

#include <gtest/gtest.h>

#include "tests/integration/evaluator/factory_floor.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::evaluator {
namespace {

using testing::IsOk;
using verdicts::Figure;

constexpr char kSuite[] = R"yaml(
suite: every kind
version: 1
defaults: { positive: person, min_n: 10 }
slices:
  away: tag.motion == "away"
tests:
  - { id: found, slice: away, metric: recall, at_least: 0.9 }
  - { id: dark, slice: all, metric: recall, at_least: 0.9, transform: "darken(0.3, 2)" }
  - { id: no_regress, slice: all, vs: shipped, metric: accuracy, max_loss: 0.01 }
  - { id: alike, slice: all, across: tag.motion, metric: accuracy, max_gap: 0.1 }
  - { id: shortcut, scan: shortcut, on: [attr.box_height_px], max_gap: 0.2 }
  - { id: steady, slice: all, metric: flip_rate, at_most: 0.1, transform: "darken(0.3, 2)" }
  - { id: looks, slice: away, metric: saliency_in_box, at_least: 0.2 }
  - { id: fits, on: m4, fits: { flash_bytes: 1000, stack_bytes: 100 } }
  - { id: same_bits, equal_on: [m4, m55] }
waivers:
  - { test: alike, until: 2026-02-01, by: A. Person, reason: "<i>more</i> labels" }
  - { test: found, until: 2025-12-31, by: B. Person, reason: over }
)yaml";

// Says the other class always.
packed::Network Opposite() {
  packed::Network network = BrightnessNetwork();
  auto& dense = std::get<packed::Dense>(network.ops.back().kind);
  std::swap(dense.weights[0], dense.weights[32]);
  return network;
}

class ReportTest : public ::testing::Test {
 protected:
  ReportTest() {
    subject_.artefact = std::string(64, 'a');
    subject_.baseline = std::string(64, 'b');
    subject_.suite = *verdicts::ParseSuite(kSuite, "suite.yaml");
    subject_.network = BrightnessNetwork();
    subject_.baseline_network = Opposite();
    subject_.data = SampleData();
    for (snapshot::Row& row : subject_.data.rows) {
      row.attributes["box_left"] = 0.25;
      row.attributes["box_top"] = 0;
      row.attributes["box_right"] = 0.75;
      row.attributes["box_bottom"] = 1;
    }
  }

  // Emulated cores are put in place of what the emulator would say.
  std::string Render() {
    verdicts::Suite all = subject_.suite;
    std::erase_if(subject_.suite.tests, [](const verdicts::DataTest& test) {
      return test.kind == verdicts::Kind::kFits || test.kind == verdicts::Kind::kSameBits;
    });
    const verdicts::Circumstances now{"2026-01-01", [](const std::string&) { return 2; }};
    auto evaluated = verdicts::Evaluate(subject_, now, {"r", 2}, {});
    EXPECT_THAT(evaluated, IsOk());
    subject_.suite = std::move(all);
    auto& cores = evaluated->evidence.cores;
    cores[emulate::Core::kM4].figures = {{Figure::kFlashBytes, 1234},
                                         {Figure::kArenaBytes, 64},
                                         {Figure::kStackBytes, 50},
                                         {Figure::kInstructions, 98765}};
    cores[emulate::Core::kM4].images = cores[emulate::Core::kM4].equal = 16;
    cores[emulate::Core::kM55].error = "qemu-system-arm is <not> here";
    evaluated->tests = verdicts::Judge(subject_.suite, evaluated->evidence, now);
    evaluated->verdict.clear_tests();
    for (const auto& test : evaluated->tests) *evaluated->verdict.add_tests() = test.result;
    explanations_ = *Explain(subject_, *evaluated, 2, {});
    return RenderReport(subject_, *evaluated, explanations_);
  }

  verdicts::Subject subject_;
  Explanations explanations_;
};

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

TEST_F(ReportTest, ShowsWhatEachKindOfTestRestsOn) {
  const std::string html = Render();
  for (const char* part : {
           "held against <code>bbbbbbbbbbbb</code>",
           "<b>33 lost</b> (right there, wrong here), <b>227 gained</b>",
           "<td>away</td><td class=\"number\">98/100</td>",
           "attr.box_height_px in ",
           "<h3>Flipped: 6 of ",
           "after darken(0.3,2) said <b>no_person</b>",
           "<h3>Least in the box: 10 of 100</h3>",
           "<td class=\"number bad\"><b>1234</b><div class=\"soft\">of 1000</div></td>",
           "<td class=\"number\"><b>98765</b></td>",
           "<td>16 of 16 ",
           "was not run: qemu-system-arm is &lt;not&gt; here",
           "<td>&lt;i&gt;more&lt;/i&gt; labels</td><td>holds</td>",
           "<td>over</td><td>has expired: the test blocks</td>",
           "judged in <b>3 evaluations</b> so far",
       }) {
    EXPECT_NE(html.find(part), std::string::npos) << part;
  }
  for (size_t i = 0; i < subject_.suite.tests.size(); ++i) {
    const std::string id = "t" + std::to_string(i) + "\"";
    EXPECT_EQ(Count(html, "href=\"#" + id), 1U) << id;
    EXPECT_EQ(Count(html, " id=\"" + id), 1U) << id;
  }
}

// The network counts dark pixels: each speaks for "no_person" alike, and what is taken away becomes
// bright. Pixels that are bright already change nothing.
TEST_F(ReportTest, ExplainsSomePicturesOfEachTestByOcclusion) {
  const std::string html = Render();
  size_t dark = 0;
  size_t curves = 0;
  for (const auto& [question, found] : explanations_.pictures) {
    const bool is_dark = subject_.data.Image(question.place)[0] == 40;
    const bool is_answer = question.of_class == (is_dark ? 0U : 1U);  // else it is the label
    if (question.baseline || !question.view.empty() || !is_answer) continue;
    const double each = found.map.values[0];
    for (const double value : found.map.values) EXPECT_EQ(value, each);
    EXPECT_EQ(each > 0, is_dark);
    dark += is_dark ? 1 : 0;
    if (!is_dark || !found.deletion) continue;
    ++curves;
    EXPECT_NEAR(*found.deletion, *found.insertion, 0.05);  // no pixel says more than another
    EXPECT_LT(*found.deletion, 0.5);
  }
  EXPECT_GT(dark, 10U);
  EXPECT_GT(curves, 3U);
  EXPECT_NE(html.find("what speaks for <b>no_person</b>, 50&nbsp;% in the box<br>deletion 0."),
            std::string::npos);
  EXPECT_NE(html.find("baseline: for <b>"), std::string::npos);
  EXPECT_NE(html.find("left:25.00%;top:0.00%;width:50.00%;height:100.00%;"), std::string::npos);
  EXPECT_NE(html.find("<b>away</b>, said <b>person</b><div class=\"soft\">mean of 16 of 98"),
            std::string::npos);
}

TEST_F(ReportTest, OfAModelThatIsNotPackedThereIsNothingToExplain) {
  subject_.predictor = [](const snapshot::Snapshot&, const std::vector<size_t>& rows,
                          const verdicts::Transform& transform,
                          const std::stop_token&) -> Result<std::vector<size_t>> {
    if (transform.text.empty()) return std::vector<size_t>(rows.size(), 1);
    return Status(Code::kUnimplemented, "it is asked without transforms");
  };
  const std::string html = Render();
  EXPECT_TRUE(explanations_.pictures.empty());
  EXPECT_EQ(html.find("Where it looks"), std::string::npos);
  EXPECT_NE(html.find("it is asked without transforms"), std::string::npos);
}

}  // namespace
}  // namespace bitfoundry::evaluator
