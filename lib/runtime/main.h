// The shell of a process: what is the same in every service, written once.
//
//   Status Run(runtime::Process& process) {
//     Desk desk(process.options.Text(runtime::kPgDsn));
//     LabelService service(desk);
//     return runtime::Serve(process, {&service}, [&] { return desk.Healthy(); });
//   }
//   int main(int argc, char** argv) {
//     return runtime::Main(argc, argv,
//                          {runtime::kListen, runtime::kMetrics, runtime::kReadyFile,
//                           runtime::kPgDsn}, Run);
//   }
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>
#include <vector>

#include "base/status.h"
#include "runtime/options.h"

namespace prometheus {
class Registry;
}

namespace bitfoundry::runtime {

// What a running service is given; it outlives the service.
struct Process {
  const Options& options;
  std::stop_token stop;                           // requested by the first SIGTERM or SIGINT; 30 s
                                                  // later the process ends in any case
  std::shared_ptr<prometheus::Registry> metrics;  // served at --metrics, by Serve
  std::string name;                               // "host:pid": the owner written into leases
};

// Parses the options (`known` and --log-level), sets up the log, runs `run`, and turns its status
// into the exit code: 0 for OK; 1 for an error or an exception, which is logged; 2 for bad usage.
// --help writes the options to stdout and exits 0. A second signal kills the process at once.
int Main(int argc, char** argv, std::vector<Option> known,
         const std::function<Status(Process&)>& run);

}  // namespace bitfoundry::runtime
