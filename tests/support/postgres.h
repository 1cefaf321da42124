// A fresh, migrated database schema per test, on the server that scripts/with_backends started.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <memory>
#include <pqxx/pqxx>
#include <string>

#include "db/database.h"
#include "db/migrate.h"

namespace bitfoundry::testing {

class PostgresTest : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* server = std::getenv("BF_TEST_PG_DSN");
    ASSERT_NE(server, nullptr) << "run under scripts/with_backends";
    static int serial = 0;
    schema_ = "test_" + std::to_string(getpid()) + "_" + std::to_string(serial++);
    dsn_ = std::string(server) + " options='-c search_path=" + schema_ + "'";
    database_ = std::make_unique<db::Database>(dsn_);
    Run("CREATE SCHEMA " + schema_);
    const auto migrated = db::Migrate(*database_);
    ASSERT_TRUE(migrated.ok()) << migrated.status().ToString();
  }

  void TearDown() override {
    if (!schema_.empty())
      Run("SET client_min_messages = warning; DROP SCHEMA " + schema_ + " CASCADE");
  }

  const std::string& dsn() const { return dsn_; }
  db::Database& database() { return *database_; }

  // For arranging a state that no public call can reach, such as a lease in the past.
  void Run(const std::string& sql) {
    pqxx::connection connection(dsn_);
    pqxx::work work(connection);
    work.exec(sql);
    work.commit();
  }

  // The one value of a query, as text.
  std::string One(const std::string& sql) {
    pqxx::connection connection(dsn_);
    pqxx::work work(connection);
    const pqxx::row row = work.exec1(sql);
    return row[0].is_null() ? "NULL" : row[0].as<std::string>();
  }

 private:
  std::string schema_;
  std::string dsn_;
  std::unique_ptr<db::Database> database_;
};

}  // namespace bitfoundry::testing
