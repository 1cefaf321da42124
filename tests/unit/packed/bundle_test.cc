#include "packed/bundle.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/digest.h"
#include "packed/format.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/packed/random_network.h"

namespace bitfoundry::packed {
namespace {

using ::bitfoundry::testing::IsOk;
using testing::RandomImage;
using testing::RandomNetwork;

class BundleTest : public ::testing::Test {
 protected:
  static std::vector<File> Make() {
    std::mt19937 random(/*seed=*/11);
    const Network network = RandomNetwork(1, 0);
    std::vector<std::vector<uint8_t>> golden;
    for (int i = 0; i < 3; ++i) golden.push_back(RandomImage(network.input, random));
    Provenance p;
    p.project = "person";
    p.snapshot = Sha256("snapshot");
    p.recipe_json = R"({"name":"tiny"})";
    p.seed = UINT64_MAX;
    p.code_revision = "abc";
    p.classes = {"a", "b", "c"};
    auto files = MakeBundle(*Serialize(network), golden, p);
    EXPECT_THAT(files, IsOk());
    return *std::move(files);
  }

  File& Named(const std::string& name) { return *std::ranges::find(files_, name, &File::name); }
  // The manifest agrees again with a file that was changed.
  void Relist(const std::string& name, const std::string& old_digest) {
    std::string& manifest = Named("manifest.json").bytes;
    manifest.replace(manifest.find(old_digest), 64, Sha256(Named(name).bytes));
  }

  std::vector<File> files_ = Make();
};

TEST_F(BundleTest, IsConsistentAndTheSameEveryTime) {
  EXPECT_THAT(CheckBundle(files_), IsOk());
  const std::vector<File> again = Make();
  ASSERT_EQ(again.size(), files_.size());
  for (size_t i = 0; i < again.size(); ++i) EXPECT_EQ(again[i].bytes, files_[i].bytes);
  EXPECT_EQ(files_.back().name, "manifest.json");
}

TEST_F(BundleTest, ItsManifestGivesBackWhatWentIn) {
  const auto manifest = ParseManifest(files_.back().bytes);
  ASSERT_THAT(manifest, IsOk());
  EXPECT_EQ(manifest->provenance.seed, UINT64_MAX);
  EXPECT_EQ(manifest->provenance.classes, (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_EQ(manifest->files.size(), files_.size() - 1);
}

TEST_F(BundleTest, HoldsTheFirmwareAndSaysWhichKernelsWereChosen) {
  for (const char* name : {"model.h", "model.c", "example.c", "bf_mcu.h", "bf_run.c"}) {
    EXPECT_FALSE(Named(name).bytes.empty()) << name;
  }
  EXPECT_NE(Named("report.md").bytes.find("| conv1 | **fast** "), std::string::npos);
  EXPECT_NE(Named("report.json").bytes.find("\"instructions_estimate\""), std::string::npos);
}

// 600 KB of weights: no kernel is smaller than that.
TEST(BundleWithoutFirmwareTest, SaysWhyThereIsNone) {
  std::mt19937 random(/*seed=*/12);
  Network network;
  network.input = {4, 4, 1};
  network.Then(testing::RandomStem(1, 512, 1, 1, random));
  network.Then(testing::RandomConv(512, 1024, 3, 1, random));
  network.Then(GlobalSum{});
  network.Then(testing::RandomDense(1024, 2, random));
  Provenance p;
  p.classes = {"a", "b"};
  const auto files = MakeBundle(*Serialize(network), {RandomImage(network.input, random)}, p);
  ASSERT_THAT(files, IsOk());
  EXPECT_EQ(std::ranges::find(*files, "model.c", &File::name), files->end());
  const auto report = std::ranges::find(*files, "report.md", &File::name);
  EXPECT_NE(report->bytes.find("None: the constants take"), std::string::npos) << report->bytes;
}

TEST_F(BundleTest, NoticesAChangeInAnyFile) {
  for (size_t i = 0; i + 1 < files_.size(); ++i) {
    std::vector<File> changed = files_;
    changed[i].bytes.back() ^= 1;
    EXPECT_EQ(CheckBundle(changed).reason(), "DIGEST_MISMATCH") << files_[i].name;
  }
}

TEST_F(BundleTest, NoticesFilesThatAreMissingOrSurplus) {
  std::vector<File> fewer(files_.begin() + 1, files_.end());
  EXPECT_EQ(CheckBundle(fewer).reason(), "MISSING_FILE");
  files_.push_back({"more.txt", ""});
  EXPECT_EQ(CheckBundle(files_).reason(), "SURPLUS_FILE");
}

TEST_F(BundleTest, ReplaysItsGoldenOutputs) {
  // A sound model, listed in the manifest, that is not the one golden.bin was made with.
  File& model = Named("model.bnn");
  const std::string old_digest = Sha256(model.bytes);
  Network network = RandomNetwork(1, 0);
  std::get<Dense>(network.ops.back().kind).biases[0] += 1;
  const auto bytes = Serialize(network);
  model.bytes.assign(bytes->begin(), bytes->end());
  Relist("model.bnn", old_digest);
  EXPECT_EQ(CheckBundle(files_).reason(), "GOLDEN_MISMATCH");
}

TEST_F(BundleTest, RefusesAGoldenFileOfAnyOtherLength) {
  const std::string golden = Named("golden.bin").bytes;
  EXPECT_THAT(ParseGolden(golden), IsOk());
  for (size_t n = 0; n < golden.size(); ++n) {
    EXPECT_EQ(ParseGolden(std::string_view(golden).substr(0, n)).status().reason(), "BAD_GOLDEN");
  }
}

TEST_F(BundleTest, RefusesManifestsThatCouldLeadOutOfTheirFolder) {
  const std::string good = files_.back().bytes;
  const auto with_name = [&](const std::string& name) {
    std::string manifest = good;
    manifest.replace(manifest.find("golden.bin"), 10, name);
    return ParseManifest(manifest).status().reason();
  };
  EXPECT_EQ(with_name("golden2bin"), "OK");
  EXPECT_EQ(with_name("../passwd"), "BAD_MANIFEST");
  EXPECT_EQ(with_name("g/p"), "BAD_MANIFEST");
  EXPECT_EQ(with_name(""), "BAD_MANIFEST");
  for (const char* lie : {"1e40", "1.5", "-1e400", "18446744073709551616", "\"7\""}) {
    std::string text = files_.back().bytes;
    const std::string field = "\"train_images\": ";
    const size_t at = text.find(field) + field.size();
    text.replace(at, text.find(',', at) - at, lie);
    EXPECT_EQ(ParseManifest(text).status().reason(), "BAD_MANIFEST") << lie;
  }
  EXPECT_EQ(ParseManifest("{").status().reason(), "BAD_MANIFEST");
  EXPECT_EQ(ParseManifest("[]").status().reason(), "BAD_MANIFEST");
}

TEST_F(BundleTest, RefusesClassNamesThatAreNotAsManyAsLogits) {
  const auto bytes = Serialize(RandomNetwork(1, 0));
  const std::vector<std::vector<uint8_t>> golden = {std::vector<uint8_t>(23 * 18)};
  EXPECT_EQ(MakeBundle(*bytes, golden, {}).status().reason(), "BAD_CLASSES");
}

}  // namespace
}  // namespace bitfoundry::packed
