#include "services/bitfoundry/run_file.h"

#include <fstream>
#include <nlohmann/json.hpp>

namespace bitfoundry::cli {

NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(ProcessId, pid, start_ticks)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(RunEntry, name, id, state, reason, listen, metrics, restarts,
                                   started, next_try)
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE_WITH_DEFAULT(RunFile, supervisor, state, pg_dsn, teacher,
                                                processes)

const RunEntry* RunFile::Find(const std::string& name) const {
  for (const RunEntry& entry : processes) {
    if (entry.name == name) return &entry;
  }
  return nullptr;
}

Result<RunFile> ReadRunFile(const std::filesystem::path& data) try {
  std::ifstream file(data / "run.json");
  if (!file) {
    return Status(Code::kNotFound, "NEVER_STARTED",
                  "nothing was started in " + data.string() + ": run `bitfoundry up`");
  }
  return nlohmann::json::parse(file).get<RunFile>();
} catch (const nlohmann::json::exception& e) {
  return Status(Code::kDataLoss, (data / "run.json").string() + ": " + e.what());
}

Status WriteRunFile(const std::filesystem::path& data, const RunFile& run) {
  const std::filesystem::path path = data / "run.json";
  const std::filesystem::path draft = data / "run.json.draft";
  std::ofstream file(draft);
  file << nlohmann::json(run).dump(2) << '\n';
  file.close();
  std::error_code failed;
  if (file) std::filesystem::rename(draft, path, failed);
  if (!file || failed) return {Code::kUnavailable, "cannot write " + path.string()};
  return Status();
}

}  // namespace bitfoundry::cli
