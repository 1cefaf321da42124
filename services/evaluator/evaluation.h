// The work of bf-evaluator: an artefact's packed network over the test part of a snapshot, judged.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>

#include "attest/key.h"
#include "base/status.h"
#include "blobs/store.h"
#include "db/database.h"
#include "jobs/worker.h"
#include "proof/exhibits.h"

namespace bitfoundry::evaluator {

// The handler of jobs of kind "evaluate".
class EvaluateHandler {
 public:
  // `on_verdict` is told of every verdict that is written. Without `key` none is signed.
  EvaluateHandler(
      db::Database& database, const blobs::Store& store, std::string runtime, int threads,
      std::function<void(v1::Outcome)> on_verdict = [](v1::Outcome) {},
      std::optional<attest::PrivateKey> key = std::nullopt)
      : database_(database),
        store_(store),
        runtime_(std::move(runtime)),
        threads_(threads),
        on_verdict_(std::move(on_verdict)),
        key_(std::move(key)) {}

  // Errors: kFailedPrecondition MODEL_DOES_NOT_FIT, if the network's input or classes are not those
  // of the snapshot; those of reading what the job names.
  Result<jobs::Write> operator()(const jobs::Lease& lease, const std::stop_token& stop) const;

 private:
  Result<proof::Case> Read(const jobs::Lease& lease, std::string* date) const;

  db::Database& database_;
  const blobs::Store& store_;
  const std::string runtime_;
  const int threads_;
  const std::function<void(v1::Outcome)> on_verdict_;
  const std::optional<attest::PrivateKey> key_;
};

}  // namespace bitfoundry::evaluator
