// GET /metrics for Prometheus, by the Prometheus client's own server.
//
// Not for a process that links LibTorch: civetweb starts threads with 100 KiB stacks, glibc counts
// static thread-local storage against that, and Debian's LibTorch brings 106 KiB of it, so that the
// server cannot start there. bf-train-worker sends its figures to bf-trainer instead.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"

namespace prometheus {
class Exposer;
class Registry;
}  // namespace prometheus

namespace bitfoundry::runtime {

class MetricsServer {
 public:
  // Serves `registry` until destroyed.
  //
  //   address  "host:port"; port 0 takes a free one
  //   errors   kUnavailable if it cannot be bound
  static Result<MetricsServer> Start(const std::string& address,
                                     std::shared_ptr<prometheus::Registry> registry);
  MetricsServer(MetricsServer&&) noexcept;
  ~MetricsServer();

  // "host:port" as bound.
  const std::string& address() const { return address_; }

 private:
  MetricsServer();
  std::string address_;
  std::shared_ptr<prometheus::Registry> registry_;  // the exposer holds it weakly
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace bitfoundry::runtime
