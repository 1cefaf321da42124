// What a verdict rests on: bytes in a content-addressed store, each named by its digest.
//
// A verdict names artefact, baseline, suite and snapshot. These name the rest: a manifest the files
// of its artefact, a snapshot's rows its pixels. So whoever has the digests needs to believe
// nobody, and any store that has the bytes will do.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "blobs/store.h"
#include "verdicts/evaluate.h"

namespace bitfoundry::proof {

struct Exhibit {
  std::string name;    // one of those below
  std::string sha256;  // of its bytes

  bool operator==(const Exhibit&) const = default;
};

inline constexpr char kManifest[] = "artefact/manifest.json";
inline constexpr char kModel[] = "artefact/model.bnn";
inline constexpr char kGolden[] = "artefact/golden.bin";
inline constexpr char kBaselineManifest[] = "baseline/manifest.json";
inline constexpr char kBaselineModel[] = "baseline/model.bnn";
inline constexpr char kSuite[] = "suite.yaml";
inline constexpr char kRows[] = "snapshot/rows";
inline constexpr char kPixels[] = "snapshot/pixels";
inline constexpr char kReport[] = "report.html";

// The most bytes that an exhibit of this name may have; 0 of a name that is none.
uint64_t LimitOf(const std::string& name);

// Its bytes, checked against the digest.
//
// Errors, all with the exhibit's name:
//   kNotFound            EXHIBIT_MISSING  the store does not have it
//   kDataLoss            DIGEST_MISMATCH  its bytes were altered
//   kFailedPrecondition  BLOB_TOO_LARGE
Result<std::string> ReadExhibit(const blobs::Store& store, const Exhibit& exhibit);

// What is judged, by digest.
struct Names {
  std::string artefact;
  std::string suite;
  std::string suite_name;  // the file's, for messages
  std::string snapshot;
  std::string baseline;  // empty: none
};

struct Case {
  verdicts::Subject subject;
  std::vector<Exhibit> exhibits;  // all that was read for it
};

// Errors: those of ReadExhibit; kFailedPrecondition MODEL_DOES_NOT_FIT, if a network's input or
// classes are not the snapshot's; those of reading manifest, network, suite and snapshot.
Result<Case> ReadCase(const blobs::Store& store, const Names& names);

// The same for a model that is not in the store, and that `names.artefact` only names: the suite,
// the data and the baseline that it is asked about.
Result<verdicts::Subject> ReadQuestion(const blobs::Store& store, const Names& names);

}  // namespace bitfoundry::proof
