#include "verdicts/suite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <random>
#include <set>
#include <string>

#include "tests/support/status_matchers.h"
#include "verdicts/judge.h"

namespace bitfoundry::verdicts {
namespace {

using testing::IsOk;

constexpr char kGood[] = R"(
suite: person
version: 3
defaults: { alpha: 0.05, positive: person, min_n: 30 }
slices:
  far: label == "person" && attr.box_height_px < 60
  empty: 'label == "no_person"'
tests:
  - { id: everything, slice: all, metric: accuracy, at_least: 0.9 }
  - { id: far_found, slice: far, metric: recall, at_least: 0.8, min_n: 50, severity: warn }
  - id: false_alarms
    slice: empty
    metric: fpr
    at_most: 0.05
    transform: darken(0.25, 3)
)";

std::string ErrorOf(const std::string& yaml) {
  const auto suite = ParseSuite(yaml, "suite.yaml");
  EXPECT_FALSE(suite.ok()) << yaml;
  if (suite.ok()) return "";
  EXPECT_EQ(suite.status().reason(), "SUITE_INVALID");
  return suite.status().message();
}

// The suite with one piece replaced.
std::string With(const std::string& piece, const std::string& by, std::string yaml = kGood) {
  const size_t at = yaml.find(piece);
  EXPECT_NE(at, std::string::npos) << piece;
  return yaml.replace(at, piece.size(), by);
}

TEST(Suite, ReadsWhatItSays) {
  const auto suite = ParseSuite(kGood, "suite.yaml");
  ASSERT_THAT(suite, IsOk());
  EXPECT_EQ(suite->name, "person");
  EXPECT_EQ(suite->version, 3);
  ASSERT_EQ(suite->slices.size(), 3U);
  EXPECT_EQ(suite->slices[0].name, "all");
  EXPECT_EQ(suite->slices[1].name, "far");
  ASSERT_EQ(suite->tests.size(), 3U);
  const DataTest& far = suite->tests[1];
  EXPECT_EQ(far.metric, Metric::kRecall);
  EXPECT_EQ(far.positive, "person");
  EXPECT_EQ(far.min_n, 50);
  EXPECT_FALSE(far.blocks);
  const DataTest& alarms = suite->tests[2];
  EXPECT_EQ(alarms.side, stats::Side::kAtMost);
  EXPECT_EQ(alarms.limit, 0.05);
  EXPECT_EQ(alarms.min_n, 30);
  EXPECT_EQ(alarms.view(), "darken(0.25,3)");
  EXPECT_TRUE(alarms.blocks);
}

TEST(Suite, NamesThePlaceOfAMistakeAndWhatWasMeant) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {With("defaults:", "default:"),
       "suite.yaml:4:1: unknown key 'default' in a suite; did you mean 'defaults'?"},
      {With("severity: warn", "severty: warn"),
       "suite.yaml:10:76: unknown key 'severty' in a test; did you mean 'severity'?"},
      {With("severity: warn", "severity: wran"),
       "suite.yaml:10:86: unknown severity 'wran'; did you mean 'warn'?"},
      {With("metric: recall", "metric: recal"),
       "suite.yaml:10:42: unknown metric 'recal'; did you mean 'recall'?"},
      {With("slice: far,", "slice: fra,"),
       "suite.yaml:10:29: unknown slice 'fra'; did you mean 'far'?"},
      {With("id: far_found", "id: everything"),
       "suite.yaml:10:11: two tests have the id 'everything'"},
      {With("at_most: 0.05", "at_most: 5"), "suite.yaml:14:14: 'at_most' is from 0 to 1, not 5"},
      {With("at_most: 0.05", "at_most: 5%"), "suite.yaml:14:14: 'at_most' is a number, not '5%'"},
      {With("at_least: 0.9 }", "at_least: 1 }"),
       "suite.yaml:9:63: no number of samples can prove this: take a bound strictly between 0 and "
       "1"},
      {With("at_least: 0.9 }", "at_least: 0 }"),
       "suite.yaml:9:63: this holds for every model: it tests nothing"},
      {With("at_least: 0.9 }", "at_least: 0.9, at_most: 0.95 }"),
       "suite.yaml:9:5: test 'everything' needs one of at_least and at_most"},
      {With("label == \"person\" &&", "lable == \"person\" &&"),
       "suite.yaml:6:8: unknown name 'lable'; did you mean 'label'?"},
      {With("'label == \"no_person\"'", "'label = \"no_person\"'"),
       "suite.yaml:7:17: write ==, not a single ="},
      {With("  empty:", "  far:"), "suite.yaml:7:3: the slice 'far' is there twice"},
      {With("  empty:", "  all:"), "suite.yaml:7:3: the slice 'all' is built in: every row"},
      {With("darken(0.25, 3)", "darken(4, 3)"),
       "suite.yaml:15:16: the gain of darken is from 0.01 to 1, not 4"},
      {With("darken(0.25, 3)", "darkn(0.2, 3)"),
       "suite.yaml:15:16: unknown transform 'darkn'; did you mean 'darken'?"},
      {With("darken(0.25, 3)", "darken(0.25, 3) 4"),
       "suite.yaml:15:16: 'darken(0.25, 3) 4' is not a transform; did you mean 'darken(0.25, 3)'?"},
      {With("darken(0.25, 3)", '"' + std::string(240'000, ' ') + "x\""),
       "suite.yaml:15:16: a transform has at most 200 characters"},
      {With("severity: warn }", "transform: darken(0.25, 3) }"),
       "suite.yaml:10:100: unknown key '3)' in a test; inside { } a comma ends a text: quote the "
       "text"},
      {With("positive: person, ", ""),
       "suite.yaml:10:5: test 'far_found' needs 'positive': the class that recall is about"},
      {With("min_n: 30", "min_n: 0"),
       "suite.yaml:4:51: 'min_n' is a whole number of at least 1, not '0'"},
      {With("alpha: 0.05", "alpha: 0.95"),
       "suite.yaml:4:20: 'alpha' is from 0.001 to 0.25, not 0.95"},
      {With("min_n: 30 }", "min_n: 30, severity: warn }"),
       "suite.yaml:9:3: no test has severity block: every model would pass"},
      {With("version: 3", "version: [3"),
       "suite.yaml:4:9: not YAML: end of sequence flow not found"},
      {"", "suite.yaml:1:1: a suite is a mapping, like { key: value }"},
      {"suite: x\nversion: 1\n", "suite.yaml:1:1: 'tests' is a list of at least one test"},
      {std::string(300 << 10, ' '), "suite.yaml:1:1: longer than 256 KiB"},
  };
  for (const auto& [yaml, message] : cases) EXPECT_EQ(ErrorOf(yaml), message) << yaml;
}

// Each kind of test once.
constexpr char kKinds[] = R"yaml(suite: person
version: 1
defaults: { positive: person, min_n: 20, cluster: meta.session, max_evaluations: 3 }
slices:
  far: attr.box_height_px < 60
  missed: label != prediction
tests:
- { id: right, slice: all, metric: accuracy, at_least: 0.9, cluster: tag.who }
- { id: no_loss, slice: far, vs: shipped, metric: recall, max_loss: 0.01, first_release: true }
- { id: alike, across: tag.motion, metric: recall, max_gap: 0.1 }
- { id: light, scan: shortcut, on: [attr.brightness, attr.blur], max_gap: 0.2, severity: warn }
- { id: stable, slice: far, metric: flip_rate, at_most: 0.02, transform: "darken(0.5, 3)" }
- { id: looks, slice: far, metric: saliency_in_box, at_least: 0.6 }
- { id: fits, on: m4, fits: { flash_bytes: 131072, instructions: 8000000 } }
- { id: same_bits, equal_on: [m0plus, m55] }
waivers:
- { test: no_loss, until: 2026-12-01, by: A. Person, reason: more labels are on their way }
)yaml";

