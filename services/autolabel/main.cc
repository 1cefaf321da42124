// bf-autolabel: asks a large model for answers, within a budget.
#include "runtime/main.h"

#include <thread>

#include "base/log.h"
#include "db/database.h"
#include "db/migrate.h"
#include "runtime/client.h"
#include "runtime/job_metrics.h"
#include "runtime/serve.h"
#include "services/autolabel/autolabel_service.h"
#include "services/autolabel/labeller.h"

using namespace bitfoundry;

constexpr runtime::Option kTeacher{"teacher", "",
                                   "host:port of an Open Inference Protocol v2 server; "
                                   "empty: none, people are asked"};
constexpr runtime::Option kTeacherModel{"teacher-model", "centernet", "its model"};
constexpr runtime::Option kTeacherVersion{"teacher-version", "", "empty: its newest"};
constexpr runtime::Option kWorkers{"workers", "2", "calls to the teacher at a time (1 to 64)"};
constexpr runtime::Option kPrice{"price-micros", "0",
                                 "what a call costs, in millionths of the currency"};

namespace {

// No job is claimed before the teacher, if there is one, has been reached: until then they wait for
// another process.
std::jthread StartWorker(const std::string& kind, const runtime::Process& process,
                         std::shared_ptr<jobs::Doorbell> doorbell, db::Database& database,
                         oip::Detector* teacher, runtime::JobMetrics& metrics,
                         jobs::Handler handler, std::stop_token stop) {
  return std::jthread([=, &process, &database, &metrics] {
    if (teacher != nullptr && !teacher->AwaitVersion(stop).ok()) return;
    jobs::WorkerOptions options{.kind = kind, .name = process.name};
    options.on_attempt = [&](const jobs::Attempt& attempt) {
      metrics.Record(attempt.outcome, attempt.waited, attempt.ran, attempt.expired);
    };
    if (kind == "label") options.after_done = [&](const auto&) { doorbell->Ring("describe"); };
    jobs::Work(options, database, *doorbell, handler, stop);
  });
}

// Refuses a teacher that says that it is the wrong one; one that is away may come.
Status Reach(oip::Detector& teacher, const std::string& address) {
  const Status reached = teacher.Version().status();
  if (!reached.ok() && !reached.retryable()) return reached.In(address);
  if (!reached.ok()) Log(Level::kWarning, "no teacher yet", {{"cause", reached.ToString()}});
  return Status();
}

}  // namespace

Status Run(runtime::Process& process) {
  const int64_t workers = BF_TRY(process.options.Integer(kWorkers, 1, 64));
  const int64_t price = BF_TRY(process.options.Integer(kPrice, 0, 1'000'000'000));
  const blobs::Store store = BF_TRY(blobs::Store::Open(process.options.Text(runtime::kBlobs)));
  db::Database database(process.options.Text(runtime::kPgDsn), static_cast<int>(2 * workers + 8));
  BF_TRY(db::CheckSchema(database));
  const auto redis = BF_TRY(jobs::ParseRedisUrl(process.options.Text(runtime::kRedis)));
  const auto redis_up = runtime::RedisGauge(*process.metrics);
  jobs::Doorbell doorbell(redis, redis_up);

  oip::ClientOptions options;
  options.model = process.options.Text(kTeacherModel);
  options.version = process.options.Text(kTeacherVersion);
  const std::string address = process.options.Text(kTeacher);
  std::unique_ptr<oip::Detector> teacher;
  if (!address.empty()) {
    teacher = std::make_unique<oip::Detector>(runtime::Connect(address), options, *process.metrics);
    BF_TRY(Reach(*teacher, address));
  }
  autolabel::Labeller labeller(database, store, teacher.get(), price, *process.metrics);
  autolabel::Desk desk(database, address.empty() ? "" : options.model);
  autolabel::AutoLabelService service(desk, doorbell);

  std::stop_source stop;
  const std::stop_callback forward(process.stop, [&stop] { stop.request_stop(); });
  runtime::JobMetrics label_metrics(*process.metrics, "label");
  runtime::JobMetrics describe_metrics(*process.metrics, "describe");
  std::vector<std::jthread> threads;
  for (int64_t i = 0; i < workers; ++i) {
    threads.push_back(StartWorker(
        "label", process, std::make_shared<jobs::Doorbell>(redis, redis_up), database,
        teacher.get(), label_metrics,
        [&](const auto& lease, const auto& s) { return labeller.Label(lease, s); },
        stop.get_token()));
  }
  if (teacher != nullptr) {
    threads.push_back(StartWorker(
        "describe", process, std::make_shared<jobs::Doorbell>(redis, redis_up), database,
        teacher.get(), describe_metrics,
        [&](const auto& lease, const auto& s) { return labeller.Describe(lease, s); },
        stop.get_token()));
  }
  const Status served =
      runtime::Serve(process, {&service}, [&] { return db::CheckSchema(database); });
  stop.request_stop();
  return served;
}

int main(int argc, char** argv) {
  return runtime::Main(
      argc, argv,
      {runtime::kPgDsn, runtime::kRedis, runtime::kBlobs, runtime::kListen, runtime::kMetrics,
       runtime::kReadyFile, kTeacher, kTeacherModel, kTeacherVersion, kWorkers, kPrice},
      Run);
}
