// The operator's view of the queues.
#pragma once

#include "bitfoundry/v1/jobs.grpc.pb.h"

namespace bitfoundry::db {
class Database;
}

namespace bitfoundry::trainer {

class JobsService final : public v1::Jobs::Service {
 public:
  explicit JobsService(db::Database& database) : database_(database) {}

  grpc::Status ListQueues(grpc::ServerContext*, const v1::ListQueuesRequest*,
                          v1::ListQueuesResponse* response) override;
  grpc::Status ListDeadJobs(grpc::ServerContext*, const v1::ListDeadJobsRequest* request,
                            v1::ListDeadJobsResponse* response) override;
  grpc::Status RedriveJobs(grpc::ServerContext*, const v1::RedriveJobsRequest* request,
                           v1::RedriveJobsResponse* response) override;

 private:
  db::Database& database_;
};

}  // namespace bitfoundry::trainer
