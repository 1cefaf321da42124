// The work of bf-evaluator: an artefact's packed network over the test part of a snapshot, judged.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "attest/key.h"
#include "base/status.h"
#include "blobs/store.h"
#include "db/database.h"
#include "jobs/worker.h"
#include "proof/exhibits.h"
#include "services/evaluator/remote_model.h"
#include "verdicts/evaluate.h"

namespace bitfoundry::evaluator {

// The handler of jobs of kind "evaluate" and "evaluate_remote".
class EvaluateHandler {
 public:
  // `on_verdict` is told of every verdict that is written. Without `key` none is signed, and
  // on a remote model never: nobody can make its answers again.
  EvaluateHandler(
      db::Database& database, const blobs::Store& store, const RemoteServers& servers,
      std::string runtime, int threads,
      std::function<void(v1::Outcome)> on_verdict = [](v1::Outcome) {},
      std::optional<attest::PrivateKey> key = std::nullopt)
      : database_(database),
        store_(store),
        servers_(servers),
        runtime_(std::move(runtime)),
        threads_(threads),
        on_verdict_(std::move(on_verdict)),
        key_(std::move(key)) {}

  // Errors: kFailedPrecondition MODEL_DOES_NOT_FIT, if the network's input or classes are not those
  // of the snapshot; those of reading what the job names.
  Result<jobs::Write> operator()(const jobs::Lease& lease, const std::stop_token& stop) const;

 private:
  // What is judged, and what is not in the store.
  struct Case {
    verdicts::Subject subject;
    std::vector<proof::Exhibit> exhibits;  // none of what is not packed
    std::string date;
    int64_t replaces = 0;
    v1::RemoteModel remote;  // who is asked, if the subject is not packed
    std::shared_ptr<std::atomic<int32_t>> unsure = std::make_shared<std::atomic<int32_t>>(0);
  };
  Result<Case> Read(const jobs::Lease& lease) const;

  db::Database& database_;
  const blobs::Store& store_;
  const RemoteServers& servers_;
  const std::string runtime_;
  const int threads_;
  const std::function<void(v1::Outcome)> on_verdict_;
  const std::optional<attest::PrivateKey> key_;
};

}  // namespace bitfoundry::evaluator
