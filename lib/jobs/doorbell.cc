#include "jobs/doorbell.h"

#include <hiredis/hiredis.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <map>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "base/log.h"

namespace bitfoundry::jobs {
namespace {

constexpr timeval kPatience{.tv_sec = 1, .tv_usec = 0};
// Longer than the one second that a blocking pop takes, so that only a dead Redis runs into it.
constexpr timeval kAnswerWithin{.tv_sec = 3, .tv_usec = 0};

redisContext* Connect(const RedisAddress& address) {
  if (!address.path.empty()) return redisConnectUnixWithTimeout(address.path.c_str(), kPatience);
  return redisConnectWithTimeout(address.host.c_str(), address.port, kPatience);
}

std::string Name(const RedisAddress& address) {
  return address.path.empty() ? address.host + ":" + std::to_string(address.port) : address.path;
}

Status BadUrl(const std::string& what) {
  return {Code::kInvalidArgument, "REDIS_URL",
          what +
              "; expected redis://[[user]:password@]host[:port][/database], host:port, or the"
              " path of a Unix socket"};
}

Result<int> Number(const std::string& text, int most, const std::string& what) {
  int value = -1;
  const char* end = text.data() + text.size();
  const auto [at, error] = std::from_chars(text.data(), end, value);
  if (error == std::errc() && at == end && value >= 0 && value <= most) return value;
  return BadUrl("not a " + what + ": '" + text + "'");
}

void Sleep(std::chrono::milliseconds time, const std::stop_token& stop) {
  std::mutex mutex;
  std::unique_lock lock(mutex);
  std::condition_variable_any().wait_for(lock, stop, time, [] { return false; });
}

}  // namespace

Result<RedisAddress> ParseRedisUrl(const std::string& url) {
  RedisAddress address;
  if (url.rfind('/', 0) == 0) {
    address.path = url;
    return address;
  }
  std::string rest = url;
  if (const size_t scheme = rest.find("://"); scheme != std::string::npos) {
    if (rest.substr(0, scheme) != "redis") return BadUrl("only redis:// is spoken, without TLS");
    rest.erase(0, scheme + 3);
  }
  if (const size_t at = rest.rfind('@'); at != std::string::npos) {
    const size_t colon = rest.find(':');
    if (colon >= at) return BadUrl("a user without a password");
    address.user = rest.substr(0, colon);
    address.password = rest.substr(colon + 1, at - colon - 1);
    rest.erase(0, at + 1);
  }
  if (const size_t slash = rest.find('/'); slash != std::string::npos) {
    const std::string database = rest.substr(slash + 1);
    if (!database.empty()) {
      address.database = BF_TRY(Number(database, 1'000'000, "number of a database"));
    }
    rest.erase(slash);
  }
  const size_t bracket = rest.rfind(']');  // [::1]:6379
  const size_t colon = rest.find(':', bracket == std::string::npos ? 0 : bracket);
  if (colon != std::string::npos) {
    address.port = BF_TRY(Number(rest.substr(colon + 1), 65535, "port"));
    rest.erase(colon);
  }
  if (bracket != std::string::npos) rest = rest.substr(1, bracket - 1);
  if (rest.empty()) return BadUrl("no host");
  address.host = rest;
  return address;
}

// Whether Redis answers, by the last that was heard on either line.
class Doorbell::Presence {
 public:
  Presence(std::string name, std::function<void(bool)> on_change)
      : name_(std::move(name)), on_change_(std::move(on_change)) {}

  void Tell(bool answers, const std::string& why) {
    const std::scoped_lock lock(mutex_);
    if (answers_ == answers) return;
    if (!answers) {
      Log(Level::kWarning, "Redis does not answer: work is found by polling, a few seconds later",
          {{"redis", name_}, {"cause", why}});
    } else if (answers_.has_value()) {
      Log(Level::kInfo, "Redis answers again", {{"redis", name_}});
    }
    answers_ = answers;
    on_change_(answers);
  }

