// bf-evaluator's door and worker in the test's process, over the factory floor.
#pragma once

#include <memory>
#include <string>

#include "jobs/queue.h"
#include "services/evaluator/desk.h"
#include "services/evaluator/evaluation.h"
#include "tests/integration/evaluator/factory_floor.h"

namespace bitfoundry::evaluator {

inline constexpr char kRuntime[] = "the test's runtime";

class EvaluatorAtWork : public FactoryFloor {
 protected:
  void SetUp() override {
    FactoryFloor::SetUp();
    const char* redis = std::getenv("BF_TEST_REDIS");
    ASSERT_NE(redis, nullptr) << "run under scripts/with_backends";
    doorbell_ = std::make_unique<jobs::Doorbell>(jobs::RedisAddress{.path = redis});
    oip::ClientOptions impatient = Patience();
    impatient.first_pause = impatient.most_pause = std::chrono::milliseconds(100);
    servers_ = std::make_unique<RemoteServers>(store(), metrics_, impatient);
    desk_ = std::make_unique<Desk>(database(), store(), *doorbell_, *servers_, kRuntime);
  }

  EvaluateHandler Handler(int threads = 2) {
    return EvaluateHandler(database(), store(), *servers_, kRuntime, threads);
  }

  // Works off one job as the process does; returns what became of the attempt.
  std::string WorkOnce(const jobs::Handler& handler, const std::string& kind = "evaluate") {
    std::string outcome;
    std::stop_source stop;
    jobs::WorkerOptions options;
    options.kind = kind;
    options.name = "test";
    options.on_attempt = [&](const jobs::Attempt& attempt) {
      outcome = attempt.outcome;
      stop.request_stop();
    };
    jobs::Work(options, database(), *doorbell_, handler, stop.get_token());
    return outcome;
  }

  prometheus::Registry metrics_;
  std::unique_ptr<jobs::Doorbell> doorbell_;
  std::unique_ptr<RemoteServers> servers_;
  std::unique_ptr<Desk> desk_;
};

}  // namespace bitfoundry::evaluator
