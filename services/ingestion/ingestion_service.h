// bitfoundry.v1.Ingestion: the streams and their limits; what is done is in batch.h and intake.h.
#pragma once

#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include "bitfoundry/v1/ingestion.grpc.pb.h"
#include "services/ingestion/intake.h"

namespace bitfoundry::ingestion {

inline constexpr int64_t kMaxVideoBytes = 256 << 20;

class IngestionService final : public v1::Ingestion::Service {
 public:
  // Counts bf_ingest_samples_total{outcome} and bf_ingest_refused_total{reason} in `metrics`.
  IngestionService(db::Database& database, const blobs::Store& store, Intake& intake,
                   prometheus::Registry& metrics);

  grpc::Status IngestImages(grpc::ServerContext*, grpc::ServerReader<v1::IngestImagesRequest>*,
                            v1::IngestImagesResponse*) override;
  grpc::Status IngestVideo(
      grpc::ServerContext*,
      grpc::ServerReaderWriter<v1::IngestVideoResponse, v1::IngestVideoRequest>*) override;
  grpc::Status ListSamples(grpc::ServerContext*, const v1::ListSamplesRequest*,
                           v1::ListSamplesResponse*) override;
  grpc::Status ReadSampleImage(grpc::ServerContext*, const v1::ReadSampleImageRequest*,
                               grpc::ServerWriter<v1::ReadSampleImageResponse>*) override;

 private:
  using VideoStream = grpc::ServerReaderWriter<v1::IngestVideoResponse, v1::IngestVideoRequest>;

  IngestionService(db::Database& database, const blobs::Store& store, Intake& intake,
                   prometheus::Registry& metrics, prometheus::Family<prometheus::Counter>& samples);
  void Count(const Counts& counts);
  Status TakeVideo(const grpc::ServerContext& context, VideoStream& stream);
  Status ListPage(const v1::ListSamplesRequest& request, v1::ListSamplesResponse& response);
  Result<std::string> SamplePng(const v1::ReadSampleImageRequest& request);

  db::Database& database_;
  const blobs::Store& store_;
  Intake& intake_;
  prometheus::Counter& accepted_;
  prometheus::Counter& duplicates_;
  prometheus::Family<prometheus::Counter>& refused_;
};

}  // namespace bitfoundry::ingestion
