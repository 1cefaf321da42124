// Wakes workers when there is work. A convenience, never a promise: a ring that is lost costs a
// worker one poll interval, because the job itself is in Postgres.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

struct redisContext;

namespace bitfoundry::jobs {

// Over the Redis lists "bell:<kind>", of at most 64 rings each. With Redis down, Ring does nothing
// and Wait sleeps; both try to reconnect on each call, for at most a second. Thread-safe; waiting
// and ringing use two connections, so a ring never waits for a waiter.
class Doorbell {
 public:
  // address: "host:port", "redis://host:port", or the path of a Unix socket.
  explicit Doorbell(std::string address);
  ~Doorbell();

  // Wakes one worker of `kind`. Call after the transaction that enqueued has committed.
  void Ring(const std::string& kind);

  // Returns on a ring, after `at_most`, or within a second of `stop`. One waiter at a time.
  void Wait(const std::string& kind, std::chrono::seconds at_most, const std::stop_token& stop);

 private:
  class Line;  // one connection
  std::unique_ptr<Line> ringing_;
  std::unique_ptr<Line> waiting_;
};

}  // namespace bitfoundry::jobs
