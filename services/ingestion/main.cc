// bf-ingestion: the door through which projects are made and images and videos come in.
#include "runtime/main.h"

#include "db/migrate.h"
#include "runtime/job_metrics.h"
#include "runtime/serve.h"
#include "services/ingestion/ingestion_service.h"
#include "services/ingestion/project_service.h"
#include "services/ingestion/snapshot_service.h"

using namespace bitfoundry;

constexpr runtime::Option kMaxWaiting{"max-waiting-labels", "100000",
                                      "label jobs; when so many wait, no image is taken"};

Status Run(runtime::Process& process) {
  db::Database database(process.options.Text(runtime::kPgDsn));
  BF_TRY(db::CheckSchema(database));
  const blobs::Store store = BF_TRY(blobs::Store::Open(process.options.Text(runtime::kBlobs)));
  jobs::Doorbell doorbell(BF_TRY(jobs::ParseRedisUrl(process.options.Text(runtime::kRedis))),
                          runtime::RedisGauge(*process.metrics));
  ingestion::Intake intake(database, store, doorbell,
                           BF_TRY(process.options.Integer(kMaxWaiting, 1)));

  ingestion::ProjectService projects(database);
  ingestion::IngestionService ingestion(database, store, intake, *process.metrics);
  ingestion::SnapshotService snapshots(database, store);
  return runtime::Serve(process, {&projects, &ingestion, &snapshots},
                        [&] { return db::CheckSchema(database); });
}

int main(int argc, char** argv) {
  return runtime::Main(argc, argv,
                       {runtime::kListen, runtime::kMetrics, runtime::kReadyFile, runtime::kPgDsn,
                        runtime::kRedis, runtime::kBlobs, kMaxWaiting},
                       Run);
}
