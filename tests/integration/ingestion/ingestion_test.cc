// The door as a client sees it: real gRPC, real Postgres, real files.
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <opencv2/imgproc.hpp>
#include <opencv2/videoio.hpp>
#include <sstream>

#include "images/codec.h"
#include "runtime/client.h"
#include "services/bitfoundry/cli.h"
#include "services/ingestion/ingestion_service.h"
#include "services/ingestion/project_service.h"
#include "services/ingestion/snapshot_service.h"
#include "snapshot/snapshot.h"
#include "tests/support/postgres.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::ingestion {
namespace {

using runtime::Call;
using runtime::FromGrpc;
using testing::IsOk;
using testing::StatusIs;

constexpr char kRequestId[] = "5a6b8b1e-0000-4000-8000-000000000001";
constexpr int kMaxWaiting = 6;

std::string Png(int seed, int width = 100, int height = 80) {
  images::Image image = images::Blank(width, height, 3);
  for (size_t i = 0; i < image.pixels.size(); ++i) {
    image.pixels[i] = static_cast<uint8_t>(i * static_cast<size_t>(seed + 3) / 5);
  }
  return images::EncodePng(image);
}

// One image of a batch.
struct Item {
  std::string name;
  std::string bytes;
  std::string label = "";
  std::optional<images::Rect> window = std::nullopt;
  std::map<std::string, std::string> tags = {};
  std::string annotator = "ann";
};

class IngestionTest : public testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    folder_ = std::filesystem::path(::testing::TempDir()) /
              ("ingestion_test." + std::to_string(getpid()));
    store_ = std::make_unique<blobs::Store>(*blobs::Store::Open(folder_));
    intake_ = std::make_unique<Intake>(database(), *store_, nobody_, kMaxWaiting);
    project_service_ = std::make_unique<ProjectService>(database());
    ingestion_service_ =
        std::make_unique<IngestionService>(database(), *store_, *intake_, metrics_);
    snapshot_service_ = std::make_unique<SnapshotService>(database(), *store_);
    grpc::ServerBuilder builder;
    builder.RegisterService(project_service_.get());
    builder.RegisterService(ingestion_service_.get());
    builder.RegisterService(snapshot_service_.get());
    int port = 0;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    server_ = builder.BuildAndStart();
    address_ = "127.0.0.1:" + std::to_string(port);
    const auto channel = runtime::Connect(address_);
    projects_ = v1::Projects::NewStub(channel);
    ingestion_ = v1::Ingestion::NewStub(channel);
    snapshots_ = v1::Snapshots::NewStub(channel);
    ASSERT_THAT(CreateProject(""), IsOk());
  }

  void TearDown() override {
    server_->Shutdown();
    PostgresTest::TearDown();
    std::filesystem::remove_all(folder_);
  }

  Result<v1::Project> CreateProject(const std::string& request_id,
                                    const std::string& name = "gate") {
    v1::CreateProjectRequest request;
    request.set_request_id(request_id);
    request.set_name(name);
    for (const char* c : {"no_person", "person"}) request.add_classes(c);
    request.mutable_input()->set_height(16);
    request.mutable_input()->set_width(16);
    request.mutable_input()->set_channels(1);
    v1::Project project;
    Call call;
    BF_TRY(FromGrpc(projects_->CreateProject(&call, request, &project)));
    return project;
  }

  v1::Capture CaptureOf(const std::string& request_id, v1::Part part) {
    v1::Capture capture;
    capture.set_request_id(request_id);
    capture.set_project("gate");
    capture.set_part(part);
    capture.set_camera("north");
    return capture;
  }

  Result<v1::IngestImagesResponse> Ingest(const std::vector<Item>& items,
                                          const std::string& request_id = "",
                                          v1::Part part = v1::PART_TRAIN) {
    return Send(items, static_cast<int>(items.size()), request_id, part);
  }

  // `counted` is what the end says; negative: no end.
  Result<v1::IngestImagesResponse> Send(const std::vector<Item>& items, int counted,
                                        const std::string& request_id,
                                        v1::Part part = v1::PART_TRAIN) {
    Call call;
    v1::IngestImagesResponse response;
    const auto writer = ingestion_->IngestImages(&call, &response);
    v1::IngestImagesRequest message;
    *message.mutable_capture() = CaptureOf(request_id, part);
    writer->Write(message);
    for (const Item& item : items) {
      v1::ImageStart& start = *message.mutable_image();
      start.Clear();
      start.set_name(item.name);
      start.set_label(item.label);
      if (!item.label.empty()) start.set_annotator(item.annotator);
      start.mutable_tags()->insert(item.tags.begin(), item.tags.end());
      if (item.window.has_value()) {
        start.mutable_window()->set_x(item.window->x);
        start.mutable_window()->set_y(item.window->y);
        start.mutable_window()->set_width(item.window->width);
        start.mutable_window()->set_height(item.window->height);
      }
      writer->Write(message);
      for (size_t at = 0; at < item.bytes.size(); at += 1000) {
        message.set_chunk(item.bytes.substr(at, 1000));
        writer->Write(message);
      }
    }
    if (counted >= 0) {
      message.mutable_end()->set_images(counted);
      writer->Write(message);
    }
    writer->WritesDone();
    BF_TRY(FromGrpc(writer->Finish()));
    return response;
  }

  // A small square that walks over a gray scene, 12 frames.
  std::string Video() {
    const std::string path = (folder_ / "walk.avi").string();
    cv::VideoWriter writer(path, cv::VideoWriter::fourcc('M', 'J', 'P', 'G'), 10, {200, 160});
    for (int i = 0; i < 12; ++i) {
      cv::Mat frame(160, 200, CV_8UC3, cv::Scalar::all(90));
      cv::rectangle(frame, cv::Rect(10 + 12 * i, 60, 24, 48), cv::Scalar(20, 40, 220), cv::FILLED);
      writer.write(frame);
    }
    writer.release();
    std::ostringstream bytes;
    bytes << std::ifstream(path, std::ios::binary).rdbuf();
    return bytes.str();
  }

  Result<v1::IngestVideoResponse> IngestVideo(const std::string& bytes,
                                              const std::string& request_id = "",
                                              size_t missing = 0) {
    Call call;
    const auto stream = ingestion_->IngestVideo(&call);
    v1::IngestVideoRequest message;
    v1::VideoStart& start = *message.mutable_video();
    *start.mutable_capture() = CaptureOf(request_id, v1::PART_TRAIN);
    start.set_step(4);
    start.set_total_bytes(static_cast<int64_t>(bytes.size() + missing));
    start.mutable_windows()->set_per_frame(5);
    start.mutable_windows()->set_aimed_share(0.6);
    start.mutable_windows()->set_seed(1);
    stream->Write(message);
    for (size_t at = 0; at < bytes.size(); at += 100'000) {
      message.set_chunk(bytes.substr(at, 100'000));
      if (!stream->Write(message)) break;
    }
    stream->WritesDone();
    v1::IngestVideoResponse last;
    while (stream->Read(&last)) {
    }
    BF_TRY(FromGrpc(stream->Finish()));
    return last;
  }

  std::string ReadImage(const std::string& sample) {
    v1::ReadSampleImageRequest request;
    request.set_project("gate");
    request.set_sample(sample);
    Call call;
    const auto reader = ingestion_->ReadSampleImage(&call, request);
    std::string bytes;
    v1::ReadSampleImageResponse message;
    while (reader->Read(&message)) bytes += message.chunk();
    EXPECT_THAT(FromGrpc(reader->Finish()), IsOk());
    return bytes;
  }

  Result<v1::ListSamplesResponse> List(int page_size = 0, const std::string& token = "") {
    v1::ListSamplesRequest request;
    request.set_project("gate");
    request.set_page_size(page_size);
    request.set_page_token(token);
    v1::ListSamplesResponse response;
    Call call;
    BF_TRY(FromGrpc(ingestion_->ListSamples(&call, request, &response)));
    return response;
  }

  Result<v1::Snapshot> Snapshot() {
    v1::CreateSnapshotRequest request;
    request.set_project("gate");
    v1::Snapshot snapshot;
    Call call;
    BF_TRY(FromGrpc(snapshots_->CreateSnapshot(&call, request, &snapshot)));
    return snapshot;
  }

  // What `bitfoundry ingest gate ARGUMENTS` exits with, or fails with.
  Result<int> Cli(const std::string& arguments) {
    setenv("BF_INGESTION", address_.c_str(), 1);
    CLI::App app;
    cli::Shell shell;
    cli::AddDataCommands(app, shell);
    app.parse("ingest gate " + arguments);
    return shell.chosen();
  }

  // Writes FOLDER/shots/NAME; returns its path.
  std::string Shot(const std::string& name, const std::string& bytes) {
    const auto path = folder_ / "shots" / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << bytes;
    return path.string();
  }

  std::string Samples() { return One("SELECT count(*) FROM samples"); }
  std::string LabelJobs() { return One("SELECT count(*) FROM jobs WHERE kind = 'label'"); }

  std::filesystem::path folder_;
  std::unique_ptr<blobs::Store> store_;
  jobs::Doorbell nobody_{"/nowhere"};
  prometheus::Registry metrics_;
  std::unique_ptr<Intake> intake_;
  std::unique_ptr<ProjectService> project_service_;
  std::unique_ptr<IngestionService> ingestion_service_;
  std::unique_ptr<SnapshotService> snapshot_service_;
  std::unique_ptr<grpc::Server> server_;
  std::string address_;
  std::unique_ptr<v1::Projects::Stub> projects_;
  std::unique_ptr<v1::Ingestion::Stub> ingestion_;
  std::unique_ptr<v1::Snapshots::Stub> snapshots_;
};

TEST_F(IngestionTest, TheSameRequestMakesOneProjectAndAnotherOneIsRefused) {
  ASSERT_THAT(CreateProject(kRequestId, "yard"), IsOk());
  EXPECT_THAT(CreateProject(kRequestId, "yard"), IsOk());
  EXPECT_THAT(CreateProject("", "yard"), StatusIs(Code::kAlreadyExists));
  EXPECT_THAT(CreateProject("", "Not A Name"), StatusIs(Code::kInvalidArgument));
}

TEST_F(IngestionTest, ABadImageIsReportedAndTheOthersAreTaken) {
  const std::string good = Png(1);
  const auto answer = Ingest({{"first.png", good},
                              {"cut.png", good.substr(0, good.size() - 20)},
                              {"empty.png", ""},
                              {"anim.gif", "GIF89a..."},
                              {"tag.png", Png(3), "", std::nullopt, {{"Bad Key", "x"}}},
                              {"class.png", Png(3), "dog"},
                              {"last.png", Png(2)}});
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->accepted(), 2);
  ASSERT_EQ(answer->refused_size(), 5);
  const char* const reasons[] = {"IMAGE_TRUNCATED", "IMAGE_EMPTY", "IMAGE_FORMAT", "TAG_INVALID",
                                 "LABEL_INVALID"};
  for (int i = 0; i < 5; ++i) EXPECT_EQ(answer->refused(i).reason(), reasons[i]);
  EXPECT_EQ(answer->refused(0).name(), "cut.png");
  EXPECT_THAT(answer->refused(0).message(), ::testing::HasSubstr("at byte"));
  EXPECT_EQ(Samples(), "2");
  EXPECT_EQ(LabelJobs(), "2");
}

