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
using testing::RandomSkipNetwork;

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
  for (const Network& network : {RandomNetwork(1, 0), RandomNetwork(3, 1), RandomSkipNetwork(0),
                                 RandomSkipNetwork(1), RandomSkipNetwork(2)}) {
    const auto parsed = Parse(Bytes(network));
    ASSERT_THAT(parsed, IsOk());
    EXPECT_EQ(*parsed, network);
  }
}

// Written down by hand from docs/artefact_format.md, so that the format cannot drift unnoticed.
TEST(FormatTest, BeginsAsDocumented) {
  const auto bytes = Bytes(RandomNetwork(1, 0));
  const std::vector<uint8_t> header = {'B', 'F', 'N', 'N', 2, 0, 0, 0};
  EXPECT_TRUE(std::equal(header.begin(), header.end(), bytes.begin()));
  EXPECT_EQ(U32(bytes, 8), bytes.size());
  EXPECT_EQ(U32(bytes, 16), 1U);   // input section
  EXPECT_EQ(U32(bytes, 20), 32U);  // its length
  EXPECT_EQ(U32(bytes, 32), 23U);  // height, width, channels, operations, means
  EXPECT_EQ(U32(bytes, 36), 18U);
  EXPECT_EQ(U32(bytes, 40), 1U);
  EXPECT_EQ(U32(bytes, 44), 7U);
  EXPECT_EQ(U32(bytes, 48), 120U);
  EXPECT_EQ(U32(bytes, 64), 16U);  // stem section
  EXPECT_EQ(U32(bytes, 68), 32U + 32 * 4 + 32 * 9);
  EXPECT_EQ(U32(bytes, 80), 0U);   // the tensor it takes
  EXPECT_EQ(U32(bytes, 84), 32U);  // channels
  EXPECT_EQ(U32(bytes, 88), 3U);   // kernel
  EXPECT_EQ(U32(bytes, 92), 1U);   // stride
  EXPECT_EQ(U32(bytes, 96), 0U);   // shift, gives integers, relu, add
  EXPECT_EQ(bytes.size() % 16, 0U);
}

TEST(FormatTest, RefusesEveryTruncation) {
  const auto bytes = Bytes(RandomNetwork(1, 0));
  for (size_t n = 0; n < bytes.size(); ++n) {
    EXPECT_EQ(Parse(std::span(bytes).first(n)).status().reason(), "TRUNCATED") << n;
  }
}

