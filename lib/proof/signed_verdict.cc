#include "proof/signed_verdict.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <utility>

#include "attest/envelope.h"
#include "attest/statement.h"
#include "base/digest.h"
#include "base/json.h"

namespace bitfoundry::proof {
namespace {

using Json = nlohmann::ordered_json;

Status Malformed(const std::string& what) {
  return {Code::kInvalidArgument, "VERDICT_MALFORMED", "signed, but no verdict: " + what};
}

// The artefact, as whoever flashes it has it.
std::vector<attest::Subject> SubjectsOf(const std::vector<Exhibit>& exhibits) {
  std::vector<attest::Subject> subjects;
  for (const Exhibit& exhibit : exhibits) {
    if (exhibit.name != kManifest && exhibit.name != kModel) continue;
    subjects.push_back({exhibit.name.substr(exhibit.name.find('/') + 1), exhibit.sha256});
  }
  return subjects;
}

Json Descriptor(const Exhibit& exhibit) {
  return {{"name", exhibit.name}, {"digest", {{"sha256", exhibit.sha256}}}};
}

// What blocks and did not pass has failed, inconclusive or not; what else did not pass is a
// warning. An outcome other than PASS is no release, whatever the tests say one by one.
attest::Statement TestResultOf(const v1::Verdict& verdict, const std::vector<Exhibit>& exhibits) {
  Json passed = Json::array();
  Json warned = Json::array();
  Json failed = Json::array();
  for (const v1::TestResult& test : verdict.tests()) {
    const bool blocks = test.blocks() && test.waived_by().empty();
    (test.outcome() == v1::PASS ? passed : blocks ? failed : warned).push_back(test.test_id());
  }
  Json configuration = Json::array();
  for (const Exhibit& exhibit : exhibits) {
    if (exhibit.name.starts_with("artefact/") || exhibit.name == kReport) continue;
    configuration.push_back(Descriptor(exhibit));
  }
  const char* result = verdict.outcome() != v1::PASS ? "FAILED"
                       : warned.empty()              ? "PASSED"
                                                     : "WARNED";
  const Json predicate = {{"result", result},
                          {"configuration", configuration},
                          {"passedTests", passed},
                          {"warnedTests", warned},
                          {"failedTests", failed}};
  return {SubjectsOf(exhibits), kTestResultType, predicate.dump()};
}

attest::Statement VerdictOf(const v1::Verdict& verdict, const std::vector<Exhibit>& exhibits) {
  Json predicate;
  predicate["verdict"] = Json::parse(SignedFields(verdict));
  predicate["exhibits"] = Json::array();
  for (const Exhibit& exhibit : exhibits) predicate["exhibits"].push_back(Descriptor(exhibit));
  return {SubjectsOf(exhibits), kVerdictType, predicate.dump()};
}

Result<std::string> Envelope(const attest::Statement& statement, const attest::PrivateKey& key) {
  attest::Envelope envelope{.payload_type = attest::kStatementType};
  envelope.payload = BF_TRY(attest::ToJson(statement));
  attest::Sign(key, envelope);
  std::string line = attest::ToJson(envelope);
  if (line.size() <= attest::kMaxEnvelopeBytes) return line;
  return Status(Code::kResourceExhausted, "TOO_LARGE",
                "the signed verdict has " + std::to_string(line.size()) + " bytes, the limit is " +
                    std::to_string(attest::kMaxEnvelopeBytes));
}

Result<attest::Statement> ReadLine(std::string_view line, const attest::PublicKey* key) {
  const attest::Envelope envelope = BF_TRY(attest::ParseEnvelope(line));
  if (key != nullptr) BF_TRY(attest::Verify(envelope, attest::kStatementType, *key));
  return attest::ParseStatement(envelope.payload);
}

Result<std::vector<Exhibit>> ReadExhibits(const Json& list) {
  std::vector<Exhibit> exhibits;
  std::set<std::string> names;
  for (const Json& one : list) {
    Exhibit exhibit{one.at("name").get<std::string>(),
                    one.at("digest").at("sha256").get<std::string>()};
    if (LimitOf(exhibit.name) == 0) return Malformed("unknown exhibit '" + exhibit.name + "'");
    if (!names.insert(exhibit.name).second) return Malformed(exhibit.name + " is there twice");
    if (!IsDigest(exhibit.sha256)) return Malformed(exhibit.name + " has no digest");
    exhibits.push_back(std::move(exhibit));
  }
  return exhibits;
}

Result<SignedVerdict> ReadVerdict(const attest::Statement& statement) {
  SignedVerdict read;
  try {
    const Json predicate = Json::parse(statement.predicate);
    if (!predicate.at("verdict").is_object()) return Malformed("'verdict' is no object");
    read.json = predicate.at("verdict").dump();
    read.exhibits = BF_TRY(ReadExhibits(predicate.at("exhibits")));
  } catch (const nlohmann::json::exception& e) {
    return Malformed(Fault(e));
  }
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // of a newer program: a replay will name them
  const auto parsed =
      google::protobuf::util::JsonStringToMessage(read.json, &read.verdict, options);
  if (!parsed.ok()) return Malformed(std::string(parsed.message()));
  return read;
}

Result<SignedVerdict> Open(std::string_view bundle, const attest::PublicKey* key) {
  if (bundle.size() > kMaxBundleBytes) {
    return Malformed("larger than " + std::to_string(kMaxBundleBytes) + " bytes");
  }
  std::optional<attest::Statement> verdict;
  std::optional<attest::Statement> result;
  Status passed_over(Code::kInvalidArgument, "VERDICT_MISSING",
                     "no signed verdict with its test result in it");
  bool first = true;
  while (!bundle.empty()) {
    const size_t end = std::min(bundle.find('\n'), bundle.size());
    auto statement = ReadLine(bundle.substr(0, end), key);
    bundle.remove_prefix(std::min(end + 1, bundle.size()));
    if (!statement.ok()) {
      if (statement.status().reason() == "SIGNATURE_WRONG") return statement.status();
      if (std::exchange(first, false)) passed_over = statement.status();
      continue;
    }
    if (statement->predicate_type != kVerdictType && statement->predicate_type != kTestResultType) {
      continue;
    }
    auto& place = statement->predicate_type == kVerdictType ? verdict : result;
    if (place) {
      return Status(Code::kInvalidArgument, "VERDICT_AMBIGUOUS",
                    "more than one signed verdict: a file holds one");
    }
    place = *std::move(statement);
  }
  if (!verdict || !result) return passed_over;
  SignedVerdict read = BF_TRY(ReadVerdict(*verdict));
  if (*result != TestResultOf(read.verdict, read.exhibits) ||
      verdict->subjects != SubjectsOf(read.exhibits)) {
    return Status(Code::kInvalidArgument, "VERDICT_AMBIGUOUS",
                  "the test result is not that of the verdict, or of other files");
  }
  return read;
}

}  // namespace

std::string SignedFields(const v1::Verdict& verdict) {
  v1::Verdict said = verdict;
  said.clear_verdict_id();
  said.clear_create_time();
  said.clear_envelope();
  said.clear_replaces();
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  options.always_print_primitive_fields = true;
  std::string json;
  BF_CHECK(google::protobuf::util::MessageToJsonString(said, &json, options).ok());
  return json;
}

Result<std::string> SignVerdict(const v1::Verdict& verdict, const std::vector<Exhibit>& exhibits,
                                const attest::PrivateKey& key) {
  const std::string result = BF_TRY(Envelope(TestResultOf(verdict, exhibits), key));
  return result + BF_TRY(Envelope(VerdictOf(verdict, exhibits), key));
}

Result<SignedVerdict> OpenVerdict(std::string_view bundle, const attest::PublicKey& key) {
  return Open(bundle, &key);
}

Result<SignedVerdict> OpenUnchecked(std::string_view bundle) { return Open(bundle, nullptr); }

}  // namespace bitfoundry::proof
