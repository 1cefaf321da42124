// Remote models: servers of the Open Inference Protocol whose answers were judged, each named by
// the digest of what is known of it. Another address, version or tensor is another model.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "bitfoundry/v1/evaluator.pb.h"

namespace bitfoundry::db {
struct Tx;
}

namespace bitfoundry::catalog {

class RemoteModels {
 public:
  explicit RemoteModels(db::Tx& tx) : tx_(tx) {}

  // Remembers a model; one that is there already stays. Ignores its digest and returns it with one.
  Result<v1::RemoteModel> Add(int64_t project_id, v1::RemoteModel model);

  // By digest, or by a prefix of at least 8 digits that fits one only.
  //
  // Errors: kNotFound, REMOTE_MODEL_NOT_FOUND; kInvalidArgument, REMOTE_MODEL_AMBIGUOUS.
  Result<v1::RemoteModel> Get(const std::string& digest_or_prefix);

 private:
  db::Tx& tx_;
};

// A model from its description as it was digested, and the digest.
v1::RemoteModel ReadRemoteModel(const std::string& digest, const std::string& description);

}  // namespace bitfoundry::catalog
