// What a firmware's files and symbols may be called.
#pragma once

#include <string>

#include "base/status.h"

namespace bitfoundry::packed {

// Errors: kInvalidArgument BAD_NAME, where it is no identifier of C in lower case, or means
// something else: to C or C++, to compilers, to the runtime (lib/mcu), or in the files that are
// generated.
Status CheckFirmwareName(const std::string& name);

}  // namespace bitfoundry::packed
