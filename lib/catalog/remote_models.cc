#include "catalog/remote_models.h"

#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "db/database.h"

namespace bitfoundry::catalog {
namespace {

constexpr char kAdd[] = R"sql(
  INSERT INTO remote_models (digest, project_id, description) VALUES ($1, $2, $3)
  ON CONFLICT (digest) DO NOTHING
)sql";

constexpr char kGet[] = R"sql(
  SELECT digest, description FROM remote_models WHERE digest LIKE $1 || '%' LIMIT 2
)sql";

// Keys in order, no spaces: one model, one text.
std::string Describe(const v1::RemoteModel& model) {
  return nlohmann::json({{"project", model.project()},
                         {"address", model.address()},
                         {"model", model.model()},
                         {"version", model.version()},
                         {"kind", v1::RemoteModel::Kind_Name(model.kind())},
                         {"rule", model.rule()},
                         {"input", model.input()},
                         {"output", model.output()}})
      .dump();
}

}  // namespace

v1::RemoteModel ReadRemoteModel(const std::string& digest, const std::string& description) {
  const auto json = nlohmann::json::parse(description);
  const auto text = [&](const char* key) { return json.at(key).get<std::string>(); };
  v1::RemoteModel model;
  model.set_digest(digest);
  model.set_project(text("project"));
  model.set_address(text("address"));
  model.set_model(text("model"));
  model.set_version(text("version"));
  v1::RemoteModel::Kind kind = v1::RemoteModel::KIND_UNSPECIFIED;
  BF_CHECK(v1::RemoteModel::Kind_Parse(text("kind"), &kind));
  model.set_kind(kind);
  model.set_rule(text("rule"));
  model.set_input(text("input"));
  model.set_output(text("output"));
  return model;
}

Result<v1::RemoteModel> RemoteModels::Add(int64_t project_id, v1::RemoteModel model) {
  const std::string description = Describe(model);
  model.set_digest(Sha256(description));
  tx_.work.exec_params0(kAdd, model.digest(), project_id, description);
  return model;
}

Result<v1::RemoteModel> RemoteModels::Get(const std::string& prefix) {
  const bool is_prefix = prefix.size() >= 8 && prefix.size() <= 64 &&
                         prefix.find_first_not_of("0123456789abcdef") == std::string::npos;
  const pqxx::result rows = is_prefix ? tx_.work.exec_params(kGet, prefix) : pqxx::result();
  if (rows.empty()) {
    return Status(Code::kNotFound, "REMOTE_MODEL_NOT_FOUND", "no remote model is called " + prefix);
  }
  if (rows.size() > 1) {
    return Status(Code::kInvalidArgument, "REMOTE_MODEL_AMBIGUOUS",
                  prefix + " fits more than one remote model: give more digits");
  }
  return ReadRemoteModel(rows[0][0].c_str(), rows[0][1].c_str());
}

}  // namespace bitfoundry::catalog
