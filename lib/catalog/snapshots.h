// Snapshots: which frozen data sets there are. Their content is in the store (lib/snapshot).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace bitfoundry::db {
struct Tx;
}

namespace bitfoundry::catalog {

struct Snapshot {
  std::string digest;         // of the blob of rows
  std::string pixels_digest;  // of the blob of pixels
  int64_t project_id = 0;
  std::string project;
  int class_list_version = 1;
  std::string summary_json;  // bitfoundry.v1.Snapshot
};

class Snapshots {
 public:
  explicit Snapshots(db::Tx& tx) : tx_(tx) {}

  // Ignores `project`. A snapshot that is there already stays as it is: its digest names it all.
  Status Add(const Snapshot& snapshot);

  // Errors: kNotFound, SNAPSHOT_NOT_FOUND.
  Result<Snapshot> Get(const std::string& digest);

  // Newest first; `skip` many are left out.
  Result<std::vector<Snapshot>> List(int64_t project_id, int64_t skip, int limit);

 private:
  db::Tx& tx_;
};

}  // namespace bitfoundry::catalog