std::string Wrong(const std::string& piece, const std::string& by) {
  return ErrorOf(With(piece, by, kKinds));
}

TEST(Suite, ReadsEachKindOfTest) {
  const auto suite = ParseSuite(kKinds, "suite.yaml");
  ASSERT_THAT(suite, IsOk());
  std::string ids;
  for (const DataTest& test : suite->tests) ids += test.id + " ";
  EXPECT_EQ(ids,
            "right no_loss alike light/brightness light/blur stable looks fits/flash_bytes "
            "fits/instructions same_bits/m0plus same_bits/m55 ");
  const auto& tests = suite->tests;
  EXPECT_EQ(tests[0].cluster->text, "tag.who");
  EXPECT_EQ(tests[1].kind, Kind::kRegression);
  EXPECT_EQ(tests[1].limit, 0.01);
  EXPECT_TRUE(tests[1].first_release);
  EXPECT_EQ(tests[1].cluster->text, "meta.session");
  EXPECT_EQ(tests[2].kind, Kind::kGap);
  EXPECT_EQ(tests[2].across.text, "tag.motion");
  EXPECT_EQ(suite->slices[tests[2].slice].name, "all");
  EXPECT_EQ(tests[4].kind, Kind::kShortcut);
  EXPECT_EQ(tests[4].attribute.text, "attr.blur");
  EXPECT_FALSE(tests[4].blocks);
  EXPECT_EQ(tests[5].metric, Metric::kFlipRate);
  EXPECT_EQ(tests[5].view(), "");
  EXPECT_EQ(tests[5].transforms.size(), 1U);
  EXPECT_EQ(tests[8].kind, Kind::kFits);
  EXPECT_EQ(tests[8].figure, Figure::kInstructions);
  EXPECT_EQ(tests[8].limit, 8e6);
  EXPECT_EQ(tests[10].kind, Kind::kSameBits);
  EXPECT_EQ(tests[10].core, emulate::Core::kM55);
  EXPECT_EQ(suite->max_evaluations, 3);
  EXPECT_EQ(suite->waivers[0].until, "2026-12-01");
  EXPECT_TRUE(suite->NeedsBaseline());
}

