// DATA/run.json: what the supervisor started, and where it listens. The supervisor writes it, every
// other command reads it. It stays after a stop, so that the next start takes the same ports.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "base/status.h"
#include "services/bitfoundry/child.h"

namespace bitfoundry::cli {

struct RunEntry {
  std::string name;     // "postgres", "bf-ingestion", ...
  ProcessId id;         // pid 0: not running
  std::string state;    // "starting" | "ready" | "failing" | "stopped"
  std::string reason;   // why it ended last, one line
  std::string listen;   // "127.0.0.1:41001", a socket's path, or empty
  std::string metrics;  // "127.0.0.1:41002" or empty
  int restarts = 0;
  int64_t started = 0;   // Unix seconds
  int64_t next_try = 0;  // Unix seconds; while it is failing
};

struct RunFile {
  ProcessId supervisor;
  std::string state;    // "starting" | "up" | "stopping" | "down"
  std::string pg_dsn;   // of the private Postgres; empty: BF_PG_DSN is in use, which is a secret
  std::string teacher;  // what `up` was given: a model's file, or an address; empty: none
  std::vector<RunEntry> processes;

  const RunEntry* Find(const std::string& name) const;
};

// Errors: kNotFound, NEVER_STARTED, if there is none in `data`; kDataLoss if it cannot be read.
Result<RunFile> ReadRunFile(const std::filesystem::path& data);

// Replaces it as a whole. Errors: kUnavailable.
Status WriteRunFile(const std::filesystem::path& data, const RunFile& run);

}  // namespace bitfoundry::cli
