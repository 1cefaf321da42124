#include "jobs/worker.h"

#include <atomic>

#include "tests/support/postgres.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::jobs {
namespace {

using testing::IsOk;

class WorkerTest : public testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    Run("INSERT INTO jobs (kind, payload) VALUES ('train', '{}')");
    Run("CREATE TABLE written (by_epoch bigint)");
  }

  // Works until the first attempt has ended.
  std::string OneAttempt(const Handler& handler) {
    std::stop_source stop;
    std::string outcome;
    WorkerOptions options{.kind = "train", .name = "test"};
    options.on_attempt = [&](const Attempt& attempt) {
      outcome = attempt.outcome;
      stop.request_stop();
    };
    Doorbell nobody({.path = "/nowhere"});
    Work(options, database(), nobody, handler, stop.get_token());
    return outcome;
  }
};

Write WriteEpoch(const Lease& lease) {
  return [epoch = lease.epoch](db::Tx& tx) {
    tx.work.exec_params0("INSERT INTO written VALUES ($1)", epoch);
    return Status();
  };
}

TEST_F(WorkerTest, WritesAndCompletesTogether) {
  EXPECT_EQ(OneAttempt([](const Lease& lease, auto&) { return WriteEpoch(lease); }), "done");
  EXPECT_EQ(One("SELECT state FROM finished_jobs"), "done");
  EXPECT_EQ(One("SELECT count(*) FROM written"), "1");
}

TEST_F(WorkerTest, WritesNothingIfTheLeaseWasLostWhileComputing) {
  EXPECT_EQ(OneAttempt([this](const Lease& lease, auto&) {
              Run("UPDATE jobs SET lease_epoch = lease_epoch + 1, lease_owner = 'thief'");
              return WriteEpoch(lease);
            }),
            "lost");
  EXPECT_EQ(One("SELECT lease_owner FROM jobs WHERE state = 'running'"), "thief");
  EXPECT_EQ(One("SELECT count(*) FROM written"), "0");
}

TEST_F(WorkerTest, AWriteThatFailsLeavesNothingAndGivesTheJobBack) {
  EXPECT_EQ(OneAttempt([](const Lease& lease, auto&) -> Result<Write> {
              return Write([write = WriteEpoch(lease)](db::Tx& tx) {
                BF_TRY(write(tx));
                return Status(Code::kUnavailable, "store is full");
              });
            }),
            "retried");
  EXPECT_EQ(One("SELECT count(*) FROM written"), "0");
}

TEST_F(WorkerTest, APermanentErrorBuriesTheJob) {
  EXPECT_EQ(OneAttempt([](auto&, auto&) { return Status(Code::kInvalidArgument, "bad"); }), "dead");
  EXPECT_EQ(One("SELECT last_error FROM finished_jobs"), "INVALID_ARGUMENT: bad");
}

TEST_F(WorkerTest, AJobWhoseLeaseIsTakenIsAskedToStop) {
  WorkerOptions options{.kind = "train", .name = "test", .lease_for = std::chrono::seconds(1)};
  std::stop_source stop;
  std::atomic<bool> asked = false;
  options.on_attempt = [&](const Attempt&) { stop.request_stop(); };
  Doorbell nobody({.path = "/nowhere"});
  Work(
      options, database(), nobody,
      [&](const Lease&, const std::stop_token& lost) -> Result<Write> {
        Run("UPDATE jobs SET lease_epoch = lease_epoch + 1");
        const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!lost.stop_requested() && std::chrono::steady_clock::now() < end) {
          std::this_thread::yield();
        }
        asked = lost.stop_requested();
        return Status(Code::kCancelled, "lost");
      },
      stop.get_token());
  EXPECT_TRUE(asked);
}

}  // namespace
}  // namespace bitfoundry::jobs
