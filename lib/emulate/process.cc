#include "emulate/process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>

namespace bitfoundry::emulate {
namespace {

constexpr std::streamoff kMaxOutput = 64 << 10;
constexpr const char* kLog = "output.log";

// Exit codes of timeout(1) and env(1).
constexpr int kTimedOut = 124;
constexpr int kNotFound = 127;
constexpr int kKilled = 128 + 9;

std::string LastOf(const std::filesystem::path& log) {
  std::ifstream file(log, std::ios::binary);
  file.seekg(0, std::ios::end);
  file.seekg(std::max<std::streamoff>(0, file.tellg() - kMaxOutput));
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

Result<Finished> Execute(const std::vector<std::string>& arguments, const std::string& package,
                         const std::filesystem::path& folder, std::chrono::seconds limit) {
  // What we look for in their output is English.
  std::vector<std::string> all = {
      "timeout", "--foreground", "--kill-after=1", std::to_string(limit.count()),
      "env",     "LC_ALL=C"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& argument : all) argv.push_back(argument.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, kLog, O_WRONLY | O_CREAT | O_TRUNC,
                                   0600);
  posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
  pid_t pid = 0;
  const int error = posix_spawnp(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return Status(Code::kUnavailable, "cannot start " + arguments[0] + " in " + folder.string() +
                                          ": " + std::generic_category().message(error));
  }
  int status = 0;
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  const int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (code == kNotFound) {
    return Status(Code::kFailedPrecondition, "TOOL_MISSING",
                  arguments[0] + " is not installed; it is in Debian's package " + package);
  }
  if (code == kTimedOut || code == kKilled) {
    return Status(Code::kDeadlineExceeded, "TOO_SLOW",
                  arguments[0] + " did not end within " + std::to_string(limit.count()) + " s");
  }
  return Finished{code, LastOf(folder / kLog)};
}

}  // namespace bitfoundry::emulate
