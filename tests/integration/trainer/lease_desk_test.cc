#include "services/trainer/lease_desk.h"

#include <prometheus/text_serializer.h>

#include <cstdlib>
#include <filesystem>
#include <future>
#include <thread>

#include "base/digest.h"
#include "catalog/artefacts.h"
#include "catalog/projects.h"
#include "catalog/snapshots.h"
#include "catalog/suites.h"
#include "packed/bundle.h"
#include "packed/format.h"
#include "services/trainer/run_desk.h"
#include "snapshot/snapshot.h"
#include "tests/support/postgres.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::trainer {
namespace {

using testing::IsOk;
using testing::StatusIs;

std::vector<uint8_t> TinyModel() {
  packed::Network network;
  network.input = {8, 8, 1};
  network.mean = {128};
  network.Then(packed::Stem{.channels = 32,
                            .kernel = 1,
                            .weights = std::vector<int8_t>(32, 1),
                            .output = packed::ToBits{std::vector<int32_t>(32, 0)}});
  network.Then(packed::GlobalSum{});
  network.Then(
      packed::Dense{.classes = 2, .weights = std::vector<int8_t>(64, 1), .biases = {0, 1}});
  return *packed::Serialize(network);
}

constexpr char kUrgent[] =
    R"({"name": "urgent", "stem": {"channels": 32}, "blocks": [{"channels": 32}]})";

constexpr char kSuite[] = R"yaml(
suite: door
version: 1
slices: { away: tag.motion == "away" }
tests:
- { id: a, slice: away, metric: accuracy, at_least: 0.5 }
)yaml";

snapshot::Snapshot OneRow() {
  snapshot::Snapshot data;
  data.project = "door";
  data.classes = {"no", "yes"};
  data.height = data.width = data.channels = 1;
  data.rows = {{.name = Sha256("x"), .part = snapshot::Part::kTest, .posterior = 1}};
  data.rows[0].tags["motion"] = "away";
  data.pixels = {7};
  return data;
}

class LeaseDeskTest : public testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    folder_ = std::filesystem::temp_directory_path() / ("trainer_" + std::to_string(getpid()));
    store_.emplace(*blobs::Store::Open(folder_));
    leases_.emplace(database(), *store_, std::chrono::seconds(60), metrics_);
    const auto frozen = snapshot::Encode(OneRow());
    snapshot_ = *store_->Put(frozen->rows);
    suite_ = Sha256(kSuite);
    ASSERT_THAT(database().Transact([&](db::Tx& tx) -> Status {
      const auto project = BF_TRY(catalog::Projects(tx).Create(
          {.name = "door", .classes = {"no", "yes"}, .height = 64, .width = 64, .channels = 1}));
      BF_TRY(catalog::Suites(tx).Add({suite_, "door.yaml", kSuite}));
      return catalog::Snapshots(tx).Add({.digest = snapshot_,
                                         .pixels_digest = *store_->Put(frozen->pixels),
                                         .project_id = project.id,
                                         .class_list_version = 1,
                                         .summary_json = "{}"});
    }),
                IsOk());
  }
  void TearDown() override {
    std::filesystem::remove_all(folder_);
    PostgresTest::TearDown();
  }

  Result<RunState> Create(const std::string& suite = "") {
    return RunDesk(database(), *store_).Create({.project = "door", .suite = suite});
  }
  Work Acquire(const std::string& worker = "worker") {
    auto work = leases_->Acquire(worker);
    EXPECT_THAT(work, IsOk());
    EXPECT_TRUE(work->has_value());
    return **work;
  }
  void ExpireAndFree() {
    Run("UPDATE jobs SET lease_until = now() - interval '1 second'");
    EXPECT_FALSE((*leases_->Acquire("sweeper")).has_value());
  }

  // Uploads a bundle under the lease; returns the digest of its manifest.
  Result<std::string> Upload(const jobs::Lease& lease, const std::string& leave_out = "") {
    packed::Provenance provenance{.project = "door",
                                  .snapshot = snapshot_,
                                  .recipe_json = "{}",
                                  .code_revision = "test",
                                  .classes = {"no", "yes"}};
    const auto files = packed::MakeBundle(TinyModel(), {std::vector<uint8_t>(64, 7)}, provenance);
    EXPECT_THAT(files, IsOk());
    std::string manifest;
    for (const packed::File& file : *files) {
      const std::string digest = *store_->Put(file.bytes);
      if (file.name == "manifest.json") manifest = digest;
      if (file.name == leave_out) continue;
      BF_TRY(leases_->RecordUpload(lease, digest, static_cast<int64_t>(file.bytes.size())));
    }
    return manifest;
  }

  std::filesystem::path folder_;
  std::optional<blobs::Store> store_;
  prometheus::Registry metrics_;
  std::optional<LeaseDesk> leases_;
  std::string snapshot_;
  std::string suite_;
};

