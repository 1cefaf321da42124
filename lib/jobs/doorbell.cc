#include "jobs/doorbell.h"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <condition_variable>
#include <cstdlib>

namespace bitfoundry::jobs {
namespace {

constexpr timeval kPatience{.tv_sec = 1, .tv_usec = 0};
// Longer than the one second that a blocking pop takes, so that only a dead Redis runs into it.
constexpr timeval kAnswerWithin{.tv_sec = 3, .tv_usec = 0};

redisContext* Connect(const std::string& address) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return redisConnectUnixWithTimeout(address.c_str(), kPatience);
  return redisConnectWithTimeout(address.substr(0, colon).c_str(),
                                 std::atoi(address.c_str() + colon + 1), kPatience);
}

void Sleep(std::chrono::milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any().wait_for(lock, stop, time, [] { return false; });
}

}  // namespace

class Doorbell::Line {
 public:
  explicit Line(std::string address) : address_(std::move(address)) {}
  ~Line() { Drop(); }

  enum class Answer { kNone, kNil, kValue };  // kNone: Redis did not answer

  Answer Ask(const char* format, const std::string& kind) {
    const std::scoped_lock lock(mutex_);
    if (redis_ == nullptr && !Open()) return Answer::kNone;
    auto* reply = static_cast<redisReply*>(redisCommand(redis_, format, kind.c_str()));
    if (reply == nullptr) {
      Drop();
      return Answer::kNone;
    }
    const Answer answer = reply->type == REDIS_REPLY_NIL ? Answer::kNil : Answer::kValue;
    freeReplyObject(reply);
    return answer;
  }

 private:
  bool Open() {
    redis_ = Connect(address_);
    if (redis_ != nullptr && redis_->err == 0) {
      redisSetTimeout(redis_, kAnswerWithin);
      return true;
    }
    Drop();
    return false;
  }

  void Drop() {
    if (redis_ != nullptr) redisFree(redis_);
    redis_ = nullptr;
  }

  const std::string address_;
  std::mutex mutex_;
  redisContext* redis_ = nullptr;  // guarded by mutex_
};

Doorbell::Doorbell(std::string address) {
  constexpr std::string_view kScheme = "redis://";
  if (address.rfind(kScheme, 0) == 0) address.erase(0, kScheme.size());
  ringing_ = std::make_unique<Line>(address);
  waiting_ = std::make_unique<Line>(address);
}

Doorbell::~Doorbell() = default;

void Doorbell::Ring(const std::string& kind) {
  if (ringing_->Ask("LPUSH bell:%s 1", kind) == Line::Answer::kValue) {
    ringing_->Ask("LTRIM bell:%s 0 63", kind);
  }
}

void Doorbell::Wait(const std::string& kind, std::chrono::seconds at_most,
                    const std::stop_token& stop) {
  const auto end = std::chrono::steady_clock::now() + at_most;
  while (!stop.stop_requested() && std::chrono::steady_clock::now() < end) {
    const Line::Answer answer = waiting_->Ask("BRPOP bell:%s 1", kind);
    if (answer == Line::Answer::kValue) return;
    if (answer == Line::Answer::kNone) Sleep(std::chrono::seconds(1), stop);
  }
}

}  // namespace bitfoundry::jobs
