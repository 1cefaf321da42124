// How a service is configured: --pg-dsn=... on the command line, else BF_PG_DSN in the
// environment, else the fallback written beside the option. There is no configuration file.
//
// Only a service's main.cc reads options. Everything below it takes plain arguments.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace bitfoundry::runtime {

struct Option {
  const char* name;
  const char* fallback;
  const char* help;
  bool secret = false;  // never logged
};

// The options that more than one service has; a service's own are at the top of its main.cc.
inline constexpr Option kPgDsn{"pg-dsn", "dbname=bitfoundry", "libpq connection string", true};
inline constexpr Option kRedis{"redis-url", "redis://127.0.0.1:6379",
                               "Redis that carries wake-ups: redis://[[user]:password@]host[:port]"
                               "[/database], or a socket's path",
                               true};
inline constexpr Option kBlobs{"blobs", "/var/lib/bitfoundry/blobs",
                               "folder of the content-addressed store"};

// Those of a process that serves (serve.h).
inline constexpr Option kListen{"listen", "127.0.0.1:0",
                                "host:port of the gRPC API; port 0: a free one, see the log"};
inline constexpr Option kMetrics{"metrics", "127.0.0.1:0",
                                 "host:port of /metrics; port 0: a free one, see the log"};
inline constexpr Option kReadyFile{"ready-file", "",
                                   "written once calls are taken: {pid, listen, metrics}"};

// Known to every process.
inline constexpr Option kLogLevel{"log-level", "info", "debug | info | warning | error"};

class Options {
 public:
  // Errors: kInvalidArgument if an argument is not --name=value or its name is not in `known`;
  // kCancelled, with the help text as its message, if --help is among the arguments.
  static Result<Options> Parse(int argc, const char* const* argv, const std::vector<Option>& known);

  std::string Text(const Option& option) const;

  // Errors: kInvalidArgument if the value is not a whole decimal number in [low, high].
  Result<int64_t> Integer(const Option& option, int64_t low = INT64_MIN,
                          int64_t high = INT64_MAX) const;

  // "--listen=127.0.0.1:0 --pg-dsn=***": every known option as it stands, for the log.
  std::string ToString() const;

 private:
  std::vector<Option> known_;
  std::map<std::string, std::string> arguments_;
};

}  // namespace bitfoundry::runtime
