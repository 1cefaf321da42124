// Freezing: from the labelled samples of a project to a snapshot, which is bytes and never changes.
#pragma once

#include <string>

#include "base/status.h"
#include "bitfoundry/v1/snapshot.pb.h"
#include "blobs/store.h"
#include "catalog/snapshots.h"
#include "db/database.h"

namespace bitfoundry::ingestion {

// Freezes every labelled sample of the project, its pixels cut out and resized to the project's
// input, puts rows and pixels into the store, and writes the row that names them.
//
// Errors:
//   kNotFound            no such project
//   kFailedPrecondition  EMPTY_PART: no labelled sample in the train part or in the test part
//   kDataLoss            a stored image is broken
Result<v1::Snapshot> Freeze(db::Database& database, const blobs::Store& store,
                            const std::string& project_name);

// The message that a row stands for.
v1::Snapshot ToMessage(const catalog::Snapshot& row);

}  // namespace bitfoundry::ingestion