TEST(Suite, TakesSeveralTransformsForTheRateOfFlips) {
  const auto suite =
      ParseSuite(With("\"darken(0.5, 3)\"",
                      R"yaml(["gamma(0.6)", "gamma(1.6)", "shift(4, 0)", jpeg(40)])yaml", kKinds),
                 "suite.yaml");
  ASSERT_THAT(suite, IsOk());
  std::string texts;
  for (const Transform& transform : suite->tests[5].transforms) texts += transform.text + " ";
  EXPECT_EQ(texts, "gamma(0.6) gamma(1.6) shift(4,0) jpeg(40) ");
}

TEST(Suite, MakesOneTestForEachSliceWhereAskedTo) {
  std::string yaml = With("slice: far, vs", "foreach: slices, vs", kKinds);
  yaml = With("  missed: label != prediction\n", "", yaml);
  const auto suite = ParseSuite(yaml, "suite.yaml");
  ASSERT_THAT(suite, IsOk());
  EXPECT_EQ(suite->tests[1].id, "no_loss/all");
  EXPECT_EQ(suite->tests[2].id, "no_loss/far");
  EXPECT_EQ(suite->tests[2].slice, 1U);
  EXPECT_EQ(suite->tests[2].line, suite->tests[1].line) << "the entry's";
}

TEST(Suite, KnowsTheLineOfEachTest) {
  const std::string yaml =
      "suite: s\nversion: 1\ntests:\n"
      "  - { id: a, slice: all, metric: accuracy, at_least: 0.9 }\n\n"
      "  -\n    id: b\n    slice: all\n    metric: accuracy\n    at_least: 0.9\n";
  const auto suite = ParseSuite(yaml, "suite.yaml");
  ASSERT_THAT(suite, IsOk());
  EXPECT_EQ(suite->tests[0].line, 4);
  EXPECT_EQ(suite->tests[1].line, 7);
}

TEST(Suite, RefusesAWrongBound) {
  EXPECT_EQ(Wrong("at_least: 0.9,", "at_lest: 0.9,"),
            "suite.yaml:8:46: unknown key 'at_lest' in a test; did you mean 'at_least'?");
  EXPECT_EQ(Wrong("at_least: 0.9,", "at_least: -0.1,"),
            "suite.yaml:8:56: 'at_least' is from 0 to 1, not -0.1");
  EXPECT_EQ(Wrong("at_least: 0.9,", "at_least: nan,"),
            "suite.yaml:8:56: 'at_least' is from 0 to 1, not nan");
  EXPECT_EQ(Wrong("tag.who", "attr.blur"),
            "suite.yaml:8:70: 'attr.blur' is not tag.NAME or "
            "meta.NAME");
  EXPECT_EQ(Wrong("tag.who", "meta.sesion"),
            "suite.yaml:8:70: rows go by meta.camera, meta.session or a tag, not by "
            "'meta.sesion'; did you mean 'meta.session'?");
  EXPECT_EQ(Wrong("tag.who", "meta.position"),
            "suite.yaml:8:70: rows go by meta.camera, meta.session or a tag, not by "
            "'meta.position'; did you mean 'meta.session'?");
}

