// DSSE: bytes, what kind of bytes they are, and signatures over both.
//
// Source: https://github.com/secure-systems-lab/dsse, protocol.md and envelope.md, version 1.0.2.
// What is signed is not JSON, which can be written in many ways, but
//   PAE(type, payload) = "DSSEv1 " + length(type) + " " + type + " " + length(payload) + " " +
//   payload
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "attest/key.h"
#include "base/status.h"

namespace bitfoundry::attest {

inline constexpr size_t kMaxEnvelopeBytes = 4 * 1024 * 1024;
inline constexpr size_t kMaxSignatures = 16;

struct Signature {
  std::string key_id;  // a hint, which nobody signed: it decides nothing but a message's words
  std::string bytes;
};

struct Envelope {
  std::string payload_type;
  std::string payload;
  std::vector<Signature> signatures;
};

// The bytes that a signature is of.
std::string Pae(std::string_view payload_type, std::string_view payload);

// Adds the key's signature.
void Sign(const PrivateKey& key, Envelope& envelope);

// OK if a signature in it is the key's, over this payload as a `payload_type`. Only then may the
// payload be read.
//
// Errors:
//   kInvalidArgument   PAYLOAD_TYPE_WRONG  it says that it is something else
//   kPermissionDenied  SIGNER_UNKNOWN      signed by others, not by this key
//   kDataLoss          SIGNATURE_WRONG     said to be signed by this key, and altered since
Status Verify(const Envelope& envelope, std::string_view payload_type, const PublicKey& key);

// One line of JSON; the same envelope is the same bytes. payload_type is UTF-8.
std::string ToJson(const Envelope& envelope);

// Trusts nothing. Fields that DSSE does not know are passed over, as it asks. Base64 may be the
// standard or the URL alphabet, padded, and written in the one way that its bytes have.
//
// Errors: kInvalidArgument ENVELOPE_MALFORMED: what was expected.
Result<Envelope> ParseEnvelope(std::string_view json);

}  // namespace bitfoundry::attest
