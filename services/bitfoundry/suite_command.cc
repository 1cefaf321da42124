// suite: is this file sound, and what does it ask? Here, without the factory.
#include <cstdio>

#include "services/bitfoundry/cli.h"
#include "verdicts/spec.h"
#include "verdicts/suite.h"

namespace bitfoundry::cli {
namespace {

struct SuiteOptions {
  std::string file;
};

std::string Number(double value) {
  char text[32];
  std::snprintf(text, sizeof text, "%.10g", value);
  return text;
}

// "recall >= 0.9, darken(0.25,3)".
std::string Asks(const verdicts::DataTest& test) {
  using verdicts::Kind;
  const std::string core(emulate::Name(test.core));
  const std::string most = " <= " + Number(test.limit);
  switch (test.kind) {
    case Kind::kRegression:
      return std::string("loss of ") + ToString(test.metric) + most + " against what was shipped";
    case Kind::kGap:
      return std::string("gap of ") + ToString(test.metric) + " across " + test.across.text + most;
    case Kind::kShortcut:
      return "gap over " + test.attribute.text + most;
    case Kind::kFits:
      return ToString(test.figure) + most + " on " + core;
    case Kind::kSameBits:
      return "equal outputs on " + core;
    case Kind::kBound:
      break;
  }
  std::string asks = ToString(test.metric);
  asks += test.side == stats::Side::kAtLeast ? " >= " + Number(test.limit) : most;
  for (const verdicts::Transform& transform : test.transforms) asks += ", " + transform.text;
  return asks;
}

Result<int> ShowSuite(const Shell& shell, const SuiteOptions& options) {
  const std::string text = BF_TRY(ReadSuite(options.file));
  const std::string name = std::filesystem::path(options.file).filename().string();
  if (shell.json) {
    std::printf("%s", verdicts::SuiteText(BF_TRY(verdicts::ReadSpec(text, name))).c_str());
    return kDone;
  }
  const verdicts::Suite suite = BF_TRY(verdicts::ParseSuite(text, name));
  std::vector<std::vector<std::string>> rows{{"test", "slice", "asks", "of", "from", "severity"}};
  for (const verdicts::DataTest& test : suite.tests) {
    const bool of_rows =
        test.kind != verdicts::Kind::kFits && test.kind != verdicts::Kind::kSameBits;
    rows.push_back({test.id, of_rows ? suite.slices[test.slice].name : "", Asks(test),
                    of_rows ? test.positive : "",
                    of_rows ? std::to_string(test.min_n) + " samples" : "",
                    test.blocks ? "block" : "warn"});
  }
  std::printf("%s, version %lld\n\n", suite.name.c_str(), static_cast<long long>(suite.version));
  for (const verdicts::Slice& slice : suite.slices) {
    std::printf("%s: %s\n", slice.name.c_str(), slice.expression.text().c_str());
  }
  std::printf("\n");
  PrintTable(rows);
  std::printf(
      "\nSound, as a text. Whether the data has its tags and attributes is found out when it "
      "is evaluated.\n");
  return kDone;
}

}  // namespace

void AddSuiteCommand(CLI::App& app, Shell& shell) {
  const auto options = std::make_shared<SuiteOptions>();
  Add(app, shell, "suite",
      "Check a suite, here, and list every test that comes of it;\n"
      "with --json as the message SuiteSpec, which is a suite file itself",
      "bitfoundry suite person.yaml", options, ShowSuite)
      ->add_option("FILE", options->file, "YAML or JSON, docs/verdicts.md")
      ->required();
}

}  // namespace bitfoundry::cli
