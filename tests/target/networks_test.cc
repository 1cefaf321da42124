// Whole networks as firmware on emulated cores, against the reference interpreter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "emulate/emulate.h"
#include "packed/interpreter.h"
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

// As a firmware engineer builds it: every file of the folder, and a main() that asks for the class.
TEST_P(OnEveryCore, TheFolderRunsWithItsExample) {
  const packed::Network network = packed::testing::RandomSkipNetwork(1);
  const packed::Golden golden = RandomGolden(network, 1, 9)->front();
  packed::FirmwareOptions options;
  options.name = "person";
  options.classes = {"a", "b", "c"};
  Program program{.sources = packed::MakeFirmware(network, options)->files};
  std::string pixels;
  for (const uint8_t pixel : golden.image) pixels += std::to_string(pixel) + ",";
  program.sources.push_back({"main.c",
                             "#include \"person.h\"\nuint32_t classify(const uint8_t *);\n"
                             "static const uint8_t image[PERSON_IMAGE_BYTES] = {" +
                                 pixels +
                                 "};\n"
                                 "int main(void) { return classify(image) == " +
                                 std::to_string(packed::Winner(golden.logits)) + " ? 0 : 1; }\n"});
  EXPECT_THAT(BuildAndRun(GetParam(), program, std::chrono::seconds(60)), IsOk());
}

}  // namespace
}  // namespace bitfoundry::emulate
