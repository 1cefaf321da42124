// migrations/*.sql, compiled in by lib/db/CMakeLists.txt, in name order.
#pragma once

#include <array>
#include <span>

namespace bitfoundry::db {

struct Migration {
  const char* name;  // "0001_jobs"
  const char* sql;
};

extern const std::span<const Migration> kMigrations;

}  // namespace bitfoundry::db
