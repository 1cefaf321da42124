#include "proof/exhibits.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include "packed/format.h"
#include "packed/manifest.h"
#include "snapshot/snapshot.h"
#include "verdicts/suite.h"

namespace bitfoundry::proof {
namespace {

struct Limit {
  std::string_view name;
  uint64_t bytes;
};
constexpr Limit kLimits[] = {
    {kManifest, packed::kMaxManifestBytes},
    {kModel, packed::kMaxModelBytes},
    {kGolden, uint64_t{64} << 20},
    {kBaselineManifest, packed::kMaxManifestBytes},
    {kBaselineModel, packed::kMaxModelBytes},
    {kSuite, verdicts::kMaxSuiteBytes},
    {kRows, uint64_t{1} << 30},
    {kPixels, uint64_t{4} << 30},
    {kReport, uint64_t{256} << 20},
};

// Reads exhibits, and remembers which.
class Reader {
 public:
  explicit Reader(const blobs::Store& store) : store_(store) {}

  Result<std::string> Read(const char* name, const std::string& digest) {
    read_.push_back({name, digest});
    return ReadExhibit(store_, read_.back());
  }

  // A manifest names every other file of its artefact.
  Result<std::string> ReadFile(const char* name, const packed::Manifest& manifest) {
    const std::string file = std::string(name).substr(std::string_view(name).find('/') + 1);
    const auto found = std::ranges::find(manifest.files, file, &packed::ManifestFile::name);
    if (found != manifest.files.end()) return Read(name, found->digest);
    return Status(Code::kInvalidArgument, "MISSING_FILE", "the artefact has no " + file);
  }

  // The network of an artefact, which takes the snapshot's images.
  Result<packed::Network> ReadNetwork(const char* name, const packed::Manifest& manifest,
                                      const snapshot::Snapshot& data) {
    const std::string bytes = BF_TRY(ReadFile(name, manifest));
    packed::Network network =
        BF_TRY(packed::Parse({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
    const Status fits = verdicts::CheckFit(network, manifest.provenance, data);
    if (!fits.ok()) return fits.In(name);
    return network;
  }

  std::vector<Exhibit> TakeRead() { return std::move(read_); }

 private:
  const blobs::Store& store_;
  std::vector<Exhibit> read_;
};

// The suite and the data.
Status ReadData(Reader& reader, const Names& names, verdicts::Subject& subject) {
  subject.artefact = names.artefact;
  subject.suite_digest = names.suite;
  subject.suite_name = names.suite_name;
  subject.snapshot = names.snapshot;
  subject.baseline = names.baseline;
  const std::string suite = BF_TRY(reader.Read(kSuite, names.suite));
  subject.suite = BF_TRY(verdicts::ParseSuite(suite, names.suite_name));

  const std::string rows = BF_TRY(reader.Read(kRows, names.snapshot));
  const std::string pixels_digest = BF_TRY(snapshot::PixelsDigest(rows));
  std::string pixels = BF_TRY(reader.Read(kPixels, pixels_digest));
  subject.data = BF_TRY(snapshot::Decode(rows, std::move(pixels)));
  return Status();
}

Status ReadBaseline(Reader& reader, verdicts::Subject& subject) {
  if (subject.baseline.empty()) return Status();
  const auto manifest =
      BF_TRY(packed::ParseManifest(BF_TRY(reader.Read(kBaselineManifest, subject.baseline))));
  subject.baseline_network = BF_TRY(reader.ReadNetwork(kBaselineModel, manifest, subject.data));
  return Status();
}

}  // namespace

uint64_t LimitOf(const std::string& name) {
  const auto found = std::ranges::find(kLimits, name, &Limit::name);
  return found == std::end(kLimits) ? 0 : found->bytes;
}

Result<std::string> ReadExhibit(const blobs::Store& store, const Exhibit& exhibit) {
  auto bytes = store.Get(exhibit.sha256, LimitOf(exhibit.name));
  if (bytes.ok()) return bytes;
  const Status status = bytes.status().In(exhibit.name);
  if (status.code() == Code::kNotFound)
    return Status(status.code(), "EXHIBIT_MISSING", status.message());
  if (status.code() == Code::kDataLoss)
    return Status(status.code(), "DIGEST_MISMATCH", status.message());
  return status;
}

Result<Case> ReadCase(const blobs::Store& store, const Names& names) {
  Reader reader(store);
  Case read;
  verdicts::Subject& subject = read.subject;
  BF_TRY(ReadData(reader, names, subject));
  const auto manifest =
      BF_TRY(packed::ParseManifest(BF_TRY(reader.Read(kManifest, names.artefact))));
  subject.network = BF_TRY(reader.ReadNetwork(kModel, manifest, subject.data));
  subject.golden = BF_TRY(packed::ParseGolden(BF_TRY(reader.ReadFile(kGolden, manifest))));
  BF_TRY(ReadBaseline(reader, subject));
  read.exhibits = reader.TakeRead();
  return read;
}

Result<verdicts::Subject> ReadQuestion(const blobs::Store& store, const Names& names) {
  Reader reader(store);
  verdicts::Subject subject;
  BF_TRY(ReadData(reader, names, subject));
  BF_TRY(ReadBaseline(reader, subject));
  return subject;
}

}  // namespace bitfoundry::proof
