// bitfoundry.v1.Snapshots: decode, call Freeze or the catalogue, encode.
#pragma once

#include "bitfoundry/v1/snapshot.grpc.pb.h"
#include "blobs/store.h"
#include "db/database.h"

namespace bitfoundry::ingestion {

class SnapshotService final : public v1::Snapshots::Service {
 public:
  SnapshotService(db::Database& database, const blobs::Store& store)
      : database_(database), store_(store) {}

  grpc::Status CreateSnapshot(grpc::ServerContext*, const v1::CreateSnapshotRequest* request,
                              v1::Snapshot* response) override;
  grpc::Status GetSnapshot(grpc::ServerContext*, const v1::GetSnapshotRequest* request,
                           v1::Snapshot* response) override;
  grpc::Status ListSnapshots(grpc::ServerContext*, const v1::ListSnapshotsRequest* request,
                             v1::ListSnapshotsResponse* response) override;

 private:
  db::Database& database_;
  const blobs::Store& store_;
};

}  // namespace bitfoundry::ingestion
