// Errors put into firmware on purpose: each has to be noticed, by name, or the comparison of the
// other tests is worth nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "emulate/emulate.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/packed/random_network.h"

namespace bitfoundry::emulate {
namespace {

using packed::Kernel;
using packed::Network;
using ::testing::Each;
using ::testing::Field;
using ::testing::IsEmpty;
using testing::IsOk;
using ::testing::Not;

constexpr uint32_t kSeed = 7;

// A stem and one convolution whose outputs are the counts themselves, or bits about thresholds in
// the middle.
Network StemAndConv(bool ints) {
  std::mt19937 random(kSeed);
  Network n;
  n.input = {9, 8, 1};
  n.mean = {120};
  n.Then(packed::testing::RandomStem(1, 64, 3, 1, random));
  packed::BinaryConv conv = packed::testing::RandomConv(64, 40, 3, 1, random);
  if (ints) conv.output = packed::ToInts{std::vector<int32_t>(40, 1), std::vector<int32_t>(40), 0};
  n.Then(std::move(conv));
  n.Then(packed::GlobalSum{});
  n.Then(packed::testing::RandomDense(40, 2, random));
  return n;
}

Prepared PrepareOne(Core core, Kernel kernel, const Network& network,
                    const std::vector<packed::Golden>& golden) {
  packed::FirmwareOptions options;
  options.kernel = kernel;
  return *Prepare(core, {{network, golden}}, options);
}

Prepared PrepareOne(Core core, Kernel kernel, bool ints) {
  const Network network = StemAndConv(ints);
  return PrepareOne(core, kernel, network, *RandomGolden(network, 2, kSeed));
}

void ExpectNoticed(const Prepared& prepared, const std::string& where) {
  const auto report = emulate::Run(prepared);
  ASSERT_THAT(report, IsOk());
  const auto differences = Compare(prepared, *report);
  EXPECT_THAT(differences, Not(IsEmpty()));
  EXPECT_THAT(differences, Each(Field(&Difference::where, where)));
}

// Puts `error` in the place of `sound` in a source that has it.
void Plant(Prepared& prepared, const std::string& file, const std::string& sound,
           const std::string& error) {
  for (packed::File& source : prepared.program.sources) {
    if (source.name != file) continue;
    const size_t at = source.bytes.find(sound);
    ASSERT_NE(at, std::string::npos) << file << " no longer has: " << sound;
    source.bytes.replace(at, sound.size(), error);
    return;
  }
  FAIL() << "no source " << file;
}

struct Way {
  const char* name;
  Core core;
  Kernel kernel;
};
void PrintTo(const Way& way, std::ostream* out) { *out << way.name; }

class Planted : public ::testing::TestWithParam<Way> {};
INSTANTIATE_TEST_SUITE_P(Kernels, Planted,
                         ::testing::Values(Way{"fast", Core::kM4, Kernel::kFast},
                                           Way{"lean", Core::kM4, Kernel::kLean},
                                           Way{"rows", Core::kM4, Kernel::kRows},
                                           Way{"helium", Core::kM55, Kernel::kRows},
                                           Way{"m0plus_fast", Core::kM0Plus, Kernel::kFast},
                                           Way{"m0plus_lean", Core::kM0Plus, Kernel::kLean},
                                           Way{"m0plus_rows", Core::kM0Plus, Kernel::kRows},
                                           Way{"rv32_fast", Core::kRv32, Kernel::kFast},
                                           Way{"rv32_lean", Core::kRv32, Kernel::kLean},
                                           Way{"rv32_rows", Core::kRv32, Kernel::kRows}),
                         [](const auto& way) { return std::string(way.param.name); });

TEST_P(Planted, NothingIsNoticedWhereNothingIs) {
  for (const bool ints : {true, false}) {
    const Prepared prepared = PrepareOne(GetParam().core, GetParam().kernel, ints);
    const auto report = emulate::Run(prepared);
    ASSERT_THAT(report, IsOk());
    EXPECT_THAT(Compare(prepared, *report), IsEmpty());
  }
}

TEST_P(Planted, ThresholdsThatAreOffByOne) {
  Network network = StemAndConv(false);
  const auto golden = *RandomGolden(network, 2, kSeed);
  auto& conv = std::get<packed::BinaryConv>(network.ops[1].kind);
  for (int32_t& threshold : std::get<packed::ToBits>(conv.output).thresholds) ++threshold;
  ExpectNoticed(PrepareOne(GetParam().core, GetParam().kernel, network, golden), "conv1");
}

TEST_P(Planted, OneWrongBitOfItsTables) {
  Prepared prepared = PrepareOne(GetParam().core, GetParam().kernel, true);
  for (packed::File& source : prepared.program.sources) {
    if (source.name != "model0.c") continue;
    const size_t at = source.bytes.find("0x", source.bytes.find("conv1_weights[]"));
    char& digit = source.bytes[at + 9];  // the last of eight
    digit = digit == '0' ? '1' : '0';
  }
  ExpectNoticed(prepared, "conv1");
}

TEST_P(Planted, AWindowThatLiesOneToTheRight) {
  Prepared prepared = PrepareOne(GetParam().core, GetParam().kernel, true);
  const std::string conv = "{/* conv1 */";
  for (packed::File& source : prepared.program.sources) {
    if (source.name != "model0.c") continue;
    const size_t at = source.bytes.find(".pad = 1", source.bytes.find(conv));
    ASSERT_NE(at, std::string::npos);
    source.bytes.replace(at, 8, ".pad = 0");
  }
  ExpectNoticed(prepared, "conv1");
}

TEST(Kernels, StepsThatAreOneTooShort) {
  const std::tuple<Way, const char*, const char*> plants[] = {
      {{"fast", Core::kM4, Kernel::kFast}, "table += 2048;", "table += 2048 - 64;"},
      {{"lean", Core::kM4, Kernel::kLean}, "pairs += BF_WORD;", "pairs += BF_WORD - 1;"},
      {{"rows", Core::kM4, Kernel::kRows}, "words %= 4;", "words %= 3;"},
      {{"helium", Core::kM55, Kernel::kRows}, "q0, [%[x]], #16", "q0, [%[x]], #12"},
  };
  for (const auto& [way, sound, error] : plants) {
    SCOPED_TRACE(way.name);
    Prepared prepared = PrepareOne(way.core, way.kernel, true);
    Plant(prepared, "bf_binary.c", sound, error);
    ExpectNoticed(prepared, "conv1");
  }
}

TEST(Stem, PixelsOfTheWrongPair) {
  Prepared prepared = PrepareOne(Core::kM4, Kernel::kFast, true);
  Plant(prepared, "bf_stem.c", "ror #8", "ror #16");
  ExpectNoticed(prepared, "stem1");
  Prepared plain = PrepareOne(Core::kM0Plus, Kernel::kFast, true);
  Plant(plain, "bf_stem.c", "(weights >> 8)", "(weights >> 7)");
  ExpectNoticed(plain, "stem1");
}

TEST(Arena, AWriteBeyondItEndsTheRun) {
  Prepared prepared = PrepareOne(Core::kM4, Kernel::kFast, true);
  Plant(prepared, "model0.c", ".scratch = ", ".scratch = 4 + ");
  const auto report = emulate::Run(prepared);
  EXPECT_THAT(report.status().message(), ::testing::HasSubstr("outside its arena"));
}

}  // namespace
}  // namespace bitfoundry::emulate