TEST_F(IngestionTest, TheSameBytesTwiceAreOneSampleAndOneJob) {
  const auto answer = Ingest({{"a.png", Png(1)}, {"b.png", Png(1)}});
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->accepted(), 1);
  EXPECT_EQ(answer->duplicates(), 1);
  EXPECT_EQ(Samples(), "1");
  EXPECT_EQ(LabelJobs(), "1");
}

TEST_F(IngestionTest, AWindowIsASampleOfItsOwnWithItsOwnPixelsAndMeasures) {
  const std::string parent = Png(1);
  const auto answer = Ingest({{"w.png", parent, "", images::Rect{10, 20, 32, 40}},
                              {"out.png", parent, "", images::Rect{90, 20, 32, 40}}});
  ASSERT_THAT(answer, IsOk());
  EXPECT_EQ(answer->accepted(), 1);
  ASSERT_EQ(answer->refused_size(), 1);
  EXPECT_EQ(answer->refused(0).reason(), "WINDOW_OUTSIDE");

  const auto list = List();
  ASSERT_THAT(list, IsOk());
  ASSERT_EQ(list->samples_size(), 1);
  const v1::Sample& sample = list->samples(0);
  EXPECT_EQ(sample.name(), Sha256(parent) + "@10,20,32,40");
  EXPECT_EQ(sample.camera(), "north");
  EXPECT_EQ(sample.session(), "unknown");
  EXPECT_EQ(sample.attributes().at("width"), 32);
  EXPECT_EQ(sample.attributes().at("height"), 40);
  EXPECT_GT(sample.attributes().at("entropy"), 1);

  const images::Image crop = *images::Crop(*images::Decode(parent), {10, 20, 32, 40});
  EXPECT_EQ(*images::Decode(ReadImage(sample.name())), crop);
}

