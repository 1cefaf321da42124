#include "db/migrate.h"

#include <set>

#include "db/database.h"
#include "db/migrations.h"

namespace bitfoundry::db {
namespace {

constexpr char kLock[] = "SELECT pg_advisory_xact_lock(7406)";

constexpr char kCreate[] = R"sql(
  CREATE TABLE IF NOT EXISTS schema_migrations (
    name       text        PRIMARY KEY,
    applied_at timestamptz NOT NULL DEFAULT now()
  )
)sql";

constexpr char kExists[] = "SELECT to_regclass('schema_migrations') IS NOT NULL";
constexpr char kApplied[] = "SELECT name FROM schema_migrations";
constexpr char kRecord[] = "INSERT INTO schema_migrations (name) VALUES ($1)";

std::set<std::string> Applied(Tx& tx) {
  std::set<std::string> applied;
  if (!tx.work.exec1(kExists)[0].as<bool>()) return applied;
  for (const auto& row : tx.work.exec(kApplied)) applied.insert(row[0].as<std::string>());
  return applied;
}

Status RefuseNewer(std::set<std::string> applied) {
  for (const Migration& known : kMigrations) applied.erase(known.name);
  if (applied.empty()) return Status();
  return {Code::kFailedPrecondition, "DATABASE_NEWER",
          "the database has migration " + *applied.begin() +
              ", which this build does not know: run a newer build"};
}

}  // namespace

Result<std::vector<std::string>> Migrate(Database& database) {
  std::vector<std::string> done;
  for (const Migration& migration : kMigrations) {
    const Result<bool> fresh = database.Transact([&](Tx& tx) -> Result<bool> {
      tx.work.exec1(kLock);
      tx.work.exec0("SET LOCAL client_min_messages = warning");
      tx.work.exec0(kCreate);
      const std::set<std::string> applied = Applied(tx);
      BF_TRY(RefuseNewer(applied));
      if (applied.contains(migration.name)) return false;
      tx.work.exec(migration.sql);
      tx.work.exec_params0(kRecord, std::string(migration.name));
      return true;
    });
    if (fresh.status().code() == Code::kInternal) return fresh.status().In(migration.name);
    if (BF_TRY(Result<bool>(fresh))) done.emplace_back(migration.name);
  }
  return done;
}

Status CheckSchema(Tx& tx) {
  const std::set<std::string> applied = Applied(tx);
  BF_TRY(RefuseNewer(applied));
  for (const Migration& known : kMigrations) {
    if (applied.contains(known.name)) continue;
    return {Code::kFailedPrecondition, "DATABASE_NOT_MIGRATED",
            std::string("the database lacks migration ") + known.name +
                ": run `bitfoundry migrate` with the same --pg-dsn"};
  }
  return Status();
}

Status CheckSchema(Database& database) {
  return database.Transact([](Tx& tx) { return CheckSchema(tx); });
}

}  // namespace bitfoundry::db
