// An artefact: model.bnn and everything needed to trust it and to deploy it, as a handful of files.
//
//   model.bnn        the network (packed/format.h)
//   golden.bin       images with their logits and layer checksums, to replay anywhere
//   model.h, model.c, example.c, bf_*
//                    the network for microcontrollers, and the runtime that it needs
//                    (packed/firmware.h); left out where it is too large for any
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
#include "packed/manifest.h"

namespace bitfoundry::packed {

// Firmware's constants: what the exporter has to choose kernels by, and beyond which there is none.
inline constexpr uint64_t kFirmwareFlashBytes = uint64_t{128} << 10;
inline constexpr uint64_t kMaxFirmwareFlashBytes = uint64_t{512} << 10;

struct File {
  std::string name;
  std::string bytes;
};

// The files of an artefact, manifest.json last.
//
//   model    the bytes of model.bnn
//   golden   images for golden.bin, 1 to kMaxGolden of them, each of the network's input size
//   errors   those of Parse(); kInvalidArgument BAD_GOLDEN, BAD_CLASSES (not as many as logits)
Result<std::vector<File>> MakeBundle(std::span<const uint8_t> model,
                                     const std::vector<std::vector<uint8_t>>& golden,
                                     const Provenance& provenance);

// True to itself: every file of the manifest is there with its digest, no other is, the model
// parses, and golden.bin replays to the same logits and checksums.
//
// Errors: kInvalidArgument (as above, and MISSING_FILE, SURPLUS_FILE), kDataLoss DIGEST_MISMATCH,
// GOLDEN_MISMATCH.
Status CheckBundle(std::span<const File> files);

}  // namespace bitfoundry::packed
