// A signed verdict out of the factory: its bundle, and every byte that it rests on.
#pragma once

#include <filesystem>

#include "base/status.h"
#include "bitfoundry/v1/evaluator.grpc.pb.h"

namespace bitfoundry::cli {

// Writes the bundle alone.
// Errors: kFailedPrecondition NOT_SIGNED; kDataLoss DIGEST_MISMATCH; the door's; the disk's.
Status SaveBundle(v1::Evaluator::Stub& stub, const v1::Verdict& verdict,
                  const std::filesystem::path& file);

// Makes a folder that `bitfoundry verify` needs nothing else for:
//   verdict.intoto.jsonl   the bundle, written last
//   blobs/                 a content-addressed store (lib/blobs) of what it names by digest
Status ExportVerdict(v1::Evaluator::Stub& stub, const v1::Verdict& verdict,
                     const std::filesystem::path& folder);

}  // namespace bitfoundry::cli
