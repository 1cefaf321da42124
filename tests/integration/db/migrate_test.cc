#include "db/migrate.h"

#include <thread>

#include "tests/support/postgres.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::db {
namespace {

using testing::IsOk;
using testing::StatusIs;

class MigrateTest : public testing::PostgresTest {};

TEST_F(MigrateTest, AgainDoesNothing) {
  const auto again = Migrate(database());
  ASSERT_THAT(again, IsOk());
  EXPECT_TRUE(again->empty());
  EXPECT_THAT(CheckSchema(database()), IsOk());
}

TEST_F(MigrateTest, ANewerDatabaseIsRefused) {
  Run("INSERT INTO schema_migrations (name) VALUES ('9999_from_the_future')");
  EXPECT_EQ(Migrate(database()).status().reason(), "DATABASE_NEWER");
  EXPECT_EQ(CheckSchema(database()).reason(), "DATABASE_NEWER");
}

TEST_F(MigrateTest, AnUnmigratedDatabaseIsToldApart) {
  Run("DELETE FROM schema_migrations WHERE name = '0001_jobs'");
  EXPECT_EQ(CheckSchema(database()).reason(), "DATABASE_NOT_MIGRATED");
}

TEST_F(MigrateTest, AMigrationThatFailsIsNamedInOneLine) {
  Run("DELETE FROM schema_migrations WHERE name = '0001_jobs'");
  const std::string message = Migrate(database()).status().message();
  EXPECT_EQ(message.find("0001_jobs: "), 0U) << message;
  EXPECT_NE(message.find("already exists"), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << message;
}

// 0008 reads from a suite's text what later suites say in columns.
TEST_F(MigrateTest, GivesSuitesOfBeforeTheirTitlesAndVersions) {
  Run("ALTER TABLE suites DROP COLUMN title, DROP COLUMN version");
  Run("DELETE FROM schema_migrations WHERE name = '0008_suite_titles'");
  const std::pair<const char*, const char*> said[] = {
      {"suite: person\nversion: 3\ntests: []\n", "person 3"},
      {"# suite: no\nversion: 12  # of many\nsuite: at the gate  # all\n", "at the gate 12"},
      {"\"suite\": \"cats\"\n'version': 1\n\"version\": 2\n", "cats 2"},
      {"suite: 'it'\nversion: 1\n", "it 1"},
      {"tests:\n  - { suite: no, version: 4 }\n", "file.yaml 0"}};
  for (size_t i = 0; i < std::size(said); ++i) {
    std::string yaml = said[i].first;
    for (size_t at = 0; (at = yaml.find('\'', at)) != yaml.npos; at += 2) yaml.insert(at, "'");
    Run("INSERT INTO suites (digest, name, yaml) VALUES ('" +
        std::string(64, static_cast<char>('a' + i)) + "', 'file.yaml', '" + yaml + "')");
  }
  EXPECT_THAT(Migrate(database()), IsOk());
  for (size_t i = 0; i < std::size(said); ++i) {
    EXPECT_EQ(One("SELECT title || ' ' || version FROM suites WHERE digest LIKE '" +
                  std::string(1, static_cast<char>('a' + i)) + "%'"),
              said[i].second);
  }
}

TEST_F(MigrateTest, OfManyAtOnceEachMigrationIsAppliedByOne) {
  const std::string schema = One("SELECT current_schema()") + "_race";
  Run("CREATE SCHEMA " + schema);
  const std::string dsn =
      std::string(std::getenv("BF_TEST_PG_DSN")) + " options='-c search_path=" + schema + "'";
  std::atomic<size_t> applied = 0;
  {
    std::vector<std::jthread> migrators;
    for (int i = 0; i < 4; ++i) {
      migrators.emplace_back([&] {
        Database mine(dsn);
        const auto done = Migrate(mine);
        EXPECT_THAT(done, IsOk());
        if (done.ok()) applied += done->size();
      });
    }
  }
  Database check(dsn);
  EXPECT_THAT(CheckSchema(check), IsOk());
  EXPECT_EQ(One("SELECT count(*) FROM " + schema + ".schema_migrations"), std::to_string(applied));
  Run("SET client_min_messages = warning; DROP SCHEMA " + schema + " CASCADE");
}

}  // namespace
}  // namespace bitfoundry::db
