// The message and the text of a suite are one to one.
#include "verdicts/spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <set>

#include "tests/support/status_matchers.h"
#include "verdicts/keys.h"

namespace bitfoundry::verdicts {
namespace {

using testing::IsOk;
using Strings = std::set<std::string>;

std::string FileText(const std::string& path) {
  std::ifstream file(BF_SOURCE_DIR "/" + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string OfTheManual() {
  const std::string text = FileText("docs/verdicts.md");
  const size_t start = text.find("```yaml\n") + 8;
  return text.substr(start, text.find("```", start) - start);
}

// Every key once.
constexpr char kEverything[] = R"yaml(
suite: everything
version: 12
defaults: { alpha: 1e-2, positive: person, min_n: 0100, severity: warn, cluster: meta.session,
            max_evaluations: 1000000000 }
slices:
  near: attr.box_height_px >= 60 && tag.pose in ["a", 'b'] # a remark
tests:
  - { id: a, slice: near, metric: recall, positive: no_person, at_least: 0.123456789012345678,
      min_n: 3, severity: block, cluster: tag.who, transform: "darken(0.25, 3)" }
  - { id: b, slice: all, metric: flip_rate, at_most: 5e-2, transform: ["gamma(0.6)", jpeg(40)] }
  - { id: c, foreach: slices, vs: shipped, metric: accuracy, max_loss: 0, first_release: true }
  - { id: d, across: tag.motion, metric: recall, max_gap: 0.1 }
  - { id: e, scan: shortcut, on: attr.brightness, max_gap: 0.2 }
  - { id: f, on: m4, fits: { flash_bytes: 1, arena_bytes: 2, stack_bytes: 3, instructions: 4 } }
  - { id: g, equal_on: m4 }
waivers:
  - { test: c/near, until: 2026-12-01, by: A. Person, reason: "said: \"soon\"" }
)yaml";

// All that a suite says. The order of slices, and of the tests made of them, says nothing.
std::multiset<std::string> Said(const Suite& suite) {
  std::multiset<std::string> said;
  const auto say = [&](auto... words) {
    std::ostringstream line;
    line.precision(17);
    ((line << words << '|'), ...);
    said.insert(line.str());
  };
  say(suite.name, suite.version, suite.alpha, suite.max_evaluations);
  for (const Slice& slice : suite.slices) say(slice.name, slice.expression.text());
  for (const DataTest& test : suite.tests) {
    std::string transforms;
    for (const Transform& transform : test.transforms) transforms += transform.text + " ";
    say(test.id, static_cast<int>(test.kind), suite.slices[test.slice].name, ToString(test.metric),
        test.positive, static_cast<int>(test.side), test.limit, test.min_n, transforms, test.blocks,
        test.cluster ? test.cluster->text : "", test.first_release, test.across.text,
        test.attribute.text, static_cast<int>(test.core), ToString(test.figure));
  }
  for (const Waiver& w : suite.waivers) say(w.test, w.until, w.by, w.reason);
  return said;
}

TEST(Spec, OfATextIsTheSameSuiteAgain) {
  for (const std::string& yaml :
       {OfTheManual(), FileText("scripts/demo_suite.yaml"), std::string(kEverything)}) {
    const auto suite = ParseSuite(yaml, "suite.yaml");
    ASSERT_THAT(suite, IsOk());
    const auto spec = ReadSpec(yaml, "suite.yaml");
    ASSERT_THAT(spec, IsOk());
    const std::string json = SuiteText(*spec);
    const auto again = ParseSuite(json, "suite.json");
    ASSERT_THAT(again, IsOk()) << json;
    EXPECT_EQ(Said(*again), Said(*suite));
    EXPECT_EQ(SuiteText(*ReadSpec(json, "suite.json")), json);
  }
}

// The names of the fields that are set, of a message and those in it.
void Collect(const google::protobuf::Message& message, Strings& set) {
  const auto* reflection = message.GetReflection();
  std::vector<const google::protobuf::FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  for (const auto* field : fields) {
    set.insert(field->full_name());
    if (field->is_map() || field->message_type() == nullptr) continue;
    for (int i = 0; field->is_repeated() && i < reflection->FieldSize(message, field); ++i) {
      Collect(reflection->GetRepeatedMessage(message, field, i), set);
    }
    if (!field->is_repeated()) Collect(reflection->GetMessage(message, field), set);
  }
}

TEST(Spec, HasNoFieldThatTheParserDoesNotRead) {
  const auto spec = ReadSpec(kEverything, "suite.yaml");
  ASSERT_THAT(spec, IsOk());
  Strings set;
  Collect(*spec, set);
  const auto* file = v1::SuiteSpec::descriptor();
  for (const auto* message :
       {file, v1::SuiteSpec::Defaults::descriptor(), v1::SuiteSpec::Test::descriptor(),
        v1::SuiteSpec::Fits::descriptor(), v1::SuiteSpec::Waiver::descriptor()}) {
    for (int i = 0; i < message->field_count(); ++i) {
      EXPECT_TRUE(set.contains(message->field(i)->full_name())) << message->field(i)->full_name();
    }
  }
}

TEST(Spec, LacksNoKeyThatTheParserReads) {
  Strings keys;
  for (int kind = 0; kind <= static_cast<int>(Kind::kSameBits); ++kind) {
    keys.insert(KeysOf(static_cast<Kind>(kind)).begin(), KeysOf(static_cast<Kind>(kind)).end());
  }
  const auto fields = KeysOf<v1::SuiteSpec::Test>();
  EXPECT_EQ(keys, Strings(fields.begin(), fields.end()));
  EXPECT_THAT(
      KeysOf<v1::SuiteSpec::Fits>(),
      ::testing::ElementsAre(ToString(Figure::kFlashBytes), ToString(Figure::kArenaBytes),
                             ToString(Figure::kStackBytes), ToString(Figure::kInstructions)));
}

TEST(Spec, KeepsNumbersToTheLastBit) {
  const auto spec = ReadSpec(kEverything, "suite.yaml");
  ASSERT_THAT(spec, IsOk());
  EXPECT_EQ(spec->defaults().min_n(), 100);  // decimal, as the parser reads it
  EXPECT_EQ(spec->defaults().max_evaluations(), 1'000'000'000);
  EXPECT_EQ(spec->tests(0).at_least(), 0.123456789012345678);
  EXPECT_TRUE(spec->tests(2).has_max_loss());
}

TEST(Spec, MadeByAProgramIsASuite) {
  v1::SuiteSpec spec;
  spec.set_suite("Türsteher: \"v2\" # 😀");
  spec.set_version(3);
  (*spec.mutable_slices())["a: b"] = "label == \"person\" &&\n  attr.x < 3 && tag.y != 'ä<>'";
  (*spec.mutable_slices())["b"] = "true";
  v1::SuiteSpec::Test& test = *spec.add_tests();
  test.set_id("[odd] {id}");
  test.set_slice("a: b");
  test.set_metric("accuracy");
  test.set_at_least(0.1 + 0.2);
  test.add_transform("darken(0.25, 3)");
  v1::SuiteSpec::Waiver& waiver = *spec.add_waivers();
  waiver.set_test("[odd] {id}");
  waiver.set_until("2026-12-01");
  waiver.set_by("yes");
  waiver.set_reason("tab\tand 'quotes' \\ and more");
  const std::string json = SuiteText(spec);
  const auto suite = ParseSuite(json, "suite.json");
  ASSERT_THAT(suite, IsOk()) << json;
  EXPECT_EQ(suite->name, spec.suite());
  EXPECT_EQ(suite->slices[1].expression.text(), spec.slices().at("a: b"));
  EXPECT_EQ(suite->tests[0].id, test.id());
  EXPECT_EQ(suite->tests[0].limit, 0.1 + 0.2);
  EXPECT_EQ(suite->tests[0].view(), "darken(0.25,3)");
  EXPECT_EQ(suite->waivers[0].reason, waiver.reason());
}

// What JSON writers of other languages make of it: one line, or tabs, or everything escaped.
TEST(Spec, IsReadInAnyLayoutThatJsonHas) {
  const char* const texts[] = {
      R"({"suite":"s","version":1,"tests":[{"id":"a","slice":"all","metric":"accuracy",)"
      R"("at_least":0.9}]})",
      "{\n\t\"suite\": \"s\",\n\t\"version\": 1,\n\t\"tests\": [\n\t\t{\n\t\t\t\"id\": \"a\",\n"
      "\t\t\t\"slice\": \"all\",\n\t\t\t\"metric\": \"accuracy\",\n\t\t\t\"at_least\": 0.9\n"
      "\t\t}\n\t]\n}\n",
      R"({"suite":"\u0073","version":"1","tests":[{"id":"\u0061","slice":"all",)"
      R"("metric":"accuracy","at_least":"0.9"}]})"};
  for (const char* text : texts) {
    const auto suite = ParseSuite(text, "suite.json");
    ASSERT_THAT(suite, IsOk()) << text;
    EXPECT_EQ(suite->name, "s");
    EXPECT_EQ(suite->tests[0].id, "a");
    EXPECT_EQ(suite->tests[0].limit, 0.9);
  }
}

TEST(Spec, OfAWrongTextIsRefusedWithThePlace) {
  EXPECT_EQ(ReadSpec("suite: x\nversoin: 1\n", "s.yaml").status().message(),
            "s.yaml:2:1: unknown key 'versoin' in a suite; did you mean 'version'?");
  v1::SuiteSpec spec = *ReadSpec(kEverything, "suite.yaml");
  spec.mutable_tests(1)->set_metric("accurracy");
  const std::string json = SuiteText(spec);
  const auto lines = std::count(
      json.begin(), json.begin() + static_cast<std::ptrdiff_t>(json.find("accurracy")), '\n');
  EXPECT_EQ(ParseSuite(json, "s.json").status().message(),
            "s.json:" + std::to_string(lines + 1) +
                ":14: unknown metric 'accurracy'; did you mean 'accuracy'?");
}

}  // namespace
}  // namespace bitfoundry::verdicts