TEST(Suite, RefusesALimitThatAsksForABadModel) {
  const auto wrong = [](const std::string& asks) {
    const auto suite = ParseSuite(
        "suite: s\nversion: 1\ndefaults: { positive: person }\ntests:\n"
        "  - { id: t, slice: all, metric: " +
            asks + " }\n",
        "suite.yaml");
    return suite.ok() ? "" : suite.status().message();
  };
  EXPECT_EQ(wrong("fpr, at_least: 0.1"),
            "suite.yaml:5:5: a model is the better, the lower its fpr: write at_most for at_least");
  EXPECT_EQ(wrong("recall, at_most: 0.9"),
            "suite.yaml:5:5: a model is the better, the higher its recall: write at_least for "
            "at_most");
  for (const char* metric : {"accuracy", "recall", "precision", "saliency_in_box"}) {
    EXPECT_EQ(wrong(std::string(metric) + ", at_least: 0.5"), "");
    EXPECT_NE(wrong(std::string(metric) + ", at_most: 0.5"), "");
  }
  for (const char* metric : {"error", "fpr", "fnr", "flip_rate, transform: blur(1)"}) {
    EXPECT_EQ(wrong(std::string(metric) + ", at_most: 0.5"), "") << metric;
    EXPECT_NE(wrong(std::string(metric) + ", at_least: 0.5"), "") << metric;
  }
}

TEST(Suite, RefusesAWrongRegression) {
  EXPECT_EQ(Wrong("vs: shipped", "vs: shiped"),
            "suite.yaml:9:34: unknown vs 'shiped'; did you mean 'shipped'?");
  EXPECT_EQ(Wrong("max_loss", "max_los"),
            "suite.yaml:9:59: unknown key 'max_los' in a test against what was shipped; did you "
            "mean 'max_loss'?");
  EXPECT_EQ(Wrong("max_loss: 0.01", "max_loss: 0.6"),
            "suite.yaml:9:69: 'max_loss' is from 0 to 0.5, not 0.6");
  EXPECT_EQ(Wrong("recall, max_loss", "precision, max_loss"),
            "suite.yaml:9:51: a regression is of accuracy, recall, fpr or fnr: the same samples "
            "have to count for both models");
  EXPECT_EQ(Wrong("slice: far, vs", "slice: missed, vs"),
            "suite.yaml:9:25: the slice 'missed' depends on the prediction: it does not hold the "
            "same samples for both models");
  EXPECT_EQ(Wrong("slice: far, vs", "foreach: slices, vs"),
            "suite.yaml:9:27: the slice 'missed' depends on the prediction: it does not hold the "
            "same samples for both models");
  EXPECT_EQ(Wrong("slice: far, vs", "foreach: slice, vs"),
            "suite.yaml:9:27: unknown foreach 'slice'; did you mean 'slices'?");
  EXPECT_EQ(Wrong("slice: far, vs", "slice: far, foreach: slices, vs"),
            "suite.yaml:9:25: either 'slice' or 'foreach'");
  EXPECT_EQ(Wrong("first_release: true", "first_release: yes"),
            "suite.yaml:9:90: unknown first_release 'yes'; known: true, false");
}

TEST(Suite, RefusesAWrongGap) {
  EXPECT_EQ(Wrong("max_gap: 0.1", "max_gap: 0"),
            "suite.yaml:10:61: 'max_gap' is strictly between 0 and 1");
  EXPECT_EQ(Wrong("max_gap: 0.1", "at_most: 0.1"),
            "suite.yaml:10:52: unknown key 'at_most' in a test of groups; known: id, slice, "
            "across, metric, positive, max_gap, min_n, severity, ...");
  EXPECT_EQ(Wrong("across: tag.motion", "across: motion"),
            "suite.yaml:10:24: 'motion' is not tag.NAME or meta.NAME");
  EXPECT_EQ(Wrong("across: tag.motion", "acros: tag.motion"),
            "suite.yaml:10:16: unknown key 'acros' in a test; did you mean 'across'?");
  EXPECT_EQ(Wrong("metric: recall, max_gap", "metric: flip_rate, max_gap"),
            "suite.yaml:10:44: groups are compared by a rate of right or wrong answers");
}

