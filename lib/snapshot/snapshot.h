// A snapshot: a frozen data set, named by the digest of its rows. Its format on disk and on the
// wire, and nothing else; who is in it is decided in bf-ingestion.
//
// Two blobs (docs/snapshots.md):
//   rows    JSON Lines, UTF-8. The first line is the header, then one line a sample, sorted by
//           name, so that the same content is the same bytes. The header holds the digest of
//           the pixels, so that the digest of the rows names everything.
//   pixels  uint8 [sample, height, width, channels], in the order of the rows.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace bitfoundry::snapshot {

inline constexpr size_t kMaxSamples = 1'000'000;

enum class Part { kTrain, kTest };

struct Row {
  std::string name;  // the sample's: "<digest>" or "<digest>@x,y,width,height"
  Part part = Part::kTrain;
  int class_index = 0;   // the label
  double posterior = 0;  // of the label, 0 to 1
  std::string camera;
  std::string session;
  int64_t position = 0;  // frame number within the session
  std::map<std::string, std::string> tags;
  std::map<std::string, double> attributes;  // finite numbers

  bool operator==(const Row&) const = default;
};

struct Snapshot {
  std::string project;
  std::vector<std::string> classes;
  int height = 0;
  int width = 0;
  int channels = 0;
  std::vector<Row> rows;
  std::vector<uint8_t> pixels;  // [rows * height * width * channels]

  size_t SampleBytes() const {
    return static_cast<size_t>(height) * static_cast<size_t>(width) * static_cast<size_t>(channels);
  }

  // The pixels of row i, [height, width, channels].
  std::span<const uint8_t> Image(size_t i) const {
    return std::span(pixels).subspan(i * SampleBytes(), SampleBytes());
  }
};

struct Encoded {
  std::string rows;
  std::string pixels;
  std::string digest;  // of rows: the snapshot's name
};

// Requires: pixels has rows * SampleBytes() bytes. Sorts by name.
//
// Errors: kInvalidArgument if a name comes twice, a class is out of range, an attribute is not
// finite, or there are more than kMaxSamples.
Result<Encoded> Encode(const Snapshot& snapshot);

// Trusts nothing: bytes come from the store or over the wire.
//
// Errors: kDataLoss, SNAPSHOT_MALFORMED: which line, what was expected; or the pixels' size or
// digest is not what the header says.
Result<Snapshot> Decode(std::string_view rows, std::string pixels);

// The rows alone; `pixels` of the result is empty.
Result<Snapshot> DecodeRows(std::string_view rows);

// The digest of the pixels that belong to the rows. Reads the header alone; errors as Decode.
Result<std::string> PixelsDigest(std::string_view rows);

}  // namespace bitfoundry::snapshot
