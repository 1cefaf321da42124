// The W3C trace context of what this thread is doing, so that one thing that somebody asked for can
// be followed through calls, jobs and logs.
//
// A gRPC server sets it from the call's `traceparent` metadata, the worker loop from the job's row;
// jobs::Queue writes it into the jobs that are enqueued meanwhile, Log into its lines.
// Source: https://www.w3.org/TR/trace-context/#traceparent-header
#pragma once

#include <string>

namespace bitfoundry {

// "00-<32 hex>-<16 hex>-<2 hex>", or empty: none.
const std::string& CurrentTrace();

// Sets it for this thread until destroyed. What is no trace context counts as none.
class TraceScope {
 public:
  explicit TraceScope(std::string traceparent);
  ~TraceScope();
  TraceScope(const TraceScope&) = delete;
  TraceScope& operator=(const TraceScope&) = delete;

 private:
  std::string before_;
};

// Sets it for this thread until the next time: for callbacks, which have no scope.
void SetTrace(std::string traceparent);

}  // namespace bitfoundry
