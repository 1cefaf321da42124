#include "base/digest.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace bitfoundry {
namespace {

// Source: FIPS 180-4, the example vectors.
TEST(Sha256, AgreesWithThePublishedVectors) {
  EXPECT_EQ(Sha256(std::string_view("")),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(Sha256(std::string_view("abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, OfPiecesIsTheDigestOfTheWhole) {
  Sha256Stream stream;
  stream.Add("a");
  stream.Add("");
  stream.Add("bc");
  EXPECT_EQ(stream.Finish(), Sha256(std::string_view("abc")));
}

TEST(DigestOfThisProgram, IsThatOfTheFileItWasStartedFrom) {
  std::ostringstream self;
  self << std::ifstream("/proc/self/exe", std::ios::binary).rdbuf();
  EXPECT_EQ(DigestOfThisProgram(), Sha256(self.str()));
}

TEST(IsDigest, AcceptsOnly64LowercaseHexDigits) {
  EXPECT_TRUE(IsDigest(std::string(64, 'a')));
  EXPECT_FALSE(IsDigest(std::string(63, 'a')));
  EXPECT_FALSE(IsDigest(std::string(64, 'A')));
  EXPECT_FALSE(IsDigest("../" + std::string(61, 'a')));
}

}  // namespace
}  // namespace bitfoundry
