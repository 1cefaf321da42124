#include "services/bitfoundry/child.h"

#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <system_error>
#include <thread>

#include "base/text.h"

namespace bitfoundry::cli {
namespace {

using namespace std::chrono_literals;

constexpr uintmax_t kMaxLogBytes = 16 << 20;  // then the log moves to <log>.1
constexpr size_t kMaxLastWords = 600;

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// Ours, with `added` in the place of variables of the same name.
std::vector<std::string> Environment(const std::vector<std::string>& added) {
  std::vector<std::string> all = added;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    const std::string name = text.substr(0, text.find('=') + 1);
    const bool replaced = std::any_of(added.begin(), added.end(),
                                      [&](const auto& a) { return a.rfind(name, 0) == 0; });
    if (!replaced) all.push_back(text);
  }
  return all;
}

int OpenLog(const std::filesystem::path& log) {
  std::error_code ignored;
  if (std::filesystem::file_size(log, ignored) > kMaxLogBytes && !ignored) {
    std::filesystem::rename(log, log.string() + ".1", ignored);
  }
  return open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
}

struct User {
  uid_t uid;
  gid_t gid;
};

// In the child, between fork and exec: nothing but system calls.
[[noreturn]] void BecomeCommand(char* const* arguments, char* const* environment, int log,
                                const User* user, bool own_session, pid_t parent) {
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  own_session ? setsid() : setpgid(0, 0);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  const int null = open("/dev/null", O_RDONLY);
  dup2(null, STDIN_FILENO);
  const bool became = user == nullptr || (setgroups(0, nullptr) == 0 && setgid(user->gid) == 0 &&
                                          setuid(user->uid) == 0);
  if (!own_session) {
    prctl(PR_SET_PDEATHSIG, SIGTERM);     // after setuid, which clears it
    if (getppid() != parent) _exit(127);  // it died before we could ask
  }
  if (became) execve(arguments[0], arguments, environment);
  _exit(127);
}

}  // namespace

std::optional<ProcessId> Running(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string stat;
  if (!std::getline(file, stat)) return std::nullopt;
  // The second field, the program's name, may hold anything; fields count from its last ')'.
  std::istringstream fields(stat.substr(stat.rfind(')') + 2));
  std::vector<std::string> field(23);
  for (size_t i = 3; i <= 22; ++i) fields >> field[i];
  // A zombie whose other threads are still ending has not closed its ports yet.
  if (field[3] == "X" || (field[3] == "Z" && field[20] == "1")) return std::nullopt;
  return ProcessId{pid, std::stoull(field[22])};
}

Result<ProcessId> Start(const Command& command) {
  const std::string& program = command.arguments.at(0);
  if (access(program.c_str(), X_OK) != 0) {
    return Status(Code::kNotFound, program + ": no such program");
  }
  User user{};
  if (!command.user.empty()) {
    const passwd* found = getpwnam(command.user.c_str());
    if (found == nullptr) return Status(Code::kNotFound, "no user " + command.user + " here");
    user = {found->pw_uid, found->pw_gid};
  }
  const int log = OpenLog(command.log);
  if (log < 0) return Status(Code::kUnavailable, "cannot write " + command.log.string());
  std::vector<std::string> arguments = command.arguments;
  std::vector<std::string> environment = Environment(command.environment);
  const std::vector<char*> argv = Pointers(arguments);
  const std::vector<char*> envp = Pointers(environment);

  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid == 0) {
    BecomeCommand(argv.data(), envp.data(), log, command.user.empty() ? nullptr : &user,
                  command.own_session, parent);
  }
  const int error = errno;
  close(log);
  if (pid < 0) {
    return Status(Code::kUnavailable, program + ": " + std::generic_category().message(error));
  }
  // Even if it has ended already it is our zombie, and nobody else gets its pid.
  return Running(pid).value_or(ProcessId{pid, 0});
}

Status RunToEnd(const Command& command) {
  const ProcessId id = BF_TRY(Start(command));
  int status = 0;
  while (waitpid(id.pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return Status();
  return {Code::kInternal, command.arguments[0] + " failed: " + LastWords(command.log)};
}

void Stop(const std::vector<ProcessId>& processes, int signal, std::chrono::milliseconds patience) {
  const auto send = [&](int what) {
    for (const ProcessId& id : processes) {
      if (IsAlive(id)) kill(id.pid, what);
    }
  };
  const auto wait = [&](std::chrono::milliseconds limit) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (std::chrono::steady_clock::now() < until) {
      if (std::none_of(processes.begin(), processes.end(), IsAlive)) return true;
      std::this_thread::sleep_for(20ms);
    }
    return false;
  };
  send(signal);
  if (!wait(patience)) {
    send(SIGKILL);
    wait(5s);
  }
  for (const ProcessId& id : processes) waitpid(id.pid, nullptr, WNOHANG);
}

std::string LastWords(const std::filesystem::path& log) {
  std::ifstream file(log);
  file.seekg(0, std::ios::end);
  file.seekg(std::max<std::streamoff>(0, file.tellg() - std::streamoff{65536}));
  std::string words;
  for (std::string line; std::getline(file, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) {
      if (!OneLine(line).empty()) words = line;  // a crash, a linker, Postgres
    } else if (json.value("message", "") == "starting") {
      words.clear();
    } else if (json.value("level", "") == "error") {
      words = json.value("message", "");
    }
  }
  return OneLine(words).substr(0, kMaxLastWords);
}

}  // namespace bitfoundry::cli