TEST_F(LeaseDeskTest, ASuiteThatTheSnapshotCannotAnswerIsRefusedBeforeAnythingIsTrained) {
  std::string yaml = kSuite;
  yaml.replace(yaml.find("motion"), 6, "moton");
  ASSERT_THAT(database().Transact([&](db::Tx& tx) {
    return catalog::Suites(tx).Add({Sha256(yaml), "door.yaml", yaml});
  }),
              IsOk());
  const auto refused = Create(Sha256(yaml));
  EXPECT_EQ(refused.status().reason(), "SUITE_INVALID");
  EXPECT_EQ(refused.status().message(),
            "door.yaml:4:17: no sample has the tag 'moton'; did you mean 'motion'?");
  EXPECT_EQ(One("SELECT count(*) FROM jobs"), "0");
  EXPECT_THAT(Create(suite_), IsOk());
}

TEST_F(LeaseDeskTest, ARunIsNeverDoneWithoutItsArtefact) {
  const RunState run = *Create();
  const Work work = Acquire();
  pqxx::connection connection(dsn());
  pqxx::work transaction(connection);
  transaction.exec("LOCK TABLE jobs IN ACCESS EXCLUSIVE MODE");
  auto looked =
      std::async(std::launch::async, [&] { return *RunDesk(database(), *store_).Get(run.run.id); });
  while (One("SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'jobs'::regclass") ==
         "0") {
    std::this_thread::yield();  // until it looks for the job
  }
  db::Tx tx{transaction};
  ASSERT_THAT(catalog::Artefacts(tx).Add({.digest = Sha256("manifest"),
                                          .run_id = run.run.id,
                                          .project_id = run.run.project_id,
                                          .snapshot = snapshot_}),
              IsOk());
  ASSERT_THAT(jobs::Queue(tx).Complete(work.lease), IsOk());
  transaction.commit();
  const RunState seen = looked.get();
  EXPECT_EQ(seen.job.state, "done");
  EXPECT_EQ(seen.run.artefact, Sha256("manifest"));
}

TEST_F(LeaseDeskTest, TheSameSnapshotAndRecipeAreOneRun) {
  const auto first = Create();
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(Create()->run.id, first->run.id);
  EXPECT_EQ(first->job.state, "ready");
  EXPECT_EQ(One("SELECT count(*) FROM jobs"), "1");
}

TEST_F(LeaseDeskTest, ABadRecipeAndAMissingSnapshotAreRefused) {
  RunDesk desk(database(), *store_);
  EXPECT_EQ(desk.Create({.project = "door", .recipe_json = R"({"epohcs": 3})"}).status().reason(),
            "BAD_RECIPE");
  std::string no_pixel = R"({"name":"x","stem":{"stride":2},"blocks":[{"pool":true})";
  for (int i = 0; i < 6; ++i) no_pixel += R"(,{"pool":true})";
  no_pixel += "]}";
  EXPECT_EQ(desk.Create({.project = "door", .recipe_json = no_pixel}).status().reason(),
            "BAD_RECIPE");
  EXPECT_EQ(desk.Create({.project = "door", .snapshot = "none"}).status().reason(),
            "SNAPSHOT_NOT_FOUND");
  EXPECT_EQ(desk.Create({.project = "door", .suite = "none"}).status().reason(), "SUITE_NOT_FOUND");
  EXPECT_EQ(desk.Create({.project = "door", .priority = 1001}).status().reason(),
            "PRIORITY_INVALID");
}

