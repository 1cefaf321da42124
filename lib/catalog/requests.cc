#include "catalog/requests.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <google/protobuf/message.h>

#include <cctype>

#include "base/digest.h"
#include "db/database.h"

namespace bitfoundry::catalog {
namespace {

constexpr char kLock[] = "SELECT pg_advisory_xact_lock(hashtextextended($1, 7407))";
constexpr char kFind[] = "SELECT method, response FROM requests WHERE request_id = $1::uuid";
constexpr char kAdd[] =
    "INSERT INTO requests (request_id, method, response) VALUES ($1::uuid, $2, $3)";

}  // namespace

bool IsUuid(const std::string& text) {
  if (text.size() != 36) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
    if (dash ? text[i] != '-' : std::isxdigit(static_cast<unsigned char>(text[i])) == 0) {
      return false;
    }
  }
  return true;
}

std::string Asked(const std::string& method, const google::protobuf::Message& request) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);  // maps in order
    BF_CHECK(request.SerializeToCodedStream(&coded));
  }
  return method + ":" + Sha256(bytes);
}

Result<std::string> Once(db::Tx& tx, const std::string& request_id, const std::string& method,
                         const std::function<Result<std::string>()>& make) {
  if (request_id.empty()) return make();
  if (!IsUuid(request_id)) {
    return Status(Code::kInvalidArgument, "REQUEST_ID", "request_id is not a UUID: " + request_id);
  }
  tx.work.exec_params(kLock, request_id);
  const pqxx::result known = tx.work.exec_params(kFind, request_id);
  if (!known.empty()) {
    if (known[0][0].as<std::string>() != method) {
      return Status(Code::kInvalidArgument, "REQUEST_ID",
                    "request_id " + request_id + " was used before, for another request");
    }
    return pqxx::binarystring(known[0][1]).str();
  }
  const std::string response = BF_TRY(make());
  tx.work.exec_params0(kAdd, request_id, method, pqxx::binarystring(response));
  return response;
}

}  // namespace bitfoundry::catalog
