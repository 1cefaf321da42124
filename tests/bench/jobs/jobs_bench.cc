// Jobs per second through enqueue, lease and complete, by one client: one at a time and in batches
// of 50. Beside its peers: tests/bench/jobs/run.
//
//   bench_jobs "<libpq connection string>" <jobs>
//
// Prints a line for each batch size: name, batch, enqueued/s, leased and completed/s.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "db/database.h"
#include "db/migrate.h"
#include "jobs/queue.h"

using namespace bitfoundry;

namespace {

double Seconds(std::chrono::steady_clock::time_point since) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - since).count();
}

Status Measure(db::Database& database, int jobs, int batch) {
  const std::string kind = "noop_" + std::to_string(batch);
  auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < jobs; i += batch) {
    std::vector<jobs::JobSpec> specs;
    for (int k = 0; k < batch; ++k) {
      specs.push_back({.kind = kind, .payload_json = "{\"i\":" + std::to_string(i + k) + "}"});
    }
    BF_TRY(database.Transact([&](db::Tx& tx) {
      jobs::Queue queue(tx);
      return batch == 1 ? queue.Enqueue(specs[0]) : queue.EnqueueAll(specs);
    }));
  }
  const double enqueue = Seconds(start);

  start = std::chrono::steady_clock::now();
  for (int left = jobs; left > 0;) {
    const jobs::Claimed claimed = BF_TRY(database.Transact([&](db::Tx& tx) {
      return jobs::Queue(tx).Claim(kind, "bench", std::chrono::seconds(60), batch);
    }));
    BF_TRY(database.Transact(
        [&](db::Tx& tx) { return jobs::Queue(tx).Complete(claimed.leases); }));
    left -= static_cast<int>(claimed.leases.size());
  }
  std::printf("bitfoundry\t%d\t%.0f\t%.0f\n", batch, jobs / enqueue, jobs / Seconds(start));
  return Status();
}

Status Run(const char* dsn, int jobs) {
  db::Database database(dsn);
  BF_TRY(db::Migrate(database));
  BF_TRY(Measure(database, jobs, 1));
  return Measure(database, jobs, 50);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const Status status = Run(argv[1], std::atoi(argv[2]));
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
