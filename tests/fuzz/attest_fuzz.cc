// Reads bytes as each of the things that come with a signature: an envelope, a statement, a key.
#include <cstdint>
#include <cstdlib>

#include "attest/envelope.h"
#include "attest/statement.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bitfoundry::attest;
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  static const PublicKey key = PrivateKey::Generate().Public();

  const auto envelope = ParseEnvelope(bytes);
  if (envelope.ok()) {
    const auto again = ParseEnvelope(ToJson(*envelope));
    if (!again.ok() || again->payload != envelope->payload) std::abort();
    if (Verify(*envelope, envelope->payload_type, key).ok()) std::abort();
  } else if (envelope.status().reason() != "ENVELOPE_MALFORMED") {
    std::abort();
  }

  const auto statement = ParseStatement(bytes);
  if (statement.ok()) {
    const auto text = ToJson(*statement);
    if (!text.ok() || *ParseStatement(*text) != *statement) std::abort();
  } else if (statement.status().reason() != "STATEMENT_INVALID") {
    std::abort();
  }

  (void)PublicKey::FromPem(bytes, "fuzz");
  const auto secret = PrivateKey::FromPem(bytes, "fuzz");
  if (secret.ok() && !secret->Public().Verify("m", secret->Sign("m"))) std::abort();
  return 0;
}
