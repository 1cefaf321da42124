#include "runtime/job_metrics.h"

#include <prometheus/gauge.h>

#include <utility>

namespace bitfoundry::runtime {
namespace {

// From a doorbell's answer to an hour.
const prometheus::Histogram::BucketBoundaries kSeconds = {0.01, 0.03, 0.1, 0.3, 1,    3,
                                                          10,   30,   100, 300, 1000, 3600};

}  // namespace

JobMetrics::JobMetrics(prometheus::Registry& registry, std::string kind)
    : kind_(std::move(kind)),
      wait_(prometheus::BuildHistogram()
                .Name("bf_job_wait_seconds")
                .Help("From when a job was due until it was claimed")
                .Register(registry)),
      run_(prometheus::BuildHistogram()
               .Name("bf_job_run_seconds")
               .Help("Time of one attempt, by what became of it")
               .Register(registry)),
      expired_(prometheus::BuildCounter()
                   .Name("bf_job_expired_leases_total")
                   .Help("Leases of others that a claim found run out")
                   .Register(registry)) {}

void JobMetrics::Claimed(std::chrono::duration<double> waited) {
  wait_.Add({{"kind", kind_}}, kSeconds).Observe(waited.count());
}

void JobMetrics::Expired(int leases) { expired_.Add({{"kind", kind_}}).Increment(leases); }

void JobMetrics::Ended(const std::string& outcome, std::chrono::duration<double> ran) {
  run_.Add({{"kind", kind_}, {"outcome", outcome}}, kSeconds).Observe(ran.count());
}

void JobMetrics::Record(const std::string& outcome, std::chrono::duration<double> waited,
                        std::chrono::duration<double> ran, int expired) {
  Claimed(waited);
  Ended(outcome, ran);
  Expired(expired);
}

std::function<void(bool)> RedisGauge(prometheus::Registry& registry) {
  prometheus::Gauge& gauge = prometheus::BuildGauge()
                                 .Name("bf_redis_up")
                                 .Help("Whether the doorbell's Redis answers")
                                 .Register(registry)
                                 .Add({});
  return [&gauge](bool answers) { gauge.Set(answers ? 1 : 0); };
}

}  // namespace bitfoundry::runtime
