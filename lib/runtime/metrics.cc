#include "runtime/metrics.h"

#include <dlfcn.h>
#include <prometheus/exposer.h>
#include <prometheus/registry.h>
#include <pthread.h>

#include <algorithm>

// civetweb gives its threads 100 KiB of stack, and glibc takes the static thread-local storage of
// every library out of that: 60 KiB where OpenCV brings OpenBLAS, so that the first GET runs off
// the end of the stack. The size is a constant in civetweb; so whoever in this process asks for a
// small stack gets a MiB. (Only pages that are touched cost memory.)
extern "C" __attribute__((visibility("default"))) int pthread_attr_setstacksize(
    pthread_attr_t* attributes, size_t bytes) {
  using Function = int (*)(pthread_attr_t*, size_t);
  static const auto next =
      reinterpret_cast<Function>(dlsym(RTLD_NEXT, "pthread_attr_setstacksize"));
  return next(attributes, std::max(bytes, size_t{1} << 20));
}

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