TEST_F(IngestionTest, AStatedLabelIsAnAnswerThatSettlesAndNeedsNoTeacher) {
  ASSERT_THAT(Ingest({{"a", Png(1), "person"}, {"a again", Png(1), "person"}, {"b", Png(2)}}),
              IsOk());
  EXPECT_EQ(One("SELECT annotator || ' ' || kind || ' ' || class_index FROM answers"),
            "ann person 1");
  const auto list = List();
  ASSERT_THAT(list, IsOk());
  EXPECT_EQ(list->samples(0).label(), "person");
  EXPECT_GE(list->samples(0).posterior(), 0.9);
  EXPECT_EQ(list->samples(1).label(), "");
  EXPECT_EQ(LabelJobs(), "1");
}

TEST_F(IngestionTest, ANewWindowOfAnImageThatWasLookedAtIsLookedAt) {
  const images::Rect left{0, 0, 40, 40};
  const images::Rect right{50, 0, 40, 40};
  ASSERT_THAT(Ingest({{"l", Png(1), "", left}}), IsOk());
  ASSERT_THAT(Ingest({{"l", Png(1), "", left}}), IsOk());
  EXPECT_EQ(LabelJobs(), "1");
  ASSERT_THAT(Ingest({{"r", Png(1), "", right}}), IsOk());
  EXPECT_EQ(LabelJobs(), "2");
}

