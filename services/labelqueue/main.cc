// bf-labelqueue: gives people tasks and takes their answers.
#include "runtime/main.h"

#include "db/migrate.h"
#include "runtime/serve.h"
#include "services/labelqueue/label_service.h"

using namespace bitfoundry;

constexpr runtime::Option kLeaseSeconds{
    "task-lease-seconds", "600",
    "how long a person has for a task before it may go to somebody else"};

Status Run(runtime::Process& process) {
  const int64_t lease_seconds = BF_TRY(process.options.Integer(kLeaseSeconds, 1, 86400));
  db::Database database(process.options.Text(runtime::kPgDsn));
  BF_TRY(db::CheckSchema(database));
  const blobs::Store store = BF_TRY(blobs::Store::Open(process.options.Text(runtime::kBlobs)));
  labelqueue::Desk desk(database, store, std::chrono::seconds(lease_seconds));
  labelqueue::LabelService service(desk, *process.metrics);
  return runtime::Serve(process, {&service}, [&] {
    const Status schema = db::CheckSchema(database);
    return schema.ok() ? service.Observe() : schema;
  });
}

int main(int argc, char** argv) {
  return runtime::Main(argc, argv,
                       {runtime::kListen, runtime::kMetrics, runtime::kReadyFile, runtime::kPgDsn,
                        runtime::kBlobs, kLeaseSeconds},
                       Run);
}
