// What the commands of `bitfoundry` have in common: how they are registered, how they find the
// doors, and how they answer.
#pragma once

#include <google/protobuf/message.h>
#include <grpcpp/channel.h>

#include <CLI/CLI.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "runtime/client.h"
#include "services/bitfoundry/text_table.h"

namespace bitfoundry::cli {

// Exit codes. `evaluate` and `verdict` have their own (verdict_commands.cc).
inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kBadUsage = 2;

// A mistake in the command line, which exits with kBadUsage.
inline Status BadUsage(std::string message) {
  return {Code::kInvalidArgument, "USAGE", std::move(message)};
}

// What every command is given.
struct Shell {
  std::filesystem::path data;  // --data, where run.json is
  bool json = false;           // --json: one JSON document on stdout, errors included
  int error_code = kFailed;    // what an error exits with; `evaluate` has another

  // The command that was chosen; returns the exit code. Set by the parser, run by main.
  std::function<Result<int>()> chosen;

  // A channel to a service, like "trainer": BF_TRAINER, else where run.json says it listens. It is
  // connected, for which a door that is being started again is waited for, `patience` at most.
  //
  // Errors: kNotFound, NEVER_STARTED; kUnavailable, NOT_RUNNING, NO_ANSWER.
  Result<std::shared_ptr<grpc::Channel>> Door(
      const std::string& service, std::chrono::seconds patience = std::chrono::minutes(1)) const;
};

// Registers a subcommand whose action is `run`, which may refer to `options` of type Options, kept
// alive with it. `help` is one line; `example` is a command line that works.
template <typename Options>
CLI::App* Add(CLI::App& parent, Shell& shell, const std::string& name, const std::string& help,
              const std::string& example, const std::shared_ptr<Options>& options,
              Result<int> (*run)(const Shell&, const Options&)) {
  CLI::App* command = parent.add_subcommand(name, help);
  command->footer("Example:\n  " + example);
  command->callback([&shell, options, run] {
    shell.chosen = [&shell, options, run] { return run(shell, *options); };
  });
  return command;
}

// One per group of commands.
void AddFactoryCommands(CLI::App& app, Shell& shell);   // up, down, status
void AddDataCommands(CLI::App& app, Shell& shell);      // project, ingest, snapshot
void AddLabelCommands(CLI::App& app, Shell& shell);     // autolabel, label
void AddModelCommands(CLI::App& app, Shell& shell);     // train, cancel, models, inspect, run
void AddArtefactCommand(CLI::App& app, Shell& shell);   // artefact
void AddEmulateCommand(CLI::App& app, Shell& shell);    // emulate
void AddSuiteCommand(CLI::App& app, Shell& shell);      // suite
void AddVerdictCommands(CLI::App& app, Shell& shell);   // evaluate, verdict
void AddVerifyCommand(CLI::App& app, Shell& shell);     // verify
void AddBoardCommand(CLI::App& app, Shell& shell);      // board
void AddOperatorCommands(CLI::App& app, Shell& shell);  // migrate, jobs

// `text` as a quoted JSON string.
std::string Quote(const std::string& text);

// Columns as wide as what is in them; the first row is the head.
void PrintTable(const Rows& rows);

// A random UUID (version 4): the request_id of a call that creates.
std::string NewRequestId();

// Writes `bytes` to `path`. Errors: kUnavailable.
Status WriteFile(const std::filesystem::path& path, const std::string& bytes);

// Whether `path` (empty: none) will take a file: known before work that may take long.
// Errors: kInvalidArgument, NOT_WRITABLE.
Status CheckWritable(const std::filesystem::path& path);

// A whole file. What is none, like a pipe or a device, is not opened.
// Errors: kNotFound, FILE_UNREADABLE, which says why; kFailedPrecondition above `limit_bytes`.
Result<std::string> ReadFile(const std::filesystem::path& path, uint64_t limit_bytes);

// The same without the byte-order mark that some programs put before UTF-8.
Result<std::string> ReadText(const std::filesystem::path& path, uint64_t limit_bytes);

// The same, or kInvalidArgument NOT_UTF8 with the place where it is none.
Result<std::string> ReadUtf8(const std::filesystem::path& path, uint64_t limit_bytes);

// For options that travel as text, which the doors would refuse without saying which it was.
const CLI::Validator& Utf8Text();

// A suite of data unit tests. Errors: as ReadFile; kInvalidArgument SUITE_INVALID where it is not
// UTF-8, which the doors would refuse without saying where.
Result<std::string> ReadSuite(const std::filesystem::path& path);

// Calls again, for at most a minute, while the door is away or too slow: one that is being started
// again is no reason to give up a wait. `call` makes a new context each time, and may be made
// twice.
Status WhileUnavailable(const std::function<grpc::Status()>& call);

}  // namespace bitfoundry::cli
