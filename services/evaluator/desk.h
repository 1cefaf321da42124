// The door of bf-evaluator, without its gRPC: asks for evaluations, and tells what came of them.
#pragma once

#include <functional>
#include <string>

#include "base/status.h"
#include "bitfoundry/v1/evaluator.pb.h"
#include "blobs/store.h"
#include "db/database.h"
#include "jobs/doorbell.h"
#include "services/evaluator/remote_model.h"

namespace bitfoundry::evaluator {

class Desk {
 public:
  Desk(db::Database& database, const blobs::Store& store, jobs::Doorbell& doorbell,
       const RemoteServers& servers, std::string runtime)
      : database_(database),
        store_(store),
        doorbell_(doorbell),
        servers_(servers),
        runtime_(std::move(runtime)) {}

  // Checks a suite by itself and keeps it. Errors: kInvalidArgument SUITE_INVALID.
  Result<v1::Suite> KeepSuite(const v1::CreateSuiteRequest& request);

  // Enqueues an evaluation, once for ever; again only if its verdict is not of our runtime, or
  // rests on a waiver that has ended. The suite is read and held against the snapshot's names, and
  // the server of a remote model asked, before anything is written.
  //
  // Errors: kInvalidArgument SUITE_INVALID, kNotFound, kFailedPrecondition MODEL_DOES_NOT_FIT if
  // artefact and snapshot are of two projects; kResourceExhausted if too many wait; those of
  // RemoteServers::Describe.
  Result<v1::Evaluation> Create(const v1::CreateEvaluationRequest& request);

  // The verdict, or the state of its job. Without a suite: the newest verdict of the artefact, or
  // the evaluation that its training asked for. Errors: kNotFound.
  Result<v1::GetVerdictResponse> Get(const v1::GetVerdictRequest& request);

  // Errors: those of MakeBoard.
  Result<v1::Board> Board(const v1::GetBoardRequest& request);

  // Errors: kNotFound, kInvalidArgument if the page token is none of ours.
  Result<v1::ListVerdictsResponse> List(const v1::ListVerdictsRequest& request);

  // The HTML of a verdict's report. Errors: kNotFound.
  Result<std::string> Report(int64_t verdict_id);

  // The signed bundle of a verdict or, with a digest, an exhibit that it names.
  // Errors: kNotFound VERDICT_NOT_FOUND, EXHIBIT_MISSING; kFailedPrecondition NOT_SIGNED.
  Result<std::string> Exhibit(const v1::ReadExhibitRequest& request);

 private:
  Status FindArtefact(const v1::CreateEvaluationRequest& request, v1::Evaluation* evaluation);
  Status FindSnapshot(const v1::CreateEvaluationRequest& request, v1::Evaluation* evaluation);

  db::Database& database_;
  const blobs::Store& store_;
  jobs::Doorbell& doorbell_;
  const RemoteServers& servers_;
  const std::string runtime_;
};

}  // namespace bitfoundry::evaluator
