// What `bitfoundry up` runs: which processes, with which arguments, in which order.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/status.h"
#include "services/bitfoundry/child.h"
#include "services/bitfoundry/run_file.h"

namespace bitfoundry::cli {

// Later stages start when earlier ones are ready, and stop before them.
enum class Stage { kBackends, kDoors, kWorkers };

struct Planned {
  std::string name;
  Stage stage = Stage::kDoors;
  Command command;
  std::string listen;
  std::string metrics;
  int stop_signal = 0;  // asks it to drain
  // Cheap, asked often; `age` is the time since its start.
  std::function<bool(const ProcessId&, std::chrono::milliseconds age)> is_ready;
};

struct Plan {
  std::filesystem::path data;
  std::string pg_dsn;  // a secret unless it is private
  bool private_postgres = false;
  std::string teacher;  // as it was chosen
  std::vector<Planned> processes;
};

// What the user may choose; empty: the embedded default.
struct Choices {
  std::filesystem::path data;
  std::string teacher_model;  // file that bf-teacher serves; empty: no bf-teacher
  std::string teacher;        // address of another Open Inference server, instead of bf-teacher
  std::string signing_key;    // file of a private key; empty: one of the factory's own

  const std::string& any_teacher() const { return teacher.empty() ? teacher_model : teacher; }
};

// Makes the folders and, the first time, the private Postgres's files; BF_PG_DSN, BF_REDIS_URL and
// BF_BLOBS name real servers to use instead. Services are those found beside this executable.
// Ports are those of `before` where they are still free.
//
// Errors:
//   kFailedPrecondition  Postgres or Redis is not installed, or the folder cannot hold them
//   kUnavailable         no free port, or the disk
//   of attest::PrivateKey::Read, if the signing key cannot be used
Result<Plan> MakePlan(const Choices& choices, const RunFile& before);

}  // namespace bitfoundry::cli