TEST_F(IngestionTest, ARequestThatWasAnsweredIsAnsweredTheSameWithoutBeingDoneAgain) {
  const auto first = Ingest({{"a.png", Png(1)}, {"bad", "?"}}, kRequestId);
  ASSERT_THAT(first, IsOk());
  const auto second = Ingest({{"a.png", Png(1)}, {"bad", "?"}}, kRequestId);
  ASSERT_THAT(second, IsOk());
  EXPECT_EQ(second->SerializeAsString(), first->SerializeAsString());
  EXPECT_EQ(Samples(), "1");
}

TEST_F(IngestionTest, ARequestThatDiedHalfWayIsCompletedByTheNextOne) {
  ASSERT_THAT(Ingest({{"a.png", Png(1)}}), IsOk());  // what the dead one had written
  const auto again = Ingest({{"a.png", Png(1)}, {"b.png", Png(2)}}, kRequestId);
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->accepted(), 1);
  EXPECT_EQ(again->duplicates(), 1);
  EXPECT_EQ(Samples(), "2");
}

TEST_F(IngestionTest, AStreamThatWasCutIsNotAnsweredAndTheSameRequestTakesTheRest) {
  const std::vector<Item> items{{"a.png", Png(1)}, {"b.png", Png(2)}};
  EXPECT_EQ(Send(items, -1, kRequestId).status().reason(), "STREAM_CUT");
  EXPECT_EQ(Send(items, 3, kRequestId).status().reason(), "STREAM_CUT");
  EXPECT_EQ(Samples(), "1");  // what was open at the cut may lack its tail
  const auto whole = Ingest(items, kRequestId);
  ASSERT_THAT(whole, IsOk());
  EXPECT_EQ(whole->accepted(), 1);
  EXPECT_EQ(Samples(), "2");
}

