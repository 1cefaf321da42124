// The operator's view of the queues.
#pragma once

#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include "base/status.h"
#include "bitfoundry/v1/jobs.grpc.pb.h"

namespace bitfoundry::db {
class Database;
}

namespace bitfoundry::trainer {

class JobsService final : public v1::Jobs::Service {
 public:
  JobsService(db::Database& database, prometheus::Registry& metrics);

  // Brings bf_queue_depth{queue,state} and bf_queue_oldest_ready_age_seconds{queue} up to date for
  // every kind of job.
  Status Measure();

  grpc::Status ListQueues(grpc::ServerContext*, const v1::ListQueuesRequest*,
                          v1::ListQueuesResponse* response) override;
  grpc::Status ListDeadJobs(grpc::ServerContext*, const v1::ListDeadJobsRequest* request,
                            v1::ListDeadJobsResponse* response) override;
  grpc::Status RedriveJobs(grpc::ServerContext*, const v1::RedriveJobsRequest* request,
                           v1::RedriveJobsResponse* response) override;

 private:
  db::Database& database_;
  prometheus::Family<prometheus::Gauge>& depth_;
  prometheus::Family<prometheus::Gauge>& oldest_;
};

}  // namespace bitfoundry::trainer
