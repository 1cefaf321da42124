// Wakes workers when there is work. A convenience, never a promise: a ring that is lost costs a
// worker one poll interval, because the job itself is in Postgres.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "base/status.h"

namespace bitfoundry::jobs {

// Where Redis listens: a Unix socket, if there is a path, or else a host.
struct RedisAddress {
  std::string path = {};
  std::string host = {};
  int port = 6379;
  std::string user = {};
  std::string password = {};  // empty: none is asked for
  int database = 0;
};

// Reads "redis://[[user]:password@]host[:port][/database]", "host:port", or the path of a Unix
// socket, which begins with a slash. Nothing is connected to.
//
// Errors: kInvalidArgument, REDIS_URL; the message has no password in it.
Result<RedisAddress> ParseRedisUrl(const std::string& url);

// Over the Redis lists "bell:<kind>", of at most 64 rings each. With Redis down a ring is lost and
// Wait sleeps; each tries to connect anew. Thread-safe.
class Doorbell {
 public:
  // `on_change` is told whether Redis answers, at first and whenever that changes; so is the log.
  explicit Doorbell(
      const RedisAddress& address, std::function<void(bool)> on_change = [](bool) {});
  ~Doorbell();

  // Wakes one worker of `kind`. Call after the transaction that enqueued has committed. Returns at
  // once, whatever Redis does: a thread rings, over a connection of its own.
  void Ring(const std::string& kind);

  // Returns on a ring, after `at_most`, or within a second of `stop`. One waiter at a time.
  void Wait(const std::string& kind, std::chrono::seconds at_most, const std::stop_token& stop);

 private:
  class Presence;
  class Line;  // one connection
  class Ringer;
  std::unique_ptr<Presence> presence_;
  std::unique_ptr<Line> waiting_;
  std::unique_ptr<Ringer> ringer_;
};

}  // namespace bitfoundry::jobs
