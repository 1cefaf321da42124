// A gRPC server as every door of the factory has it: health, reflection, metrics, limits, draining.
#pragma once

#include <grpcpp/impl/service_type.h>

#include <functional>
#include <vector>

#include "base/status.h"
#include "runtime/error.h"
#include "runtime/main.h"

namespace bitfoundry::runtime {

// Serves `services` on --listen, and /metrics on --metrics, until process.stop.
//
// - grpc.health.v1 follows `healthy`, which is asked every second: SERVING while it is OK;
//   not if it has not answered for 5 s.
// - Reflection is on. No message above 4 MiB, either way.
// - A call without a deadline is refused: INVALID_ARGUMENT, reason DEADLINE_REQUIRED.
//   So are text with a NUL in it, NUL_IN_TEXT, and a message that does not parse, UNREADABLE.
// - The call's `traceparent` metadata is the handler's trace context (base/trace.h).
// - bf_grpc_server_handled_total{service,method,code} and
//   bf_grpc_server_handling_seconds{service,method} count every call but health and reflection.
// - Once calls are taken, the bound addresses are logged and written to --ready-file, which is
//   removed at the end.
// - On stop: NOT_SERVING, no new calls, 5 s for those in flight, then they are cancelled.
//
// Errors: kUnavailable, CANNOT_LISTEN, if an address cannot be bound.
Status Serve(Process& process, const std::vector<grpc::Service*>& services,
             const std::function<Status()>& healthy);

}  // namespace bitfoundry::runtime
