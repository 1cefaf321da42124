// bitfoundry.v1.Projects: decode, call the catalogue, encode.
#pragma once

#include "bitfoundry/v1/project.grpc.pb.h"
#include "db/database.h"

namespace bitfoundry::ingestion {

class ProjectService final : public v1::Projects::Service {
 public:
  explicit ProjectService(db::Database& database) : database_(database) {}

  grpc::Status CreateProject(grpc::ServerContext*, const v1::CreateProjectRequest* request,
                             v1::Project* response) override;
  grpc::Status GetProject(grpc::ServerContext*, const v1::GetProjectRequest* request,
                          v1::Project* response) override;
  grpc::Status ListProjects(grpc::ServerContext*, const v1::ListProjectsRequest* request,
                            v1::ListProjectsResponse* response) override;

 private:
  db::Database& database_;
};

}  // namespace bitfoundry::ingestion
