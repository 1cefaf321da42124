#include "runtime/main.h"

#include <prometheus/registry.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <thread>

#include "base/log.h"

namespace bitfoundry::runtime {
namespace {

// Turns SIGTERM and SIGINT into a stop request. Must run before any other thread starts: threads
// inherit the blocked mask, which leaves the one below as the only receiver.
std::stop_token StopOnSignal() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);

  std::stop_source stop;
  std::thread([signals, stop]() mutable {
    int signal = 0;
    sigwait(&signals, &signal);
    Log(Level::kInfo, "stopping", {{"signal", std::to_string(signal)}});
    stop.request_stop();
    pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);  // the next one kills
    while (true) pause();
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
  return 1;
}

}  // namespace bitfoundry::runtime
