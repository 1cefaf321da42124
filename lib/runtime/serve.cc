#include "runtime/serve.h"

#include <grpc/support/log.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/log.h"
#include "runtime/client.h"
#include "runtime/interceptor.h"
#include "runtime/metrics.h"

namespace bitfoundry::runtime {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds kPatience = 5s;  // with `healthy`

// gRPC's own complaints, as lines like ours.
void LogForGrpc(gpr_log_func_args* line) {
  const Level level = line->severity == GPR_LOG_SEVERITY_ERROR ? Level::kWarning : Level::kDebug;
  Log(level, line->message, {{"from", "grpc"}});
}

// Written beside and renamed: whoever sees the file sees all of it.
Status WriteReadyFile(const std::string& path, const std::string& listen,
                      const std::string& metrics) {
  if (path.empty()) return Status();
  const nlohmann::json ready = {{"pid", getpid()}, {"listen", listen}, {"metrics", metrics}};
  const std::string draft = path + ".draft";
  std::ofstream file(draft);
  file << ready.dump() << '\n';
  file.close();
  std::error_code failed;
  if (file) std::filesystem::rename(draft, path, failed);
  if (!file || failed) return {Code::kUnavailable, "cannot write --ready-file " + path};
  return Status();
}

// Keeps grpc.health.v1 in step with `healthy` until stopped. It is asked by a thread of its own,
// because what hangs does not answer.
void FollowHealth(grpc::HealthCheckServiceInterface& health, const std::function<Status()>& healthy,
                  const std::stop_token& stop) {
  using Clock = std::chrono::steady_clock;
  std::mutex mutex;
  std::condition_variable_any changed;
  Status answer;
  bool is_new = false;
  Clock::time_point answered = Clock::now();
  const std::jthread asks([&] {
    std::unique_lock lock(mutex);
    while (!stop.stop_requested()) {
      lock.unlock();
      Status now = healthy();
      lock.lock();
      answer = std::move(now);
      answered = Clock::now();
      is_new = true;
      changed.notify_all();
      changed.wait_for(lock, stop, 1s, [] { return false; });
    }
  });
  std::string last = "not asked yet";
  std::unique_lock lock(mutex);
  while (!stop.stop_requested()) {
    const bool came = changed.wait_for(lock, stop, 1s, [&] { return is_new; });
    is_new = false;
    if (!came && Clock::now() - answered > kPatience) {
      answer = {Code::kUnavailable, "no answer for 5 s: what this rests on hangs"};
    } else if (!came) {
      continue;
    }
    health.SetServingStatus(answer.ok() && !stop.stop_requested());
    const std::string text = answer.ToString();
    if (text != last) {
      Log(answer.ok() ? Level::kInfo : Level::kWarning, "health", {{"status", text}});
    }
    last = text;
  }
  health.SetServingStatus(false);
}

}  // namespace

Status Serve(Process& process, const std::vector<grpc::Service*>& services,
             const std::function<Status()>& healthy) {
  const MetricsServer metrics =
      BF_TRY(MetricsServer::Start(process.options.Text(kMetrics), process.metrics));

  const std::string listen = process.options.Text(kListen);
  int port = 0;
  gpr_set_log_function(LogForGrpc);
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a taken port is an error, not a share
  builder.AddListeningPort(listen, grpc::InsecureServerCredentials(), &port);
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetMaxSendMessageSize(kMaxMessageBytes);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> interceptors;
  interceptors.push_back(MakeInterceptorFactory(*process.metrics));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  for (grpc::Service* service : services) builder.RegisterService(service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr || port == 0) {
    return {Code::kUnavailable, "CANNOT_LISTEN",
            "cannot listen on " + listen + ": is the port taken?"};
  }
  const std::string bound = listen.substr(0, listen.rfind(':') + 1) + std::to_string(port);
  const std::string ready_file = process.options.Text(kReadyFile);
  BF_TRY(WriteReadyFile(ready_file, bound, metrics.address()));
  Log(Level::kInfo, "serving", {{"listen", bound}, {"metrics", metrics.address()}});

  FollowHealth(*server->GetHealthCheckService(), healthy, process.stop);
  if (!ready_file.empty()) std::filesystem::remove(ready_file);
  server->Shutdown(std::chrono::system_clock::now() + 5s);
  return Status();
}

}  // namespace bitfoundry::runtime
