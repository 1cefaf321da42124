#include "services/labelqueue/label_service.h"

#include <grpcpp/grpcpp.h>
#include <prometheus/text_serializer.h>

#include "runtime/client.h"
#include "tests/integration/labelqueue/label_desk.h"

namespace bitfoundry::labelqueue {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsOk;
using testing::StatusIs;

class LabelServiceTest : public DeskTest {
 protected:
  void SetUp() override {
    DeskTest::SetUp();
    if (HasFatalFailure()) return;
    service_.emplace(desk(), metrics_);
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&*service_);
    server_ = builder.BuildAndStart();
    stub_ = v1::LabelQueue::NewStub(runtime::Connect("127.0.0.1:" + std::to_string(port)));
  }

  // Calls a method of the stub.
  template <typename Request, typename Response>
  Result<Response> Call(grpc::Status (v1::LabelQueue::Stub::*method)(grpc::ClientContext*,
                                                                     const Request&, Response*),
                        const Request& request) {
    runtime::Call call;
    Response response;
    BF_TRY(runtime::FromGrpc((stub_.get()->*method)(&call, request, &response)));
    return response;
  }
  v1::LeaseTasksResponse LeaseTasks(const std::string& who) {
    v1::LeaseTasksRequest request;
    request.set_project("gate");
    request.set_annotator(who);
    const auto response = Call(&v1::LabelQueue::Stub::LeaseTasks, request);
    EXPECT_THAT(response, IsOk());
    return response.ok() ? *response : v1::LeaseTasksResponse();
  }
  std::string Metrics() { return prometheus::TextSerializer().Serialize(metrics_.Collect()); }

  prometheus::Registry metrics_;
  std::optional<LabelService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::LabelQueue::Stub> stub_;
};

TEST_F(LabelServiceTest, ATaskIsLeasedSeenAndAnswered) {
  AddTask();
  const v1::LeaseTasksResponse leased = LeaseTasks("anna");
  ASSERT_EQ(leased.tasks_size(), 1);
  EXPECT_THAT(leased.classes(), ElementsAre("no_person", "person"));
  EXPECT_EQ(leased.tasks(0).lease_seconds(), 600);
  EXPECT_EQ(leased.tasks(0).sample(), digest() + "@0,8,32,32");

  v1::ReadTaskImageRequest read;
  *read.mutable_lease() = leased.tasks(0).lease();
  runtime::Call call;
  const auto reader = stub_->ReadTaskImage(&call, read);
  std::string png;
  v1::ReadTaskImageResponse chunk;
  while (reader->Read(&chunk)) png += chunk.chunk();
  EXPECT_THAT(runtime::FromGrpc(reader->Finish()), IsOk());
  EXPECT_THAT(images::Decode(png), IsOk());

  v1::SubmitAnswerRequest answer;
  answer.set_request_id(NewRequest());
  *answer.mutable_lease() = leased.tasks(0).lease();
  answer.set_annotator("anna");
  answer.set_class_index(1);
  const auto submitted = Call(&v1::LabelQueue::Stub::SubmitAnswer, answer);
  ASSERT_THAT(submitted, IsOk());
  EXPECT_FALSE(submitted->surplus());
  EXPECT_THAT(Metrics(), HasSubstr("bf_answers_total{outcome=\"answered\"} 1"));

  answer.set_request_id(NewRequest());
  EXPECT_EQ(Call(&v1::LabelQueue::Stub::SubmitAnswer, answer).status().reason(), "ANSWERED_BEFORE");
}

TEST_F(LabelServiceTest, EveryReasonToSkipIsKeptAndNoneIsAnError) {
  v1::SkipTaskRequest skip;
  skip.set_annotator("anna");
  for (const v1::SkipReason reason : {v1::UNSURE, v1::TOO_HARD, v1::BAD_IMAGE, v1::CLASS_MISSING,
                                      v1::PRIVACY, v1::SKIP_REASON_UNSPECIFIED}) {
    AddTask();
    *skip.mutable_lease() = LeaseTasks("anna").tasks(0).lease();
    skip.set_reason(reason);
    skip.set_request_id(NewRequest());
    const auto skipped = Call(&v1::LabelQueue::Stub::SkipTask, skip);
    EXPECT_EQ(skipped.ok(), reason != v1::SKIP_REASON_UNSPECIFIED) << reason;
  }
  EXPECT_EQ(One("SELECT string_agg(refusal::text, ' ' ORDER BY id) FROM answers"),
            "unsure too_hard bad_image class_missing privacy");
}

TEST_F(LabelServiceTest, PagesLeadThroughAllTasksOnce) {
  for (int i = 0; i < 5; ++i) AddTask();
  v1::ListTasksRequest request;
  request.set_project("gate");
  request.set_page_size(2);
  std::vector<int64_t> ids;
  do {
    const auto page = Call(&v1::LabelQueue::Stub::ListTasks, request);
    ASSERT_THAT(page, IsOk());
    EXPECT_EQ(page->open_tasks(), 5);
    for (const v1::Task& task : page->tasks()) ids.push_back(task.task_id());
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  EXPECT_THAT(ids, ElementsAre(1, 2, 3, 4, 5));

  request.set_page_token("2");
  EXPECT_EQ(Call(&v1::LabelQueue::Stub::ListTasks, request).status().reason(), "PAGE_TOKEN");
}

TEST_F(LabelServiceTest, TheMetricsFollowTheQueue) {
  AddTask();
  AddTask();
  LeaseTasks("anna");
  ASSERT_THAT(service_->Observe(), IsOk());
  EXPECT_THAT(Metrics(), HasSubstr("bf_queue_depth{queue=\"task\",state=\"ready\"} 1"));
  EXPECT_THAT(Metrics(), HasSubstr("bf_queue_depth{queue=\"task\",state=\"running\"} 1"));
  EXPECT_THAT(Metrics(), HasSubstr("bf_queue_oldest_ready_age_seconds{queue=\"task\"}"));
  ExpireAll();
  LeaseTasks("ben");
  EXPECT_THAT(Metrics(), HasSubstr("bf_queue_expired_leases_total{queue=\"task\"} 1"));
}

}  // namespace
}  // namespace bitfoundry::labelqueue
