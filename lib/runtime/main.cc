#include "runtime/main.h"

#include <prometheus/registry.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "base/log.h"

namespace bitfoundry::runtime {
namespace {

// Of a process that is to stop. What waits for longer waits for something that hangs, like a
// Postgres that is frozen; work that is not done by then is somebody else's when its lease expires.
constexpr std::chrono::seconds kDrain{30};

int signal_pipe[2];

void PassOn(int signal) {
  const auto byte = static_cast<char>(signal);
  [[maybe_unused]] const ssize_t written = write(signal_pipe[1], &byte, 1);
}

// Turns the first SIGTERM or SIGINT into a stop request. By a handler, not by a blocked mask and
// sigwait: OpenBLAS starts threads while it is loaded, before main; they do not inherit the mask,
// and a signal that one of them gets would kill the process undrained.
std::stop_token StopOnSignal() {
  BF_CHECK(pipe(signal_pipe) == 0);
  std::signal(SIGPIPE, SIG_IGN);
  std::signal(SIGTERM, PassOn);
  std::signal(SIGINT, PassOn);

  std::stop_source stop;
  std::thread([stop]() mutable {
    char signal = 0;
    while (read(signal_pipe[0], &signal, 1) != 1) continue;
    std::signal(SIGTERM, SIG_DFL);  // the next one kills
    std::signal(SIGINT, SIG_DFL);
    Log(Level::kInfo, "stopping", {{"signal", std::to_string(signal)}});
    stop.request_stop();
    std::this_thread::sleep_for(kDrain);
    Log(Level::kError, "not drained in time", {{"seconds", std::to_string(kDrain.count())}});
    _exit(1);
  }).detach();
  return stop.get_token();
}

std::string HostAndPid() {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  return std::string(host.data()) + ":" + std::to_string(getpid());
}

Result<Level> ParseLevel(const std::string& text) {
  if (text == "debug") return Level::kDebug;
  if (text == "info") return Level::kInfo;
  if (text == "warning") return Level::kWarning;
  if (text == "error") return Level::kError;
  return Status(Code::kInvalidArgument, "--log-level=" + text + ": none of " + kLogLevel.help);
}

Status RunCaught(Process& process, const std::function<Status(Process&)>& run) try {
  return run(process);
} catch (const std::exception& e) {
  return {Code::kInternal, e.what()};
}

}  // namespace

int Main(int argc, char** argv, std::vector<Option> known,
         const std::function<Status(Process&)>& run) {
  const std::string program = std::filesystem::path(argv[0]).filename().string();
  known.push_back(kLogLevel);
  const Result<Options> options = Options::Parse(argc, argv, known);
  if (options.status().code() == Code::kCancelled) {
    std::printf("%s%s\n", program.c_str(), options.status().message().c_str());
    return 0;
  }
  const Result<Level> level =
      options.ok() ? ParseLevel(options->Text(kLogLevel)) : Result<Level>(options.status());
  if (!level.ok()) {
    std::fprintf(stderr, "%s: %s\n", program.c_str(), level.status().message().c_str());
    return 2;
  }
  SetUpLog(program, *level);
  const std::stop_token stop = StopOnSignal();
  Log(Level::kInfo, "starting",
      {{"pid", std::to_string(getpid())}, {"options", options->ToString()}});

  Process process{*options, stop, std::make_shared<prometheus::Registry>(), HostAndPid()};
  const Status status = RunCaught(process, run);
  if (status.ok()) {
    Log(Level::kInfo, "stopped");
    return 0;
  }
  Log(Level::kError, status.message(), {{"reason", status.reason()}});
  return status.reason() == "OPTION" ? 2 : 1;
}

}  // namespace bitfoundry::runtime
