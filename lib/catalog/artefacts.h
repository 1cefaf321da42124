// Artefacts: what runs published, each named by the digest of its manifest.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace bitfoundry::db {
struct Tx;
}

namespace bitfoundry::catalog {

struct ArtefactFile {
  std::string name;
  std::string digest;  // of the blob
  int64_t bytes = 0;
};

struct Artefact {
  std::string digest;  // of manifest.json
  int64_t run_id = 0;
  int64_t project_id = 0;
  std::string project;
  std::string snapshot;
  int64_t lease_epoch = 0;          // of the lease under which it was published
  std::vector<ArtefactFile> files;  // in order of name; manifest.json is one
  int64_t model_bytes = 0;

  // The file of that name. Errors: kNotFound, with the names that there are.
  Result<ArtefactFile> File(const std::string& name) const;
};

class Artefacts {
 public:
  explicit Artefacts(db::Tx& tx) : tx_(tx) {}

  // Ignores `project`. Errors: kAlreadyExists if the run has published before.
  Status Add(const Artefact& artefact);

  // By digest, or by a prefix of at least 8 digits that fits one only.
  //
  // Errors:
  //   kNotFound         ARTEFACT_NOT_FOUND
  //   kInvalidArgument  ARTEFACT_AMBIGUOUS, or the prefix is too short or no hexadecimal
  Result<Artefact> Get(const std::string& digest_or_prefix);

  // Newest first; `skip` many are left out.
  Result<std::vector<Artefact>> List(int64_t project_id, int64_t skip, int limit);

 private:
  db::Tx& tx_;
};

}  // namespace bitfoundry::catalog
