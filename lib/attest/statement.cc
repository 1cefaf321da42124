#include "attest/statement.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/digest.h"
#include "base/json.h"

namespace bitfoundry::attest {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kMaxDepth = 64;  // nlohmann writes nested values by recursion
constexpr char kType[] = "https://in-toto.io/Statement/v1";

Status Invalid(const std::string& what) {
  return {Code::kInvalidArgument, "STATEMENT_INVALID", "not an in-toto statement: " + what};
}

// Throws nlohmann's exception if `text` is not JSON.
Result<Json> Parse(std::string_view text) {
  bool too_deep = false;
  Json json = Json::parse(text, [&](int depth, Json::parse_event_t, Json&) {
    too_deep |= depth > kMaxDepth;
    return depth <= kMaxDepth;
  });
  if (too_deep) return Invalid("nested more than " + std::to_string(kMaxDepth) + " deep");
  return json;
}

Status Check(const Statement& statement) {
  if (statement.subjects.empty()) return Invalid("it has no subject");
  if (statement.predicate_type.empty()) return Invalid("predicateType is empty");
  std::set<std::string> names;
  for (const Subject& subject : statement.subjects) {
    if (!names.insert(subject.name).second)
      return Invalid("two subjects are '" + subject.name + "'");
    if (!IsDigest(subject.sha256)) {
      return Invalid("the sha256 of subject '" + subject.name + "' is not 64 hexadecimal digits");
    }
  }
  return Status();
}

}  // namespace

Result<std::string> ToJson(const Statement& statement) {
  BF_TRY(Check(statement));
  Json json;
  json["_type"] = kType;
  json["subject"] = Json::array();
  for (const Subject& subject : statement.subjects) {
    Json one;
    one["name"] = subject.name;
    one["digest"]["sha256"] = subject.sha256;
    json["subject"].push_back(std::move(one));
  }
  json["predicateType"] = statement.predicate_type;
  try {
    Json predicate = BF_TRY(Parse(statement.predicate));
    if (!predicate.is_object()) return Invalid("the predicate is not a JSON object");
    json["predicate"] = std::move(predicate);
    return json.dump();
  } catch (const nlohmann::json::exception& e) {  // also of a name that is not UTF-8
    return Invalid(Fault(e));
  }
}

Result<Statement> ParseStatement(std::string_view text) {
  try {
    const Json json = BF_TRY(Parse(text));
    if (json.at("_type") != kType) return Invalid("_type is not " + std::string(kType));
    Statement statement;
    for (const Json& subject : json.at("subject")) {
      statement.subjects.push_back({subject.at("name").get<std::string>(),
                                    subject.at("digest").at("sha256").get<std::string>()});
    }
    statement.predicate_type = json.at("predicateType").get<std::string>();
    if (!json.at("predicate").is_object()) return Invalid("the predicate is not a JSON object");
    statement.predicate = json.at("predicate").dump();
    BF_TRY(Check(statement));
    return statement;
  } catch (const nlohmann::json::exception& e) {
    return Invalid(Fault(e));
  }
}

}  // namespace bitfoundry::attest
