// An artefact: model.bnn and everything needed to trust it and to deploy it, as a handful of files.
//
//   model.bnn        the network (packed/format.h)
//   golden.bin       images with their logits and layer checksums, to replay anywhere
//   report.json      flash, RAM, multiply-accumulates by precision, per layer
//   report.md        the same for people
//   MODEL_CARD.md    what it is for, what it was made from, what is not known about it
//   manifest.json    the digest of every file above, and what went in
//
// The artefact's name is the SHA-256 of manifest.json, and the manifest names every other file by
// its digest. Nothing in it depends on when or where it was made: the same training gives the same
// bytes and so the same name.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"

namespace bitfoundry::packed {

inline constexpr size_t kMaxManifestBytes = size_t{64} << 10;
inline constexpr size_t kMaxGolden = 64;

struct File {
  std::string name;
  std::string bytes;
};

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

// The files of an artefact, manifest.json last.
//
//   model    the bytes of model.bnn
//   golden   images for golden.bin, 1 to kMaxGolden of them, each of the network's input size
//   errors   those of Parse(); kInvalidArgument BAD_GOLDEN, BAD_CLASSES (not as many as logits)
Result<std::vector<File>> MakeBundle(std::span<const uint8_t> model,
                                     const std::vector<std::vector<uint8_t>>& golden,
                                     const Provenance& provenance);

// Reads a manifest that comes from outside. Names are plain file names, digests are digests.
//
// Errors: kInvalidArgument BAD_MANIFEST; the message names the field.
Result<Manifest> ParseManifest(std::string_view json);

// True to itself: every file of the manifest is there with its digest, no other is, the model
// parses, and golden.bin replays to the same logits and checksums.
//
// Errors: kInvalidArgument (as above, and MISSING_FILE, SURPLUS_FILE), kDataLoss DIGEST_MISMATCH,
// GOLDEN_MISMATCH.
Status CheckBundle(std::span<const File> files);

// One image of golden.bin with its expected outputs.
struct Golden {
  std::vector<uint8_t> image;
  std::vector<int32_t> logits;
  std::vector<uint32_t> checksums;  // one a layer
};

// Errors: kInvalidArgument BAD_GOLDEN.
Result<std::vector<Golden>> ParseGolden(std::string_view bytes);

}  // namespace bitfoundry::packed
