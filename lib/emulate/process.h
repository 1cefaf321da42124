// Other people's programs, run to their end: compilers and emulators.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"

namespace bitfoundry::emulate {

struct Finished {
  int exit_code = 0;
  std::string output;  // the last 64 KiB of stdout and stderr together
};

// Runs a program of $PATH in `folder`, without a shell, with nothing on its stdin.
//
//   arguments  the first is the program's name
//   limit      after which it is killed
//   errors     kFailedPrecondition TOOL_MISSING, which names `package`, Debian's name of what the
//              program is in; kDeadlineExceeded TOO_SLOW; kUnavailable if nothing can be started
Result<Finished> Execute(const std::vector<std::string>& arguments, const std::string& package,
                         const std::filesystem::path& folder, std::chrono::seconds limit);

}  // namespace bitfoundry::emulate
