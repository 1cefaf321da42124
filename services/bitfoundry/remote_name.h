// A model behind the Open Inference Protocol, as the command line names it.
#pragma once

#include <string>

#include "base/status.h"
#include "bitfoundry/v1/evaluator.pb.h"

namespace bitfoundry::cli {

// Whether it is meant as one, however wrong.
bool IsRemote(const std::string& model);

// "oip://host:port/name" or "oip://host:port/name@version"; kind: "classifier" or "detector".
// Errors: kInvalidArgument, USAGE: what was expected.
Result<v1::RemoteModel> ReadRemote(const std::string& model, const std::string& kind);

}  // namespace bitfoundry::cli
