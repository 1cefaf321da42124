// The emulated boards themselves: what they count, and what they refuse.
#include "emulate/machine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace bitfoundry::emulate {
namespace {

using std::chrono_literals::operator""s;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::IsOk;

constexpr auto kLimit = 60s;

Result<Outcome> RunMain(Core core, const std::string& body, const std::string& before = {}) {
  const std::string text = "#include \"markers.h\"\n#include \"semihosting.h\"\n" + before +
                           "\nint main(void) {\n" + body + "\n}\n";
  return BuildAndRun(core, {.sources = {{"main.c", text}}}, kLimit);
}

class OnEveryCore : public ::testing::TestWithParam<Core> {};
INSTANTIATE_TEST_SUITE_P(Cores, OnEveryCore, ::testing::ValuesIn(kCores),
                         [](const auto& core) { return std::string(Name(core.param)); });

// Two instructions a round, and the one that sets the counter.
std::string Loop(Core core, int rounds) {
  const std::string n = std::to_string(rounds);
  if (core == Core::kRv32) {
    return "__asm__ volatile(\"slti x0, x0, 1\\n li t0, " + n +
           "\\n 1: addi t0, t0, -1\\n bnez t0, 1b\\n slti x0, x0, 2\" ::: \"t0\");\n";
  }
  return "__asm__ volatile(\".syntax unified\\n mov r10, r10\\n ldr r0, =" + n +
         "\\n 1: subs r0, #1\\n bne 1b\\n mov r11, r11\\n b 2f\\n .ltorg\\n 2:\" ::: \"r0\", "
         "\"cc\");\n";
}

TEST_P(OnEveryCore, LoopsOfKnownLengthAreCountedExactly) {
  const auto ran =
      RunMain(GetParam(), "START_COUNTING(); STOP_COUNTING();\n" + Loop(GetParam(), 1) +
                              Loop(GetParam(), 1000) + Loop(GetParam(), 2000000) + "return 0;");
  ASSERT_THAT(ran, IsOk());
  // Setting the counter takes RISC-V two instructions where it does not fit into 12 bits.
  const uint64_t set = GetParam() == Core::kRv32 ? 2 : 1;
  EXPECT_THAT(ran->regions, ElementsAre(0, 2 + 1, 2000 + 1, 4000000 + set));
  EXPECT_GT(ran->total, 4002000U);
  EXPECT_LT(ran->total, 4003000U);
}

// A marker at every halfword of more than a page: QEMU's translator stops at page ends.
TEST_P(OnEveryCore, NoMarkerIsLostAtThePagesOfTheTranslator) {
  const std::string nop = GetParam() == Core::kRv32 ? "c.nop" : "nop";
  const auto ran =
      RunMain(GetParam(), "#define PAIR START_COUNTING(); __asm__ volatile(\"" + nop +
                              "\"); STOP_COUNTING(); __asm__ volatile(\"" + nop + "\\n" + nop +
                              "\\n" + nop +
                              "\");\n#define TEN PAIR PAIR PAIR PAIR PAIR PAIR PAIR PAIR PAIR "
                              "PAIR\n#define CENTURY TEN TEN TEN TEN TEN TEN TEN TEN TEN TEN\n"
                              "CENTURY CENTURY CENTURY __asm__ volatile(\"" +
                              nop + "\"); CENTURY CENTURY CENTURY return 0;");
  ASSERT_THAT(ran, IsOk());
  EXPECT_EQ(ran->regions, std::vector<uint64_t>(600, 1));
}

TEST_P(OnEveryCore, ARegionLeftOpenIsAnError) {
  EXPECT_EQ(RunMain(GetParam(), "START_COUNTING(); return 0;").status().reason(), "RUN_FAILED");
  EXPECT_EQ(RunMain(GetParam(), "STOP_COUNTING(); return 0;").status().reason(), "RUN_FAILED");
}

TEST_P(OnEveryCore, AnExitCodeAndAFaultAreErrors) {
  EXPECT_THAT(RunMain(GetParam(), "return 42;").status().message(), HasSubstr("exit code 42"));
  EXPECT_THAT(RunMain(GetParam(), "__builtin_trap();").status().message(), HasSubstr("faulted"));
}

TEST_P(OnEveryCore, AStackThatIsTooDeepFaults) {
  const auto ran = RunMain(GetParam(), "return deep(1000000);",
                           "static int deep(volatile int n) { return n ? deep(n - 1) + n : 0; }");
  EXPECT_EQ(ran.status().reason(), "RUN_FAILED");
}

TEST_P(OnEveryCore, MallocAndInitialisedDataDoNotLink) {
  EXPECT_THAT(RunMain(GetParam(), "return malloc(4) != 0;", "void *malloc(unsigned long);")
                  .status()
                  .message(),
              HasSubstr("undefined reference to `malloc'"));
  const Program state = {
      .sources = {{"bf_x.c", "int bf_x(void); int bf_x(void) { static int n; return n++; }"},
                  {"main.c", "int bf_x(void); int main(void) { return bf_x(); }"}}};
  EXPECT_THAT(BuildAndRun(GetParam(), state, kLimit).status().message(),
              HasSubstr("has data that is written"));
}

// ARMv6-M traps unaligned accesses, ARMv7-M does not unless it is told to.
TEST(M0Plus, RunsOnACortexM3ButFaultsAsARMv6MWhenItIsTooLargeForTheMicrobit) {
  const std::string before =
      "static char memory[SIZE] __attribute__((aligned(4))); static int *volatile at;";
  for (const auto& [size, machine] : {std::pair("100", "microbit"), {"100000", "mps2-an385"}}) {
    const std::string define = std::string("#define SIZE ") + size + "\n" + before;
    const auto aligned = RunMain(Core::kM0Plus, "at = (int *)(void *)memory; return *at;", define);
    ASSERT_THAT(aligned, IsOk());
    EXPECT_EQ(aligned->machine, machine);
    const auto unaligned =
        RunMain(Core::kM0Plus, "at = (int *)(void *)(memory + 1); return *at;", define);
    EXPECT_THAT(unaligned.status().message(), HasSubstr("faulted"));
  }
}

TEST_P(OnEveryCore, WhatFitsNoMachineIsRefusedWithItsSize) {
  const auto ran =
      RunMain(GetParam(), "return large[1234];", "static volatile char large[1 << 23];");
  EXPECT_EQ(ran.status().reason(), "DOES_NOT_FIT");
  EXPECT_THAT(ran.status().message(), HasSubstr("overflowed by"));
}

TEST(Core, HasANameThatIsItsOwn) {
  for (const Core core : kCores) EXPECT_EQ(*ParseCore(Name(core)), core);
  EXPECT_EQ(ParseCore("z80").status().reason(), "UNKNOWN_CORE");
}

}  // namespace
}  // namespace bitfoundry::emulate
