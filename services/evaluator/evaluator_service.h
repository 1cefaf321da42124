// bitfoundry.v1.Evaluator over gRPC: decode, ask the desk, encode.
#pragma once

#include "bitfoundry/v1/evaluator.grpc.pb.h"
#include "services/evaluator/desk.h"

namespace bitfoundry::evaluator {

class EvaluatorService final : public v1::Evaluator::Service {
 public:
  explicit EvaluatorService(Desk& desk) : desk_(desk) {}

  grpc::Status CreateSuite(grpc::ServerContext*, const v1::CreateSuiteRequest* request,
                           v1::Suite* response) override;
  grpc::Status CreateEvaluation(grpc::ServerContext*, const v1::CreateEvaluationRequest* request,
                                v1::Evaluation* response) override;
  grpc::Status GetVerdict(grpc::ServerContext*, const v1::GetVerdictRequest* request,
                          v1::GetVerdictResponse* response) override;
  grpc::Status ListVerdicts(grpc::ServerContext*, const v1::ListVerdictsRequest* request,
                            v1::ListVerdictsResponse* response) override;
  grpc::Status ReadReport(grpc::ServerContext*, const v1::ReadReportRequest* request,
                          grpc::ServerWriter<v1::ReadReportResponse>* writer) override;
  grpc::Status ReadExhibit(grpc::ServerContext*, const v1::ReadExhibitRequest* request,
                           grpc::ServerWriter<v1::ReadExhibitResponse>* writer) override;
  grpc::Status GetBoard(grpc::ServerContext*, const v1::GetBoardRequest* request,
                        v1::Board* response) override;
  grpc::Status ReadBoard(grpc::ServerContext*, const v1::GetBoardRequest* request,
                         grpc::ServerWriter<v1::ReadReportResponse>* writer) override;

 private:
  Desk& desk_;
};

}  // namespace bitfoundry::evaluator
