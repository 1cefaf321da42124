#include "services/bitfoundry/verdict_text.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <map>
#include <vector>

#include "services/bitfoundry/text_table.h"
#include "verdicts/words.h"

namespace bitfoundry::cli {
namespace {

using verdicts::Claim;
using verdicts::Counted;
using verdicts::Finding;
using verdicts::Measured;
using verdicts::Origin;
using verdicts::Summary;

std::string Name(v1::Outcome outcome) { return v1::Outcome_Name(outcome); }

// Whether the verdict hangs on it.
bool Blocks(const v1::TestResult& test) { return test.blocks() && test.waived_by().empty(); }

std::string DigestOf(const v1::Verdict& verdict) {
  return verdict.artefact() + verdict.remote_model().digest();  // one of the two
}

std::string Short(const std::string& digest) { return digest.substr(0, 12); }

// Why a verdict is an error although no test that blocks is one; else nothing.
std::string NothingBlocks(const v1::Verdict& verdict) {
  const bool said =
      std::any_of(verdict.tests().begin(), verdict.tests().end(),
                  [](const auto& test) { return Blocks(test) && test.outcome() == v1::ERROR; });
  if (verdict.outcome() != v1::ERROR || said) return "";
  return "no test that blocks shows anything: what is waived, or is a first release, is no pass";
}

// "95 %": of each bound; of a verdict of before it was kept, nothing.
std::string Confidence(const v1::Verdict& verdict) {
  double alpha = 0;  // firmware has none
  for (const v1::TestResult& test : verdict.tests()) alpha = std::max(alpha, test.alpha());
  if (alpha == 0) return "";
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%g %%", 100 * (1 - alpha));
  return text.data();
}

std::string Table(const v1::Verdict& verdict) {
  std::vector<std::vector<std::string>> rows = {
      {"", "test", "slice", "claim", "counted", "measured", "shown"}};
  for (const v1::TestResult& test : verdict.tests()) {
    rows.push_back({Name(test.outcome()) + (test.blocks() ? "" : " (warn)"), test.test_id(),
                    test.slice(), Claim(test), Counted(test), Measured(test), Finding(test)});
  }
  const std::string origin = Origin(verdict);
  const std::string confidence = Confidence(verdict);
  const std::string why = NothingBlocks(verdict);
  return Align(rows) + "\n" + Name(verdict.outcome()) + ": " + Summary(verdict) + "\n" +
         (why.empty() ? "" : why + "\n") + origin + (origin.empty() ? "" : "\n") +
         Align(
             {{verdict.has_remote_model() ? "remote model" : "artefact", DigestOf(verdict)},
              {"suite", verdict.suite() + " (" + verdict.suite_name() + ")"},
              {"snapshot", verdict.snapshot()},
              {"held against", verdict.baseline().empty() ? "nothing" : verdict.baseline()},
              {"judged on", verdict.date()},
              {"bounds", "one-sided" + (confidence.empty() ? "" : ", of " + confidence + " each")},
              {"runtime", verdict.runtime()},
              {"signed", verdict.envelope().empty() ? "no" : verdict.envelope()}});
}

// Safe inside an XML text or a quoted attribute; characters that XML does not have become '?'.
std::string Xml(const std::string& text) {
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
      case '\n':
        escaped += "&#10;";
        break;
      default:
        escaped += static_cast<unsigned char>(c) < 0x20 ? '?' : c;
    }
  }
  return escaped;
}

// What stands for the slice of a test that has none.
std::string SliceOf(const v1::TestResult& test) {
  return test.slice().empty() ? "firmware" : test.slice();
}

std::string JunitCase(const v1::TestResult& test) {
  const std::string head = "    <testcase classname=\"" + Xml(SliceOf(test)) + "\" name=\"" +
                           Xml(test.test_id()) + "\" assertions=\"" + std::to_string(test.n()) +
                           "\"";
  if (test.outcome() == v1::PASS) return head + "/>\n";
  const std::string message =
      Claim(test) + ": " + Counted(test) + " (" + Measured(test) + "), " + Finding(test);
  std::string element = test.outcome() == v1::ERROR ? "error" : "failure";
  if (!Blocks(test)) element = "skipped";
  const std::string type = element == "skipped" ? "" : " type=\"" + Name(test.outcome()) + "\"";
  return head + ">\n      <" + element + type + " message=\"" +
         Xml(Name(test.outcome()) + ": " + message) + "\"/>\n    </testcase>\n";
}

