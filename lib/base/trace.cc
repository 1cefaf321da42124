#include "base/trace.h"

#include <algorithm>
#include <utility>

namespace bitfoundry {
namespace {

std::string& Trace() {
  thread_local std::string trace;
  return trace;
}

bool IsTrace(const std::string& text) {
  if (text.size() != 55 || text[2] != '-' || text[35] != '-' || text[52] != '-') return false;
  return text.find_first_not_of("0123456789abcdef-") == std::string::npos &&
         std::count(text.begin(), text.end(), '-') == 3;
}

}  // namespace

const std::string& CurrentTrace() { return Trace(); }

void SetTrace(std::string traceparent) {
  Trace() = IsTrace(traceparent) ? std::move(traceparent) : std::string();
}

TraceScope::TraceScope(std::string traceparent) : before_(Trace()) {
  SetTrace(std::move(traceparent));
}

TraceScope::~TraceScope() { Trace() = std::move(before_); }

}  // namespace bitfoundry