TEST_F(LeaseDeskTest, ACompletedRunHasItsArtefactAndItsEvaluationAsked) {
  const auto run = Create(suite_);
  const Work work = Acquire();
  const auto manifest = Upload(work.lease);
  ASSERT_THAT(manifest, IsOk());
  ASSERT_THAT(leases_->Complete(work.lease, *manifest, {.epoch = 2, .epochs = 2, .step = 9}),
              IsOk());

  const auto done = RunDesk(database(), *store_).Get(run->run.id);
  EXPECT_EQ(done->job.state, "done");
  EXPECT_EQ(done->run.artefact, *manifest);
  EXPECT_EQ(done->run.progress->step, 9);
  EXPECT_EQ(One("SELECT unique_key FROM jobs WHERE kind = 'evaluate'"),
            "evaluate:" + *manifest + ":" + suite_ + ":" + snapshot_);
}

TEST_F(LeaseDeskTest, AfterItsLeaseIsLostAWorkerCanWriteNothing) {
  ASSERT_THAT(Create(), IsOk());
  const Work zombie = Acquire("zombie");
  const std::string blob = *store_->Put("checkpoint");
  ExpireAndFree();
  const Work healthy = Acquire("healthy");

  EXPECT_EQ(leases_->Heartbeat(zombie.lease, {.epochs = 1}).status().reason(), "LEASE_LOST");
  EXPECT_EQ(leases_->GetDataset(zombie.lease).status().reason(), "LEASE_LOST");
  EXPECT_EQ(leases_->SaveCheckpoint(zombie.lease, 1, blob).reason(), "LEASE_LOST");
  EXPECT_EQ(Upload(zombie.lease).status().reason(), "LEASE_LOST");
  const auto manifest = Upload(healthy.lease);
  EXPECT_EQ(leases_->Complete(zombie.lease, *manifest, {}).reason(), "LEASE_LOST");
  for (const char* table : {"artefacts", "checkpoints", "run_progress"}) {
    EXPECT_EQ(One(std::string("SELECT count(*) FROM ") + table), "0") << table;
  }
  EXPECT_THAT(leases_->Complete(healthy.lease, *manifest, {}), IsOk());
}

TEST_F(LeaseDeskTest, FilesUploadedUnderALostLeaseDoNotCountForTheNext) {
  ASSERT_THAT(Create(), IsOk());
  const Work first = Acquire();
  const auto manifest = Upload(first.lease);
  ASSERT_THAT(manifest, IsOk());
  ExpireAndFree();
  const Work second = Acquire();
  EXPECT_EQ(leases_->Complete(second.lease, *manifest, {}).reason(), "NOT_UPLOADED");
}

TEST_F(LeaseDeskTest, AMissingOrSpoiledFileIsRefusedAndTheRunStaysLeased) {
  ASSERT_THAT(Create(), IsOk());
  const Work work = Acquire();
  const auto manifest = Upload(work.lease, /*leave_out=*/"model.bnn");
  EXPECT_EQ(leases_->Complete(work.lease, *manifest, {}).reason(), "NOT_UPLOADED");
  EXPECT_EQ(leases_->Complete(work.lease, *store_->Put("{}"), {}).reason(), "BUNDLE_REFUSED");
  EXPECT_THAT(leases_->Heartbeat(work.lease, {}), IsOk());
}

