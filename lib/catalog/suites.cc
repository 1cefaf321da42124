#include "catalog/suites.h"

#include "db/database.h"

namespace bitfoundry::catalog {
namespace {

constexpr char kAdd[] = R"sql(
  INSERT INTO suites (digest, name, yaml) VALUES ($1, $2, $3) ON CONFLICT (digest) DO NOTHING
)sql";

constexpr char kGet[] = "SELECT name, yaml FROM suites WHERE digest = $1";

}  // namespace

Status Suites::Add(const Suite& suite) {
  tx_.work.exec_params0(kAdd, suite.digest, suite.name, suite.yaml);
  return Status();
}

Result<Suite> Suites::Get(const std::string& digest) {
  const pqxx::result rows = tx_.work.exec_params(kGet, digest);
  if (rows.empty()) {
    return Status(Code::kNotFound, "SUITE_NOT_FOUND", "no suite is called '" + digest + "'");
  }
  return Suite{digest, rows[0][0].as<std::string>(), rows[0][1].as<std::string>()};
}

}  // namespace bitfoundry::catalog
