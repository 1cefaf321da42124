#include "services/ingestion/ingestion_service.h"

#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>

#include "catalog/requests.h"
#include "images/codec.h"
#include "runtime/error.h"
#include "runtime/page.h"
#include "runtime/stream.h"
#include "services/ingestion/batch.h"
#include "services/ingestion/pixels.h"

namespace bitfoundry::ingestion {
namespace {

constexpr size_t kMaxPageBytes = 3u << 20;  // a message has at most 4 MiB
constexpr size_t kFieldBytes = 8;           // at most, around a sample in its page

// A file without a name in the folder for temporary ones: gone with the process, however it ends.
class Spool {
 public:
  Spool() {
    std::string name = std::filesystem::temp_directory_path() / "bf_video.XXXXXX";
    fd_ = mkstemp(name.data());
    if (fd_ >= 0) unlink(name.c_str());
  }
  ~Spool() {
    if (fd_ >= 0) close(fd_);
  }
  Spool(const Spool&) = delete;
  Spool& operator=(const Spool&) = delete;

  int64_t size() const { return size_; }

  // Opens the file anew, from its start, for as long as this lives.
  std::string path() const { return "/proc/self/fd/" + std::to_string(fd_); }

  // Errors: kInvalidArgument, VIDEO_TOO_LARGE; kResourceExhausted, DISK_FULL.
  Status Add(std::string_view bytes) {
    if (bytes.size() > kMaxChunkBytes) {
      return {Code::kInvalidArgument, "CHUNK_TOO_LARGE", "a chunk has more than 1 MiB"};
    }
    size_ += static_cast<int64_t>(bytes.size());
    if (size_ > kMaxVideoBytes) {
      return {Code::kInvalidArgument, "VIDEO_TOO_LARGE", "the video has more than 256 MiB"};
    }
    while (!bytes.empty()) {
      const ssize_t written = write(fd_, bytes.data(), bytes.size());
      if (written < 0) {
        return {Code::kResourceExhausted, "DISK_FULL", "cannot write a temporary file"};
      }
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return {};
  }

 private:
  int fd_ = -1;
  int64_t size_ = 0;
};

v1::IngestVideoResponse ToMessage(const Progress& progress) {
  v1::IngestVideoResponse message;
  message.set_frames_done(progress.frames_done);
  message.set_frames_total(progress.frames_total);
  message.set_accepted(progress.counts.accepted);
  message.set_duplicates(progress.counts.duplicates);
  message.set_ignored(progress.counts.ignored);
  message.set_frames_stated(progress.frames_stated);
  return message;
}

std::optional<WindowPlan> ReadPlan(const v1::VideoStart& start) {
  if (!start.has_windows()) return std::nullopt;
  WindowPlan plan;
  plan.per_frame = start.windows().per_frame();
  if (start.windows().min_pixels() != 0) plan.min_pixels = start.windows().min_pixels();
  if (start.windows().max_pixels() != 0) plan.max_pixels = start.windows().max_pixels();
  plan.aimed_share = start.windows().aimed_share();
  plan.seed = start.windows().seed();
  return plan;
}

v1::Sample ToMessage(const catalog::Sample& sample, const catalog::Project& project) {
  v1::Sample message;
  message.set_name(sample.name);
  message.set_part(sample.part == catalog::Part::kTest ? v1::PART_TEST : v1::PART_TRAIN);
  message.set_camera(sample.camera);
  message.set_session(sample.session);
  message.set_position(sample.position);
  message.mutable_tags()->insert(sample.tags.begin(), sample.tags.end());
  message.mutable_attributes()->insert(sample.attributes.begin(), sample.attributes.end());
  if (sample.class_index.has_value()) {
    message.set_label(project.classes[static_cast<size_t>(*sample.class_index)]);
    message.set_posterior(sample.posterior);
  }
  return message;
}

}  // namespace

IngestionService::IngestionService(db::Database& database, const blobs::Store& store,
                                   Intake& intake, prometheus::Registry& metrics)
    : IngestionService(database, store, intake, metrics,
                       prometheus::BuildCounter()
                           .Name("bf_ingest_samples_total")
                           .Help("Samples that came in; a duplicate was there already")
                           .Register(metrics)) {}

IngestionService::IngestionService(db::Database& database, const blobs::Store& store,
                                   Intake& intake, prometheus::Registry& metrics,
                                   prometheus::Family<prometheus::Counter>& samples)
    : database_(database),
      store_(store),
      intake_(intake),
      accepted_(samples.Add({{"outcome", "accepted"}})),
      duplicates_(samples.Add({{"outcome", "duplicate"}})),
      refused_(prometheus::BuildCounter()
                   .Name("bf_ingest_refused_total")
                   .Help("Images that were refused, by reason")
                   .Register(metrics)) {}

void IngestionService::Count(const Counts& counts) {
  accepted_.Increment(counts.accepted);
  duplicates_.Increment(counts.duplicates);
}

grpc::Status IngestionService::IngestImages(grpc::ServerContext* context,
                                            grpc::ServerReader<v1::IngestImagesRequest>* reader,
                                            v1::IngestImagesResponse* response) {
  Batch batch(database_, intake_);
  v1::IngestImagesRequest message;
  while (!batch.answered() && reader->Read(&message)) {
    const Status status = batch.Add(message);
    if (!status.ok()) return runtime::ToGrpc(status);
  }
  if (context->IsCancelled()) {
    return runtime::ToGrpc({Code::kCancelled, "STREAM_CUT", "the caller has gone"});
  }
  const Result<v1::IngestImagesResponse> answer = batch.Finish();
  if (!answer.ok()) return runtime::ToGrpc(answer.status());
  *response = *answer;
  if (batch.answered()) return grpc::Status::OK;
  Count({.accepted = answer->accepted(), .duplicates = answer->duplicates()});
  for (const v1::Refused& refused : answer->refused()) {
    refused_.Add({{"reason", refused.reason()}}).Increment();
  }
  return grpc::Status::OK;
}

grpc::Status IngestionService::IngestVideo(grpc::ServerContext* context, VideoStream* stream) {
  return runtime::ToGrpc(TakeVideo(*context, *stream));
}

Status IngestionService::TakeVideo(const grpc::ServerContext& context, VideoStream& stream) {
  v1::IngestVideoRequest message;
  if (!stream.Read(&message) || !message.has_video()) {
    return {Code::kInvalidArgument, "STREAM_ORDER", "the start of a video comes first"};
  }
  const v1::VideoStart start = message.video();
  const std::string& request_id = start.capture().request_id();
  const std::string asked = catalog::Asked("IngestVideo", start);
  const Capture capture = BF_TRY(ReadCapture(database_, start.capture()));
  v1::IngestVideoResponse last;
  if (const auto known = BF_TRY(AnsweredBefore(database_, request_id, asked))) {
    BF_CHECK(last.ParseFromString(*known));
    stream.Write(last);
    return {};
  }

  Spool spool;
  while (stream.Read(&message)) {
    if (!message.has_chunk()) {
      return {Code::kInvalidArgument, "STREAM_ORDER", "after its start a video is chunks"};
    }
    BF_TRY(spool.Add(message.chunk()));
  }
  BF_TRY(runtime::CheckWhole(context.IsCancelled(), spool.size(), start.total_bytes(), "bytes"));
  const FrameRange range{start.from_frame(), start.to_frame(),
                         start.step() == 0 ? 1 : start.step()};
  const Counts counts = BF_TRY(intake_.TakeVideo(
      capture, spool.path(), range, ReadPlan(start), [&](const Progress& progress) -> Status {
        last = ToMessage(progress);
        if (stream.Write(last)) return {};
        return {Code::kCancelled, "the caller has gone; the same call again goes on"};
      }));
  Count(counts);
  last.set_done(true);
  BF_CHECK(last.ParseFromString(
      BF_TRY(Remember(database_, request_id, asked, last.SerializeAsString()))));
  stream.Write(last);
  return {};
}

grpc::Status IngestionService::ListSamples(grpc::ServerContext*,
                                           const v1::ListSamplesRequest* request,
                                           v1::ListSamplesResponse* response) {
  return runtime::ToGrpc(ListPage(*request, *response));
}

Status IngestionService::ListPage(const v1::ListSamplesRequest& request,
                                  v1::ListSamplesResponse& response) {
  const runtime::Page page = BF_TRY(runtime::ReadPage(request.page_size(), request.page_token()));
  return database_.Transact([&](db::Tx& tx) -> Status {
    const catalog::Project project = BF_TRY(catalog::Projects(tx).Get(request.project()));
    const std::vector<catalog::Sample> samples =
        BF_TRY(catalog::Samples(tx).List(project.id, page.cursor, page.limit));
    size_t bytes = 0;
    int64_t last = 0;
    for (const catalog::Sample& sample : samples) {
      v1::Sample message = ToMessage(sample, project);
      bytes += message.ByteSizeLong() + kFieldBytes;
      if (bytes > kMaxPageBytes) break;
      *response.add_samples() = std::move(message);
      last = sample.id;
    }
    if (response.samples_size() < std::ssize(samples) || std::ssize(samples) == page.limit) {
      response.set_next_page_token(runtime::NextPage(last));
    }
    return {};
  });
}

grpc::Status IngestionService::ReadSampleImage(
    grpc::ServerContext*, const v1::ReadSampleImageRequest* request,
    grpc::ServerWriter<v1::ReadSampleImageResponse>* writer) {
  const Result<std::string> png = SamplePng(*request);
  if (!png.ok()) return runtime::ToGrpc(png.status());
  v1::ReadSampleImageResponse message;
  for (size_t at = 0; at < png->size(); at += kMaxChunkBytes) {
    message.set_chunk(png->substr(at, kMaxChunkBytes));
    if (!writer->Write(message)) break;  // the caller has gone
  }
  return grpc::Status::OK;
}

Result<std::string> IngestionService::SamplePng(const v1::ReadSampleImageRequest& request) {
  const auto sample = BF_TRY(database_.Transact([&](db::Tx& tx) -> Result<catalog::Sample> {
    const catalog::Project project = BF_TRY(catalog::Projects(tx).Get(request.project()));
    return catalog::Samples(tx).Get(project.id, request.sample());
  }));
  const images::Image image = BF_TRY(ReadImage(store_, sample.image_digest));
  return images::EncodePng(BF_TRY(Cut(image, sample.window)));
}

}  // namespace bitfoundry::ingestion