TEST_F(LeaseDeskTest, TheNextWorkerFindsTheNewestCheckpoint) {
  ASSERT_THAT(Create(), IsOk());
  const Work first = Acquire();
  EXPECT_FALSE(first.has_checkpoint);
  EXPECT_EQ(leases_->NewestCheckpoint(first.lease).status().reason(), "NO_CHECKPOINT");
  const std::string later = *store_->Put("epoch 10");
  ASSERT_THAT(leases_->SaveCheckpoint(first.lease, 10, later), IsOk());
  ASSERT_THAT(leases_->SaveCheckpoint(first.lease, 9, *store_->Put("epoch 9")), IsOk());
  ExpireAndFree();
  const Work second = Acquire();
  EXPECT_TRUE(second.has_checkpoint);
  EXPECT_EQ(*leases_->NewestCheckpoint(second.lease), later);
}

TEST_F(LeaseDeskTest, AWorkerThatIsStoppedGivesTheRunBackAtOnceAndUncounted) {
  const auto run = Create();
  EXPECT_EQ(*leases_->GiveUp(Acquire().lease, Status(Code::kCancelled, "SIGTERM")),
            jobs::GivenBack::kReadyAgain);
  EXPECT_EQ(RunDesk(database(), *store_).Get(run->run.id)->job.attempts, 0);
  EXPECT_EQ(Acquire().lease.attempt, 1);
}

TEST_F(LeaseDeskTest, ACancelledRunThatWaitsIsNeverLeased) {
  RunDesk desk(database(), *store_);
  const int64_t id = Create()->run.id;
  EXPECT_EQ(desk.Cancel(id)->job.state, "cancelled");
  EXPECT_EQ(desk.Cancel(id)->job.state, "cancelled") << "cancelling is idempotent";
  EXPECT_EQ(Create()->job.state, "cancelled") << "asking again must not bring it back";
  EXPECT_FALSE((*leases_->Acquire("worker")).has_value());
  EXPECT_EQ(desk.Cancel(id + 1).status().reason(), "RUN_NOT_FOUND");
}

TEST_F(LeaseDeskTest, WhoTrainsACancelledRunIsToldSoAndCanWriteNothing) {
  const int64_t id = Create()->run.id;
  const Work work = Acquire();
  const auto manifest = Upload(work.lease);
  ASSERT_THAT(manifest, IsOk());
  EXPECT_EQ(*leases_->Heartbeat(work.lease, {}), Order::kContinue);
  ASSERT_THAT(RunDesk(database(), *store_).Cancel(id), IsOk());

  EXPECT_EQ(leases_->SaveCheckpoint(work.lease, 1, *store_->Put("late")).reason(), "LEASE_LOST");
  EXPECT_EQ(Upload(work.lease).status().reason(), "LEASE_LOST");
  EXPECT_EQ(leases_->Complete(work.lease, *manifest, {}).reason(), "LEASE_LOST");
  EXPECT_EQ(*leases_->Heartbeat(work.lease, {.epochs = 1}), Order::kCancel);
  for (const char* table : {"artefacts", "checkpoints", "run_progress"}) {
    EXPECT_EQ(One(std::string("SELECT count(*) FROM ") + table), "0") << table;
  }
  EXPECT_FALSE((*leases_->Acquire("next")).has_value());
}

TEST_F(LeaseDeskTest, ARunThatHasEndedCannotBeCancelled) {
  const int64_t id = Create()->run.id;
  ASSERT_THAT(leases_->GiveUp(Acquire().lease, Status(Code::kInternal, "bad")), IsOk());
  const auto refused = RunDesk(database(), *store_).Cancel(id);
  EXPECT_THAT(refused, StatusIs(Code::kFailedPrecondition));
  EXPECT_EQ(refused.status().reason(), "RUN_ENDED");
  EXPECT_EQ(One("SELECT state FROM finished_jobs"), "dead");
}