TEST_F(IngestionTest, ANameThatIsNoTextCutsTheStreamAndIsNotTakenForItsEnd) {
  EXPECT_FALSE(Ingest({{"a.png", Png(1)}, {"b\xff.png", Png(2)}}, kRequestId).ok());
  const auto renamed = Ingest({{"a.png", Png(1)}, {"b.png", Png(2)}}, kRequestId);
  ASSERT_THAT(renamed, IsOk());
  EXPECT_EQ(Samples(), "2");
}

TEST_F(IngestionTest, AVideoThatWasCutIsNotTaken) {
  EXPECT_EQ(IngestVideo(Video(), kRequestId, 1).status().reason(), "STREAM_CUT");
  EXPECT_EQ(Samples(), "0");
  EXPECT_THAT(IngestVideo(Video(), kRequestId), IsOk());
}

TEST_F(IngestionTest, NobodyAnswersUnderANameThatCouldBeMistaken) {
  for (const std::string name : {"teacher:centernet@abc", "anna\n", "an\x1b[2Jna", ""}) {
    const auto answer = Ingest({{"a.png", Png(1), "person", std::nullopt, {}, name}});
    ASSERT_THAT(answer, IsOk());
    ASSERT_EQ(answer->refused_size(), 1) << name;
    EXPECT_EQ(answer->refused(0).reason(), "ANNOTATOR_INVALID");
  }
  EXPECT_EQ(One("SELECT count(*) FROM answers"), "0");
}

TEST_F(IngestionTest, NothingIsTakenWhileTooManyLabelJobsWait) {
  std::vector<Item> items;
  for (int i = 0; i < kMaxWaiting + 1; ++i) items.push_back({std::to_string(i), Png(i)});
  EXPECT_THAT(Ingest(items), StatusIs(Code::kResourceExhausted));
  EXPECT_EQ(Samples(), std::to_string(kMaxWaiting));
  items.pop_back();
  EXPECT_THAT(Ingest(items), IsOk()) << "they are there already and need no room";
  EXPECT_THAT(Ingest({{"labelled.png", Png(99), "person"}}), IsOk());
  EXPECT_THAT(Ingest({{"one more.png", Png(98)}}), StatusIs(Code::kResourceExhausted));
  Run("DELETE FROM jobs");
  EXPECT_THAT(Ingest({{"one more.png", Png(98)}}), IsOk());
}

TEST_F(IngestionTest, ALabelThatComesLaterEndsTheTask) {
  ASSERT_THAT(Ingest({{"a.png", Png(1)}}), IsOk());
  Run("INSERT INTO tasks (project_id, sample_id) SELECT project_id, id FROM samples");
  Run("INSERT INTO task_slots (task_id, slot, project_id, priority)"
      " SELECT id, 1, project_id, 0 FROM tasks");
  ASSERT_THAT(Ingest({{"a.png", Png(1), "person"}}), IsOk());
  EXPECT_EQ(One("SELECT closed_as FROM tasks"), "answered");
}

TEST_F(IngestionTest, AStreamOutOfOrderAndAnUnknownProjectAreRefused) {
  Call call;
  v1::IngestImagesResponse response;
  const auto writer = ingestion_->IngestImages(&call, &response);
  v1::IngestImagesRequest message;
  message.set_chunk("bytes before all");
  writer->Write(message);
  writer->WritesDone();
  const Status status = FromGrpc(writer->Finish());
  EXPECT_EQ(status.reason(), "STREAM_ORDER");

  Run("UPDATE projects SET name = 'other'");
  EXPECT_THAT(Ingest({{"a.png", Png(1)}}), StatusIs(Code::kNotFound));
}

