// bf-trainer: training runs for people and pipelines, leases for workers, queues for operators.
#include "runtime/main.h"

#include "blobs/store.h"
#include "db/database.h"
#include "db/migrate.h"
#include "runtime/job_metrics.h"
#include "runtime/serve.h"
#include "services/trainer/jobs_service.h"
#include "services/trainer/leases_service.h"
#include "services/trainer/trainer_service.h"

using namespace bitfoundry;

constexpr runtime::Option kLeaseSeconds{
    "run-lease-seconds", "20",
    "a training worker that is silent for as long loses its run (3 to 3600)"};

Status Run(runtime::Process& process) {
  const int64_t lease_seconds = BF_TRY(process.options.Integer(kLeaseSeconds, 3, 3600));
  db::Database database(process.options.Text(runtime::kPgDsn));
  BF_TRY(db::CheckSchema(database));
  const blobs::Store store = BF_TRY(blobs::Store::Open(process.options.Text(runtime::kBlobs)));
  jobs::Doorbell doorbell(BF_TRY(jobs::ParseRedisUrl(process.options.Text(runtime::kRedis))),
                          runtime::RedisGauge(*process.metrics));

  trainer::RunDesk runs(database, store);
  trainer::LeaseDesk leases(database, store, std::chrono::seconds(lease_seconds), *process.metrics);
  trainer::TrainerService trainer_service(runs, store);
  trainer::LeasesService leases_service(leases, store, doorbell, *process.metrics, process.stop);
  trainer::JobsService jobs_service(database, *process.metrics);
  return runtime::Serve(process, {&trainer_service, &leases_service, &jobs_service},
                        [&]() -> Status {
                          BF_TRY(db::CheckSchema(database));
                          return jobs_service.Measure();
                        });
}

int main(int argc, char** argv) {
  return runtime::Main(argc, argv,
                       {runtime::kPgDsn, runtime::kRedis, runtime::kBlobs, runtime::kListen,
                        runtime::kMetrics, runtime::kReadyFile, kLeaseSeconds},
                       Run);
}
