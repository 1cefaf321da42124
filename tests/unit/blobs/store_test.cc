#include "blobs/store.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>
#include <vector>

#include "tests/support/status_matchers.h"

namespace bitfoundry::blobs {
namespace {

namespace fs = std::filesystem;
using testing::IsOk;
using testing::StatusIs;

constexpr uint64_t kNoLimit = UINT64_MAX;

class StoreTest : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(mkdtemp(root_.data()), nullptr); }
  void TearDown() override { fs::remove_all(root_); }

  Store Open() { return *Store::Open(root_); }
  fs::path PathOf(const std::string& digest) {
    return fs::path(root_) / digest.substr(0, 2) / digest.substr(2, 2) / digest;
  }
  size_t Files() {
    size_t files = 0;
    for (const auto& entry : fs::recursive_directory_iterator(root_)) {
      files += entry.is_regular_file();
    }
    return files;
  }

  std::string root_ = (fs::temp_directory_path() / "bf_blobs_XXXXXX").string();
};

TEST_F(StoreTest, GivesBackWhatWasPutUnderItsDigest) {
  const Store store = Open();
  const std::string bytes("a\0b", 3);
  const Result<std::string> digest = store.Put(bytes);
  ASSERT_THAT(digest, IsOk());
  EXPECT_EQ(*digest, Sha256(bytes));
  EXPECT_EQ(*store.Get(*digest, 3), bytes);
  EXPECT_EQ(*store.Size(*digest), 3U);
  EXPECT_TRUE(*store.Exists(*digest));
}

TEST_F(StoreTest, KeepsOneFileForBytesThatWerePutTwiceOrByManyAtOnce) {
  const Store store = Open();
  std::vector<std::jthread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] { EXPECT_THAT(store.Put("the same"), IsOk()); });
  }
  threads.clear();
  EXPECT_THAT(store.Put("the same"), IsOk());
  EXPECT_EQ(Files(), 1U);
}

TEST_F(StoreTest, StreamsToTheSameDigestAsOnePut) {
  const Store store = Open();
  Writer writer = *store.Write();
  ASSERT_THAT(writer.Add("hello "), IsOk());
  ASSERT_THAT(writer.Add("world"), IsOk());
  EXPECT_EQ(writer.size(), 11U);
  const Result<std::string> digest = writer.Finish();
  EXPECT_EQ(*digest, Sha256("hello world"));
  EXPECT_EQ(*store.Get(*digest, kNoLimit), "hello world");
}

TEST_F(StoreTest, KeepsNothingOfAWriteThatWasGivenUp) {
  const Store store = Open();
  {
    Writer writer = *store.Write();
    ASSERT_THAT(writer.Add("half a blob"), IsOk());
    EXPECT_EQ(Files(), 1U);
  }
  EXPECT_EQ(Files(), 0U);
}

TEST_F(StoreTest, ReportsChangedBytesInsteadOfReturningThem) {
  const Store store = Open();
  const std::string digest = *store.Put("original");
  std::ofstream(PathOf(digest)) << "Original";
  EXPECT_THAT(store.Get(digest, kNoLimit), StatusIs(Code::kDataLoss));
  fs::resize_file(PathOf(digest), 3);
  EXPECT_THAT(store.Get(digest, kNoLimit), StatusIs(Code::kDataLoss));
  EXPECT_THAT(store.Put("original"), IsOk()) << "a blob that was cut short is written anew";
  EXPECT_EQ(*store.Get(digest, kNoLimit), "original");
}

TEST_F(StoreTest, RefusesMoreThanTheCallersLimit) {
  const Store store = Open();
  const std::string digest = *store.Put("12345");
  EXPECT_THAT(store.Get(digest, 5), IsOk());
  EXPECT_THAT(store.Get(digest, 4), StatusIs(Code::kFailedPrecondition));
}

TEST_F(StoreTest, TellsAnAbsentBlobFromANameThatIsNone) {
  const Store store = Open();
  const std::string absent = Sha256("never put");
  EXPECT_THAT(store.Get(absent, kNoLimit), StatusIs(Code::kNotFound));
  EXPECT_FALSE(*store.Exists(absent));
  for (const std::string& name :
       {std::string("../../../etc/passwd"), std::string(), std::string(64, 'A'), absent + "/"}) {
    EXPECT_THAT(store.Get(name, kNoLimit), StatusIs(Code::kInvalidArgument)) << name;
    EXPECT_THAT(store.Exists(name), StatusIs(Code::kInvalidArgument)) << name;
  }
}

TEST_F(StoreTest, IsFoundAgainByTheNextProcess) {
  const std::string digest = *Open().Put("kept");
  EXPECT_EQ(*Open().Get(digest, kNoLimit), "kept");
}

TEST_F(StoreTest, SaysWhichFolderCannotBeMade) {
  std::ofstream(root_ + "/file") << "in the way";
  const Result<Store> store = Store::Open(root_ + "/file/blobs");
  ASSERT_THAT(store, StatusIs(Code::kUnavailable));
  EXPECT_NE(store.status().message().find(root_), std::string::npos);
}

}  // namespace
}  // namespace bitfoundry::blobs
