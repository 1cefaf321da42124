// `model.bnn`: a packed network as bytes. docs/artefact_format.md is the specification.
//
// The bytes come from outside (a store, a flash chip, a stranger), so Parse trusts none of them.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/status.h"
#include "packed/network.h"

namespace bitfoundry::packed {

inline constexpr size_t kMaxModelBytes = size_t{4} << 20;

// Reads a network. What it returns has passed Describe().
//
// Errors: kInvalidArgument, with a reason of Describe() or
//   TOO_LARGE        more than kMaxModelBytes
//   TRUNCATED        the bytes end inside a header or a section
//   TOO_LONG         they go on after what the header says
//   BAD_MAGIC        not a model.bnn
//   UNKNOWN_VERSION  of another major version
//   BAD_CRC          of the header or of a section
//   BAD_SECTION      a section is missing, repeated, out of place or malformed
//   BAD_PADDING      a byte that has to be 0 is not
// The message names the section and its offset.
Result<Network> Parse(std::span<const uint8_t> bytes);

// Writes a network; Parse gives it back.
//
// Errors: those of Describe(), and TOO_LARGE.
Result<std::vector<uint8_t>> Serialize(const Network& network);

}  // namespace bitfoundry::packed
