#include "services/bitfoundry/remote_name.h"

#include <string_view>

#include "services/bitfoundry/cli.h"

namespace bitfoundry::cli {
namespace {

constexpr std::string_view kScheme = "oip://";

}  // namespace

bool IsRemote(const std::string& model) { return model.find("://") != std::string::npos; }

Result<v1::RemoteModel> ReadRemote(const std::string& model, const std::string& kind) {
  const auto slash = model.find('/', kScheme.size());
  const auto colon = model.find(':', kScheme.size());
  if (!model.starts_with(kScheme) || slash == std::string::npos || colon > slash ||
      slash + 1 == model.size()) {
    return BadUsage("'" + model +
                    "' names no remote model: oip://host:port/name does, or with @version");
  }
  v1::RemoteModel remote;
  remote.set_address(model.substr(kScheme.size(), slash - kScheme.size()));
  const std::string name = model.substr(slash + 1);
  const auto at = name.find('@');
  remote.set_model(name.substr(0, at));
  if (at != std::string::npos) remote.set_version(name.substr(at + 1));
  if (kind == "classifier") remote.set_kind(v1::RemoteModel::CLASSIFIER);
  if (kind == "detector") remote.set_kind(v1::RemoteModel::DETECTOR);
  if (!kind.empty()) return remote;
  return BadUsage("what is " + name + "? say --kind classifier or --kind detector");
}

}  // namespace bitfoundry::cli