TEST(FormatTest, RefusesWhatGoesOnAfterItsEnd) {
  auto bytes = Bytes(RandomNetwork(1, 0));
  for (int i = 0; i < 32; ++i) {
    bytes.push_back(0);
    EXPECT_EQ(Parse(bytes).status().reason(), "TOO_LONG");
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
  const auto good = Bytes(RandomSkipNetwork(1));
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
  bytes[4] = 1;
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
  EXPECT_EQ(with(44, 8), "BAD_SECTION");  // operations
  EXPECT_EQ(with(48, 256), "BAD_SHAPE");  // mean
  EXPECT_EQ(with(52, 1), "BAD_SHAPE");    // mean of a channel that is not there
  EXPECT_EQ(with(60, 1), "BAD_SECTION");
  EXPECT_EQ(with(80, 1), "BAD_REFERENCE");  // the stem takes what it gives
  EXPECT_EQ(with(84, 0x80000000), "BAD_SHAPE");
  EXPECT_EQ(with(88, 4), "BAD_SHAPE");  // kernel
  EXPECT_EQ(with(88, 5), "BAD_SIZE");
  EXPECT_EQ(with(92, 0), "BAD_SHAPE");  // stride
  EXPECT_EQ(with(92, 1025), "BAD_SHAPE");
  EXPECT_EQ(with(96, 1), "BAD_SECTION");   // a shift where bits come out
  EXPECT_EQ(with(100, 2), "BAD_SECTION");  // integers: neither yes nor no
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
  EXPECT_EQ(reason([](Network& n) { n.ops.clear(); }), "BAD_ORDER");
  EXPECT_EQ(reason([](Network& n) { n.ops[1].input = 0; }), "BAD_ORDER");
  EXPECT_EQ(reason([](Network& n) { n.ops[3].input = 2; }), "BAD_ORDER");  // 3 is never used
  EXPECT_EQ(reason([](Network& n) { n.ops[1].input = 2; }), "BAD_REFERENCE");
  EXPECT_EQ(reason([](Network& n) { n.ops[1].input = UINT32_MAX; }), "BAD_REFERENCE");
  EXPECT_EQ(reason([](Network& n) { n.input.channels = 2; }), "BAD_SHAPE");
  EXPECT_EQ(reason([](Network& n) { std::get<MaxPool>(n.ops[2].kind).kernel = 9; }), "BAD_SHAPE");
  EXPECT_EQ(reason([](Network& n) { std::get<Stem>(n.ops[0].kind).weights.pop_back(); }),
            "BAD_SIZE");
  EXPECT_EQ(reason([](Network& n) { std::get<BinaryConv>(n.ops[1].kind).channels = 91; }),
            "BAD_SIZE");
  EXPECT_EQ(reason([](Network& n) { std::get<BinaryConv>(n.ops[1].kind).channels = 9000; }),
            "BAD_SHAPE");
  EXPECT_EQ(reason([](Network& n) {
              std::get<BinaryConv>(n.ops[3].kind).weights[2] |= uint32_t{1} << 26;  // channel 90
            }),
            "BAD_PADDING");
  EXPECT_EQ(reason([](Network& n) { std::get<Dense>(n.ops[6].kind).biases[0] = INT32_MAX; }),
            "OVERFLOW");
  EXPECT_EQ(reason([](Network& n) { std::get<Dense>(n.ops[6].kind).biases[0] = INT32_MIN; }),
            "OVERFLOW");
  EXPECT_EQ(reason([](Network& n) {
              n.ops.insert(n.ops.begin() + 1, 300, {1, MaxPool{}});
            }),
            "TOO_MANY_OPS");
  EXPECT_EQ(reason([&](Network& n) {
              n.input = {1024, 1024, 1};
              std::get<Stem>(n.ops[0].kind).stride = 1;
              n.ops[1].kind = RandomConv(32, 2048, 3, 1, random);
            }),
            "TOO_MUCH_WORK");
}

TEST(DescribeTest, RefusesSkipsThatDoNotFitAndSumsThatCouldOverflow) {
  const auto reason = [](auto change) {
    Network network = RandomSkipNetwork(0);
    change(std::get<ToInts>(std::get<BinaryConv>(network.ops[2].kind).output), network);
    return Describe(network).status().reason();
  };
  EXPECT_EQ(reason([](ToInts&, Network&) {}), "OK");
  EXPECT_EQ(reason([](ToInts& o, Network&) { o.add = 3; }), "BAD_REFERENCE");  // itself: a cycle
  EXPECT_EQ(reason([](ToInts& o, Network&) { o.add = 2; }), "BAD_ORDER");      // bits
  EXPECT_EQ(reason([](ToInts& o, Network&) { o.shift = 25; }), "BAD_SHAPE");
  EXPECT_EQ(reason([](ToInts& o, Network&) { o.biases.pop_back(); }), "BAD_SIZE");
  EXPECT_EQ(reason([](ToInts&, Network& n) { n.input.height = 20; }), "OK");
  EXPECT_EQ(reason([](ToInts&, Network& n) { n.input.height = 19; }), "BAD_SHAPE");  // 10 and 9
  // 144 times a scale, in 32 bits; a quotient in 16 bits; the same with the skip on top of it.
  EXPECT_EQ(reason([](ToInts& o, Network&) { o.scales[5] = INT32_MAX / 144 + 1; }), "OVERFLOW");
  EXPECT_EQ(reason([](ToInts& o, Network&) { o.scales[5] = INT32_MIN; }), "OVERFLOW");
  EXPECT_EQ(reason([](ToInts& o, Network&) { o.biases[5] = INT32_MAX; }), "OVERFLOW");
  EXPECT_EQ(reason([](ToInts& o, Network&) {
              o.shift = 0;
              o.scales.assign(o.scales.size(), 0);
              o.biases[5] = INT16_MAX;
            }),
            "OVERFLOW");
}

// The proof is exact where intervals are: the largest value that fits passes, one more does not.
TEST(DescribeTest, LetsTheLargestValueThatFitsPass) {
  const auto reason = [](int32_t scale, int32_t bias) {
    Network n;
    n.input = {1, 1, 1};
    n.Then(Stem{1, 1, 1, {1}, ToInts{{scale}, {bias}, 0, false, 0}});  // v is 0 to 255
    n.Then(GlobalSum{});
    n.Then(Dense{2, {1, 1}, {0, 0}});
    return Describe(n).status().reason();
  };
  EXPECT_EQ(reason(128, INT16_MAX - 255 * 128), "OK");
  EXPECT_EQ(reason(128, INT16_MAX - 255 * 128 + 1), "OVERFLOW");
  EXPECT_EQ(reason(-128, INT16_MIN + 255 * 128), "OK");
  EXPECT_EQ(reason(-128, INT16_MIN + 255 * 128 - 1), "OVERFLOW");
}

TEST(DescribeTest, CountsWhatALayerCosts) {
  const auto layers = Describe(RandomNetwork(1, 0));
  ASSERT_THAT(layers, IsOk());
  const Layer& conv = (*layers)[1];
  EXPECT_EQ(conv.name, "conv1");
  EXPECT_EQ(conv.out, (Shape{23, 18, 90}));
  EXPECT_EQ(conv.macs_1bit, 23U * 18 * 90 * 9 * 32);
  EXPECT_EQ(conv.flash_bytes, 90U * (9 * 32 / 8 + 4));
  EXPECT_EQ(conv.out_bytes, 23U * 18 * 96 / 8);
  EXPECT_EQ(Sum(*layers).macs_8bit, 23U * 18 * 32 * 9 + 3 * 33);
}

}  // namespace
}  // namespace bitfoundry::packed