TEST(Suite, RefusesWhatNothingCanBreakOrShowAndWhatIsNotOneDocument) {
  const std::string head = "suite: s\nversion: 1\ndefaults: { positive: person }\ntests:\n";
  const auto refused = [&](const std::string& yaml) {
    const auto suite = ParseSuite(yaml, "suite.yaml");
    return suite.ok() ? std::string("sound") : suite.status().message();
  };
  const std::string test = "  - { id: t, slice: all, metric: accuracy, at_least: 0.9 }\n";
  EXPECT_EQ(refused(head + test), "sound");
  EXPECT_EQ(refused(head + "  - { id: t, slice: all, metric: accuracy, at_least: 1e-300 }\n"),
            "suite.yaml:5:54: this holds for every model: it tests nothing");
  EXPECT_EQ(refused(head + "  - { id: t, slice: all, metric: error, at_most: 0.9999999999 }\n"),
            "suite.yaml:5:50: this holds for every model: it tests nothing");
  EXPECT_EQ(refused(head + test + "---\n" + head + test),
            "suite.yaml:7:1: another document begins: a suite is one, without '---' in it");
  EXPECT_NE(refused(head + test + "...\n}{ not: [yaml\n"), "sound");
  EXPECT_EQ(refused("suite: \"s \"\nversion: 1\ntests:\n" + test),
            "suite.yaml:1:8: the suite's name begins or ends with a blank");
  std::string many;
  for (int i = 1; i <= 17; ++i)
    many += (i > 1 ? ", \"noise(" : "\"noise(") + std::to_string(i) + ")\"";
  EXPECT_THAT(
      refused(head + "  - { id: t, slice: all, metric: flip_rate, at_most: 0.1, transform: [" +
              many + "] }\n"),
      ::testing::HasSubstr("at most 16 transforms in one test"));
}

TEST(Suite, RefusesAWrongScan) {
  EXPECT_EQ(Wrong("scan: shortcut", "scan: shortcuts"),
            "suite.yaml:11:22: unknown scan 'shortcuts'; did you mean 'shortcut'?");
  EXPECT_EQ(Wrong("attr.blur", "tag.blur"), "suite.yaml:11:54: 'tag.blur' is not attr.NAME");
  EXPECT_EQ(Wrong("attr.blur", "attr.brightness"),
            "suite.yaml:11:9: two tests have the id 'light/brightness'");
  EXPECT_EQ(Wrong("[attr.brightness, attr.blur]", "[]"), "suite.yaml:11:36: 'on' is a list");
  EXPECT_EQ(Wrong("max_gap: 0.2", "max_gap: 1"),
            "suite.yaml:11:75: 'max_gap' is strictly between 0 and 1");
}

TEST(Suite, RefusesAWrongTransform) {
  EXPECT_EQ(Wrong("\"darken(0.5, 3)\"", "none"),
            "suite.yaml:12:3: test 'stable' needs 'transform': what may flip the answer");
  EXPECT_EQ(Wrong("\"darken(0.5, 3)\"", "[{a: b}]"),
            "suite.yaml:12:75: a transform is a text, like darken(0.25, 3)");
  EXPECT_EQ(Wrong("\"darken(0.5, 3)\"", "[darken(0.5, 3)]"),
            "suite.yaml:12:75: 'darken(0.5' is not a transform; inside { } or [ ] a comma ends the "
            "text: put quotes around it");
  EXPECT_EQ(Wrong("at_least: 0.9,", "at_least: 0.9, transform: ['darken(0.5,3)', 'darken(1,9)'],"),
            "suite.yaml:8:72: several transforms go with the metric flip_rate alone");
}

TEST(Suite, RefusesAWrongTestOfSaliency) {
  EXPECT_EQ(Wrong("at_least: 0.6", "at_least: 0.6, transform: 'darken(0.5,3)'"),
            "suite.yaml:13:79: saliency_in_box looks at images as they are");
  EXPECT_EQ(Wrong("at_least: 0.6", "at_least: 0.6, min_n: 300"),
            "suite.yaml:13:3: saliency_in_box looks at 200 samples at most, and min_n is 300");
}

