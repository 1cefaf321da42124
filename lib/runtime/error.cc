#include "runtime/error.h"

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace bitfoundry::runtime {

grpc::Status ToGrpc(const Status& status) {
  if (status.ok()) return grpc::Status::OK;
  google::rpc::ErrorInfo info;
  info.set_reason(status.reason());
  info.set_domain("bitfoundry");
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(status.message());
  details.add_details()->PackFrom(info);
  return {static_cast<grpc::StatusCode>(status.code()), status.message(),
          details.SerializeAsString()};
}

Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return Status();
  // UNAUTHENTICATED (16) is the only code that we do not have.
  const Code code = status.error_code() == grpc::StatusCode::UNAUTHENTICATED
                        ? Code::kPermissionDenied
                        : static_cast<Code>(status.error_code());
  std::string message = status.error_message();
  if (message == Status(code, "").ToString()) message.clear();  // gRPC, with nothing more to say
  google::rpc::Status details;
  if (details.ParseFromString(status.error_details())) {
    for (const auto& detail : details.details()) {
      google::rpc::ErrorInfo info;
      if (detail.UnpackTo(&info)) return {code, info.reason().c_str(), message};
    }
  }
  return {code, message};
}

}  // namespace bitfoundry::runtime
