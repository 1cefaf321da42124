// What is attested: something said of files that are named by their digests.
//
// Source: in-toto Statement v1,
// https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md. It travels as the payload
// of a DSSE envelope (attest/envelope.h) of type kStatementType.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace bitfoundry::attest {

inline constexpr char kStatementType[] = "application/vnd.in-toto+json";

struct Subject {
  std::string name;
  std::string sha256;  // 64 lowercase hexadecimal digits

  bool operator==(const Subject&) const = default;
};

struct Statement {
  std::vector<Subject> subjects;  // at least one, each name once
  std::string predicate_type;     // a URI: what the predicate's fields mean
  std::string predicate;          // a JSON object

  bool operator==(const Statement&) const = default;
};

// One line of JSON; the same statement is the same bytes. The predicate's fields keep their order.
// Errors: kInvalidArgument STATEMENT_INVALID: what is missing or malformed.
Result<std::string> ToJson(const Statement& statement);

// Trusts nothing but the size, which an envelope bounds. A subject needs a sha256; other digests,
// and fields that in-toto does not know, are passed over. `predicate` comes back without blanks.
// Errors: kInvalidArgument STATEMENT_INVALID.
Result<Statement> ParseStatement(std::string_view json);

}  // namespace bitfoundry::attest
