#include "runtime/job_metrics.h"

#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

namespace bitfoundry::runtime {
namespace {

using std::chrono::seconds;

TEST(JobMetrics, TellsKindsAndOutcomesApart) {
  prometheus::Registry registry;
  JobMetrics label(registry, "label");
  JobMetrics train(registry, "train");
  label.Record("done", seconds(1), seconds(2), 0);
  label.Record("lost", seconds(1), seconds(2), 3);
  train.Record("done", seconds(1), seconds(2), 0);

  const std::string text = prometheus::TextSerializer().Serialize(registry.Collect());
  for (const char* line : {"bf_job_wait_seconds_count{kind=\"label\"} 2\n",
                           "bf_job_wait_seconds_count{kind=\"train\"} 1\n",
                           "bf_job_run_seconds_count{kind=\"label\",outcome=\"lost\"} 1\n",
                           "bf_job_run_seconds_sum{kind=\"train\",outcome=\"done\"} 2\n",
                           "bf_job_expired_leases_total{kind=\"label\"} 3\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

}  // namespace
}  // namespace bitfoundry::runtime
