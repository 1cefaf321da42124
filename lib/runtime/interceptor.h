// What happens to every call on its way through a server: serve.h says what.
#pragma once

#include <grpcpp/support/server_interceptor.h>
#include <prometheus/registry.h>

#include <memory>

namespace bitfoundry::runtime {

// Refuses calls without a deadline and text with a NUL in it, and counts and times all calls in
// `registry`, which must outlive the server.
std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeInterceptorFactory(
    prometheus::Registry& registry);

}  // namespace bitfoundry::runtime