TEST(Suite, RefusesAWrongTestOfFirmware) {
  EXPECT_EQ(Wrong("on: m4, ", ""), "suite.yaml:14:3: 'on' is missing");
  EXPECT_EQ(Wrong("on: m4", "on: m5").rfind("suite.yaml:14:19: ", 0), 0U);
  EXPECT_EQ(Wrong("flash_bytes: 131072", "flash: 131072"),
            "suite.yaml:14:31: unknown key 'flash' in fits; known: flash_bytes, arena_bytes, "
            "stack_bytes, instructions");
  EXPECT_EQ(Wrong("131072", "128 KiB"),
            "suite.yaml:14:44: 'flash_bytes' is a whole number of at least 1, not '128 KiB'");
  EXPECT_EQ(Wrong("fits: { flash_bytes: 131072, instructions: 8000000 }", "fits: {}"),
            "suite.yaml:14:29: 'fits' names at least one figure");
  EXPECT_EQ(Wrong("fits: { flash_bytes: 131072, instructions: 8000000 }", "fits: 131072"),
            "suite.yaml:14:29: fits is a mapping, like { key: value }");
  EXPECT_EQ(Wrong("fits: { flash", "fit: { flash"),
            "suite.yaml:14:23: unknown key 'fit' in a test; did you mean 'fits'?");
  EXPECT_EQ(Wrong("[m0plus, m55]", "[m0plus, m5]").rfind("suite.yaml:15:39: ", 0), 0U);
  EXPECT_EQ(Wrong("[m0plus, m55]", "[m55, m55]"),
            "suite.yaml:15:9: two tests have the id 'same_bits/m55'");
}

TEST(Suite, RefusesTwoEntriesOfOneIdEvenIfTheirTestsDiffer) {
  EXPECT_EQ(Wrong("id: same_bits", "id: fits"), "suite.yaml:15:9: two tests have the id 'fits'");
  EXPECT_EQ(Wrong("id: right", "id: right/left"), "suite.yaml:8:9: an id has no '/'");
}

TEST(Suite, RefusesAWaiverThatNobodyCanHoldAnybodyTo) {
  EXPECT_EQ(Wrong("reason: more", "reasn: more"),
            "suite.yaml:17:54: unknown key 'reasn' in a waiver; did you mean 'reason'?");
  EXPECT_EQ(Wrong(", reason: more labels are on their way", ""),
            "suite.yaml:17:3: 'reason' is missing");
  EXPECT_EQ(Wrong("reason: more labels are on their way", "reason: ''"),
            "suite.yaml:17:62: 'reason' is a text");
  EXPECT_EQ(Wrong("reason: more labels are on their way", "reason: '  '"),
            "suite.yaml:17:62: 'reason' is a text");
  EXPECT_EQ(
      Wrong("waivers:\n", "waivers:\n- { test: no_loss, until: 2026-12-01, by: B, reason: c }\n"),
      "suite.yaml:18:11: a second waiver of 'no_loss'");
  EXPECT_EQ(Wrong("until: 2026-12-01, ", ""), "suite.yaml:17:3: 'until' is missing");
  EXPECT_EQ(Wrong("by: A. Person, ", ""), "suite.yaml:17:3: 'by' is missing");
  for (const char* day : {"tomorrow", "2026-2-01", "2026-02-30", "-026-12-01", "2026-12-011"}) {
    EXPECT_EQ(
        Wrong("2026-12-01", day),
        "suite.yaml:17:27: 'until' is a day, like 2026-12-01, not '" + std::string(day) + "'");
  }
  EXPECT_EQ(Wrong("test: no_loss", "test: no_los"),
            "suite.yaml:17:11: unknown test 'no_los'; did you mean 'no_loss'?");
}

