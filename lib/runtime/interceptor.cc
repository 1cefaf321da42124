#include "runtime/interceptor.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <grpcpp/server_context.h>
#include <prometheus/counter.h>
#include <prometheus/histogram.h>

#include <chrono>
#include <string>
#include <vector>

#include "base/trace.h"
#include "runtime/error.h"

namespace bitfoundry::runtime {
namespace {

using grpc::experimental::InterceptionHookPoints;
using grpc::experimental::InterceptorBatchMethods;
using grpc::experimental::ServerRpcInfo;
using std::chrono::steady_clock;

// Seconds; long polls last up to 30.
const prometheus::Histogram::BucketBoundaries kBuckets = {
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120};

const char* CodeName(grpc::StatusCode code) {
  static constexpr const char* kNames[] = {"OK",
                                           "CANCELLED",
                                           "UNKNOWN",
                                           "INVALID_ARGUMENT",
                                           "DEADLINE_EXCEEDED",
                                           "NOT_FOUND",
                                           "ALREADY_EXISTS",
                                           "PERMISSION_DENIED",
                                           "RESOURCE_EXHAUSTED",
                                           "FAILED_PRECONDITION",
                                           "ABORTED",
                                           "OUT_OF_RANGE",
                                           "UNIMPLEMENTED",
                                           "INTERNAL",
                                           "UNAVAILABLE",
                                           "DATA_LOSS",
                                           "UNAUTHENTICATED"};
  const auto index = static_cast<size_t>(code);
  return index < std::size(kNames) ? kNames[index] : "UNKNOWN";
}

struct Metrics {
  prometheus::Family<prometheus::Counter>& handled;
  prometheus::Family<prometheus::Histogram>& seconds;
};

// A string field with a NUL in it, however deep; null: there is none. Text goes to Postgres, which
// takes none and whose client would cut the text there. (Text that is not UTF-8 is not parsed.)
const google::protobuf::FieldDescriptor* FindNul(const google::protobuf::Message& message) {
  using google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection& in = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  in.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const bool repeated = field->is_repeated();
    const int count = repeated ? in.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (field->type() == FieldDescriptor::TYPE_STRING) {
        const std::string text =
            repeated ? in.GetRepeatedString(message, field, i) : in.GetString(message, field);
        if (text.find('\0') != std::string::npos) return field;
      } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        const auto* nul = FindNul(repeated ? in.GetRepeatedMessage(message, field, i)
                                           : in.GetMessage(message, field));
        if (nul != nullptr) return nul;
      }
    }
  }
  return nullptr;
}

// gRPC's synchronous server has no hook that ends a call before its handler. So a call that is
// refused has its messages emptied, which every method that changes something refuses for want of
// a required field, and whatever the handler answers is replaced by the refusal.
class Interceptor : public grpc::experimental::Interceptor {
 public:
  Interceptor(const Metrics& metrics, ServerRpcInfo* call)
      : metrics_(metrics), started_(steady_clock::now()) {
    if (call->server_context()->deadline() == std::chrono::system_clock::time_point::max()) {
      refusal_ =
          Status(Code::kInvalidArgument, "DEADLINE_REQUIRED",
                 "every call must have a deadline: set one in the client (grpcurl -max-time 10)");
    }
    const std::string path = call->method();  // "/bitfoundry.v1.Trainer/GetRun"
    const size_t slash = path.rfind('/');
    service_ = path.substr(1, slash - 1);
    method_ = path.substr(slash + 1);
  }

  void Intercept(InterceptorBatchMethods* hooks) override {
    if (hooks->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_INITIAL_METADATA)) {
      const auto* metadata = hooks->GetRecvInitialMetadata();
      const auto trace = metadata->find("traceparent");
      SetTrace(trace == metadata->end() ? std::string()
                                        : std::string(trace->second.data(), trace->second.size()));
    }
    if (hooks->QueryInterceptionHookPoint(InterceptionHookPoints::POST_RECV_MESSAGE)) {
      if (void* message = hooks->GetRecvMessage(); message != nullptr) {
        Check(*static_cast<google::protobuf::Message*>(message));
      }
    }
    if (hooks->QueryInterceptionHookPoint(InterceptionHookPoints::PRE_SEND_STATUS)) {
      // What gRPC itself answers to a message that it cannot parse.
      const grpc::Status answer = hooks->GetSendStatus();
      if (answer.error_code() == grpc::StatusCode::INTERNAL && answer.error_message().empty()) {
        refusal_ = Status(Code::kInvalidArgument, "UNREADABLE",
                          "the message does not parse: is all of its text UTF-8?");
      }
      if (!refusal_.ok()) hooks->ModifySendStatus(ToGrpc(refusal_));
      Count(hooks->GetSendStatus().error_code());
    }
    hooks->Proceed();
  }

 private:
  void Check(google::protobuf::Message& message) {
    if (const auto* field = FindNul(message); field != nullptr && refusal_.ok()) {
      refusal_ = Status(Code::kInvalidArgument, "NUL_IN_TEXT",
                        field->full_name() + " has a NUL character in it: send text without");
    }
    if (!refusal_.ok()) message.Clear();
  }
  void Count(grpc::StatusCode code) {
    const std::chrono::duration<double> took = steady_clock::now() - started_;
    metrics_.handled.Add({{"service", service_}, {"method", method_}, {"code", CodeName(code)}})
        .Increment();
    metrics_.seconds.Add({{"service", service_}, {"method", method_}}, kBuckets)
        .Observe(took.count());
  }

  const Metrics& metrics_;
  const steady_clock::time_point started_;
  Status refusal_;  // OK: the call is not refused
  std::string service_;
  std::string method_;
};

class Factory : public grpc::experimental::ServerInterceptorFactoryInterface {
 public:
  explicit Factory(prometheus::Registry& registry)
      : metrics_{prometheus::BuildCounter()
                     .Name("bf_grpc_server_handled_total")
                     .Help("Calls that ended, by code.")
                     .Register(registry),
                 prometheus::BuildHistogram()
                     .Name("bf_grpc_server_handling_seconds")
                     .Help("From the call's arrival to its status.")
                     .Register(registry)} {}

  // Null: not intercepted. Health and reflection watch for as long as they like.
  grpc::experimental::Interceptor* CreateServerInterceptor(ServerRpcInfo* call) override {
    if (std::string(call->method()).rfind("/grpc.", 0) == 0) return nullptr;
    return new Interceptor(metrics_, call);  // gRPC owns it
  }

 private:
  const Metrics metrics_;
};

}  // namespace

std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface> MakeInterceptorFactory(
    prometheus::Registry& registry) {
  return std::make_unique<Factory>(registry);
}

}  // namespace bitfoundry::runtime