TEST_F(IngestionTest, AVideoBecomesWindowsOfItsFramesAndTheSameAgainAddsNothing) {
  const std::string video = Video();
  const auto answer = IngestVideo(video, kRequestId);
  ASSERT_THAT(answer, IsOk());
  EXPECT_TRUE(answer->done());
  EXPECT_EQ(answer->frames_done(), 3);
  EXPECT_EQ(answer->frames_total(), 3);
  EXPECT_EQ(answer->accepted(), 15);
  EXPECT_EQ(One("SELECT count(*) FROM images"), "3");
  EXPECT_EQ(LabelJobs(), "3");
  EXPECT_EQ(One("SELECT string_agg(DISTINCT position::text, ',') FROM samples"), "0,4,8");

  const auto same = IngestVideo(video, kRequestId);
  ASSERT_THAT(same, IsOk());
  EXPECT_EQ(same->SerializeAsString(), answer->SerializeAsString());

  const auto other_request = IngestVideo(video);
  ASSERT_THAT(other_request, IsOk());
  EXPECT_EQ(other_request->accepted(), 0);
  EXPECT_EQ(other_request->duplicates(), 15);

  EXPECT_EQ(IngestVideo("this is no video").status().reason(), "VIDEO_UNREADABLE");
}

TEST_F(IngestionTest, SamplesAreListedPageByPage) {
  ASSERT_THAT(Ingest({{"a", Png(1)}, {"b", Png(2)}, {"c", Png(3)}}), IsOk());
  const auto first = List(2);
  ASSERT_THAT(first, IsOk());
  EXPECT_EQ(first->samples_size(), 2);
  const auto second = List(2, first->next_page_token());
  ASSERT_THAT(second, IsOk());
  ASSERT_EQ(second->samples_size(), 1);
  EXPECT_EQ(second->samples(0).name(), Sha256(Png(3)));
  EXPECT_EQ(second->next_page_token(), "");
  EXPECT_THAT(List(2, "garbage"), StatusIs(Code::kInvalidArgument));
}

TEST_F(IngestionTest, APageOfSamplesFitsIntoAMessageHoweverMuchIsKnownOfThem) {
  ASSERT_THAT(Ingest({{"a", Png(1)}}), IsOk());
  Run("INSERT INTO samples (project_id, name, image_digest, part, camera, session, attributes, "
      "phash)"
      " SELECT project_id, name || '@' || i, image_digest, part, camera, session, attributes, phash"
      " FROM samples, generate_series(1, 999) AS i");
  Run("INSERT INTO sample_tags SELECT id, 'k' || k, repeat('x', 128), 'test' "
      "FROM samples, generate_series(1, 32) AS k");
  int seen = 0;
  std::string token;
  int pages = 0;
  do {
    const auto page = List(1000, token);
    ASSERT_THAT(page, IsOk());
    EXPECT_LE(page->ByteSizeLong(), 3u << 20);
    seen += page->samples_size();
    token = page->next_page_token();
    ++pages;
  } while (!token.empty() && pages < 10);
  EXPECT_EQ(seen, 1000);
  EXPECT_GT(pages, 1);
}

TEST_F(IngestionTest, ASampleTellsItsFrameBeforeItHasALabel) {
  ASSERT_THAT(IngestVideo(Video()), IsOk());
  const auto list = List(1000);
  ASSERT_THAT(list, IsOk());
  const v1::Sample& last = list->samples(list->samples_size() - 1);
  EXPECT_EQ(last.label(), "");
  EXPECT_EQ(last.position(), 8);
}

