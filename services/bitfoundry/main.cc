// bitfoundry: the command line of the factory.
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <numeric>
#include <string_view>
#include <utility>
#include <vector>

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

// Letters to change, add or leave out until `a` is `b` (Levenshtein).
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), 0);
  for (size_t i = 0; i < a.size(); ++i) {
    size_t corner = std::exchange(row[0], i + 1);
    for (size_t j = 0; j < b.size(); ++j) {
      const size_t change = corner + (a[i] != b[j]);
      corner = std::exchange(row[j + 1], std::min({change, row[j] + 1, row[j + 1] + 1}));
    }
  }
  return row.back();
}

// What is wrong, if it is a word where a command was meant; else `otherwise`.
std::string Mistake(const CLI::App& app, const std::string& otherwise) {
  const CLI::App* at = &app;
  while (!at->get_subcommands().empty()) at = at->get_subcommands().front();
  const auto known = at->get_subcommands({});
  const auto words = app.remaining(/*recurse=*/true);
  const auto word = std::find_if(words.begin(), words.end(),
                                 [](const std::string& w) { return !w.starts_with("-"); });
  if (known.empty() || word == words.end()) return otherwise;
  const auto nearest = *std::min_element(known.begin(), known.end(), [&](auto* a, auto* b) {
    return Distance(*word, a->get_name()) < Distance(*word, b->get_name());
  });
  const std::string name = nearest->get_name();
  const bool near = Distance(*word, name) <= 2 || name.starts_with(*word);
  return "no command '" + *word + "'" + (near ? "; did you mean '" + name + "'?" : "");
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
  cli::AddArtefactCommand(app, shell);
  cli::AddEmulateCommand(app, shell);
  cli::AddSuiteCommand(app, shell);
  cli::AddVerdictCommands(app, shell);
  cli::AddVerifyCommand(app, shell);
  cli::AddBoardCommand(app, shell);
  cli::AddOperatorCommands(app, shell);

  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return app.exit(e);  // --help
    // The parser may have stopped before it came to --json.
    shell.json = std::any_of(argv, argv + argc, [](std::string_view a) { return a == "--json"; });
    const std::string more = shell.json ? "" : "; --help says more";
    return Report(shell, cli::BadUsage(Mistake(app, e.what()) + more));
  }
  shell.data = std::filesystem::absolute(shell.data);
  const Result<int> done = shell.chosen();
  return done.ok() ? *done : Report(shell, done.status());
} catch (const std::exception& e) {
  std::fprintf(stderr, "bitfoundry: %s\n", e.what());
  return cli::kFailed;
}
