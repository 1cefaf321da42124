// A suite's text as the message that it is one to one with (proto/bitfoundry/v1/suite.proto), and
// back.
#pragma once

#include <string>

#include "base/status.h"
#include "bitfoundry/v1/suite.pb.h"

namespace bitfoundry::verdicts {

// Errors: those of ParseSuite(), which it asks first.
Result<v1::SuiteSpec> ReadSpec(const std::string& yaml, const std::string& file);

// JSON, which is YAML: a suite's text again. The same message gives the same text.
std::string SuiteText(const v1::SuiteSpec& spec);

}  // namespace bitfoundry::verdicts
