// What becomes of jobs, for Prometheus: the same figures for every worker.
//
//   bf_job_wait_seconds{kind}            from when a job was due until it was claimed
//   bf_job_run_seconds{kind,outcome}     of one attempt; its outcome as jobs::Attempt has it
//   bf_job_expired_leases_total{kind}    leases of others that a claim found run out
//   bf_redis_up                          whether the doorbell's Redis answers
#pragma once

#include <prometheus/counter.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>

#include <chrono>
#include <functional>
#include <string>

namespace bitfoundry::runtime {

// Safe for threads; `registry` outlives it.
class JobMetrics {
 public:
  JobMetrics(prometheus::Registry& registry, std::string kind);

  void Claimed(std::chrono::duration<double> waited);
  void Expired(int leases);
  void Ended(const std::string& outcome, std::chrono::duration<double> ran);

  // All of it, for who learns it at once.
  void Record(const std::string& outcome, std::chrono::duration<double> waited,
              std::chrono::duration<double> ran, int expired);

 private:
  const std::string kind_;
  prometheus::Family<prometheus::Histogram>& wait_;
  prometheus::Family<prometheus::Histogram>& run_;
  prometheus::Family<prometheus::Counter>& expired_;
};

// Sets bf_redis_up; for a jobs::Doorbell to call. `registry` outlives it.
std::function<void(bool)> RedisGauge(prometheus::Registry& registry);

}  // namespace bitfoundry::runtime
