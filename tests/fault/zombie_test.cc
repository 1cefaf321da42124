// A training worker that is paused past its lease and comes back.
#include <gtest/gtest.h>

#include <csignal>

#include "bitfoundry/v1/trainer.grpc.pb.h"
#include "runtime/client.h"
#include "services/bitfoundry/child.h"
#include "tests/fault/small_story.h"

namespace bitfoundry::testing {
namespace {

using namespace std::chrono_literals;

// Another worker, as if from another machine.
class SpareWorker {
 public:
  explicit SpareWorker(const Factory& factory)
      : id_(*cli::Start({.arguments = {BF_BINARY_DIR "/bin/bf-train-worker",
                                       "--trainer=" + factory.Listens("bf-trainer")},
                         .environment = {},
                         .log = factory.folder() / "spare.log"})) {}
  ~SpareWorker() { cli::Stop({id_}, SIGTERM, 10s); }
  SpareWorker(const SpareWorker&) = delete;
  SpareWorker& operator=(const SpareWorker&) = delete;

 private:
  const cli::ProcessId id_;
};

// What a worker may try with a lease; the reasons for which it is refused.
std::vector<std::string> TryEverything(const std::string& trainer, const v1::RunLease& lease) {
  const auto stub = v1::TrainingLeases::NewStub(runtime::Connect(trainer));
  std::vector<std::string> reasons;
  const auto note = [&](const grpc::Status& status) {
    reasons.push_back(runtime::FromGrpc(status).reason());
  };
  {
    v1::HeartbeatRequest request;
    *request.mutable_lease() = lease;
    v1::HeartbeatResponse response;
    runtime::Call call;
    note(stub->Heartbeat(&call, request, &response));
  }
  {
    v1::SaveCheckpointRequest request;
    *request.mutable_lease() = lease;
    request.set_step(1'000'000);
    request.set_chunk("late");
    request.set_total_bytes(static_cast<int64_t>(request.chunk().size()));
    v1::SaveCheckpointResponse response;
    runtime::Call call;
    const auto writer = stub->SaveCheckpoint(&call, &response);
    writer->Write(request);
    writer->WritesDone();
    note(writer->Finish());
  }
  {
    v1::UploadFileRequest request;
    *request.mutable_lease() = lease;
    request.set_chunk("late");
    request.set_total_bytes(static_cast<int64_t>(request.chunk().size()));
    v1::UploadFileResponse response;
    runtime::Call call;
    const auto writer = stub->UploadFile(&call, &response);
    writer->Write(request);
    writer->WritesDone();
    note(writer->Finish());
  }
  {
    v1::FailRequest request;
    *request.mutable_lease() = lease;
    v1::FailResponse response;
    runtime::Call call;
    note(stub->Fail(&call, request, &response));
  }
  return reasons;
}

v1::RunLease LeaseOf(const Factory& factory, int epoch) {
  v1::RunLease lease;
  lease.set_job_id(std::stoll(factory.One("SELECT job_id FROM runs")));
  lease.set_epoch(epoch);
  return lease;
}

TEST(Zombie, WritesNothingOnceAnotherWorkerHasItsRun) {
  SmallStory story;
  const Factory& factory = story.factory;
  story.UntilSnapshot();
  const Said trained = story.During(story.train, [&] {
    factory.AwaitSql("SELECT count(*) >= 2 FROM checkpoints");
    factory.Signal("bf-train-worker", SIGSTOP);
    const SpareWorker spare(factory);
    factory.AwaitSql("SELECT max(lease_epoch) = 2 FROM checkpoints");
    const std::vector<std::string> lost(4, "LEASE_LOST");
    EXPECT_EQ(TryEverything(factory.Listens("bf-trainer"), LeaseOf(factory, 1)), lost);
    factory.Signal("bf-train-worker", SIGCONT);
    Await("the zombie to learn that it has lost its lease", [&] {
      return Says(factory.folder() / "data/log/bf-train-worker.log", "the lease is lost");
    });
    factory.AwaitSql("SELECT count(*) = 1 FROM artefacts");
    EXPECT_EQ(TryEverything(factory.Listens("bf-trainer"), LeaseOf(factory, 1)), lost);
  });
  EXPECT_EQ(trained.code, 0) << trained.text;
  EXPECT_EQ(trained.json()["attempts"], 2);
  EXPECT_EQ(factory.One("SELECT lease_epoch FROM artefacts"), "2");
  EXPECT_EQ(factory.One("SELECT count(*) FROM checkpoints WHERE step = 1000000"), "0");
  EXPECT_EQ(factory.One("SELECT count(*) FROM uploads WHERE lease_epoch = 1"), "0");
  EXPECT_EQ(story.End(), Undisturbed());
}

}  // namespace
}  // namespace bitfoundry::testing
