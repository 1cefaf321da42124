// `bitfoundry ingest`, at a real door.
#include <sys/stat.h>

#include "tests/integration/ingestion/ingestion_test.h"

namespace bitfoundry::ingestion {
namespace {

TEST_F(IngestionTest, TheCommandReportsAFileThatIsTooLargeAndTakesTheOthers) {
  Shot("a.png", Png(1));
  Shot("b\xff.png", Png(2));  // no UTF-8
  Shot("huge.png", std::string((16 << 20) + 1, 'x'));
  Shot("z.png", Png(3));
  ::testing::internal::CaptureStdout();
  const auto code = Cli((folder_ / "shots").string());
  const std::string said = ::testing::internal::GetCapturedStdout();
  ASSERT_THAT(code, IsOk());
  EXPECT_EQ(*code, cli::kFailed);
  EXPECT_THAT(said, ::testing::HasSubstr("refused huge.png"));
  EXPECT_THAT(said, ::testing::HasSubstr("FILE_TOO_LARGE"));
  EXPECT_THAT(said, ::testing::HasSubstr("3 new, 0 there already, 1 refused"));
}

TEST_F(IngestionTest, TheCommandMatchesLabelsByPathAndReportsThoseOfNoImage) {
  const std::string shots = (folder_ / "shots").string();
  const std::string given = Shot("given.png", Png(1));
  Shot("deep/relative.png", Png(2));
  std::filesystem::create_symlink("deep/relative.png", folder_ / "shots" / "link.png");
  const std::string known = given + ",person\n./deep/relative.png,person,0, 0,20,20 \n";
  const std::string linked = "link.png,no_person,30,30,20,20\n";
  EXPECT_EQ(*Cli(shots + " --labels " + Shot("../labels.csv", known + linked)), cli::kDone);
  EXPECT_EQ(One("SELECT string_agg(class_index::text, ' ' ORDER BY id) FROM answers"), "1 1 0");

  ::testing::internal::CaptureStderr();
  const auto code = Cli(shots + " --labels " + Shot("../labels.csv", known + "gone.png,person\n"));
  const std::string said = ::testing::internal::GetCapturedStderr();
  ASSERT_THAT(code, IsOk());
  EXPECT_EQ(*code, cli::kFailed);
  EXPECT_THAT(said, ::testing::HasSubstr("1 labels name no image that was given: gone.png"));

  const auto junk =
      Cli(shots + " --labels " + Shot("../labels.csv", known + "a,person,1,2,3,4x\n"));
  EXPECT_THAT(junk.status().message(), ::testing::HasSubstr("labels.csv:3: "));
}

TEST_F(IngestionTest, LabelsThatContradictEachOtherAreRefusedBeforeAnythingIsSent) {
  const std::string path = Shot("a.png", Png(1));
  const std::string labels = "\xEF\xBB\xBFname,label\na.png,person\n" + path + ",no_person\n";
  const auto code = Cli(path + " --labels " + Shot("../labels.csv", labels));
  EXPECT_EQ(code.status().reason(), "LABELS_CONFLICT");
  EXPECT_THAT(code.status().message(), ::testing::HasSubstr("in line 2"));
  EXPECT_EQ(Samples(), "0");
  EXPECT_EQ(
      *Cli(path + " --labels " + Shot("../labels.csv", "a.png,person\n" + path + ",person\n")),
      cli::kDone);
}

TEST_F(IngestionTest, TheCommandReportsWhatIsNoFileAndOpensNone) {
  const std::string shots = (folder_ / "shots").string();
  Shot("a.png", Png(1));
  Shot("deep/b.png", Png(2));
  std::filesystem::create_symlink("gone", shots + "/dangling.png");
  ASSERT_EQ(mkfifo((shots + "/fifo.png").c_str(), 0600), 0);
  ::testing::internal::CaptureStdout();
  EXPECT_EQ(*Cli(shots), cli::kFailed);
  EXPECT_EQ(*Cli(shots + "/fifo.png"), cli::kFailed);
  const std::string said = ::testing::internal::GetCapturedStdout();
  EXPECT_THAT(said, ::testing::HasSubstr("refused dangling.png: " + shots +
                                         "/dangling.png: No such file or directory"));
  EXPECT_THAT(said, ::testing::HasSubstr("refused fifo.png: " + shots +
                                         "/fifo.png: is not a file"
                                         " [FILE_UNREADABLE]"));
  EXPECT_THAT(said, ::testing::HasSubstr("2 new, 0 there already, 2 refused"));
}

TEST_F(IngestionTest, TheCommandCutsItsCallsByImagesHoweverManyAFileGives) {
  const std::string path = Shot("a.png", Png(1));
  std::string labels;
  for (int i = 0; i < 1001; ++i) {
    labels += "a.png,person," + std::to_string(i % 50) + "," + std::to_string(i / 50) + ",32,32\n";
  }
  EXPECT_EQ(*Cli(path + " --labels " + Shot("../labels.csv", labels)), cli::kDone);
  EXPECT_EQ(Samples(), "1001");
}

}  // namespace
}  // namespace bitfoundry::ingestion
