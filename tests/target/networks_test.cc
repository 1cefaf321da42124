// Whole networks as firmware on emulated cores, against the reference interpreter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "emulate/emulate.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/packed/random_network.h"

namespace bitfoundry::emulate {

// So that a failed EXPECT says more than "a struct of 48 bytes".
void PrintTo(const Difference& d, std::ostream* out) {
  *out << "network " << d.network << ", image " << d.image << ": " << d.where;
}

namespace {

using ::testing::IsEmpty;
using testing::IsOk;

class OnEveryCore : public ::testing::TestWithParam<Core> {};
INSTANTIATE_TEST_SUITE_P(Cores, OnEveryCore, ::testing::ValuesIn(kCores),
                         [](const auto& core) { return std::string(Name(core.param)); });

// Chains and skips: every operation, kernel, stride and word that is not full.
std::vector<Case> RandomCases() {
  std::vector<Case> cases;
  for (uint32_t seed = 0; seed < 6; ++seed) {
    for (const packed::Network& network :
         {packed::testing::RandomNetwork(seed % 2 == 0 ? 1 : 3, seed),
          packed::testing::RandomSkipNetwork(seed)}) {
      cases.push_back({network, *RandomGolden(network, 2, seed)});
    }
  }
  return cases;
}

TEST_P(OnEveryCore, NetworksGiveTheReferencesBits) {
  const auto prepared = Prepare(GetParam(), RandomCases());
  ASSERT_THAT(prepared, IsOk());
  const auto report = emulate::Run(*prepared);
  ASSERT_THAT(report, IsOk());
  EXPECT_THAT(Compare(*prepared, *report), IsEmpty());
}

}  // namespace
}  // namespace bitfoundry::emulate