std::string Junit(const v1::Verdict& verdict) {
  struct Group {
    std::string cases;
    int tests = 0;
    int failures = 0;
    int errors = 0;
    int skipped = 0;
  };
  std::map<std::string, Group> groups;  // by slice
  for (const v1::TestResult& test : verdict.tests()) {
    Group& group = groups[SliceOf(test)];
    group.cases += JunitCase(test);
    ++group.tests;
    if (test.outcome() == v1::PASS) continue;
    ++(!Blocks(test) ? group.skipped : test.outcome() == v1::ERROR ? group.errors : group.failures);
  }
  std::string xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"" +
                    Xml(verdict.suite_name()) + "\">\n";
  for (const auto& [slice, group] : groups) {
    xml += "  <testsuite name=\"" + Xml(slice) + "\" tests=\"" + std::to_string(group.tests) +
           "\" failures=\"" + std::to_string(group.failures) + "\" errors=\"" +
           std::to_string(group.errors) + "\" skipped=\"" + std::to_string(group.skipped) +
           "\">\n" + group.cases + "  </testsuite>\n";
  }
  if (const std::string why = NothingBlocks(verdict); !why.empty()) {
    xml +=
        "  <testsuite name=\"verdict\" tests=\"1\" failures=\"0\" errors=\"1\" skipped=\"0\">\n"
        "    <testcase classname=\"verdict\" name=\"verdict\">\n      <error type=\"ERROR\" "
        "message=\"" +
        Xml(why) + "\"/>\n    </testcase>\n  </testsuite>\n";
  }
  return xml + "</testsuites>\n";
}

std::string MarkdownTable(const v1::Verdict& verdict) {
  std::string text =
      "| outcome | test | slice | claim | counted | measured | shown |\n"
      "|---|---|---|---|---:|---:|---|\n";
  for (const v1::TestResult& test : verdict.tests()) {
    const std::string outcome =
        test.outcome() == v1::PASS ? "PASS" : "**" + Name(test.outcome()) + "**";
    text += "| " + outcome + (test.blocks() ? "" : " (warn)");
    for (const std::string& cell : {test.test_id(), test.slice(), Claim(test), Counted(test),
                                    Measured(test), Finding(test)}) {
      text += " | " + MarkdownCell(cell);
    }
    text += " |\n";
  }
  return text;
}

std::string Markdown(const v1::Verdict& verdict) {
  const std::string origin = Origin(verdict);
  const std::string confidence = Confidence(verdict);
  const std::string why = NothingBlocks(verdict);
  return "## Verdict: " + Name(verdict.outcome()) + "\n\n" + Summary(verdict) +
         (why.empty() ? "" : "; " + why) + "\n\n" + MarkdownTable(verdict) + "\n" +
         MarkdownCell(origin) + (origin.empty() ? "artefact" : "\n\nremote model") + " `" +
         Short(DigestOf(verdict)) + "`, suite `" + Short(verdict.suite()) + "` (" +
         MarkdownCell(verdict.suite_name()) + "), snapshot `" + Short(verdict.snapshot()) + "`" +
         (confidence.empty() ? "" : ", one-sided bounds of " + confidence + " each") +
         (verdict.baseline().empty() ? "" : ", held against `" + Short(verdict.baseline()) + "`") +
         ", on " + verdict.date() + (verdict.envelope().empty() ? ", not signed" : "") + "\n";
}

