// bf-evaluator: runs suites of data unit tests on packed networks, and gives verdicts.
#include "runtime/main.h"

#include <prometheus/counter.h>

#include <thread>

#include "base/digest.h"
#include "base/log.h"
#include "db/migrate.h"
#include "runtime/job_metrics.h"
#include "runtime/serve.h"
#include "services/evaluator/evaluation.h"
#include "services/evaluator/evaluator_service.h"

using namespace bitfoundry;

constexpr runtime::Option kThreads{"evaluator-threads", "2", "threads of one evaluation"};
constexpr runtime::Option kSigningKey{
    "signing-key", "",
    "Ed25519 private key (PEM) that signs verdicts; none: they are "
    "not signed"};

// What computes a verdict, by digest: this very program.
std::string RuntimeName() {
  return "packed engine of bf-evaluator sha256:" + DigestOfThisProgram();
}

// Read once, before anything runs: a key that is lost later signs on until the next start.
Result<std::optional<attest::PrivateKey>> ReadKey(const std::string& path) {
  if (path.empty()) {
    Log(Level::kWarning, "no --signing-key: verdicts are not signed", {});
    return std::optional<attest::PrivateKey>();
  }
  std::optional<attest::PrivateKey> key = BF_TRY(attest::PrivateKey::Read(path));
  Log(Level::kInfo, "signs verdicts", {{"keyid", key->Public().id()}, {"path", path}});
  return key;
}

Status Run(runtime::Process& process) {
  const int64_t threads = BF_TRY(process.options.Integer(kThreads, 1, 256));
  const auto key = BF_TRY(ReadKey(process.options.Text(kSigningKey)));
  db::Database database(process.options.Text(runtime::kPgDsn));
  BF_TRY(db::CheckSchema(database));
  const blobs::Store store = BF_TRY(blobs::Store::Open(process.options.Text(runtime::kBlobs)));
  jobs::Doorbell doorbell(BF_TRY(jobs::ParseRedisUrl(process.options.Text(runtime::kRedis))),
                          runtime::RedisGauge(*process.metrics));

  const evaluator::RemoteServers servers(store, *process.metrics);
  evaluator::Desk desk(database, store, doorbell, servers, RuntimeName());
  evaluator::EvaluatorService service(desk);
  auto& verdicts = prometheus::BuildCounter()
                       .Name("bf_verdicts_total")
                       .Help("Verdicts given, by outcome")
                       .Register(*process.metrics);
  const evaluator::EvaluateHandler handler(
      database, store, servers, RuntimeName(), static_cast<int>(threads),
      [&](v1::Outcome outcome) {
        verdicts.Add({{"outcome", v1::Outcome_Name(outcome)}}).Increment();
      },
      key);
  std::stop_source stop;
  const std::stop_callback forward(process.stop, [&stop] { stop.request_stop(); });
  // Each kind has a worker: a slow server of a remote model keeps no artefact waiting.
  std::vector<std::jthread> workers;
  for (const char* kind : {"evaluate", "evaluate_remote"}) {
    workers.emplace_back([&, kind] {
      runtime::JobMetrics metrics(*process.metrics, kind);
      jobs::WorkerOptions options;
      options.kind = kind;
      options.name = process.name;
      options.on_attempt = [&](const jobs::Attempt& attempt) {
        metrics.Record(attempt.outcome, attempt.waited, attempt.ran, attempt.expired);
      };
      jobs::Work(options, database, doorbell, handler, stop.get_token());
    });
  }
  const Status served =
      runtime::Serve(process, {&service}, [&] { return db::CheckSchema(database); });
  stop.request_stop();
  return served;
}

int main(int argc, char** argv) {
  return runtime::Main(argc, argv,
                       {runtime::kListen, runtime::kMetrics, runtime::kReadyFile, runtime::kPgDsn,
                        runtime::kRedis, runtime::kBlobs, kThreads, kSigningKey},
                       Run);
}
