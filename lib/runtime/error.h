// The one place where our errors become gRPC errors, and gRPC errors ours.
#pragma once

#include <grpcpp/support/status.h>

#include "base/status.h"

namespace bitfoundry::runtime {

// Same code, same message; the reason travels as google.rpc.ErrorInfo{reason, "bitfoundry"} in the
// error details (google.rpc.Status), where clients in every language look for it.
grpc::Status ToGrpc(const Status& status);

// The way back. An error without ErrorInfo (of the transport, of a foreign server) has its code's
// name as its reason.
Status FromGrpc(const grpc::Status& status);

}  // namespace bitfoundry::runtime
