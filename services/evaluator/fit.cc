#include "services/evaluator/fit.h"

#include <algorithm>

#include "packed/format.h"
#include "packed/manifest.h"
#include "verdicts/evaluate.h"

namespace bitfoundry::evaluator {
namespace {

Status CheckArtefact(const blobs::Store& store, const std::string& digest,
                     const snapshot::Snapshot& data) {
  const packed::Manifest manifest =
      BF_TRY(packed::ParseManifest(BF_TRY(store.Get(digest, packed::kMaxManifestBytes))));
  const auto file = std::ranges::find(manifest.files, "model.bnn", &packed::ManifestFile::name);
  if (file == manifest.files.end()) {
    return Status(Code::kInvalidArgument, "MISSING_FILE", "the artefact has no model.bnn");
  }
  const std::string model = BF_TRY(store.Get(file->digest, packed::kMaxModelBytes));
  const packed::Network network =
      BF_TRY(packed::Parse({reinterpret_cast<const uint8_t*>(model.data()), model.size()}));
  return verdicts::CheckFit(network, manifest.provenance, data);
}

}  // namespace

Status CheckFit(const blobs::Store& store, const v1::Evaluation& evaluation,
                const snapshot::Snapshot& data) {
  if (!evaluation.artefact().empty()) BF_TRY(CheckArtefact(store, evaluation.artefact(), data));
  if (evaluation.baseline().empty()) return Status();
  const Status fits = CheckArtefact(store, evaluation.baseline(), data);
  return fits.ok() ? fits : fits.In("the baseline");
}

}  // namespace bitfoundry::evaluator
