#include "base/status.h"

#include <cstdio>
#include <cstdlib>

namespace bitfoundry {
namespace {

const char* Name(Code code) {
  switch (code) {
    case Code::kOk:
      return "OK";
    case Code::kCancelled:
      return "CANCELLED";
    case Code::kUnknown:
      return "UNKNOWN";
    case Code::kInvalidArgument:
      return "INVALID_ARGUMENT";
    case Code::kDeadlineExceeded:
      return "DEADLINE_EXCEEDED";
    case Code::kNotFound:
      return "NOT_FOUND";
    case Code::kAlreadyExists:
      return "ALREADY_EXISTS";
    case Code::kPermissionDenied:
      return "PERMISSION_DENIED";
    case Code::kResourceExhausted:
      return "RESOURCE_EXHAUSTED";
    case Code::kFailedPrecondition:
      return "FAILED_PRECONDITION";
    case Code::kAborted:
      return "ABORTED";
    case Code::kOutOfRange:
      return "OUT_OF_RANGE";
    case Code::kUnimplemented:
      return "UNIMPLEMENTED";
    case Code::kInternal:
      return "INTERNAL";
    case Code::kUnavailable:
      return "UNAVAILABLE";
    case Code::kDataLoss:
      return "DATA_LOSS";
  }
  return "?";
}

}  // namespace

bool Status::retryable() const {
  return code_ == Code::kUnavailable || code_ == Code::kAborted ||
         code_ == Code::kDeadlineExceeded || code_ == Code::kResourceExhausted;
}

std::string Status::reason() const { return reason_.empty() ? Name(code_) : reason_; }

Status Status::In(const std::string& context) const {
  return {code_, reason_.c_str(), message_.empty() ? context : context + ": " + message_};
}

std::string Status::ToString() const {
  return message_.empty() ? Name(code_) : std::string(Name(code_)) + ": " + message_;
}

namespace internal {
void ResultHasNoValue(const Status& status) {
  std::fprintf(stderr, "a Result was read that holds an error: %s\n", status.ToString().c_str());
  std::abort();
}
}  // namespace internal

void CheckFailed(const char* file, int line, const char* cond) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, cond);
  std::abort();
}

}  // namespace bitfoundry
