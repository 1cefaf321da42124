// bitfoundry.v1.LabelQueue: decode, call the desk, encode; and what it counts.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "bitfoundry/v1/labelqueue.grpc.pb.h"
#include "services/labelqueue/desk.h"

namespace bitfoundry::labelqueue {

class LabelService final : public v1::LabelQueue::Service {
 public:
  // Counts bf_answers_total{outcome} and bf_queue_expired_leases_total{queue="task"} in `metrics`;
  // Observe sets bf_queue_depth{queue="task",state} and
  // bf_queue_oldest_ready_age_seconds{queue="task"} there.
  LabelService(Desk& desk, prometheus::Registry& metrics);

  // Looks at the queue. Errors: the database is not there, or not as it should be.
  Status Observe();

  grpc::Status LeaseTasks(grpc::ServerContext*, const v1::LeaseTasksRequest* request,
                          v1::LeaseTasksResponse* response) override;
  grpc::Status ReadTaskImage(grpc::ServerContext*, const v1::ReadTaskImageRequest* request,
                             grpc::ServerWriter<v1::ReadTaskImageResponse>* writer) override;
  grpc::Status SubmitAnswer(grpc::ServerContext*, const v1::SubmitAnswerRequest* request,
                            v1::SubmitAnswerResponse* response) override;
  grpc::Status SkipTask(grpc::ServerContext*, const v1::SkipTaskRequest* request,
                        v1::SkipTaskResponse* response) override;
  grpc::Status ReleaseTask(grpc::ServerContext*, const v1::ReleaseTaskRequest* request,
                           v1::ReleaseTaskResponse* response) override;
  grpc::Status OpenTasks(grpc::ServerContext*, const v1::OpenTasksRequest* request,
                         v1::OpenTasksResponse* response) override;
  grpc::Status ListTasks(grpc::ServerContext*, const v1::ListTasksRequest* request,
                         v1::ListTasksResponse* response) override;

 private:
  Desk& desk_;
  prometheus::Family<prometheus::Counter>& answers_;
  prometheus::Counter& answered_;
  prometheus::Counter& skipped_;
  prometheus::Counter& surplus_;
  prometheus::Counter& expired_;
  prometheus::Family<prometheus::Gauge>& depth_;
  prometheus::Gauge& open_;
  prometheus::Gauge& leased_;
  prometheus::Gauge& oldest_open_;
};

}  // namespace bitfoundry::labelqueue