TEST_F(LeaseDeskTest, AnUrgentRunTakesThePlaceOfAnotherWhichGoesOnAfterwards) {
  RunDesk desk(database(), *store_);
  ASSERT_THAT(Create(), IsOk());
  const Work first = Acquire();
  const auto urgent = desk.Create({.project = "door", .recipe_json = kUrgent, .priority = 5});
  ASSERT_THAT(urgent, IsOk());
  EXPECT_EQ(urgent->job.priority, 5);
  EXPECT_EQ(*leases_->Heartbeat(first.lease, {}), Order::kContinue) << "somebody may be idle";
  Run("UPDATE jobs SET run_at = now() - interval '1 minute' WHERE state = 'ready'");
  EXPECT_EQ(*leases_->Heartbeat(first.lease, {}), Order::kYield);

  const std::string saved = *store_->Put("saved");
  ASSERT_THAT(leases_->SaveCheckpoint(first.lease, 7, saved), IsOk());
  ASSERT_THAT(leases_->GiveUp(first.lease, Status(Code::kCancelled, "yields")), IsOk());
  EXPECT_EQ(Acquire().run.id, urgent->run.id);
  const Work later = Acquire();
  EXPECT_EQ(later.run.id, first.run.id);
  EXPECT_GT(later.lease.epoch, first.lease.epoch);
  EXPECT_EQ(later.lease.attempt, 1) << "a yield is no failed attempt";
  EXPECT_EQ(*leases_->NewestCheckpoint(later.lease), saved);
  EXPECT_EQ(*leases_->Heartbeat(later.lease, {}), Order::kContinue);
}

TEST_F(LeaseDeskTest, WhatBecomesOfTrainingsIsCounted) {
  ASSERT_THAT(Create(), IsOk());
  Run("UPDATE jobs SET run_at = now() - interval '50 seconds'");
  Acquire();
  ExpireAndFree();
  const Work work = Acquire();
  Run("UPDATE jobs SET deadline_at = now() + run_limit - interval '200 seconds'");
  ASSERT_THAT(leases_->Complete(work.lease, *Upload(work.lease), {}), IsOk());
  const std::string text = prometheus::TextSerializer().Serialize(metrics_.Collect());
  for (const char* line :
       {"bf_job_wait_seconds_bucket{kind=\"train\",le=\"30\"} 1\n",
        "bf_job_wait_seconds_bucket{kind=\"train\",le=\"100\"} 2\n",
        "bf_job_run_seconds_bucket{kind=\"train\",outcome=\"done\",le=\"100\"} 0\n",
        "bf_job_run_seconds_bucket{kind=\"train\",outcome=\"done\",le=\"300\"} 1\n",
        "bf_job_expired_leases_total{kind=\"train\"} 1\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

TEST_F(LeaseDeskTest, RunsOfEveryProjectAreListedIfNoneIsNamed) {
  const int64_t id = Create()->run.id;
  const auto all = RunDesk(database(), *store_).List("", 0, 10);
  ASSERT_EQ(all->size(), 1U);
  EXPECT_EQ((*all)[0].run.id, id);
  EXPECT_THAT(RunDesk(database(), *store_).List("nobody's", 0, 10), StatusIs(Code::kNotFound));
}

TEST_F(LeaseDeskTest, AWorkerThatStartsAnewReplacesTheCheckpointsBeforeIt) {
  ASSERT_THAT(Create(), IsOk());
  const Work first = Acquire();
  ASSERT_THAT(leases_->SaveCheckpoint(first.lease, 9, *store_->Put("unfit")), IsOk());
  ASSERT_THAT(leases_->SaveCheckpoint(first.lease, 10, *store_->Put("unfit")), IsOk());
  ExpireAndFree();
  const Work second = Acquire();
  const std::string anew = *store_->Put("anew");
  ASSERT_THAT(leases_->SaveCheckpoint(second.lease, 9, anew), IsOk());
  EXPECT_EQ(*leases_->NewestCheckpoint(second.lease), anew);
}

}  // namespace
}  // namespace bitfoundry::trainer