TEST(Suite, NamesTheGroupsAndAttributesThatNoSampleHas) {
  const auto suite = ParseSuite(kKinds, "suite.yaml");
  ASSERT_THAT(suite, IsOk());
  slices::Vocabulary known{{"no_person", "person"},
                           {"motion", "who"},
                           {"blur", "box_height_px", "brightness"},
                           {"camera", "motion", "position", "session", "who"}};
  EXPECT_THAT(CheckNames(*suite, known), IsOk());
  const auto without = [&](std::vector<std::string> slices::Vocabulary::*list, size_t place) {
    slices::Vocabulary fewer = known;
    (fewer.*list).erase((fewer.*list).begin() + static_cast<int64_t>(place));
    return CheckNames(*suite, fewer).message();
  };
  EXPECT_EQ(without(&slices::Vocabulary::tags, 1),
            "suite.yaml:8:70: no sample has tag.who; known: motion");
  EXPECT_EQ(without(&slices::Vocabulary::tags, 0),
            "suite.yaml:10:24: no sample has tag.motion; known: who");
  EXPECT_EQ(without(&slices::Vocabulary::attributes, 0),
            "suite.yaml:11:54: no sample has attr.blur; known: box_height_px, brightness");
  EXPECT_EQ(without(&slices::Vocabulary::attributes, 1),
            "suite.yaml:5:8: no sample has the attribute 'box_height_px'; known: blur, "
            "brightness");
  EXPECT_EQ(without(&slices::Vocabulary::classes, 1),
            "suite.yaml:3:23: unknown class 'person'; known: no_person");
}

TEST(Suite, IsCheckedAgainstTheNamesOfTheData) {
  const auto suite = ParseSuite(kGood, "suite.yaml");
  ASSERT_THAT(suite, IsOk());
  EXPECT_THAT(CheckNames(*suite, {{"no_person", "person"}, {}, {"box_height_px"}, {}}), IsOk());
  EXPECT_EQ(CheckNames(*suite, {{"no_person", "person"}, {}, {"box_height"}, {}}).message(),
            "suite.yaml:6:29: no sample has the attribute 'box_height_px'; did you mean "
            "'box_height'?");
  EXPECT_EQ(CheckNames(*suite, {{"no_person", "persons"}, {}, {"box_height_px"}, {}}).message(),
            "suite.yaml:6:8: no sample has the class 'person'; did you mean 'persons'?");
}

TEST(Suite, OfTheDemoFitsTheNamesThatItsDataHas) {
  std::ifstream file(BF_SOURCE_DIR "/scripts/demo_suite.yaml");
  const std::string yaml((std::istreambuf_iterator<char>(file)), {});
  const auto suite = ParseSuite(yaml, "demo_suite.yaml");
  ASSERT_THAT(suite, IsOk());
  EXPECT_THAT(CheckNames(*suite, {{"no_person", "person"},
                                  {"distractor", "motion"},
                                  {"box_height_px", "brightness"},
                                  {"camera", "session"}}),
              IsOk());
}

TEST(Suite, OfTheManualIsOneOfEachKind) {
  std::ifstream file(BF_SOURCE_DIR "/docs/verdicts.md");
  const std::string text((std::istreambuf_iterator<char>(file)), {});
  const size_t start = text.find("```yaml\n") + 8;
  const auto suite = ParseSuite(text.substr(start, text.find("```", start) - start), "verdicts.md");
  ASSERT_THAT(suite, IsOk());
  std::set<Kind> kinds;
  for (const DataTest& test : suite->tests) kinds.insert(test.kind);
  EXPECT_EQ(kinds.size(), 6U);
  EXPECT_THAT(CheckNames(*suite, {{"no_person", "person"},
                                  {"motion"},
                                  {"box_height_px", "brightness", "sharpness"},
                                  {"camera", "session"}}),
              IsOk());
}

// Outside text: whatever it is, it is read or refused with a place.
TEST(Suite, SurvivesAnyText) {
  std::mt19937 random(11);
  const std::string pieces = "{}[]:,-'\"|>&*!#%@ \n\tax0.=";
  int read = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string yaml = kGood;
    for (int slips = 0; slips < 1 + round % 4; ++slips) {
      yaml[random() % yaml.size()] = pieces[random() % pieces.size()];
    }
    const auto suite = ParseSuite(yaml, "suite.yaml");
    read += suite.ok() ? 1 : 0;
    if (!suite.ok()) {
      ASSERT_EQ(suite.status().message().rfind("suite.yaml:", 0), 0U);
    }
  }
  EXPECT_GT(read, 100);
  EXPECT_LT(read, 2900);
  ErrorOf(std::string(100'000, '['));
  ErrorOf(std::string(100'000, '!'));
  ErrorOf("suite: &a [*a, *a]");
}

}  // namespace
}  // namespace bitfoundry::verdicts
