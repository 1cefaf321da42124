// What an artefact says of itself: manifest.json, and golden.bin, which is to be replayed anywhere.
// Both come from outside; neither is trusted.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace bitfoundry::packed {

inline constexpr size_t kMaxManifestBytes = size_t{64} << 10;
inline constexpr size_t kMaxGolden = 64;

// What went into a model.
struct Provenance {
  std::string project;
  std::string snapshot;     // digest
  std::string recipe_json;  // canonical
  uint64_t seed = 0;
  std::string code_revision;         // of the trainer, as `git describe` gives it
  std::vector<std::string> classes;  // names, in the order of the logits
  int64_t train_images = 0;
  int64_t verified_images = 0;  // on which trainer and packed network gave equal logits
  double train_accuracy = 0;    // 0 to 1, of the last epoch
  double logit_scale = 0;       // a logit times this is in nats: softmax gives probabilities
};

struct ManifestFile {
  std::string name;
  std::string digest;
  int64_t bytes = 0;
};

struct Manifest {
  Provenance provenance;
  std::vector<ManifestFile> files;  // in order of name, without manifest.json
};

// Reads a manifest that comes from outside. Names are plain file names, digests are digests.
//
// Errors: kInvalidArgument BAD_MANIFEST; the message names the field.
Result<Manifest> ParseManifest(std::string_view json);

// One image of golden.bin with its expected outputs.
struct Golden {
  std::vector<uint8_t> image;
  std::vector<int32_t> logits;
  std::vector<uint32_t> checksums;  // one a layer
};

// Errors: kInvalidArgument BAD_GOLDEN.
Result<std::vector<Golden>> ParseGolden(std::string_view bytes);

}  // namespace bitfoundry::packed