// What stands in an artefact's MODEL_CARD.md after what it was made from.
std::string ModelCard(const v1::Verdict& verdict) {
  const std::string confidence = Confidence(verdict);
  std::string text = "## How it was judged\n\nVerdict of " + verdict.date() + ": **" +
                     Name(verdict.outcome()) + "** (" + Summary(verdict) + "), by exact bounds " +
                     (confidence.empty() ? "" : "of " + confidence + " each, ") +
                     "on images that it was not trained on.\n\n" + MarkdownTable(verdict) +
                     "\n## What was not shown\n\n";
  for (const v1::TestResult& test : verdict.tests()) {
    if (test.outcome() == v1::PASS) continue;
    text += "- " + MarkdownCell(test.test_id() + ": " + Claim(test) + ": " + Finding(test)) + "\n";
  }
  text +=
      "- Anything of cameras, places and situations that no slice above is about.\n\n"
      "## What was judged, by SHA-256\n\n";
  const auto item = [&](const char* name, const std::string& digest) {
    if (!digest.empty()) text += std::string("- ") + name + " `" + digest + "`\n";
  };
  item("artefact", verdict.artefact());
  item("snapshot", verdict.snapshot());
  item("suite", verdict.suite());
  item("held against", verdict.baseline());
  item("signed verdict", verdict.envelope());
  return text + (verdict.envelope().empty() ? "- The verdict is not signed.\n" : "");
}

// Safe in a GitHub workflow command: its message or, with `property`, a value before it.
std::string WorkflowText(const std::string& text, bool property) {
  std::string escaped;
  for (const char c : text) {
    const bool special = c == '%' || c == '\r' || c == '\n' || (property && (c == ':' || c == ','));
    std::array<char, 4> code{};
    if (special) std::snprintf(code.data(), code.size(), "%%%02X", static_cast<unsigned>(c));
    escaped += special ? code.data() : std::string(1, c);
  }
  return escaped;
}

// Source: GitHub Docs, "Workflow commands for GitHub Actions".
std::string Github(const v1::Verdict& verdict) {
  constexpr size_t kMaxAnnotations = 50;
  std::vector<std::string> errors;
  std::vector<std::string> warnings;
  for (const v1::TestResult& test : verdict.tests()) {
    if (test.outcome() == v1::PASS) continue;
    const bool blocks = Blocks(test);
    const std::string line = test.line() > 0 ? ",line=" + std::to_string(test.line()) : "";
    const std::string title = Name(test.outcome()) + ": " + test.test_id();
    const std::string message =
        Claim(test) + ": " + Counted(test) + " (" + Measured(test) + "), " + Finding(test);
    (blocks ? errors : warnings)
        .push_back(std::string(blocks ? "::error" : "::warning") +
                   " file=" + WorkflowText(verdict.suite_name(), true) + line +
                   ",title=" + WorkflowText(title, true) + "::" + WorkflowText(message, false));
  }
  if (const std::string why = NothingBlocks(verdict); !why.empty()) {
    errors.push_back("::error title=ERROR::" + WorkflowText(why, false));
  }
  errors.insert(errors.end(), warnings.begin(), warnings.end());
  std::string text;
  for (size_t i = 0; i < std::min(errors.size(), kMaxAnnotations); ++i) text += errors[i] + "\n";
  if (errors.size() > kMaxAnnotations) {
    text += "::notice title=Bitfoundry::" + std::to_string(errors.size() - kMaxAnnotations) +
            " more tests did not pass\n";
  }
  return text + Name(verdict.outcome()) + ": " + Summary(verdict) + "\n";
}

}  // namespace

Result<std::string> FormatVerdict(const v1::Verdict& verdict, const std::string& form) {
  if (form == "table") return Table(verdict);
  if (form == "junit") return Junit(verdict);
  if (form == "markdown") return Markdown(verdict);
  if (form == "model-card") return ModelCard(verdict);
  if (form == "github") return Github(verdict);
  if (form == "json") return ToJson(verdict, /*on_lines=*/true);
  return Status(
      Code::kInvalidArgument,
      "no such form: " + form + "; there are table, json, junit, markdown, model-card and github");
}

int ExitCode(v1::Outcome outcome) {
  switch (outcome) {
    case v1::PASS:
      return 0;
    case v1::FAIL:
      return 1;
    case v1::INCONCLUSIVE:
      return 2;
    default:
      return 3;
  }
}

}  // namespace bitfoundry::cli
