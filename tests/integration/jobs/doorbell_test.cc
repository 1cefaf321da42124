#include "jobs/doorbell.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <thread>

namespace bitfoundry::jobs {
namespace {

using std::chrono::seconds;
using std::chrono::steady_clock;

std::string Address() {
  const char* address = std::getenv("BF_TEST_REDIS");
  return address != nullptr ? address : "unset: run under scripts/with_backends";
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

TEST(Doorbell, WithoutRedisARingIsSilentAndAWaitStillEnds) {
  Doorbell bell("/nowhere");
  bell.Ring("train");
  const auto start = steady_clock::now();
  bell.Wait("train", seconds(1), {});
  EXPECT_GE(steady_clock::now() - start, seconds(1));
}

TEST(Doorbell, AStopEndsTheWait) {
  Doorbell bell(Address());
  std::stop_source stop;
  std::jthread stopper([&] { stop.request_stop(); });
  const auto start = steady_clock::now();
  bell.Wait("nobody_rings", seconds(60), stop.get_token());
  EXPECT_LT(steady_clock::now() - start, seconds(30));
}

}  // namespace
}  // namespace bitfoundry::jobs
