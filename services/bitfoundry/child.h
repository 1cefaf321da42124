// Child processes of the supervisor: starting them, telling them from strangers, ending them.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace bitfoundry::cli {

// Which process: a pid is used again after its process, a pid with its start time is not.
struct ProcessId {
  pid_t pid = 0;
  uint64_t start_ticks = 0;  // since boot; field 22 of /proc/<pid>/stat

  bool operator==(const ProcessId&) const = default;
};

// The process that has this pid now; none if nobody has, or a zombie.
std::optional<ProcessId> Running(pid_t pid);

inline bool IsAlive(const ProcessId& id) { return id.pid > 0 && Running(id.pid) == id; }

struct Command {
  std::vector<std::string> arguments;    // the first is the program's path
  std::vector<std::string> environment;  // "NAME=value", in addition to ours
  std::filesystem::path log;             // takes stdout and stderr, appended
  std::string user;                      // run as this user; empty: as us
  bool own_session = false;              // outlives us and our terminal
};

// Starts it, in a process group of its own, so that a Ctrl-C reaches the supervisor alone. Unless
// it has its own session, the kernel sends it SIGTERM when we die, however we die.
//
// Errors: kNotFound if there is no such program or user; kUnavailable if it cannot be started.
Result<ProcessId> Start(const Command& command);

// Starts it and waits for its end. Errors: those of Start, and kInternal, with the last line of
// its log, if it does not exit with 0.
Status RunToEnd(const Command& command);

// Sends `signal` to those that are alive, and SIGKILL to those that still are after `patience`.
// They may be our children or not.
void Stop(const std::vector<ProcessId>& processes, int signal, std::chrono::milliseconds patience);

// Why a process gave up, in one line: the last error of its last start, or the last line that is
// no log line of ours. Empty if it said nothing.
std::string LastWords(const std::filesystem::path& log);

}  // namespace bitfoundry::cli
