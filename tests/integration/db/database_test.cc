#include "db/database.h"

#include "tests/support/postgres.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::db {
namespace {

using testing::IsOk;
using testing::StatusIs;

class DatabaseTest : public testing::PostgresTest {
 protected:
  Status Add(const std::string& name) {
    return database().Transact([&](Tx& tx) {
      tx.work.exec_params0(
          "INSERT INTO projects (name, height, width, channels)"
          " VALUES ($1, 64, 64, 1)",
          name);
      return Status();
    });
  }
};

TEST_F(DatabaseTest, ABodyThatFailsLeavesNothing) {
  const Status status = database().Transact([&](Tx& tx) {
    tx.work.exec0("INSERT INTO projects (name, height, width, channels) VALUES ('a', 64, 64, 1)");
    return Status(Code::kNotFound, "changed my mind");
  });
  EXPECT_THAT(status, StatusIs(Code::kNotFound));
  EXPECT_EQ(One("SELECT count(*) FROM projects"), "0");
}

TEST_F(DatabaseTest, AConstraintHasItsOwnCode) {
  EXPECT_THAT(Add("twice"), IsOk());
  EXPECT_THAT(Add("twice"), StatusIs(Code::kAlreadyExists));
  EXPECT_THAT(Add("NOT A NAME"), StatusIs(Code::kFailedPrecondition));
}

TEST_F(DatabaseTest, AKilledConnectionIsAnErrorOnceAndThenReplaced) {
  const auto pid = database().Transact(
      [](Tx& tx) -> Result<int> { return tx.work.exec1("SELECT pg_backend_pid()")[0].as<int>(); });
  Run("SELECT pg_terminate_backend(" + std::to_string(*pid) + ", 5000)");
  const Status first = Add("first");  // on the connection that is gone
  EXPECT_THAT(first, StatusIs(Code::kUnavailable));
  EXPECT_THAT(Add("second"), IsOk());
}

TEST(Database, WithoutAServerSaysSo) {
  Database nowhere("host=/nowhere dbname=none");
  EXPECT_THAT(nowhere.Transact([](Tx&) { return Status(); }), StatusIs(Code::kUnavailable));
}

}  // namespace
}  // namespace bitfoundry::db
