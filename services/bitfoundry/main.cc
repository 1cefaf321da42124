// bitfoundry: the command line of the factory.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "services/bitfoundry/cli.h"

using namespace bitfoundry;

namespace {

// Where `up` keeps everything. Postgres refuses to run as root and root's home is closed to the
// user that it runs as instead, so root's default is where system services keep their data.
std::string DefaultData() {
  const char* home = std::getenv("HOME");
  return geteuid() == 0 || home == nullptr ? "/var/lib/bitfoundry"
                                           : std::string(home) + "/.bitfoundry";
}

int Report(const cli::Shell& shell, const Status& status) {
  if (shell.json) {
    const std::string code = Status(status.code(), "").reason();
    std::printf("{\"error\":{\"code\":%s,\"reason\":%s,\"message\":%s}}\n",
                cli::Quote(code).c_str(), cli::Quote(status.reason()).c_str(),
                cli::Quote(status.message()).c_str());
  } else {
    std::fprintf(stderr, "bitfoundry: %s [%s]\n", status.message().c_str(),
                 status.reason().c_str());
  }
  const bool usage = status.reason() == "USAGE" && shell.error_code == cli::kFailed;
  return usage ? cli::kBadUsage : shell.error_code;
}

}  // namespace

int main(int argc, char** argv) try {
  std::signal(SIGPIPE, SIG_IGN);
  CLI::App app(
      "Bitfoundry: a factory of tiny binarized neural networks.\n\n"
      "Start it with `bitfoundry up --detach`, then: project create, ingest, autolabel,\n"
      "label, snapshot, train, evaluate. Each command's --help has an example.");
  cli::Shell shell;
  shell.data = DefaultData();
  app.add_option("--data", shell.data, "Folder that holds the factory's state")
      ->envname("BF_DATA")
      ->capture_default_str();
  app.add_flag("--json", shell.json, "One JSON document on stdout, also for an error");
  app.require_subcommand(1);
  app.fallthrough();  // --data and --json may also stand after the command
  cli::AddFactoryCommands(app, shell);
  cli::AddDataCommands(app, shell);
  cli::AddLabelCommands(app, shell);
  cli::AddModelCommands(app, shell);
  cli::AddEmulateCommand(app, shell);
  cli::AddVerdictCommands(app, shell);
  cli::AddOperatorCommands(app, shell);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help
    // The parser may have stopped before it came to --json.
    shell.json = std::any_of(argv, argv + argc, [](std::string_view a) { return a == "--json"; });
    if (shell.json) return Report(shell, {Code::kInvalidArgument, "USAGE", e.what()});
    app.exit(e);
    return shell.error_code == cli::kFailed ? cli::kBadUsage : shell.error_code;
  }
  shell.data = std::filesystem::absolute(shell.data);
  const Result<int> done = shell.chosen();
  return done.ok() ? *done : Report(shell, done.status());
} catch (const std::exception& e) {
  std::fprintf(stderr, "bitfoundry: %s\n", e.what());
  return cli::kFailed;
}
