#include "services/bitfoundry/cli.h"

namespace bitfoundry::cli {
void AddModelCommands(CLI::App&, Shell&) {}
}  // namespace bitfoundry::cli
