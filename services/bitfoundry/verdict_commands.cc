#include "services/bitfoundry/cli.h"

namespace bitfoundry::cli {
void AddVerdictCommands(CLI::App&, Shell&) {}
}  // namespace bitfoundry::cli
