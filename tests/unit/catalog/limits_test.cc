// What text the catalogue takes: limits that are looked at before anything is stored.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "catalog/answers.h"
#include "catalog/samples.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::catalog {
namespace {

using testing::IsOk;

const std::string kEndless(1 << 20, 'a');  // on which a std::regex overflows the stack

TEST(ReadSampleName, ReadsWhatSampleNameWrites) {
  const std::string digest(64, 'a');
  for (const auto& window :
       {std::optional<Window>(), std::optional<Window>(Window{0, 12, 640, 480})}) {
    const auto place = ReadSampleName(SampleName(digest, window));
    ASSERT_THAT(place, IsOk());
    EXPECT_EQ(place->image_digest, digest);
    EXPECT_EQ(place->window, window);
  }
}

TEST(ReadSampleName, RefusesWhatIsNoneHoweverLong) {
  const std::string digest(64, 'a');
  for (const std::string& name :
       {std::string(), digest.substr(1), digest + "@", digest + "@1,2,3", digest + "@1,2,3,-4",
        digest + "@1,2,3,4,5", digest + "@1,2,3,99999999999", std::string(64, 'A'), kEndless}) {
    EXPECT_EQ(ReadSampleName(name).status().reason(), "SAMPLE_NAME") << name.substr(0, 80);
  }
}

TEST(CheckTags, TakesWhatIsWithinItsLimits) {
  EXPECT_THAT(CheckTags({}), IsOk());
  EXPECT_THAT(CheckTags({{"a" + std::string(31, '_'), std::string(128, 'v')}, {"b", ""}}), IsOk());
}

TEST(CheckTags, RefusesABadKeyHoweverLong) {
  for (const std::string& key :
       {std::string(), std::string("1st"), std::string("Coat"), std::string("a b"),
        std::string("a" + std::string(32, '_')), std::string("caf\u00e9"), kEndless}) {
    EXPECT_EQ(CheckTags({{key, "x"}}).reason(), "TAG_INVALID") << key.substr(0, 40);
  }
}

TEST(CheckTags, RefusesLongValuesAndManyTags) {
  EXPECT_EQ(CheckTags({{"a", std::string(129, 'v')}}).reason(), "TAG_INVALID");
  std::map<std::string, std::string> tags;
  for (int i = 0; i < 32; ++i) tags["t" + std::to_string(i)] = "x";
  EXPECT_THAT(CheckTags(tags), IsOk());
  tags["one_more"] = "x";
  EXPECT_EQ(CheckTags(tags).reason(), "TAG_INVALID");
}

// Answers are messages, and a message with half a character in it is not understood.
TEST(CheckTags, CutsNoCharacterInTwo) {
  std::string key = "k";
  for (int i = 0; i < 40; ++i) key += "\u00e9";
  const std::string message = CheckTags({{key, "x"}}).message();
  EXPECT_THAT(message, ::testing::HasSubstr("tag of 81 bytes"));
  EXPECT_THAT(CheckTags({{"\u00e9", "x"}}).message(), ::testing::HasSubstr("'\u00e9'"));
}

TEST(CheckAnnotator, TakesNamesThatCannotBeMistaken) {
  for (const std::string& name :
       {std::string("a"), std::string("Zo\u00eb"), kEndless.substr(0, 128)}) {
    EXPECT_THAT(CheckAnnotator(name), IsOk()) << name;
  }
  for (const std::string& name :
       {std::string(), kEndless.substr(0, 129), std::string("a\tb"), std::string("a\x7f"),
        std::string("a\0b", 3), std::string("teacher:"), std::string("teacher:x")}) {
    EXPECT_EQ(CheckAnnotator(name).reason(), "ANNOTATOR_INVALID") << name.substr(0, 40);
  }
}

}  // namespace
}  // namespace bitfoundry::catalog
