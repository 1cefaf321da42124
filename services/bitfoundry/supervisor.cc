#include "services/bitfoundry/supervisor.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <ctime>
#include <thread>
#include <utility>

#include "db/database.h"
#include "db/migrate.h"

namespace bitfoundry::cli {
namespace {

using namespace std::chrono_literals;

constexpr auto kTick = 50ms;
constexpr auto kFirstBackoff = 250ms;
constexpr auto kLongestBackoff = 30s;
constexpr auto kHealthyLife = 30s;
constexpr auto kDrain = 10s;
constexpr auto kBackendStop = 30s;
constexpr auto kBackendStart = 60s;
constexpr int kMaxFirstEnds = 3;

volatile std::sig_atomic_t stop_signal = 0;

void NoteSignal(int signal) { stop_signal = signal; }

// Waits for whoever holds the lock to end, at most `patience`. The descriptor, or -1.
int TakeLock(const std::filesystem::path& data, std::chrono::milliseconds patience) {
  const int fd = open((data / "lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  const auto until = std::chrono::steady_clock::now() + patience;
  while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (std::chrono::steady_clock::now() >= until) {
      close(fd);
      return -1;
    }
    std::this_thread::sleep_for(kTick);
  }
  return fd;
}

// Ends the processes of a supervisor that is gone: services together, then the backends.
void StopOrphans(const RunFile& run) {
  std::vector<ProcessId> services, postgres, redis;
  for (const RunEntry& entry : run.processes) {
    auto& list = entry.name == "postgres" ? postgres : entry.name == "redis" ? redis : services;
    list.push_back(entry.id);
  }
  Stop(services, SIGTERM, kDrain);
  Stop(redis, SIGTERM, kBackendStop);
  Stop(postgres, SIGINT, kBackendStop);
}

std::string HowItEnded(int status) {
  if (WIFSIGNALED(status)) return std::string("killed by ") + strsignal(WTERMSIG(status));
  return "exit " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

Result<Supervisor> Supervisor::Enter(const Choices& choices) {
  std::error_code failed;
  std::filesystem::create_directories(choices.data, failed);
  const int lock = TakeLock(choices.data, 0ms);
  const Result<RunFile> before = ReadRunFile(choices.data);
  if (lock < 0) {
    if (failed) {
      return Status(Code::kUnavailable,
                    "cannot make " + choices.data.string() + ": " + failed.message());
    }
    return Status(Code::kFailedPrecondition, "ALREADY_RUNNING",
                  "already running in " + choices.data.string() +
                      (before.ok() ? ", pid " + std::to_string(before->supervisor.pid) : ""));
  }
  if (before.ok()) StopOrphans(*before);
  Result<Plan> plan = MakePlan(choices, before.ok() ? *before : RunFile());
  if (plan.ok()) return Supervisor(lock, *std::move(plan));
  close(lock);
  return plan.status();
}

Supervisor::Supervisor(int lock, Plan plan) : lock_(lock), plan_(std::move(plan)) {
  for (const Planned& planned : plan_.processes) {
    Child child;
    child.planned = planned;
    child.entry.name = planned.name;
    child.entry.state = "starting";
    child.entry.listen = planned.listen;
    child.entry.metrics = planned.metrics;
    children_.push_back(std::move(child));
  }
}

Supervisor::Supervisor(Supervisor&& other) noexcept
    : lock_(std::exchange(other.lock_, -1)),
      plan_(std::move(other.plan_)),
      children_(std::move(other.children_)) {}

Supervisor::~Supervisor() {
  if (lock_ >= 0) close(lock_);
}

Status Supervisor::Run(const std::function<void(const std::string&)>& say) {
  say_ = say;
  std::signal(SIGTERM, NoteSignal);
  std::signal(SIGINT, NoteSignal);
  std::signal(SIGHUP, NoteSignal);
  const Status status = RunStages();
  StopAll();
  return status;
}

Status Supervisor::RunStages() {
  Save("starting");
  BF_TRY(BringUp(Stage::kBackends));
  if (stop_signal != 0) return Status();
  db::Database database(plan_.pg_dsn, 1);
  const std::vector<std::string> applied = BF_TRY(db::Migrate(database));
  for (const std::string& name : applied) say_("migrated: " + name);

  // A service that cannot start does not take the others with it.
  for (const Stage stage : {Stage::kDoors, Stage::kWorkers}) {
    if (const Status status = BringUp(stage); !status.ok()) say_(status.message());
  }
  if (stop_signal != 0) return Status();
  Save("up");
  while (stop_signal == 0) {
    Tick(Stage::kWorkers);
    std::this_thread::sleep_for(kTick);
  }
  return Status();
}

// Until every process of the stage is ready, or one cannot start.
Status Supervisor::BringUp(Stage stage) {
  const auto until = Clock::now() + kBackendStart;
  while (stop_signal == 0) {
    Tick(stage);
    std::string unready;
    for (const Child& child : children_) {
      if (child.planned.stage != stage) continue;
      if (child.failures >= kMaxFirstEnds) {
        return {Code::kUnavailable, "CANNOT_START",
                child.entry.name + " cannot start: " + child.entry.reason};
      }
      if (child.entry.state != "ready") unready += " " + child.entry.name;
    }
    if (unready.empty()) return Status();
    if (Clock::now() > until) return {Code::kDeadlineExceeded, "not ready after 60 s:" + unready};
    std::this_thread::sleep_for(kTick);
  }
  return Status();
}

// Looks once at each process, and does what is due.
void Supervisor::Tick(Stage up_to) {
  for (Child& child : children_) {
    if (child.planned.stage > up_to) continue;
    if (child.entry.id.pid == 0) {
      if (Clock::now() >= child.next_try) StartChild(child);
      continue;
    }
    int status = 0;
    if (waitpid(child.entry.id.pid, &status, WNOHANG) == child.entry.id.pid) {
      Ended(child, HowItEnded(status));
      continue;
    }
    const auto age =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - child.started);
    if (child.entry.state == "starting" && child.planned.is_ready(child.entry.id, age)) {
      child.was_ready = true;
      child.entry.state = "ready";
      say_(child.entry.name + " ready" +
           (child.entry.listen.empty() ? "" : " on " + child.entry.listen));
      Save(state_);
    }
    if (child.was_ready && age > kHealthyLife) child.failures = 0;
  }
}

void Supervisor::StartChild(Child& child) {
  const Result<ProcessId> id = Start(child.planned.command);
  child.started = Clock::now();
  child.was_ready = false;
  child.entry.started = std::time(nullptr);
  child.entry.state = "starting";
  if (id.ok()) {
    child.entry.id = *id;
    Save(state_);
  } else {
    Ended(child, id.status().message());
  }
}

void Supervisor::Ended(Child& child, const std::string& how) {
  const std::string words = LastWords(child.planned.command.log);
  child.entry.id = {};
  child.entry.reason = how + (words.empty() ? "" : ": " + words);
  auto backoff = std::chrono::milliseconds(kFirstBackoff) * (1 << std::min(child.failures++, 7));
  backoff = std::min<std::chrono::milliseconds>(backoff, kLongestBackoff);
  child.next_try = Clock::now() + backoff;
  child.entry.next_try =
      std::time(nullptr) + std::chrono::ceil<std::chrono::seconds>(backoff).count();
  child.entry.state = "failing";
  ++child.entry.restarts;
  say_(child.entry.name + " ended (" + child.entry.reason + "), again in " +
       std::to_string(backoff.count()) + " ms");
  Save(state_);
}

void Supervisor::StopAll() {
  say_("stopping");
  Save("stopping");
  for (const Stage stage : {Stage::kWorkers, Stage::kDoors, Stage::kBackends}) {
    // One signal for each kind of process, so Postgres and Redis go one after the other.
    for (const int signal : {SIGTERM, SIGINT}) {
      std::vector<ProcessId> processes;
      for (const Child& child : children_) {
        if (child.planned.stage == stage && child.planned.stop_signal == signal) {
          processes.push_back(child.entry.id);
        }
      }
      Stop(processes, signal, stage == Stage::kBackends ? kBackendStop : kDrain);
    }
  }
  for (Child& child : children_) {
    child.entry.id = {};
    child.entry.state = "stopped";
  }
  Save("down");
  say_("down");
}

void Supervisor::Save(const std::string& state) {
  state_ = state;
  RunFile run;
  run.supervisor = Running(getpid()).value_or(ProcessId{});
  run.state = state;
  if (plan_.private_postgres) run.pg_dsn = plan_.pg_dsn;
  run.teacher = plan_.teacher;
  for (const Child& child : children_) run.processes.push_back(child.entry);
  if (Status status = WriteRunFile(plan_.data, run); !status.ok()) say_(status.message());
}

Status StopFactory(const std::filesystem::path& data) {
  const RunFile run = BF_TRY(ReadRunFile(data));
  if (IsAlive(run.supervisor)) kill(run.supervisor.pid, SIGTERM);
  const int lock = TakeLock(data, kDrain + kDrain + kBackendStop);
  if (lock < 0) {
    return {Code::kDeadlineExceeded, "pid " + std::to_string(run.supervisor.pid) +
                                         " does not stop; see " +
                                         (data / "log" / "supervisor.log").string()};
  }
  RunFile left = BF_TRY(ReadRunFile(data));
  if (left.state != "down") {  // its supervisor was killed
    StopOrphans(left);
    for (RunEntry& entry : left.processes) {
      entry.id = {};
      entry.state = "stopped";
    }
    left.state = "down";
    BF_TRY(WriteRunFile(data, left));
  }
  close(lock);
  return Status();
}

}  // namespace bitfoundry::cli