 private:
  const std::string name_;
  const std::function<void(bool)> on_change_;
  std::mutex mutex_;
  std::optional<bool> answers_;  // guarded by mutex_
};

class Doorbell::Line {
 public:
  Line(RedisAddress address, Presence& presence)
      : address_(std::move(address)), presence_(presence) {}
  ~Line() { Drop(); }

  enum class Answer { kNone, kNil, kValue };  // kNone: Redis did not answer, or refused

  Answer Ask(const char* format, const std::string& kind) {
    const std::scoped_lock lock(mutex_);
    if (redis_ == nullptr && !Open()) return Answer::kNone;
    return Say(format, kind.c_str());
  }

 private:
  template <typename... Words>
  Answer Say(const char* format, const Words... words) {
    auto* reply = static_cast<redisReply*>(redisCommand(redis_, format, words...));
    if (reply == nullptr || reply->type == REDIS_REPLY_ERROR) {
      presence_.Tell(false, reply == nullptr ? redis_->errstr : reply->str);
      if (reply != nullptr) freeReplyObject(reply);
      Drop();
      return Answer::kNone;
    }
    const Answer answer = reply->type == REDIS_REPLY_NIL ? Answer::kNil : Answer::kValue;
    freeReplyObject(reply);
    presence_.Tell(true, "");
    return answer;
  }

  bool Open() {
    redis_ = Connect(address_);
    if (redis_ == nullptr || redis_->err != 0) {
      presence_.Tell(false, redis_ == nullptr ? "out of memory" : redis_->errstr);
      Drop();
      return false;
    }
    redisSetTimeout(redis_, kAnswerWithin);
    const char* const password = address_.password.c_str();
    if (!address_.password.empty() &&
        (address_.user.empty()
             ? Say("AUTH %s", password)
             : Say("AUTH %s %s", address_.user.c_str(), password)) == Answer::kNone) {
      return false;
    }
    return address_.database == 0 || Say("SELECT %d", address_.database) != Answer::kNone;
  }

  void Drop() {
    if (redis_ != nullptr) redisFree(redis_);
    redis_ = nullptr;
  }

  const RedisAddress address_;
  Presence& presence_;
  std::mutex mutex_;
  redisContext* redis_ = nullptr;  // guarded by mutex_
};

// Carries the rings to Redis, so that nobody who rings waits for it. When it ends, what is due is
// still rung, as long as Redis answers.
class Doorbell::Ringer {
 public:
  Ringer(const RedisAddress& address, Presence& presence)
      : line_(address, presence), thread_([this](const std::stop_token& stop) { Work(stop); }) {}

  void Ring(const std::string& kind) {
    const std::scoped_lock lock(mutex_);
    int& due = due_[kind];
    due = std::min(due + 1, kMostRings);
    changed_.notify_one();
  }

 private:
  static constexpr int kMostRings = 64;

  void Work(const std::stop_token& stop) {
    line_.Ask("ECHO %s", "ding");  // so that a Redis that is not there is told of at once
    std::unique_lock lock(mutex_);
    while (changed_.wait(lock, stop, [this] { return !due_.empty(); })) {
      const auto due = std::exchange(due_, {});
      lock.unlock();
      for (const auto& [kind, rings] : due) {
        if (!Carry(kind, rings)) break;
      }
      lock.lock();
    }
  }

  bool Carry(const std::string& kind, int rings) {
    for (; rings > 0; --rings) {
      if (line_.Ask("LPUSH bell:%s 1", kind) == Line::Answer::kNone) return false;
    }
    return line_.Ask("LTRIM bell:%s 0 63", kind) != Line::Answer::kNone;
  }

  Line line_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::map<std::string, int> due_;  // guarded by mutex_: kind -> rings
  std::jthread thread_;             // last: it uses the others
};

Doorbell::Doorbell(const RedisAddress& address, std::function<void(bool)> on_change)
    : presence_(std::make_unique<Presence>(Name(address), std::move(on_change))),
      waiting_(std::make_unique<Line>(address, *presence_)),
      ringer_(std::make_unique<Ringer>(address, *presence_)) {}

Doorbell::~Doorbell() = default;

void Doorbell::Ring(const std::string& kind) { ringer_->Ring(kind); }

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
