// A real server on loopback, called by a real client. A stand-in for Projects plays the service.
#include "runtime/serve.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/client_unary_call.h>
#include <gtest/gtest.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/trace.h"
#include "bitfoundry/v1/labelqueue.grpc.pb.h"
#include "bitfoundry/v1/project.grpc.pb.h"
#include "runtime/client.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::runtime {
namespace {

using namespace std::chrono_literals;
using testing::IsOk;
using testing::StatusIs;

// Remembers what reached it.
class FakeProjects : public v1::Projects::Service {
 public:
  grpc::Status CreateProject(grpc::ServerContext*, const v1::CreateProjectRequest* request,
                             v1::Project* response) override {
    if (request->name().empty()) return ToGrpc(Status(Code::kInvalidArgument, "no name"));
    ++created;
    trace = CurrentTrace();
    response->set_name(request->name());
    return grpc::Status::OK;
  }
  grpc::Status GetProject(grpc::ServerContext*, const v1::GetProjectRequest* request,
                          v1::Project*) override {
    return ToGrpc(Status(Code::kNotFound, "NO_SUCH_PROJECT", "no project " + request->name()));
  }
  std::atomic<int> created = 0;
  std::string trace;  // of the newest call
};

class ServeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ready_file_ = std::filesystem::temp_directory_path() / ("bf_ready_" + std::to_string(getpid()));
    const std::string argument = "--ready-file=" + ready_file_.string();
    const char* arguments[] = {"test", argument.c_str()};
    options_ = *Options::Parse(2, arguments, {kListen, kMetrics, kReadyFile});
    server_ = std::jthread([this] {
      Process process{options_, stop_.get_token(), metrics_, "test"};
      const Status status = Serve(process, {&projects_, &queue_}, [this] { return Healthy(); });
      EXPECT_THAT(status, IsOk());
    });
    while (!std::filesystem::exists(ready_file_)) std::this_thread::sleep_for(5ms);
    ready_ = nlohmann::json::parse(std::ifstream(ready_file_));
    channel_ = Connect(ready_["listen"]);
    stub_ = v1::Projects::NewStub(channel_);
  }
  void TearDown() override {
    stop_.request_stop();
    if (server_.joinable()) server_.join();
    EXPECT_FALSE(std::filesystem::exists(ready_file_));
  }

  Status Healthy() const {
    while (hangs_) std::this_thread::sleep_for(5ms);
    return healthy_ ? Status() : Status(Code::kUnavailable, "the database is away");
  }

  // The status that grpc.health.v1 gives: 1 SERVING, 2 NOT_SERVING. Called without generated code.
  int Health() {
    const std::string bytes = Raw("/grpc.health.v1.Health/Check");
    return bytes.size() == 2 ? bytes[1] : 0;
  }
  std::string Raw(const char* method) {
    const grpc::internal::RpcMethod rpc(method, grpc::internal::RpcMethod::NORMAL_RPC);
    const grpc::Slice empty;
    const grpc::ByteBuffer request(&empty, 1);
    grpc::ByteBuffer response;
    Call call(5s);
    const grpc::Status status =
        grpc::internal::BlockingUnaryCallImpl<grpc::ByteBuffer, grpc::ByteBuffer>(
            channel_.get(), rpc, &call, request, &response)
            .status();
    EXPECT_THAT(FromGrpc(status), IsOk());
    grpc::Slice slice;
    EXPECT_TRUE(response.DumpToSingleSlice(&slice).ok());
    return {reinterpret_cast<const char*>(slice.begin()), slice.size()};
  }
  std::string MetricsText() { return prometheus::TextSerializer().Serialize(metrics_->Collect()); }

  std::filesystem::path ready_file_;
  Options options_;
  std::stop_source stop_;
  std::shared_ptr<prometheus::Registry> metrics_ = std::make_shared<prometheus::Registry>();
  std::atomic<bool> healthy_ = true;
  std::atomic<bool> hangs_ = false;
  FakeProjects projects_;
  v1::LabelQueue::Service queue_;  // answers UNIMPLEMENTED
  std::jthread server_;
  nlohmann::json ready_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::Projects::Stub> stub_;
};

TEST_F(ServeTest, AnErrorArrivesWithItsCodeReasonAndMessage) {
  v1::GetProjectRequest request;
  request.set_name("x");
  v1::Project project;
  Call call;
  const Status status = FromGrpc(stub_->GetProject(&call, request, &project));
  EXPECT_EQ(status, Status(Code::kNotFound, "NO_SUCH_PROJECT", "no project x"));
}

TEST_F(ServeTest, AHandlerRunsInTheTraceOfItsCallAndTheNextDoesNot) {
  v1::CreateProjectRequest request;
  request.set_name("x");
  v1::Project project;
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  for (const std::string& sent : {trace, std::string()}) {
    Call call;
    if (!sent.empty()) call.AddMetadata("traceparent", sent);
    ASSERT_THAT(FromGrpc(stub_->CreateProject(&call, request, &project)), IsOk());
    EXPECT_EQ(projects_.trace, sent);
  }
}

TEST_F(ServeTest, ACallWithoutADeadlineIsRefusedAndChangesNothing) {
  v1::CreateProjectRequest request;
  request.set_name("x");
  v1::Project project;
  grpc::ClientContext endless;
  const Status status = FromGrpc(stub_->CreateProject(&endless, request, &project));
  EXPECT_THAT(status, StatusIs(Code::kInvalidArgument));
  EXPECT_EQ(status.reason(), "DEADLINE_REQUIRED");
  EXPECT_EQ(projects_.created, 0);

  Call call;
  EXPECT_THAT(FromGrpc(stub_->CreateProject(&call, request, &project)), IsOk());
  EXPECT_EQ(projects_.created, 1);
}

