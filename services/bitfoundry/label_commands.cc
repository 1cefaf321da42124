#include "services/bitfoundry/cli.h"

namespace bitfoundry::cli {
void AddLabelCommands(CLI::App&, Shell&) {}
}  // namespace bitfoundry::cli
