#include "runtime/metrics.h"

#include <prometheus/exposer.h>
#include <prometheus/registry.h>

namespace bitfoundry::runtime {

MetricsServer::MetricsServer() = default;
MetricsServer::MetricsServer(MetricsServer&&) noexcept = default;
MetricsServer::~MetricsServer() = default;

Result<MetricsServer> MetricsServer::Start(const std::string& address,
                                           std::shared_ptr<prometheus::Registry> registry) try {
  MetricsServer server;
  server.registry_ = std::move(registry);
  server.exposer_ = std::make_unique<prometheus::Exposer>(address);
  server.exposer_->RegisterCollectable(server.registry_);
  server.address_ = address.substr(0, address.rfind(':') + 1) +
                    std::to_string(server.exposer_->GetListeningPorts().at(0));
  return server;
} catch (const std::exception& e) {
  return Status(Code::kUnavailable, "CANNOT_LISTEN",
                "cannot serve /metrics on " + address + " (is the port taken?): " + e.what());
}

}  // namespace bitfoundry::runtime
