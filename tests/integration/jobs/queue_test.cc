#include "jobs/queue.h"

#include <atomic>
#include <set>
#include <thread>

#include "base/trace.h"
#include "tests/support/postgres.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::jobs {
namespace {

using std::chrono::seconds;
using testing::IsOk;
using testing::StatusIs;

class QueueTest : public testing::PostgresTest {
 protected:
  template <typename Body>
  std::invoke_result_t<Body, Queue> InQueue(Body body) {
    return database().Transact([&](db::Tx& tx) { return body(Queue(tx)); });
  }
  Result<int64_t> Enqueue(JobSpec spec = {}) {
    spec.kind = "train";
    if (spec.payload_json.empty()) spec.payload_json = R"({"seed": 1})";
    return InQueue([&](Queue q) { return q.Enqueue(spec); });
  }
  std::vector<Lease> ClaimUpTo(int limit, const std::string& worker = "worker") {
    const auto claimed =
        InQueue([&](Queue q) { return q.Claim("train", worker, seconds(60), limit); });
    EXPECT_THAT(claimed, IsOk());
    return claimed->leases;
  }
  std::optional<Lease> Claim(const std::string& worker = "worker") {
    const auto leases = ClaimUpTo(1, worker);
    return leases.empty() ? std::nullopt : std::optional(leases[0]);
  }
  Status Complete(const Lease& lease) {
    return InQueue([&](Queue q) { return q.Complete(lease); });
  }
  Result<GivenBack> GiveBack(const Lease& lease, const Status& why) {
    return InQueue([&](Queue q) { return q.GiveBack(lease, why); });
  }
  void Expire() {
    Run("UPDATE jobs SET lease_until = now() - interval '1 second' WHERE state = 'running'");
    EXPECT_FALSE(Claim("sweeper").has_value());  // frees it for the next claim
  }
};

TEST_F(QueueTest, AJobIsClaimedOnce) {
  ASSERT_THAT(Enqueue(), IsOk());
  EXPECT_TRUE(Claim("first").has_value());
  EXPECT_FALSE(Claim("second").has_value());
}

TEST_F(QueueTest, TheSameKeyIsOneJobEvenAfterItIsDone) {
  const auto first = Enqueue({.unique_key = "dataset-1"});
  EXPECT_EQ(*Enqueue({.unique_key = "dataset-1"}), *first);
  const auto lease = Claim();
  ASSERT_THAT(Complete(*lease), IsOk());
  EXPECT_EQ(*Enqueue({.unique_key = "dataset-1"}), *first);
  EXPECT_FALSE(Claim().has_value());
}

TEST_F(QueueTest, ManyWithKnownKeysAddOnlyTheOthers) {
  ASSERT_THAT(Enqueue({.unique_key = "b"}), IsOk());
  std::vector<JobSpec> specs;
  for (const char* key : {"a", "b", "c\"\\,{"}) {
    specs.push_back({.kind = "train", .payload_json = R"({"q":"\"x\\"})", .unique_key = key});
  }
  const auto added = InQueue([&](Queue q) { return q.EnqueueAll(specs); });
  ASSERT_THAT(added, IsOk());
  EXPECT_EQ(*added, 2);
  EXPECT_EQ(ClaimUpTo(10).size(), 3U);
}

TEST_F(QueueTest, TheUrgentGoFirstAndThenTheOld) {
  const auto old = Enqueue();
  const auto young = Enqueue();
  Run("UPDATE jobs SET run_at = now() - interval '1 minute' WHERE id = " + std::to_string(*old));
  const auto urgent = Enqueue({.priority = 1});
  const auto leases = ClaimUpTo(3);
  ASSERT_EQ(leases.size(), 3U);
  EXPECT_EQ(leases[0].job_id, *urgent);
  EXPECT_EQ(leases[1].job_id, *old);
  EXPECT_EQ(leases[2].job_id, *young);
}

TEST_F(QueueTest, AnExpiredLeaseIsClaimedAgainAndItsOldHolderIsFencedOff) {
  ASSERT_THAT(Enqueue(), IsOk());
  const auto old_lease = Claim("crashed");
  Expire();
  const auto new_lease = Claim("healthy");
  ASSERT_TRUE(new_lease.has_value());
  EXPECT_GT(new_lease->epoch, old_lease->epoch);
  const auto as_old = [&](auto call) {
    return InQueue([&](Queue q) -> Status { return call(q); });
  };
  EXPECT_EQ(as_old([&](Queue& q) { return q.Renew(*old_lease, seconds(9)); }).reason(),
            "LEASE_LOST");
  EXPECT_EQ(as_old([&](Queue& q) { return q.Check(*old_lease); }).reason(), "LEASE_LOST");
  EXPECT_EQ(Complete(*old_lease).reason(), "LEASE_LOST");
  EXPECT_EQ(*GiveBack(*old_lease, Status(Code::kUnavailable, "late")), GivenBack::kLost);
  EXPECT_THAT(Complete(*new_lease), IsOk());
}

TEST_F(QueueTest, ALeaseOutlivesNoDeadlineHoweverOftenItIsRenewed) {
  ASSERT_THAT(Enqueue({.run_limit = seconds(100)}), IsOk());
  const auto lease = Claim();
  const auto renew = [&] {
    return InQueue([&](Queue q) { return q.Renew(*lease, seconds(1000)); });
  };
  ASSERT_THAT(renew(), IsOk());
  EXPECT_EQ(One("SELECT lease_until = deadline_at FROM jobs"), "t");
  Run("UPDATE jobs SET lease_until = now() - interval '1 second', "
      "deadline_at = now() - interval '1 second'");
  EXPECT_THAT(renew(), StatusIs(Code::kAborted));
}

TEST_F(QueueTest, OneStaleLeaseAmongManyDropsTheWholeCompletion) {
  for (int i = 0; i < 3; ++i) ASSERT_THAT(Enqueue(), IsOk());
  auto leases = ClaimUpTo(3);
  leases[1].epoch -= 1;
  EXPECT_EQ(InQueue([&](Queue q) { return q.Complete(leases); }).reason(), "LEASE_LOST");
  EXPECT_EQ(One("SELECT count(*) FROM finished_jobs"), "0");
  EXPECT_EQ(One("SELECT count(*) FROM jobs WHERE state = 'running'"), "3");
}

TEST_F(QueueTest, AJobThatKillsItsWorkersEndsUpDeadWithItsCauseAndCanBeRedriven) {
  ASSERT_THAT(Enqueue({.max_attempts = 1}), IsOk());
  const auto lease = Claim("victim");
  Expire();
  EXPECT_EQ(One("SELECT state || ': ' || last_error FROM finished_jobs"),
            "dead: lease of victim expired on the last attempt");
  const auto redriven = InQueue([](Queue q) { return q.Redrive("train", {}); });
  EXPECT_EQ(*redriven, 1);
  const auto again = Claim();
  ASSERT_TRUE(again.has_value());
  EXPECT_GT(again->epoch, lease->epoch) << "the epoch must survive the grave";
}

TEST_F(QueueTest, ATransientErrorIsTriedAgainLaterAPermanentOneNever) {
  ASSERT_THAT(Enqueue(), IsOk());
  const auto first = Claim();
  EXPECT_EQ(*GiveBack(*first, Status(Code::kUnavailable, "down")), GivenBack::kReadyAgain);
  EXPECT_EQ(One("SELECT run_at > now() - interval '1 second' AND"
                " run_at <= now() + interval '2 seconds' FROM jobs"),
            "t");
  Run("UPDATE jobs SET run_at = now()");
  EXPECT_EQ(*GiveBack(*Claim(), Status(Code::kInvalidArgument, "bad")), GivenBack::kDead);
  EXPECT_EQ(One("SELECT last_error FROM finished_jobs"), "INVALID_ARGUMENT: bad");
}

// Full jitter: what failed together comes back apart, anywhere within a time that doubles.
TEST_F(QueueTest, TheTimeToTheNextAttemptIsDrawnFromATimeThatDoublesUpTo300Seconds) {
  constexpr int kJobs = 100;
  for (int i = 0; i < kJobs; ++i) ASSERT_THAT(Enqueue({.max_attempts = 12}), IsOk());
  for (const auto& [attempt, most] : {std::pair{1, 2.0}, {3, 8.0}, {8, 256.0}, {11, 300.0}}) {
    Run("UPDATE jobs SET run_at = now(), attempt = " + std::to_string(attempt - 1));
    const auto leases = ClaimUpTo(kJobs);
    ASSERT_EQ(leases.size(), size_t{kJobs});
    const auto waits = database().Transact([&](db::Tx& tx) -> Result<std::vector<double>> {
      for (const Lease& lease : leases) {
        BF_TRY(Queue(tx).GiveBack(lease, Status(Code::kUnavailable, "down")));
      }
      std::vector<double> drawn;
      for (const auto& row :
           tx.work.exec("SELECT extract(epoch FROM run_at - now()) FROM jobs ORDER BY 1")) {
        drawn.push_back(row[0].as<double>());
      }
      return drawn;
    });
    ASSERT_THAT(waits, IsOk());
    EXPECT_GE(waits->front(), 0);
    EXPECT_LT(waits->front(), 0.2 * most);  // by chance not, one in 5 * 10^9 times
    EXPECT_GT(waits->back(), 0.8 * most);
    EXPECT_LE(waits->back(), most);
    EXPECT_NEAR((*waits)[kJobs / 2], most / 2, 0.3 * most);  // six standard errors
  }
}

TEST_F(QueueTest, ATransientErrorOnTheLastAttemptIsFinal) {
  ASSERT_THAT(Enqueue({.max_attempts = 1}), IsOk());
  EXPECT_EQ(*GiveBack(*Claim(), Status(Code::kUnavailable, "down")), GivenBack::kDead);
}

TEST_F(QueueTest, ACancelledAttemptDoesNotCount) {
  ASSERT_THAT(Enqueue({.max_attempts = 2}), IsOk());
  for (int restart = 0; restart < 10; ++restart) {
    const auto lease = Claim();
    ASSERT_TRUE(lease.has_value()) << "after " << restart << " restarts";
    ASSERT_THAT(GiveBack(*lease, Status(Code::kCancelled, "SIGTERM")), IsOk());
  }
}

TEST_F(QueueTest, TheDoneLeaveTheHotTable) {
  ASSERT_THAT(Enqueue({.traceparent = "00-abc-def-01"}), IsOk());
  const auto lease = Claim();
  EXPECT_EQ(lease->traceparent, "00-abc-def-01");
  ASSERT_THAT(Complete(*lease), IsOk());
  EXPECT_EQ(One("SELECT count(*) FROM jobs"), "0");
  EXPECT_EQ(One("SELECT state || traceparent FROM finished_jobs"), "done00-abc-def-01");
  const auto state = InQueue([&](Queue q) { return q.State(lease->job_id); });
  EXPECT_EQ(state->state, "done");
}

TEST_F(QueueTest, AJobBelongsToTheTraceOfWhoeverEnqueuedIt) {
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  {
    const TraceScope scope(trace);
    ASSERT_THAT(Enqueue(), IsOk());
  }
  ASSERT_THAT(Enqueue(), IsOk());
  const auto leases = ClaimUpTo(2);
  EXPECT_EQ(leases[0].traceparent, trace);
  EXPECT_EQ(leases[1].traceparent, "");
}

TEST_F(QueueTest, AFullQueueSaysSo) {
  for (int i = 0; i < 3; ++i) ASSERT_THAT(Enqueue(), IsOk());
  EXPECT_THAT(InQueue([](Queue q) { return q.CheckRoom("train", 4); }), IsOk());
  EXPECT_EQ(InQueue([](Queue q) { return q.CheckRoom("train", 3); }).reason(), "QUEUE_FULL");
}

TEST_F(QueueTest, DepthsCountEveryStateAndTheAgeOfTheOldestReady) {
  for (int i = 0; i < 4; ++i) ASSERT_THAT(Enqueue(), IsOk());
  const auto leases = ClaimUpTo(3);
  ASSERT_THAT(Complete(leases[0]), IsOk());
  ASSERT_THAT(GiveBack(leases[1], Status(Code::kInternal, "bug")), IsOk());
  Run("UPDATE jobs SET run_at = now() - interval '90 seconds' WHERE state = 'ready'");
  const auto depths = InQueue([](Queue q) { return q.Depths(); });
  ASSERT_EQ(depths->size(), 1U);
  const QueueDepth& d = (*depths)[0];
  EXPECT_EQ(d.ready, 1);
  EXPECT_EQ(d.running, 1);
  EXPECT_EQ(d.done, 1);
  EXPECT_EQ(d.dead, 1);
  EXPECT_NEAR(d.oldest_ready_age_seconds, 90, 5);
  const auto waiting = InQueue([](Queue q) { return q.Waiting(); });
  EXPECT_EQ((*waiting)[0].ready, 1);
  EXPECT_EQ((*waiting)[0].running, 1);
  EXPECT_NEAR((*waiting)[0].oldest_ready_age_seconds, 90, 5);
}

TEST_F(QueueTest, ACancelledJobIsNeverClaimedAndRisesOnlyByItsName) {
  const auto id = Enqueue({.unique_key = "key"});
  const auto cancel = [&] { return *InQueue([&](Queue q) { return q.Cancel(*id, "unwanted"); }); };
  EXPECT_TRUE(cancel());
  EXPECT_FALSE(cancel());
  EXPECT_EQ(*Enqueue({.unique_key = "key"}), *id);
  EXPECT_FALSE(Claim().has_value());
  EXPECT_EQ(One("SELECT state || ': ' || last_error FROM finished_jobs"), "cancelled: unwanted");
  const auto depths = InQueue([](Queue q) { return q.Depths(); });
  EXPECT_EQ((*depths)[0].cancelled, 1);
  EXPECT_EQ((*depths)[0].dead, 0);
  EXPECT_EQ(*InQueue([](Queue q) { return q.Redrive("train", {}); }), 0);
  EXPECT_EQ(*InQueue([](Queue q) { return q.Redrive("", {}); }), 0);
  EXPECT_EQ(*InQueue([&](Queue q) { return q.Redrive("", {&*id, 1}); }), 1);
  EXPECT_TRUE(Claim().has_value());
}

TEST_F(QueueTest, WhoHoldsACancelledJobHasLostItAndIsToldWhy) {
  const auto id = Enqueue();
  const auto zombie = Claim();
  Expire();
  const auto lease = Claim();
  ASSERT_TRUE(*InQueue([&](Queue q) { return q.Cancel(*id, "unwanted"); }));
  EXPECT_EQ(Complete(*lease).reason(), "LEASE_LOST");
  EXPECT_EQ(*GiveBack(*lease, Status(Code::kCancelled, "late")), GivenBack::kLost);
  EXPECT_TRUE(*InQueue([&](Queue q) { return q.WasCancelled(*lease); }));
  EXPECT_FALSE(*InQueue([&](Queue q) { return q.WasCancelled(*zombie); }));
}

TEST_F(QueueTest, ADoneJobIsNotCancelled) {
  const auto id = Enqueue();
  ASSERT_THAT(Complete(*Claim()), IsOk());
  EXPECT_FALSE(*InQueue([&](Queue q) { return q.Cancel(*id, "late"); }));
  EXPECT_EQ(One("SELECT state FROM finished_jobs"), "done");
}

TEST_F(QueueTest, AsManyMakeRoomAsUrgentJobsHaveWaitedTheLowestAndNewestFirst) {
  for (const int priority : {1, 0, 0}) ASSERT_THAT(Enqueue({.priority = priority}), IsOk());
  const auto leases = ClaimUpTo(3);
  const auto outranked = [&] {
    std::string told;
    for (const Lease& lease : leases) {
      told += *InQueue([&](Queue q) { return q.IsOutranked(lease, seconds(10)); }) ? "yes " : "no ";
    }
    return told;
  };
  const auto wait = [&](int priority) {
    ASSERT_THAT(Enqueue({.priority = priority}), IsOk());
    Run("UPDATE jobs SET run_at = now() - interval '11 seconds' WHERE state = 'ready'");
  };
  wait(0);
  EXPECT_EQ(outranked(), "no no no ");
  wait(1);
  EXPECT_EQ(outranked(), "no no yes ");
  wait(1);
  wait(1);
  EXPECT_EQ(outranked(), "no yes yes ");
  wait(2);
  EXPECT_EQ(outranked(), "no yes yes ");
  Run("UPDATE jobs SET run_at = now() WHERE state = 'ready'");
  EXPECT_EQ(outranked(), "no no no ") << "a worker may be idle";
}

// What SKIP LOCKED, the epoch and the keys are for, all at once.
TEST_F(QueueTest, ManyWorkersDoEachJobOnce) {
  constexpr int kJobs = 300;
  std::vector<JobSpec> specs;
  for (int i = 0; i < kJobs; ++i) specs.push_back({.kind = "train", .payload_json = "{}"});
  ASSERT_THAT(InQueue([&](Queue q) { return q.EnqueueAll(specs); }), IsOk());

  std::atomic<int> completed = 0;
  {
    std::vector<std::jthread> workers;
    for (int w = 0; w < 6; ++w) {
      workers.emplace_back([&, w] {
        while (true) {
          const auto leases = ClaimUpTo(1 + w, "worker" + std::to_string(w));
          if (leases.empty()) return;
          EXPECT_THAT(InQueue([&](Queue q) { return q.Complete(leases); }), IsOk());
          completed += static_cast<int>(leases.size());
        }
      });
    }
  }
  EXPECT_EQ(completed, kJobs);
  EXPECT_EQ(One("SELECT count(*) FROM finished_jobs WHERE attempt = 1"), std::to_string(kJobs));
}

// The race that job_keys exists for: enqueue while the job of that key is being finished.
TEST_F(QueueTest, AKeyIsNeverTwoJobsHoweverEnqueueAndCompleteInterleave) {
  std::atomic<bool> stop = false;
  std::jthread finisher([&] {
    while (!stop) {
      for (const Lease& lease : ClaimUpTo(10)) EXPECT_THAT(Complete(lease), IsOk());
    }
  });
  std::set<int64_t> ids;
  for (int key = 0; key < 100; ++key) {
    std::set<int64_t> of_this_key;
    for (int again = 0; again < 5; ++again) {
      const auto id = Enqueue({.unique_key = "key-" + std::to_string(key)});
      ASSERT_THAT(id, IsOk());
      of_this_key.insert(*id);
    }
    EXPECT_EQ(of_this_key.size(), 1U);
  }
  stop = true;
  finisher.join();
  for (const Lease& lease : ClaimUpTo(100)) EXPECT_THAT(Complete(lease), IsOk());
  EXPECT_EQ(One("SELECT count(*) FROM finished_jobs"), "100");
}

}  // namespace
}  // namespace bitfoundry::jobs
