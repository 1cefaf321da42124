#include "services/ingestion/video.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <opencv2/videoio.hpp>

#include "tests/support/status_matchers.h"

namespace bitfoundry::ingestion {
namespace {

using ::bitfoundry::testing::IsOk;
using ::bitfoundry::testing::StatusIs;
using ::testing::ElementsAre;

// A gray scene of 64x48 at 10 frames a second in which frame i has the gray level 40 + 4 i.
class VideoTest : public ::testing::Test {
 protected:
  VideoTest() {
    cv::VideoWriter writer(path_, cv::VideoWriter::fourcc('M', 'J', 'P', 'G'), 10, {64, 48});
    for (int i = 0; i < 40; ++i) {
      writer.write(cv::Mat(48, 64, CV_8UC3, cv::Scalar::all(40 + 4 * i)));
    }
  }
  ~VideoTest() override { std::filesystem::remove(path_); }

  const std::string path_ =
      ::testing::TempDir() + "video_test." + std::to_string(::getpid()) + ".avi";
};

TEST_F(VideoTest, FramesComeInOrderWithTheirIndexTimeAndPixels) {
  std::vector<int> indices;
  ASSERT_THAT(ForEachFrame(path_, {5, 21, 5},
                           [&](const Frame& frame) {
                             indices.push_back(frame.index);
                             EXPECT_EQ(frame.time_ms, frame.index * 100);
                             EXPECT_EQ(frame.image.width, 64);
                             EXPECT_EQ(frame.image.height, 48);
                             EXPECT_NEAR(frame.image.pixels[3000], 40 + 4 * frame.index, 3);
                             return Status();
                           }),
              IsOk());
  EXPECT_THAT(indices, ElementsAre(5, 10, 15, 20));
}

TEST_F(VideoTest, ARangeWithoutAnEndReachesTheLastFrame) {
  const Result<Survey> survey = SurveyVideo(path_, {0, 0, 1});
  ASSERT_THAT(survey, IsOk());
  EXPECT_EQ(survey->frames, 40);
  EXPECT_EQ(survey->background.width, 16);
  EXPECT_EQ(survey->background.height, 12);
  EXPECT_NEAR(survey->background.pixels[0], 40 + 4 * 19, 6);  // 20 frames: every other one
}

TEST_F(VideoTest, AFileThatIsCutShortStatesMoreFramesThanItHas) {
  EXPECT_EQ(SurveyVideo(path_, {0, 0, 1})->frames_stated, 40);
  EXPECT_EQ(SurveyVideo(path_, {5, 31, 5})->frames_stated, 6);
  EXPECT_EQ(SurveyVideo(path_, {5, 310, 5})->frames_stated, 7);
  std::filesystem::resize_file(path_, std::filesystem::file_size(path_) / 2);
  const Result<Survey> cut = SurveyVideo(path_, {0, 0, 1});
  ASSERT_THAT(cut, IsOk());
  EXPECT_EQ(cut->frames_stated, 40);
  EXPECT_LT(cut->frames, 25);
}

TEST_F(VideoTest, WhatTheVisitorReturnsEndsTheWalk) {
  int seen = 0;
  const Status status = ForEachFrame(path_, {}, [&](const Frame&) {
    return ++seen < 3 ? Status() : Status(Code::kCancelled, "enough");
  });
  EXPECT_THAT(status, StatusIs(Code::kCancelled));
  EXPECT_EQ(seen, 3);
}

TEST_F(VideoTest, AnEmptyRangeAndAFileThatIsNoVideoAreRefused) {
  const auto nothing = [](const Frame&) { return Status(); };
  EXPECT_THAT(ForEachFrame(path_, {30, 20, 1}, nothing), StatusIs(Code::kInvalidArgument));
  EXPECT_THAT(ForEachFrame(path_, {0, 0, 0}, nothing), StatusIs(Code::kInvalidArgument));
  EXPECT_EQ(ForEachFrame(path_, {1000, 0, 1}, nothing).reason(), "VIDEO_UNREADABLE");

  std::ofstream(path_) << "this is no video";
  EXPECT_EQ(ForEachFrame(path_, {}, nothing).reason(), "VIDEO_UNREADABLE");
}

// FFmpeg follows playlists: an upload could name files of this machine and have them ingested.
TEST_F(VideoTest, APlaylistIsNoVideoWhateverItNames) {
  const std::string playlist = path_ + ".m3u8";
  std::ofstream(playlist) << "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\n"
                          << path_ << "\n#EXT-X-ENDLIST\n";
  EXPECT_EQ(ForEachFrame(playlist, {}, [](const Frame&) { return Status(); }).reason(),
            "VIDEO_UNREADABLE");
  std::filesystem::remove(playlist);
}

}  // namespace
}  // namespace bitfoundry::ingestion
