#include "jobs/doorbell.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace bitfoundry::jobs {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

RedisAddress Address() {
  const char* path = std::getenv("BF_TEST_REDIS");
  return {.path = path != nullptr ? path : "unset: run under scripts/with_backends"};
}

TEST(Doorbell, AWaitAfterARingReturnsLongBeforeItsTime) {
  Doorbell bell(Address());
  bell.Ring("train");
  const auto start = steady_clock::now();
  bell.Wait("train", seconds(60), {});
  EXPECT_LT(steady_clock::now() - start, seconds(30));
}

TEST(Doorbell, ARingOfOneKindDoesNotWakeAnother) {
  Doorbell bell(Address());
  bell.Ring("label");
  const auto start = steady_clock::now();
  bell.Wait("other", seconds(1), {});
  EXPECT_GE(steady_clock::now() - start, seconds(1));
}

TEST(Doorbell, WithoutRedisARingSaysSoOnceAndAWaitStillEnds) {
  std::vector<bool> told;
  Doorbell bell({.path = "/nowhere"}, [&](bool answers) { told.push_back(answers); });
  bell.Ring("train");
  const auto start = steady_clock::now();
  bell.Wait("train", seconds(1), {});
  EXPECT_GE(steady_clock::now() - start, seconds(1));
  EXPECT_EQ(told, std::vector<bool>{false});
}

TEST(Doorbell, ARedisThatRefusesIsNoneAndAWaitDoesNotSpin) {
  RedisAddress wrong = Address();
  wrong.password = "there is none";
  std::vector<bool> told;
  Doorbell bell(wrong, [&](bool answers) { told.push_back(answers); });
  const auto start = steady_clock::now();
  bell.Wait("train", seconds(1), {});
  EXPECT_GE(steady_clock::now() - start, seconds(1));
  EXPECT_EQ(told, std::vector<bool>{false});
}

TEST(Doorbell, ARedisThatHangsHoldsUpNobodyWhoRings) {
  const int silent = socket(AF_INET, SOCK_STREAM, 0);  // takes connections, and never answers
  sockaddr_in address{.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(silent, reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(silent, 8), 0);
  ASSERT_EQ(getsockname(silent, reinterpret_cast<sockaddr*>(&address), &size), 0);
  {
    Doorbell bell({.host = "127.0.0.1", .port = ntohs(address.sin_port)});
    const auto start = steady_clock::now();
    for (int i = 0; i < 100; ++i) bell.Ring("kind " + std::to_string(i));  // 3 s each, if it waited
    EXPECT_LT(steady_clock::now() - start, seconds(100));
  }
  close(silent);
}

TEST(Doorbell, DatabasesHaveBellsOfTheirOwn) {
  RedisAddress other = Address();
  other.database = 1;
  std::vector<bool> told;
  Doorbell bell(other, [&](bool answers) { told.push_back(answers); });
  Doorbell(Address()).Ring("database");
  const auto start = steady_clock::now();
  bell.Wait("database", seconds(1), {});
  EXPECT_GE(steady_clock::now() - start, seconds(1));
  EXPECT_EQ(told, std::vector<bool>{true});
}

TEST(Doorbell, AStopEndsTheWait) {
  Doorbell bell(Address());
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  const auto start = steady_clock::now();
  bell.Wait("nobody_rings", seconds(60), stop.get_token());
  EXPECT_LT(steady_clock::now() - start, seconds(30));
}

TEST(RedisUrl, IsReadInEveryUsualForm) {
  const auto text = [](const std::string& url) {
    const auto a = ParseRedisUrl(url);
    return a.ok() ? a->path + a->host + " " + std::to_string(a->port) + " " + a->user + " " +
                        a->password + " " + std::to_string(a->database)
                  : a.status().reason();
  };
  EXPECT_EQ(text("/run/redis.sock"), "/run/redis.sock 6379   0");
  EXPECT_EQ(text("redis://cache"), "cache 6379   0");
  EXPECT_EQ(text("cache:7000"), "cache 7000   0");
  EXPECT_EQ(text("redis://:se:cret@cache:7000/3"), "cache 7000  se:cret 3");
  EXPECT_EQ(text("redis://me:secret@[::1]:7000/"), "::1 7000 me secret 0");
  for (const char* wrong : {"", "redis://", "redis://cache:port", "redis://cache:70000",
                            "redis://cache/one", "redis://me@cache", "rediss://cache"}) {
    EXPECT_EQ(text(wrong), "REDIS_URL") << wrong;
  }
}

}  // namespace
}  // namespace bitfoundry::jobs