TEST_F(ServeTest, TextWithANulIsRefusedInEveryFieldAndChangesNothing) {
  v1::CreateProjectRequest in_field, in_list;
  in_field.set_name(std::string("gate\0", 5));
  in_list.set_name("x");
  in_list.add_classes("no_person");
  in_list.add_classes(std::string("per\0son", 7));
  for (const auto& [request, field] : {std::pair{in_field, "CreateProjectRequest.name"},
                                       std::pair{in_list, "CreateProjectRequest.classes"}}) {
    v1::Project project;
    Call call;
    const Status status = FromGrpc(stub_->CreateProject(&call, request, &project));
    EXPECT_THAT(status, StatusIs(Code::kInvalidArgument));
    EXPECT_EQ(status.reason(), "NUL_IN_TEXT");
    EXPECT_NE(status.message().find(field), std::string::npos) << status.message();
  }
  EXPECT_EQ(projects_.created, 0);
}

TEST_F(ServeTest, TextWithANulIsFoundInMapsAndAMessageWithoutIsLetThrough) {
  const auto queue = v1::LabelQueue::NewStub(channel_);
  const std::string nul("a\0b", 3);
  for (const auto& [key, value, reason] :
       {std::tuple{nul, std::string("x"), "NUL_IN_TEXT"},
        std::tuple{std::string("light"), nul, "NUL_IN_TEXT"},
        std::tuple{std::string("light"), std::string("x"), "UNIMPLEMENTED"}}) {
    v1::SubmitAnswerRequest request;
    request.mutable_lease();
    (*request.mutable_tags())[key] = value;
    v1::SubmitAnswerResponse response;
    Call call;
    EXPECT_EQ(FromGrpc(queue->SubmitAnswer(&call, request, &response)).reason(), reason);
  }
}

TEST_F(ServeTest, TextThatIsNotUtf8IsRefusedWithAReason) {
  v1::CreateProjectRequest request;
  request.set_name("caf\xE9");
  v1::Project project;
  Call call;
  const Status status = FromGrpc(stub_->CreateProject(&call, request, &project));
  EXPECT_THAT(status, StatusIs(Code::kInvalidArgument));
  EXPECT_EQ(status.reason(), "UNREADABLE");
  EXPECT_EQ(projects_.created, 0);
}

TEST_F(ServeTest, AMessageAbove4MibIsRefused) {
  v1::CreateProjectRequest request;
  request.set_name(std::string(kMaxMessageBytes + 1, 'x'));
  v1::Project project;
  Call call;
  EXPECT_THAT(FromGrpc(stub_->CreateProject(&call, request, &project)),
              StatusIs(Code::kResourceExhausted));
  EXPECT_EQ(projects_.created, 0);
}

TEST_F(ServeTest, EveryCallIsCountedByItsCode) {
  v1::GetProjectRequest request;
  v1::Project project;
  Call call;
  EXPECT_FALSE(stub_->GetProject(&call, request, &project).ok());
  const std::string text = MetricsText();
  EXPECT_NE(text.find("bf_grpc_server_handled_total{code=\"NOT_FOUND\",method=\"GetProject\","
                      "service=\"bitfoundry.v1.Projects\"} 1"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("bf_grpc_server_handling_seconds_count"), std::string::npos);
}

TEST_F(ServeTest, HealthFollowsTheDatabase) {
  while (Health() != 1) std::this_thread::sleep_for(10ms);
  healthy_ = false;
  while (Health() != 2) std::this_thread::sleep_for(10ms);
  healthy_ = true;
  while (Health() != 1) std::this_thread::sleep_for(10ms);
}

TEST_F(ServeTest, HealthIsNotThatOfADatabaseThatHangs) {
  while (Health() != 1) std::this_thread::sleep_for(10ms);
  hangs_ = true;
  while (Health() != 2) std::this_thread::sleep_for(10ms);
  hangs_ = false;
  while (Health() != 1) std::this_thread::sleep_for(10ms);
}

TEST_F(ServeTest, AnotherServerCannotShareThePort) {
  const std::string listen = "--listen=" + ready_["listen"].get<std::string>();
  const char* arguments[] = {"test", listen.c_str()};
  const Options options = *Options::Parse(2, arguments, {kListen});
  Process process{options, stop_.get_token(), std::make_shared<prometheus::Registry>(), "second"};
  const Status status = Serve(process, {}, [] { return Status(); });
  EXPECT_EQ(status.reason(), "CANNOT_LISTEN") << status.ToString();
}

TEST(Errors, CrossTheWireAndBackUnchanged) {
  for (const Status& status :
       {Status(), Status(Code::kAborted, "LEASE_LOST", "job 7: epoch 3 is over"),
        Status(Code::kDataLoss, "plain")}) {
    EXPECT_EQ(FromGrpc(ToGrpc(status)).reason(), status.reason());
    EXPECT_EQ(FromGrpc(ToGrpc(status)).code(), status.code());
    EXPECT_EQ(FromGrpc(ToGrpc(status)).message(), status.message());
  }
  EXPECT_EQ(FromGrpc({grpc::StatusCode::UNAUTHENTICATED, "who?"}).code(), Code::kPermissionDenied);
}

}  // namespace
}  // namespace bitfoundry::runtime
