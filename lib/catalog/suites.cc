#include "catalog/suites.h"

#include "db/database.h"

namespace bitfoundry::catalog {
namespace {

constexpr char kAdd[] = R"sql(
  INSERT INTO suites (digest, name, yaml, title, version)
  VALUES ($1, $2, $3, $4, $5) ON CONFLICT (digest) DO NOTHING
)sql";

constexpr char kGet[] = "SELECT name, yaml, title, version FROM suites WHERE digest = $1";

}  // namespace

Status Suites::Add(const Suite& suite) {
  tx_.work.exec_params0(kAdd, suite.digest, suite.name, suite.yaml, suite.title, suite.version);
  return Status();
}

Result<Suite> Suites::Get(const std::string& digest) {
  const pqxx::result rows = tx_.work.exec_params(kGet, digest);
  if (rows.empty()) {
    return Status(Code::kNotFound, "SUITE_NOT_FOUND", "no suite is called '" + digest + "'");
  }
  const pqxx::row row = rows[0];
  return Suite{.digest = digest,
               .name = row["name"].as<std::string>(),
               .yaml = row["yaml"].as<std::string>(),
               .title = row["title"].as<std::string>(),
               .version = row["version"].as<int64_t>()};
}

}  // namespace bitfoundry::catalog
