#include "packed/crc32.h"

#include <gtest/gtest.h>

#include <string_view>

namespace bitfoundry::packed {
namespace {

std::span<const uint8_t> Bytes(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

TEST(Crc32Test, GivesThePublishedCheckValue) { EXPECT_EQ(Crc32(Bytes("123456789")), 0xCBF43926U); }

TEST(Crc32Test, ContinuesFromWhatCameBefore) {
  EXPECT_EQ(Crc32(Bytes("6789"), Crc32(Bytes("12345"))), 0xCBF43926U);
}

TEST(Crc32Test, OfNothingIsZero) { EXPECT_EQ(Crc32({}), 0U); }

}  // namespace
}  // namespace bitfoundry::packed
