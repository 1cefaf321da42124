#include "packed/format.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "packed/crc32.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/packed/random_network.h"

namespace bitfoundry::packed {
namespace {

using ::bitfoundry::testing::IsOk;
using testing::RandomConv;
using testing::RandomNetwork;

std::vector<uint8_t> Bytes(const Network& network) {
  auto bytes = Serialize(network);
  EXPECT_THAT(bytes, IsOk());
  return *std::move(bytes);
}

void PutU32(std::vector<uint8_t>& bytes, size_t at, uint32_t value) {
  for (size_t i = 0; i < 4; ++i) bytes[at + i] = static_cast<uint8_t>(value >> (8 * i));
}

uint32_t U32(const std::vector<uint8_t>& bytes, size_t at) {
  return bytes[at] | uint32_t{bytes[at + 1]} << 8 | uint32_t{bytes[at + 2]} << 16 |
         uint32_t{bytes[at + 3]} << 24;
}

// Makes the length and every CRC-32 right again after a change.
void Seal(std::vector<uint8_t>& bytes) {
  PutU32(bytes, 8, static_cast<uint32_t>(bytes.size()));
  PutU32(bytes, 12, Crc32(std::span(bytes).first(12)));
  for (size_t at = 16; at + 16 <= bytes.size();) {
    const uint32_t length = U32(bytes, at + 4);
    if (length > bytes.size() - at - 16) return;
    const uint32_t head = Crc32(std::span(bytes).subspan(at, 8));
    PutU32(bytes, at + 8, Crc32(std::span(bytes).subspan(at + 16, length), head));
    at += 16 + (length + 15) / 16 * 16;
  }
}

std::string Reason(const std::vector<uint8_t>& bytes) { return Parse(bytes).status().reason(); }

TEST(FormatTest, WhatIsWrittenIsReadBack) {
  for (const uint32_t seed : {0U, 1U, 2U}) {
    const Network network = RandomNetwork(seed == 1 ? 3 : 1, seed);
    const auto parsed = Parse(Bytes(network));
    ASSERT_THAT(parsed, IsOk());
    EXPECT_EQ(*parsed, network);
  }
}

// Written down by hand from docs/artefact_format.md, so that the format cannot drift unnoticed.
TEST(FormatTest, BeginsAsDocumented) {
  const auto bytes = Bytes(RandomNetwork(1, 0));
  const std::vector<uint8_t> header = {'B', 'F', 'N', 'N', 1, 0, 0, 0};
  EXPECT_TRUE(std::equal(header.begin(), header.end(), bytes.begin()));
  EXPECT_EQ(U32(bytes, 8), bytes.size());
  EXPECT_EQ(U32(bytes, 16), 1U);   // input section
  EXPECT_EQ(U32(bytes, 20), 32U);  // its length
  EXPECT_EQ(U32(bytes, 32), 23U);  // height, width, channels, mean, operations
  EXPECT_EQ(U32(bytes, 36), 18U);
  EXPECT_EQ(U32(bytes, 40), 1U);
  EXPECT_EQ(U32(bytes, 44), 120U);
  EXPECT_EQ(U32(bytes, 48), 7U);
  EXPECT_EQ(U32(bytes, 64), 16U);  // stem section
  EXPECT_EQ(U32(bytes, 80), 32U);  // channels
  EXPECT_EQ(bytes.size() % 16, 0U);
}

TEST(FormatTest, RefusesEveryTruncation) {
  const auto bytes = Bytes(RandomNetwork(1, 0));
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_EQ(Parse(std::span(bytes).first(n)).status().reason(), "TRUNCATED") << n;
  }
}

TEST(FormatTest, RefusesATruncationThatIsSealedAgain) {
  const auto whole = Bytes(RandomNetwork(1, 0));
  for (size_t n = 16; n < whole.size(); ++n) {
    std::vector<uint8_t> bytes(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(n));
    Seal(bytes);
    EXPECT_NE(Reason(bytes), "OK") << n;
  }
}

TEST(FormatTest, NoticesAnyByteThatChanges) {
  auto bytes = Bytes(RandomNetwork(1, 0));
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] ^= 0x10;
    EXPECT_FALSE(Parse(bytes).ok()) << "byte " << i;
    bytes[i] ^= 0x10;
  }
  EXPECT_THAT(Parse(bytes), IsOk());
}

TEST(FormatTest, SurvivesAnySealedWordThatLies) {
  const auto good = Bytes(RandomNetwork(1, 0));
  for (size_t at = 16; at + 4 <= good.size(); at += 4) {
    for (const uint32_t lie : {0U, 1U, 33U, 0x7FFFFFFFU, 0x80000000U, 0xFFFFFFFFU}) {
      auto bytes = good;
      PutU32(bytes, at, lie);
      Seal(bytes);
      const auto parsed = Parse(bytes);  // weights and thresholds may be anything
      EXPECT_TRUE(!parsed.ok() || Describe(*parsed).ok());
    }
  }
}

