#include "services/ingestion/project_service.h"

#include "catalog/projects.h"
#include "catalog/requests.h"
#include "runtime/error.h"
#include "runtime/page.h"

namespace bitfoundry::ingestion {
namespace {

v1::Project ToMessage(const catalog::Project& project) {
  v1::Project message;
  message.set_name(project.name);
  for (const std::string& name : project.classes) message.add_classes(name);
  message.set_class_list_version(project.class_list_version);
  message.mutable_input()->set_height(project.height);
  message.mutable_input()->set_width(project.width);
  message.mutable_input()->set_channels(project.channels);
  return message;
}

Result<std::string> Create(db::Tx& tx, const v1::CreateProjectRequest& request) {
  const catalog::Project project = BF_TRY(
      catalog::Projects(tx).Create({.name = request.name(),
                                    .classes = {request.classes().begin(), request.classes().end()},
                                    .height = request.input().height(),
                                    .width = request.input().width(),
                                    .channels = request.input().channels()}));
  return ToMessage(project).SerializeAsString();
}

}  // namespace

grpc::Status ProjectService::CreateProject(grpc::ServerContext*,
                                           const v1::CreateProjectRequest* request,
                                           v1::Project* response) {
  const Result<std::string> answer = database_.Transact([&](db::Tx& tx) {
    return catalog::Once(tx, request->request_id(), catalog::Asked("CreateProject", *request),
                         [&] { return Create(tx, *request); });
  });
  if (!answer.ok()) return runtime::ToGrpc(answer.status());
  BF_CHECK(response->ParseFromString(*answer));
  return grpc::Status::OK;
}

grpc::Status ProjectService::GetProject(grpc::ServerContext*, const v1::GetProjectRequest* request,
                                        v1::Project* response) {
  const Result<catalog::Project> project =
      database_.Transact([&](db::Tx& tx) { return catalog::Projects(tx).Get(request->name()); });
  if (!project.ok()) return runtime::ToGrpc(project.status());
  *response = ToMessage(*project);
  return grpc::Status::OK;
}

grpc::Status ProjectService::ListProjects(grpc::ServerContext*,
                                          const v1::ListProjectsRequest* request,
                                          v1::ListProjectsResponse* response) {
  const Result<runtime::Page> page = runtime::ReadPage(request->page_size(), request->page_token());
  if (!page.ok()) return runtime::ToGrpc(page.status());
  const Result<std::vector<catalog::Project>> projects = database_.Transact(
      [&](db::Tx& tx) { return catalog::Projects(tx).List(page->cursor, page->limit); });
  if (!projects.ok()) return runtime::ToGrpc(projects.status());
  for (const catalog::Project& project : *projects) *response->add_projects() = ToMessage(project);
  if (std::ssize(*projects) == page->limit) {
    response->set_next_page_token(runtime::NextPage(projects->back().id));
  }
  return grpc::Status::OK;
}

}  // namespace bitfoundry::ingestion
