#include "proof/replay.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

namespace bitfoundry::proof {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxTold = 5;  // differences in a message

// A value in a message.
std::string Short(const Json& value) {
  std::string text = value.dump(-1, ' ', false, Json::error_handler_t::replace);
  return text.size() <= 100 ? text : text.substr(0, 100) + "...";
}

// Adds where `here` is not what was signed, field by field. What was signed decides which fields
// there are: a newer program has more, which were never claimed.
void Compare(const std::string& where, const Json& signed_value, const Json& here,
             std::vector<std::string>& differences) {
  if (signed_value.is_object() && here.is_object()) {
    for (const auto& [key, value] : signed_value.items()) {
      const auto found = here.find(key);
      const std::string inside = where.empty() ? key : where + "." + key;
      Compare(inside, value, found == here.end() ? Json() : *found, differences);
    }
    return;
  }
  if (signed_value.is_array() && here.is_array() && signed_value.size() == here.size()) {
    for (size_t i = 0; i < signed_value.size(); ++i) {
      const Json& item = signed_value[i];
      const bool named = item.is_object() && item.contains("test_id");
      const std::string inside =
          named ? "test " + Short(item["test_id"]) : where + "[" + std::to_string(i) + "]";
      Compare(inside, item, here[i], differences);
    }
    return;
  }
  if (signed_value == here) return;
  differences.push_back(where + ": signed " + Short(signed_value) + ", here " + Short(here));
}

// The counts of earlier evaluations come from the factory's books, and are taken as signed.
verdicts::Circumstances CircumstancesOf(const v1::Verdict& verdict) {
  std::map<std::string, int32_t> evaluations;  // by the digest of the rows
  for (const v1::TestResult& test : verdict.tests()) {
    if (test.evaluations() > 0) evaluations[test.rows_digest()] = test.evaluations() - 1;
  }
  return {verdict.date(), [evaluations](const std::string& rows) {
            const auto found = evaluations.find(rows);
            return found == evaluations.end() ? 0 : found->second;
          }};
}

}  // namespace

Status Replay(const blobs::Store& store, const SignedVerdict& signed_verdict,
              verdicts::Options options, const std::stop_token& stop) {
  const v1::Verdict& verdict = signed_verdict.verdict;
  for (const Exhibit& exhibit : signed_verdict.exhibits) {
    if (exhibit.name == kReport) BF_TRY(ReadExhibit(store, exhibit));
  }
  Case read = BF_TRY(ReadCase(store, {verdict.artefact(), verdict.suite(), verdict.suite_name(),
                                      verdict.snapshot(), verdict.baseline()}));
  if (!verdict.report().empty()) read.exhibits.push_back({kReport, verdict.report()});
  if (read.exhibits != signed_verdict.exhibits) {
    return {Code::kFailedPrecondition, "REPLAY_DIFFERS",
            "the signed exhibits are not those that the verdict names"};
  }
  options.runtime = verdict.runtime();
  verdicts::Evaluated evaluated =
      BF_TRY(verdicts::Evaluate(read.subject, CircumstancesOf(verdict), options, stop));
  evaluated.verdict.set_report(verdict.report());

  std::vector<std::string> differences;
  Compare("", Json::parse(signed_verdict.json), Json::parse(SignedFields(evaluated.verdict)),
          differences);
  if (differences.empty()) return Status();
  std::string message;
  for (size_t i = 0; i < std::min(differences.size(), kMaxTold); ++i) {
    message += (i == 0 ? "" : "; ") + differences[i];
  }
  if (differences.size() > kMaxTold) {
    message += "; and " + std::to_string(differences.size() - kMaxTold) + " more";
  }
  return {Code::kFailedPrecondition, "REPLAY_DIFFERS", message};
}

}  // namespace bitfoundry::proof
