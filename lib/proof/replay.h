// A signed verdict, made again from the bytes that it rests on, anywhere.
#pragma once

#include <stop_token>
#include <string>

#include "base/status.h"
#include "blobs/store.h"
#include "proof/signed_verdict.h"
#include "verdicts/evaluate.h"

namespace bitfoundry::proof {

// Reads every exhibit by digest, evaluates, and compares each field that was signed; but the
// runtime, which may be another, and the report's rendering (its bytes are checked).
//
//   options.runtime  is not used
//   errors           those of ReadCase
//                    kFailedPrecondition REPLAY_DIFFERS, with tests and fields: what was signed,
//                    and what came out here
Status Replay(const blobs::Store& store, const SignedVerdict& signed_verdict,
              verdicts::Options options, const std::stop_token& stop);

}  // namespace bitfoundry::proof
