// up, down, status: the factory on this machine.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <nlohmann/json.hpp>
#include <thread>

#include "bitfoundry/v1/evaluator.grpc.pb.h"
#include "bitfoundry/v1/jobs.grpc.pb.h"
#include "bitfoundry/v1/trainer.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "services/bitfoundry/cli.h"
#include "services/bitfoundry/supervisor.h"
#include "verdicts/words.h"

namespace bitfoundry::cli {
namespace {

using namespace std::chrono_literals;
using nlohmann::ordered_json;

constexpr std::chrono::seconds kPatience = 1s;  // `status` tells what is, it waits for nothing

struct UpOptions {
  bool detach = false;
  std::string teacher_model;
  std::string teacher;
  std::string signing_key;
};

// "SERVING", "NOT_SERVING", "UNREACHABLE"; "-" for a process that has no health service.
std::string Health(const RunEntry& entry) {
  if (entry.metrics.empty()) return "-";
  grpc::health::v1::HealthCheckResponse answer;
  runtime::Call call(3s);
  const auto stub = grpc::health::v1::Health::NewStub(runtime::Connect(entry.listen));
  if (!stub->Check(&call, {}, &answer).ok()) return "UNREACHABLE";
  return grpc::health::v1::HealthCheckResponse::ServingStatus_Name(answer.status());
}

void Say(const std::string& line) {
  const std::time_t now = std::time(nullptr);
  char clock[16];
  std::strftime(clock, sizeof clock, "%H:%M:%S", std::localtime(&now));
  std::printf("%s  %s\n", clock, line.c_str());
  std::fflush(stdout);
}

// Until the supervisor says that all is up and every door says that it is healthy.
Result<int> AwaitUp(const Shell& shell, const ProcessId& supervisor) {
  const std::filesystem::path log = shell.data / "log" / "supervisor.log";
  for (const auto until = std::chrono::steady_clock::now() + 120s;
       std::chrono::steady_clock::now() < until; std::this_thread::sleep_for(100ms)) {
    if (!IsAlive(supervisor)) {
      std::string words = LastWords(log);
      if (words.rfind("bitfoundry: ", 0) == 0) words.erase(0, words.find(' ') + 1);
      return Status(Code::kFailedPrecondition, "CANNOT_START",
                    words + " (log: " + log.string() + ")");
    }
    const Result<RunFile> run = ReadRunFile(shell.data);
    if (!run.ok() || run->supervisor != supervisor || run->state != "up") continue;
    bool healthy = true;
    for (const RunEntry& entry : run->processes) {
      if (entry.state == "failing") {
        return Status(Code::kUnavailable, "CANNOT_START",
                      entry.name + " cannot start: " + entry.reason +
                          " (it is tried again and the others run; `bitfoundry status`)");
      }
      const std::string health = Health(entry);
      healthy &= entry.state == "ready" && (health == "SERVING" || health == "-");
    }
    if (healthy) return kDone;
  }
  return Status(Code::kDeadlineExceeded, "not healthy after 120 s; see `bitfoundry status`");
}

Result<int> Detach(const Shell& shell, const UpOptions& options) {
  std::error_code failed;
  std::filesystem::create_directories(shell.data / "log", failed);
  if (failed) {
    return Status(Code::kUnavailable,
                  "cannot make " + shell.data.string() + ": " + failed.message());
  }
  Command self;
  self.arguments = {std::filesystem::read_symlink("/proc/self/exe").string(), "up", "--data",
                    shell.data.string()};
  if (!options.teacher_model.empty()) {
    self.arguments.insert(self.arguments.end(), {"--teacher-model-file", options.teacher_model});
  }
  if (!options.teacher.empty()) {
    self.arguments.insert(self.arguments.end(), {"--teacher", options.teacher});
  }
  if (!options.signing_key.empty()) {
    self.arguments.insert(self.arguments.end(), {"--signing-key", options.signing_key});
  }
  self.log = shell.data / "log" / "supervisor.log";
  self.own_session = true;
  const ProcessId supervisor = BF_TRY(Start(self));
  BF_TRY(AwaitUp(shell, supervisor));
  if (shell.json) {
    std::printf("{\"state\":\"up\",\"pid\":%d}\n", supervisor.pid);
  } else {
    std::printf("up: pid %d, data in %s; `bitfoundry status` shows it, `bitfoundry down` ends it\n",
                supervisor.pid, shell.data.c_str());
  }
  return kDone;
}

// Of a factory that runs already: OK if it is what was asked for.
Result<int> ShowRunning(const Shell& shell, const Choices& choices, const RunFile& run) {
  if (!choices.any_teacher().empty() && choices.any_teacher() != run.teacher) {
    return Status(Code::kFailedPrecondition, "ALREADY_RUNNING",
                  "already running, pid " + std::to_string(run.supervisor.pid) + ", with " +
                      (run.teacher.empty() ? "no teacher" : "the teacher " + run.teacher) +
                      ": `bitfoundry down` first, then `up` again");
  }
  std::printf(shell.json ? "{\"state\":\"up\",\"pid\":%d}\n" : "already running: pid %d\n",
              run.supervisor.pid);
  return kDone;
}

Result<int> Up(const Shell& shell, const UpOptions& options) {
  Choices choices{shell.data, options.teacher_model, options.teacher, options.signing_key};
  for (std::string* path : {&choices.teacher_model, &choices.signing_key}) {
    if (!path->empty()) *path = std::filesystem::absolute(*path);
  }
  if (options.detach) {
    const Result<RunFile> run = ReadRunFile(shell.data);
    const bool running = run.ok() && run->state == "up" && IsAlive(run->supervisor);
    return running ? ShowRunning(shell, choices, *run) : Detach(shell, options);
  }
  if (shell.json) return BadUsage("up --json needs --detach: in the foreground it tells a story");
  Supervisor supervisor = BF_TRY(Supervisor::Enter(choices));
  Say("data in " + shell.data.string() + "; Ctrl-C stops everything");
  BF_TRY(supervisor.Run(Say));
  return kDone;
}

struct None {};

Result<int> Down(const Shell& shell, const None&) {
  BF_TRY(StopFactory(shell.data));
  std::printf(shell.json ? "{\"state\":\"down\"}\n" : "down\n");
  return kDone;
}

int64_t SecondsUntilNext(const RunEntry& entry) {
  return std::max<int64_t>(0, entry.next_try - std::time(nullptr));
}

ordered_json Processes(const RunFile& run) {
  ordered_json list = ordered_json::array();
  for (const RunEntry& entry : run.processes) {
    const bool alive = IsAlive(entry.id);
    list.push_back({{"name", entry.name},
                    {"state", alive || entry.id.pid == 0 ? entry.state : "dead"},
                    {"pid", alive ? entry.id.pid : 0},
                    {"uptime_seconds", alive ? std::time(nullptr) - entry.started : 0},
                    {"restarts", entry.restarts},
                    {"health", alive ? Health(entry) : "-"},
                    {"listen", entry.listen},
                    {"metrics", entry.metrics},
                    {"reason", entry.reason},
                    {"next_try_seconds", entry.state == "failing" ? SecondsUntilNext(entry) : 0}});
  }
  return list;
}

// What a door answers, as JSON; null if it does not, and why is left to the processes' table.
template <typename Response>
ordered_json AnswerOf(const grpc::Status& status, const Response& response) {
  return status.ok() ? ordered_json::parse(ToJson(response)) : ordered_json();
}

ordered_json Queues(const Shell& shell) {
  const auto door = shell.Door("trainer", kPatience);
  if (!door.ok()) return {};
  v1::ListQueuesResponse response;
  runtime::Call call(5s);
  const auto status = v1::Jobs::NewStub(*door)->ListQueues(&call, {}, &response);
  return AnswerOf(status, response)["queues"];
}

ordered_json Runs(const Shell& shell) {
  const auto door = shell.Door("trainer", kPatience);
  if (!door.ok()) return {};
  v1::ListRunsRequest request;
  request.set_page_size(5);
  v1::ListRunsResponse response;
  runtime::Call call(5s);
  const auto status = v1::Trainer::NewStub(*door)->ListRuns(&call, request, &response);
  for (auto& run : *response.mutable_runs()) run.clear_recipe_json();
  return AnswerOf(status, response)["runs"];
}

ordered_json Verdicts(const Shell& shell) {
  const auto door = shell.Door("evaluator", kPatience);
  if (!door.ok()) return {};
  v1::ListVerdictsRequest request;
  request.set_page_size(5);
  v1::ListVerdictsResponse response;
  runtime::Call call(5s);
  const auto status = v1::Evaluator::NewStub(*door)->ListVerdicts(&call, request, &response);
  for (auto& verdict : *response.mutable_verdicts()) verdict.clear_tests();
  ordered_json list = AnswerOf(status, response)["verdicts"];
  for (int i = 0; i < response.verdicts_size(); ++i) {
    list[static_cast<size_t>(i)]["model"] = verdicts::Model(response.verdicts(i));
  }
  return list;
}

// A value of JSON as a cell of a table.
std::string Cell(const ordered_json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return std::to_string(static_cast<int64_t>(value.get<double>()));
  return value.is_null() ? "-" : value.dump();
}

void PrintList(const std::string& title, const ordered_json& list,
               const std::vector<std::string>& columns) {
  if (!list.is_array() || list.empty()) {
    std::printf("\n%s: %s\n", title.c_str(), list.is_array() ? "none" : "not known");
    return;
  }
  std::printf("\n%s\n", title.c_str());
  std::vector<std::vector<std::string>> rows{columns};
  for (const auto& item : list) {
    auto& row = rows.emplace_back();
    for (const std::string& column : columns) {
      std::string cell = Cell(item.value(column, ordered_json()));
      if (column == "artefact") cell = cell.substr(0, 12);
      row.push_back(cell);
    }
  }
  PrintTable(rows);
}

// "degraded": up, but for a process that is not ready or a door that does not serve.
std::string StateOf(const RunFile& run, const ordered_json& processes) {
  if (run.state == "down") return run.state;
  if (!IsAlive(run.supervisor)) return "supervisor killed";
  const bool well = std::all_of(processes.begin(), processes.end(), [](const auto& process) {
    return process["state"] == "ready" &&
           (process["health"] == "SERVING" || process["health"] == "-");
  });
  return run.state == "up" && !well ? "degraded" : run.state;
}

Result<int> ShowStatus(const Shell& shell, const None&) {
  const RunFile run = BF_TRY(ReadRunFile(shell.data));
  const ordered_json processes = Processes(run);
  const std::string state = StateOf(run, processes);
  const ordered_json all = {{"state", state},
                            {"data", shell.data.string()},
                            {"pid", IsAlive(run.supervisor) ? run.supervisor.pid : 0},
                            {"processes", processes},
                            {"queues", Queues(shell)},
                            {"runs", Runs(shell)},
                            {"verdicts", Verdicts(shell)}};
  if (shell.json) {
    std::printf("%s\n", all.dump(2).c_str());
    return state == "up" ? kDone : kFailed;
  }
  std::printf("%s, data in %s\n", state.c_str(), shell.data.c_str());
  PrintList("processes", all["processes"],
            {"name", "state", "pid", "uptime_seconds", "restarts", "health", "listen", "metrics"});
  for (const RunEntry& entry : run.processes) {
    if (entry.state != "failing") continue;
    std::printf("%s failing: %s, next try in %ld s\n", entry.name.c_str(), entry.reason.c_str(),
                static_cast<long>(SecondsUntilNext(entry)));
  }
  PrintList("queues", all["queues"],
            {"kind", "ready", "running", "done", "dead", "cancelled", "oldest_ready_age_seconds"});
  PrintList("last runs", all["runs"],
            {"run_id", "project", "state", "priority", "attempts", "artefact"});
  PrintList("last verdicts", all["verdicts"],
            {"create_time", "project", "model", "suite_name", "outcome"});
  return state == "up" ? kDone : kFailed;
}

}  // namespace

void AddFactoryCommands(CLI::App& app, Shell& shell) {
  const auto options = std::make_shared<UpOptions>();
  CLI::App* up =
      Add(app, shell, "up",
          "Start the factory: Postgres, Redis and every service, on loopback and free ports.\n"
          "Everything lies under --data; BF_PG_DSN, BF_REDIS_URL and BF_BLOBS name real servers\n"
          "to use instead. Runs until Ctrl-C or `bitfoundry down`",
          "bitfoundry up --detach --teacher-model-file ~/.cache/bitfoundry/centernet.onnx", options,
          Up);
  up->add_flag("--detach", options->detach, "Return when everything is healthy, and run on");
  up->add_option(
        "--teacher-model-file", options->teacher_model,
        "ONNX file for bf-teacher (scripts/teacher/install makes it); without: people are asked")
      ->envname("BF_TEACHER_MODEL_FILE");
  up->add_option("--teacher", options->teacher,
                 "host:port of another Open Inference server to ask instead");
  up->add_option("--signing-key", options->signing_key,
                 "Private key that verdicts are signed with; without: one of its own, in keys/")
      ->envname("BF_SIGNING_KEY");

  const auto none = std::make_shared<None>();
  Add(app, shell, "down", "Drain and stop everything that `up` started. Nothing is lost",
      "bitfoundry down", none, Down);
  Add(app, shell, "status",
      "Processes, queues with their oldest age, the last runs and verdicts. Exits with 0 only if\n"
      "everything is up and healthy",
      "bitfoundry status --json", none, ShowStatus);
}

}  // namespace bitfoundry::cli
