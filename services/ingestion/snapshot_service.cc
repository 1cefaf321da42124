#include "services/ingestion/snapshot_service.h"

#include "catalog/projects.h"
#include "runtime/error.h"
#include "runtime/page.h"
#include "services/ingestion/freeze.h"

namespace bitfoundry::ingestion {

grpc::Status SnapshotService::CreateSnapshot(grpc::ServerContext*,
                                             const v1::CreateSnapshotRequest* request,
                                             v1::Snapshot* response) {
  const Result<v1::Snapshot> snapshot = Freeze(database_, store_, request->project());
  if (!snapshot.ok()) return runtime::ToGrpc(snapshot.status());
  *response = *snapshot;
  return grpc::Status::OK;
}

grpc::Status SnapshotService::GetSnapshot(grpc::ServerContext*,
                                          const v1::GetSnapshotRequest* request,
                                          v1::Snapshot* response) {
  const Result<catalog::Snapshot> row =
      database_.Transact([&](db::Tx& tx) { return catalog::Snapshots(tx).Get(request->digest()); });
  if (!row.ok()) return runtime::ToGrpc(row.status());
  *response = ToMessage(*row);
  return grpc::Status::OK;
}

grpc::Status SnapshotService::ListSnapshots(grpc::ServerContext*,
                                            const v1::ListSnapshotsRequest* request,
                                            v1::ListSnapshotsResponse* response) {
  const Result<runtime::Page> page = runtime::ReadPage(request->page_size(), request->page_token());
  if (!page.ok()) return runtime::ToGrpc(page.status());
  using Rows = std::vector<catalog::Snapshot>;
  const Result<Rows> rows = database_.Transact([&](db::Tx& tx) -> Result<Rows> {
    const catalog::Project project = BF_TRY(catalog::Projects(tx).Get(request->project()));
    return catalog::Snapshots(tx).List(project.id, page->cursor, page->limit);
  });
  if (!rows.ok()) return runtime::ToGrpc(rows.status());
  for (const catalog::Snapshot& row : *rows) *response->add_snapshots() = ToMessage(row);
  if (std::ssize(*rows) == page->limit) {
    response->set_next_page_token(runtime::NextPage(page->cursor + page->limit));
  }
  return grpc::Status::OK;
}

}  // namespace bitfoundry::ingestion