TEST_F(IngestionTest, ASnapshotFreezesWhatIsLabelledAndTheSameContentIsTheSameSnapshot) {
  ASSERT_THAT(Ingest({{"a", Png(1)}, {"w", Png(2), "", images::Rect{0, 0, 40, 40}}}), IsOk());
  EXPECT_EQ(Snapshot().status().reason(), "EMPTY_PART");
  ASSERT_THAT(Ingest({{"c", Png(3)}, {"d", Png(4)}}, "", v1::PART_TEST), IsOk());
  Run("INSERT INTO labels SELECT id, 1, 1, 0.9, 1, 'test' FROM samples ORDER BY id LIMIT 3");

  const auto snapshot = Snapshot();
  ASSERT_THAT(snapshot, IsOk());
  EXPECT_EQ(snapshot->train_samples(), 2);
  EXPECT_EQ(snapshot->test_samples(), 1);
  EXPECT_EQ(snapshot->unlabelled_samples(), 1);
  EXPECT_EQ(snapshot->classes(1).name(), "person");
  EXPECT_EQ(snapshot->classes(1).train(), 2);
  EXPECT_EQ(Snapshot()->digest(), snapshot->digest());
  EXPECT_EQ(One("SELECT count(*) FROM snapshots"), "1");

  v1::GetSnapshotRequest get;
  get.set_digest(snapshot->digest());
  v1::Snapshot got;
  Call get_call;
  ASSERT_THAT(FromGrpc(snapshots_->GetSnapshot(&get_call, get, &got)), IsOk());
  EXPECT_EQ(got.SerializeAsString(), snapshot->SerializeAsString());

  const std::string pixels = One("SELECT pixels_digest FROM snapshots");
  const auto frozen =
      snapshot::Decode(*store_->Get(snapshot->digest(), 1 << 20), *store_->Get(pixels, 1 << 20));
  ASSERT_THAT(frozen, IsOk());
  for (size_t i = 0; i < frozen->rows.size(); ++i) {
    const snapshot::Row& row = frozen->rows[i];
    const images::Image shown = *images::Decode(ReadImage(row.name));
    EXPECT_THAT(frozen->Image(i),
                ::testing::ElementsAreArray(images::ModelInput(shown, 16, 16, 1).pixels));
  }
  Run("INSERT INTO labels SELECT sample_id, 2, 0, 0.9, 2, 'test' FROM labels LIMIT 1");
  const std::string newer = Snapshot()->digest();
  EXPECT_NE(newer, snapshot->digest());
  v1::ListSnapshotsRequest list;
  list.set_project("gate");
  list.set_page_size(1);
  v1::ListSnapshotsResponse newest;
  Call list_call;
  ASSERT_THAT(FromGrpc(snapshots_->ListSnapshots(&list_call, list, &newest)), IsOk());
  ASSERT_EQ(newest.snapshots_size(), 1);
  EXPECT_EQ(newest.snapshots(0).digest(), newer);
  EXPECT_NE(newest.next_page_token(), "");
}

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

TEST_F(IngestionTest, WhatIsStatedOtherwiseOfAnImageThatIsThereIsReported) {
  Item item{"a.png", Png(1), "person", std::nullopt, {{"light", "dusk"}}};
  ASSERT_THAT(Ingest({item}), IsOk());
  EXPECT_EQ(Ingest({item})->ignored_size(), 0);

  item.tags["light"] = "dawn";
  const auto again = Ingest({item}, "", v1::PART_TEST);
  ASSERT_EQ(again->ignored_size(), 1);
  EXPECT_EQ(again->duplicates(), 1);
  EXPECT_EQ(again->ignored(0).reason(), "STAYS");
  EXPECT_THAT(again->ignored(0).message(),
              ::testing::HasSubstr("part is 'train', not 'test'; tag light is 'dusk', not 'dawn'"));

  item = {"a.png", Png(1), "no_person"};
  const auto changed = Ingest({item});
  ASSERT_EQ(changed->refused_size(), 1);
  EXPECT_EQ(changed->refused(0).reason(), "ANSWERED_BEFORE");
  EXPECT_EQ(One("SELECT count(*) FROM answers"), "1");

  item.annotator = "ben";
  EXPECT_EQ(Ingest({item})->refused_size(), 0);
  EXPECT_EQ(List()->samples(0).label(), "") << "they disagree";
  EXPECT_EQ(One("SELECT count(*) FROM task_slots WHERE state = 'open'"), "1") << "a third is asked";
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
