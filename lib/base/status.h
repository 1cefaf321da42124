// The one error type of the factory, and the rules that go with it.
//
// A function that can fail for a reason outside the program returns Status, or Result<T>. A broken
// invariant is not an error but a bug: it aborts through BF_CHECK. Packages that throw are caught
// where we enter them, and nowhere else: LibTorch in bnn::Train, libpqxx in db::Database::Transact
// (so a repository may let its SQL throw, because it only exists inside a Transact).
//
// The code decides what happens next, the reason is for programs that must tell two causes of one
// code apart (google.rpc.ErrorInfo on the wire), the message is for people: what was wrong, where,
// and what to do. For a job (lib/jobs):
//   kUnavailable, kAborted, kDeadlineExceeded, kResourceExhausted   run it again later
//   any other                                                       give up, keep the message
#pragma once

#include <concepts>
#include <string>
#include <utility>
#include <variant>

namespace bitfoundry {

// Numbered like gRPC's canonical codes, so that crossing the wire is a cast (runtime/error.cc).
enum class Code {
  kOk = 0,
  kCancelled = 1,
  kUnknown = 2,  // it may or may not have happened
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kAborted = 10,
  kOutOfRange = 11,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
};

class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  Status(Code code, std::string message) : code_(code), message_(std::move(message)) {}
  Status(Code code, const char* reason, std::string message)
      : code_(code), reason_(reason), message_(std::move(message)) {}

  bool ok() const { return code_ == Code::kOk; }
  Code code() const { return code_; }
  const std::string& message() const { return message_; }

  // UPPER_SNAKE, like "LEASE_LOST"; the code's own name where no finer cause was given.
  std::string reason() const;

  // True when the same call, unchanged, may succeed later.
  bool retryable() const;

  // The same code and reason, with "context: " in front of the message.
  Status In(const std::string& context) const;

  // "NOT_FOUND: no task is open".
  std::string ToString() const;

  bool operator==(const Status&) const = default;

 private:
  Code code_ = Code::kOk;
  std::string reason_;
  std::string message_;
};

namespace internal {
[[noreturn]] void ResultHasNoValue(const Status& status);
}

// A T, or the Status that explains its absence (never OK).
template <typename T>
class [[nodiscard]] Result {
 public:
  template <std::convertible_to<T> U>
  Result(U&& value) : state_(std::in_place_type<T>, std::forward<U>(value)) {}
  Result(Status error) : state_(std::move(error)) {}

  bool ok() const { return std::holds_alternative<T>(state_); }
  Status status() const { return ok() ? Status() : std::get<Status>(state_); }

  // Requires ok(): anything else is a bug, and aborts.
  const T& operator*() const& { return Value(); }
  T& operator*() & { return const_cast<T&>(Value()); }
  T&& operator*() && { return std::move(const_cast<T&>(Value())); }
  const T* operator->() const { return &Value(); }
  T* operator->() { return &const_cast<T&>(Value()); }

 private:
  const T& Value() const {
    if (!ok()) internal::ResultHasNoValue(std::get<Status>(state_));
    return std::get<T>(state_);
  }

  std::variant<Status, T> state_;
};

namespace internal {
inline const Status& StatusOf(const Status& s) { return s; }
template <typename T>
Status StatusOf(const Result<T>& r) {
  return r.status();
}
inline void ValueOf(Status&&) {}
template <typename T>
T ValueOf(Result<T>&& r) {
  return *std::move(r);
}
}  // namespace internal

}  // namespace bitfoundry

// The value of `expr`; or leaves the function with its error. Only as a whole statement:
//   BF_TRY(queue.Complete(lease));
//   const Model model = BF_TRY(Decode(bytes));
// and not behind another value in { }: of an object that is left half built, GCC and clang leak
// what there is of it (tests/tidy looks).
#define BF_TRY(...) BF_TRY_NAMED(__COUNTER__, __VA_ARGS__)
#define BF_TRY_NAMED(...) BF_TRY_PASTED(__VA_ARGS__)
#define BF_TRY_PASTED(number, ...) BF_TRY_AS(bf_try_##number, __VA_ARGS__)  // one may hold another
#define BF_TRY_AS(name, ...)                                       \
  __extension__({                                                  \
    auto name = (__VA_ARGS__);                                     \
    if (!name.ok()) return ::bitfoundry::internal::StatusOf(name); \
    ::bitfoundry::internal::ValueOf(std::move(name));              \
  })

// A condition that only a bug can break. Checked in every build.
#define BF_CHECK(cond) ((cond) ? void() : ::bitfoundry::CheckFailed(__FILE__, __LINE__, #cond))

namespace bitfoundry {
[[noreturn]] void CheckFailed(const char* file, int line, const char* cond);
}
