// Calling another process: a channel with our limits, and calls that always have a deadline.
//
//   auto stub = v1::Trainer::NewStub(runtime::Connect("127.0.0.1:50054"));
//   runtime::Call call(5s);
//   BF_TRY(runtime::FromGrpc(stub->GetRun(&call, request, &run)));
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <chrono>
#include <memory>
#include <string>

#include "runtime/error.h"

namespace bitfoundry::runtime {

inline constexpr int kMaxMessageBytes = 4 << 20;  // either way, everywhere

// A channel to "host:port". Connects when it is first used and again whenever it breaks (at most
// 2 s between tries). Safe for threads.
std::shared_ptr<grpc::Channel> Connect(const std::string& address);

// The context of one call; it ends in DEADLINE_EXCEEDED after `limit`. Not reusable.
class Call : public grpc::ClientContext {
 public:
  explicit Call(std::chrono::milliseconds limit = std::chrono::seconds(30)) {
    set_deadline(std::chrono::system_clock::now() + limit);
  }
};

}  // namespace bitfoundry::runtime
