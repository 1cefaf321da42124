// The answers that creating calls gave, so that the same request_id gets the same answer.
#pragma once

#include <functional>
#include <string>

#include "base/status.h"

namespace bitfoundry::db {
struct Tx;
}

namespace google::protobuf {
class Message;
}

namespace bitfoundry::catalog {

// The response that `request_id` got before; else what `make` returns, remembered in this
// transaction if it is OK. Two calls at once with one id: the second waits for the first.
//
//   request_id  a UUID; empty: not idempotent, `make` is simply called
//   method      which call, and of what content (Asked), so that an id is not used for two
//   errors      kInvalidArgument, REQUEST_ID: not a UUID, or used before for another `method`;
//               or what `make` returned
Result<std::string> Once(db::Tx& tx, const std::string& request_id, const std::string& method,
                         const std::function<Result<std::string>()>& make);

// `method` and the digest of what `request` says.
std::string Asked(const std::string& method, const google::protobuf::Message& request);

// True if `text` is a UUID in its usual form, 8-4-4-4-12 hexadecimal digits.
bool IsUuid(const std::string& text);

}  // namespace bitfoundry::catalog
