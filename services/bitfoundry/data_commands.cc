#include "services/bitfoundry/cli.h"

namespace bitfoundry::cli {
void AddDataCommands(CLI::App&, Shell&) {}
}  // namespace bitfoundry::cli
