// The door of the workers as one of them sees it: real gRPC, real Postgres, real files.
#include "services/trainer/leases_service.h"

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

#include <cmath>
#include <filesystem>
#include <functional>
#include <limits>

#include "catalog/projects.h"
#include "catalog/snapshots.h"
#include "runtime/client.h"
#include "services/trainer/run_desk.h"
#include "tests/support/postgres.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::trainer {
namespace {

using testing::IsOk;

constexpr char kUrgent[] =
    R"({"name": "urgent", "stem": {"channels": 32}, "blocks": [{"channels": 32}]})";

class LeasesServiceTest : public testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    folder_ = std::filesystem::temp_directory_path() / ("leases_" + std::to_string(getpid()));
    store_.emplace(*blobs::Store::Open(folder_));
    desk_.emplace(database(), *store_, std::chrono::seconds(60), metrics_);
    service_.emplace(*desk_, *store_, nobody_, metrics_, std::stop_token());
    grpc::ServerBuilder builder;
    builder.RegisterService(&*service_);
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    server_ = builder.BuildAndStart();
    stub_ = v1::TrainingLeases::NewStub(runtime::Connect("127.0.0.1:" + std::to_string(port)));
    ASSERT_THAT(database().Transact([&](db::Tx& tx) -> Status {
      const auto project = BF_TRY(catalog::Projects(tx).Create(
          {.name = "door", .classes = {"no", "yes"}, .height = 64, .width = 64, .channels = 1}));
      return catalog::Snapshots(tx).Add({.digest = *store_->Put("rows"),
                                         .pixels_digest = *store_->Put("pixels"),
                                         .project_id = project.id,
                                         .class_list_version = 1,
                                         .summary_json = "{}"});
    }),
                IsOk());
    ASSERT_THAT(RunDesk(database(), *store_).Create({.project = "door"}), IsOk());
    const auto work = desk_->Acquire("worker");
    ASSERT_THAT(work, IsOk());
    ASSERT_TRUE(work->has_value());
    first_.mutable_lease()->set_job_id((*work)->lease.job_id);
    first_.mutable_lease()->set_epoch((*work)->lease.epoch);
    first_.set_step(7);
    first_.set_chunk("first half, ");
  }
  void TearDown() override {
    server_->Shutdown();
    std::filesystem::remove_all(folder_);
    PostgresTest::TearDown();
  }

  // Sends a checkpoint in two messages, and announces `total` bytes.
  Status Save(int64_t total) {
    runtime::Call call;
    v1::SaveCheckpointResponse response;
    const auto writer = stub_->SaveCheckpoint(&call, &response);
    first_.set_total_bytes(total);
    writer->Write(first_);
    v1::SaveCheckpointRequest second;
    second.set_chunk("second half");
    writer->Write(second);
    writer->WritesDone();
    return runtime::FromGrpc(writer->Finish());
  }
  Result<v1::HeartbeatResponse::Order> Beat(const v1::TrainProgress& progress = {}) {
    runtime::Call call;
    v1::HeartbeatRequest request;
    *request.mutable_lease() = first_.lease();
    *request.mutable_progress() = progress;
    v1::HeartbeatResponse response;
    BF_TRY(runtime::FromGrpc(stub_->Heartbeat(&call, request, &response)));
    return response.order();
  }
  std::string Checkpoints() { return One("SELECT count(*) FROM checkpoints"); }

  std::filesystem::path folder_;
  std::optional<blobs::Store> store_;
  prometheus::Registry metrics_;
  std::optional<LeaseDesk> desk_;
  jobs::Doorbell nobody_{{.path = "/nowhere"}};
  std::optional<LeasesService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::TrainingLeases::Stub> stub_;
  v1::SaveCheckpointRequest first_;  // half of a checkpoint
};

TEST_F(LeasesServiceTest, ACheckpointIsKeptOnlyIfAllOfItHasCome) {
  EXPECT_EQ(Save(24).reason(), "STREAM_CUT");
  EXPECT_EQ(Save(0).reason(), "STREAM_CUT");
  EXPECT_EQ(Checkpoints(), "0");
  EXPECT_THAT(Save(23), IsOk());
  EXPECT_EQ(Checkpoints(), "1");
}

TEST_F(LeasesServiceTest, AHeartbeatIsAnsweredWithTheOrder) {
  EXPECT_EQ(*Beat(), v1::HeartbeatResponse::CONTINUE);
  RunDesk runs(database(), *store_);
  const auto urgent = runs.Create({.project = "door", .recipe_json = kUrgent, .priority = 1});
  ASSERT_THAT(urgent, IsOk());
  Run("UPDATE jobs SET run_at = now() - interval '1 minute' WHERE state = 'ready'");
  EXPECT_EQ(*Beat(), v1::HeartbeatResponse::CHECKPOINT_AND_YIELD);
  ASSERT_THAT(runs.Cancel(urgent->run.id - 1), IsOk());
  EXPECT_EQ(*Beat(), v1::HeartbeatResponse::CANCEL);
  first_.mutable_lease()->set_epoch(0);
  EXPECT_EQ(Beat().status().reason(), "LEASE_LOST");
}

TEST_F(LeasesServiceTest, FiguresThatCannotBeAreRefused) {
  v1::TrainProgress good;
  good.set_epoch(1);
  good.set_epochs(2);
  good.set_step(10);
  good.set_train_accuracy(0.5);
  EXPECT_THAT(Beat(good), IsOk());
  const double inf = std::numeric_limits<double>::infinity();
  const std::function<void(v1::TrainProgress&)> spoil[] = {
      [](auto& p) { p.set_loss(std::nan("")); },
      [&](auto& p) { p.set_loss(inf); },
      [](auto& p) { p.set_train_accuracy(1.5); },
      [](auto& p) { p.set_images_per_second(-1); },
      [](auto& p) { p.set_step(-1); },
      [](auto& p) { p.set_epoch(3); }};
  for (const auto& change : spoil) {
    v1::TrainProgress bad = good;
    change(bad);
    EXPECT_EQ(Beat(bad).status().reason(), "PROGRESS_INVALID") << bad.ShortDebugString();
  }
  EXPECT_EQ(One("SELECT count(*) FROM run_progress"), "1");

  first_.set_step(-1);
  EXPECT_EQ(Save(23).reason(), "STEP");
}

TEST_F(LeasesServiceTest, AnArtefactThatWasNotUploadedIsRefusedWithoutSayingWhereFilesAre) {
  runtime::Call call;
  v1::CompleteRequest request;
  *request.mutable_lease() = first_.lease();
  request.set_manifest_digest(std::string(64, 'a'));
  v1::CompleteResponse response;
  const Status refused = runtime::FromGrpc(stub_->Complete(&call, request, &response));
  EXPECT_EQ(refused.reason(), "NOT_UPLOADED");
  EXPECT_EQ(refused.message().find(folder_.string()), std::string::npos) << refused.message();
}

TEST_F(LeasesServiceTest, ACheckpointThatIsCutByItsSenderLeavesNone) {
  {
    runtime::Call call;
    v1::SaveCheckpointResponse response;
    const auto writer = stub_->SaveCheckpoint(&call, &response);
    first_.set_total_bytes(static_cast<int64_t>(first_.chunk().size()));  // only the cut tells
    ASSERT_TRUE(writer->Write(first_));
    call.TryCancel();
    EXPECT_FALSE(writer->Finish().ok());
  }
  server_->Shutdown();  // waits for the handler
  EXPECT_EQ(Checkpoints(), "0");
}

}  // namespace
}  // namespace bitfoundry::trainer
