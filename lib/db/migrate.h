// Brings a database up to the schema that this build was written for: migrations/*.sql, compiled
// in, each applied once, in order, in a transaction of its own, under an advisory lock that lets
// one migrator in at a time. Forward only.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace bitfoundry::db {

class Database;
struct Tx;

// Applies what is missing; returns the names of what it applied, in order.
//
// Errors:
//   kUnavailable         Postgres cannot be reached
//   kFailedPrecondition  DATABASE_NEWER: the database has migrations that this build does not know
//   kInternal            a migration failed; the ones before it stay applied
Result<std::vector<std::string>> Migrate(Database& database);

// OK if the database has exactly the migrations of this build.
//
// Errors:
//   kUnavailable         Postgres cannot be reached
//   kFailedPrecondition  DATABASE_NOT_MIGRATED | DATABASE_NEWER; the message says what to run
Status CheckSchema(Tx& tx);
Status CheckSchema(Database& database);

}  // namespace bitfoundry::db
