#include "services/evaluator/evaluator_service.h"

#include "runtime/error.h"
#include "runtime/stream.h"
#include "services/evaluator/board_page.h"

namespace bitfoundry::evaluator {
namespace {

template <typename Response>
grpc::Status Answer(Result<Response> result, Response* response) {
  if (!result.ok()) return runtime::ToGrpc(result.status());
  *response = *std::move(result);
  return grpc::Status::OK;
}

template <typename Response>
grpc::Status Stream(const Result<std::string>& bytes, grpc::ServerWriter<Response>* writer) {
  if (!bytes.ok()) return runtime::ToGrpc(bytes.status());
  runtime::WriteChunks(*bytes, [&](std::string_view chunk) {
    Response response;
    response.set_chunk(std::string(chunk));
    return writer->Write(response);
  });
  return grpc::Status::OK;
}

}  // namespace

grpc::Status EvaluatorService::CreateSuite(grpc::ServerContext*,
                                           const v1::CreateSuiteRequest* request,
                                           v1::Suite* response) {
  return Answer(desk_.KeepSuite(*request), response);
}

grpc::Status EvaluatorService::CreateEvaluation(grpc::ServerContext*,
                                                const v1::CreateEvaluationRequest* request,
                                                v1::Evaluation* response) {
  return Answer(desk_.Create(*request), response);
}

grpc::Status EvaluatorService::GetVerdict(grpc::ServerContext*,
                                          const v1::GetVerdictRequest* request,
                                          v1::GetVerdictResponse* response) {
  return Answer(desk_.Get(*request), response);
}

grpc::Status EvaluatorService::ListVerdicts(grpc::ServerContext*,
                                            const v1::ListVerdictsRequest* request,
                                            v1::ListVerdictsResponse* response) {
  return Answer(desk_.List(*request), response);
}

grpc::Status EvaluatorService::ReadReport(grpc::ServerContext*,
                                          const v1::ReadReportRequest* request,
                                          grpc::ServerWriter<v1::ReadReportResponse>* writer) {
  return Stream(desk_.Report(request->verdict_id()), writer);
}

grpc::Status EvaluatorService::ReadExhibit(grpc::ServerContext*,
                                           const v1::ReadExhibitRequest* request,
                                           grpc::ServerWriter<v1::ReadExhibitResponse>* writer) {
  return Stream(desk_.Exhibit(*request), writer);
}

grpc::Status EvaluatorService::GetBoard(grpc::ServerContext*, const v1::GetBoardRequest* request,
                                        v1::Board* response) {
  return Answer(desk_.Board(*request), response);
}

grpc::Status EvaluatorService::ReadBoard(grpc::ServerContext*, const v1::GetBoardRequest* request,
                                         grpc::ServerWriter<v1::ReadReportResponse>* writer) {
  const auto board = desk_.Board(*request);
  return Stream(board.ok() ? RenderBoard(*board) : Result<std::string>(board.status()), writer);
}

}  // namespace bitfoundry::evaluator
