// Ingestion as a client sees it: real gRPC, real Postgres, real files.
#pragma once

#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>

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

using runtime::Call;
using runtime::FromGrpc;
using testing::IsOk;
using testing::StatusIs;

constexpr char kRequestId[] = "5a6b8b1e-0000-4000-8000-000000000001";
constexpr int kMaxWaiting = 6;

inline std::string Png(int seed, int width = 100, int height = 80) {
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
  jobs::Doorbell nobody_{{.path = "/nowhere"}};
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

}  // namespace bitfoundry::ingestion
