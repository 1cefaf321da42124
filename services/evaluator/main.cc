// bf-evaluator: runs suites of data unit tests on packed networks, and gives verdicts.
#include "runtime/main.h"

#include <prometheus/counter.h>

#include <fstream>
#include <thread>

#include "base/digest.h"
#include "db/migrate.h"
#include "runtime/job_metrics.h"
#include "runtime/serve.h"
#include "services/evaluator/evaluation.h"
#include "services/evaluator/evaluator_service.h"

using namespace bitfoundry;

constexpr runtime::Option kThreads{"evaluator-threads", "2", "threads of one evaluation"};

// What computes a verdict, by digest: this very program.
std::string RuntimeName() {
  std::ifstream self("/proc/self/exe", std::ios::binary);
  Sha256Stream digest;
  std::string piece(size_t{1} << 20, '\0');
  while (self.read(piece.data(), static_cast<std::streamsize>(piece.size())), self.gcount() > 0) {
    digest.Add(std::string_view(piece).substr(0, static_cast<size_t>(self.gcount())));
  }
  return "packed engine of bf-evaluator sha256:" + digest.Finish();
}

Status Run(runtime::Process& process) {
  const int64_t threads = BF_TRY(process.options.Integer(kThreads, 1, 256));
  db::Database database(process.options.Text(runtime::kPgDsn));
  BF_TRY(db::CheckSchema(database));
  const blobs::Store store = BF_TRY(blobs::Store::Open(process.options.Text(runtime::kBlobs)));
  jobs::Doorbell doorbell(BF_TRY(jobs::ParseRedisUrl(process.options.Text(runtime::kRedis))),
                          runtime::RedisGauge(*process.metrics));

  evaluator::Desk desk(database, store, doorbell);
  evaluator::EvaluatorService service(desk);
  auto& verdicts = prometheus::BuildCounter()
                       .Name("bf_verdicts_total")
                       .Help("Verdicts given, by outcome")
                       .Register(*process.metrics);
  const evaluator::EvaluateHandler handler(
      database, store, RuntimeName(), static_cast<int>(threads), [&](v1::Outcome outcome) {
        verdicts.Add({{"outcome", v1::Outcome_Name(outcome)}}).Increment();
      });
  runtime::JobMetrics metrics(*process.metrics, "evaluate");
  jobs::WorkerOptions options;
  options.kind = "evaluate";
  options.name = process.name;
  options.on_attempt = [&](const jobs::Attempt& attempt) {
    metrics.Record(attempt.outcome, attempt.waited, attempt.ran, attempt.expired);
  };
  std::stop_source stop;
  const std::stop_callback forward(process.stop, [&stop] { stop.request_stop(); });
  const std::jthread worker(
      [&] { jobs::Work(options, database, doorbell, handler, stop.get_token()); });
  const Status served =
      runtime::Serve(process, {&service}, [&] { return db::CheckSchema(database); });
  stop.request_stop();
  return served;
}

int main(int argc, char** argv) {
  return runtime::Main(argc, argv,
                       {runtime::kListen, runtime::kMetrics, runtime::kReadyFile, runtime::kPgDsn,
                        runtime::kRedis, runtime::kBlobs, kThreads},
                       Run);
}