TEST(FormatTest, SkipsSectionsItDoesNotKnow) {
  const Network network = RandomNetwork(1, 0);
  auto bytes = Bytes(network);
  std::vector<uint8_t> section(32);
  PutU32(section, 0, 1000);
  PutU32(section, 4, 5);
  bytes.insert(bytes.end(), section.begin(), section.end());
  Seal(bytes);
  const auto parsed = Parse(bytes);
  ASSERT_THAT(parsed, IsOk());
  EXPECT_EQ(*parsed, network);
}

TEST(FormatTest, AnOperationItDoesNotKnowIsNotSkippedSilently) {
  auto bytes = Bytes(RandomNetwork(1, 0));
  PutU32(bytes, 64, 99);  // the stem's type
  Seal(bytes);
  EXPECT_EQ(Reason(bytes), "BAD_SECTION");
}

TEST(FormatTest, TakesALaterMinorVersionButNoOtherMajorOne) {
  auto bytes = Bytes(RandomNetwork(1, 0));
  bytes[6] = 9;
  Seal(bytes);
  EXPECT_THAT(Parse(bytes), IsOk());
  bytes[4] = 2;
  Seal(bytes);
  EXPECT_EQ(Reason(bytes), "UNKNOWN_VERSION");
}

TEST(FormatTest, NamesWhatIsWrong) {
  const auto good = Bytes(RandomNetwork(1, 0));
  const auto with = [&](size_t at, uint32_t value) {
    auto bytes = good;
    PutU32(bytes, at, value);
    Seal(bytes);
    return Reason(bytes);
  };
  EXPECT_EQ(with(0, 0), "BAD_MAGIC");
  EXPECT_EQ(with(20, 0xFFFFFFF0), "TRUNCATED");
  EXPECT_EQ(with(28, 1), "BAD_PADDING");
  EXPECT_EQ(with(32, 0), "BAD_SHAPE");
  EXPECT_EQ(with(32, 1 << 20), "BAD_SHAPE");
  EXPECT_EQ(with(44, 256), "BAD_SHAPE");
  EXPECT_EQ(with(48, 8), "BAD_SECTION");
  EXPECT_EQ(with(84, 4), "BAD_SHAPE");  // the stem's kernel
  EXPECT_EQ(with(84, 5), "BAD_SIZE");
  EXPECT_EQ(Reason(std::vector<uint8_t>(kMaxModelBytes + 1)), "TOO_LARGE");
}

TEST(DescribeTest, RefusesNetworksThatAreNotSound) {
  const auto reason = [](auto change) {
    Network network = RandomNetwork(1, 0);
    change(network);
    const std::string from_describe = Describe(network).status().reason();
    EXPECT_EQ(Serialize(network).status().reason(), from_describe);
    return from_describe;
  };
  std::mt19937 random(/*seed=*/5);
  EXPECT_EQ(reason([](Network& n) { n.ops.pop_back(); }), "BAD_ORDER");
  EXPECT_EQ(reason([](Network& n) { n.ops.erase(n.ops.begin()); }), "BAD_ORDER");
  EXPECT_EQ(reason([](Network& n) { n.input.channels = 2; }), "BAD_SHAPE");
  EXPECT_EQ(reason([](Network& n) { std::get<Stem>(n.ops[0]).weights.pop_back(); }), "BAD_SIZE");
  EXPECT_EQ(reason([](Network& n) { std::get<BinaryConv>(n.ops[1]).channels = 33; }), "BAD_SHAPE");
  EXPECT_EQ(reason([](Network& n) { std::get<Dense>(n.ops[6]).biases[0] = INT32_MAX; }),
            "OVERFLOW");
  EXPECT_EQ(reason([](Network& n) { std::get<Dense>(n.ops[6]).biases[0] = INT32_MIN; }),
            "OVERFLOW");
  EXPECT_EQ(reason([](Network& n) { n.ops.insert(n.ops.begin() + 1, 300, MaxPool{}); }),
            "TOO_MANY_OPS");
  EXPECT_EQ(reason([&](Network& n) {
              n.input = {1024, 1024, 1};
              std::get<Stem>(n.ops[0]).stride = 1;
              n.ops[1] = RandomConv(32, 2048, 3, 1, random);
            }),
            "TOO_MUCH_WORK");
}

TEST(DescribeTest, CountsWhatALayerCosts) {
  const auto layers = Describe(RandomNetwork(1, 0));
  ASSERT_THAT(layers, IsOk());
  const Layer& conv = (*layers)[1];
  EXPECT_EQ(conv.name, "conv1");
  EXPECT_EQ(conv.out, (Shape{23, 18, 96}));
  EXPECT_EQ(conv.macs_1bit, 23U * 18 * 96 * 9 * 32);
  EXPECT_EQ(conv.flash_bytes, 96U * (9 * 32 / 8 + 4));
  EXPECT_EQ(conv.out_bytes, 23U * 18 * 96 / 8);
  const Cost cost = Sum(*layers);
  EXPECT_EQ(cost.arena_bytes, 23U * 18 * (96 + 32) / 8);
  EXPECT_EQ(cost.macs_8bit, 23U * 18 * 32 * 9 + 3 * 32);
}

}  // namespace
}  // namespace bitfoundry::packed
