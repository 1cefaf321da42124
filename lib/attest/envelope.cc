#include "attest/envelope.h"

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

namespace bitfoundry::attest {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

Status Malformed(const std::string& what) {
  return {Code::kInvalidArgument, "ENVELOPE_MALFORMED", "not a DSSE envelope: " + what};
}

std::string ToBase64(std::string_view bytes) {
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    for (size_t k = 0; k < 3; ++k) {
      group = group << 8U | (i + k < bytes.size() ? static_cast<uint8_t>(bytes[i + k]) : 0U);
    }
    const size_t digits = std::min<size_t>(bytes.size() - i, 3) + 1;
    for (size_t k = 0; k < 4; ++k) {
      text += k < digits ? kAlphabet[group >> (18 - 6 * k) & 63U] : '=';
    }
  }
  return text;
}

// Nothing if `text` is not what ToBase64 writes, up to the alphabet.
std::optional<std::string> FromBase64(std::string text) {
  if (text.find_first_of("-_") != std::string::npos) {
    if (text.find_first_of("+/") != std::string::npos) return std::nullopt;
    std::replace(text.begin(), text.end(), '-', '+');
    std::replace(text.begin(), text.end(), '_', '/');
  }
  std::string bytes;
  uint32_t group = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const size_t digit = kAlphabet.find(text[i]);
    if (digit == std::string_view::npos && text[i] != '=') return std::nullopt;
    group = group << 6U | (text[i] == '=' ? 0U : static_cast<uint32_t>(digit));
    if (i % 4 != 3) continue;
    for (const uint32_t shift : {16U, 8U, 0U}) bytes += static_cast<char>(group >> shift & 255U);
    group = 0;
  }
  const size_t padding = std::min<size_t>(2, text.size() - text.find_last_not_of('=') - 1);
  bytes.resize(bytes.size() - std::min(bytes.size(), padding));
  if (ToBase64(bytes) != text) return std::nullopt;  // padding amiss, or bits that no byte has
  return bytes;
}

Result<std::string> TextOf(const Json& object, const char* field) {
  const auto found = object.find(field);
  if (found == object.end() || !found->is_string()) {
    return Malformed(std::string("'") + field + "' is not there, or is no text");
  }
  return found->get<std::string>();
}

Result<std::string> BytesOf(const Json& object, const char* field) {
  std::string text = BF_TRY(TextOf(object, field));
  std::optional<std::string> bytes = FromBase64(std::move(text));
  if (!bytes) return Malformed(std::string("'") + field + "' is not base64");
  return *std::move(bytes);
}

}  // namespace

std::string Pae(std::string_view payload_type, std::string_view payload) {
  std::string bytes = "DSSEv1";
  for (const std::string_view part : {payload_type, payload}) {
    bytes += " " + std::to_string(part.size()) + " ";
    bytes += part;
  }
  return bytes;
}

void Sign(const PrivateKey& key, Envelope& envelope) {
  envelope.signatures.push_back(
      {key.Public().id(), key.Sign(Pae(envelope.payload_type, envelope.payload))});
}

Status Verify(const Envelope& envelope, std::string_view payload_type, const PublicKey& key) {
  if (envelope.payload_type != payload_type) {
    return {Code::kInvalidArgument, "PAYLOAD_TYPE_WRONG",
            "the envelope holds '" + envelope.payload_type.substr(0, 100) + "', and '" +
                std::string(payload_type) + "' is wanted"};
  }
  const std::string signed_bytes = Pae(payload_type, envelope.payload);
  std::string signers;
  bool claimed = false;
  for (const Signature& signature : envelope.signatures) {
    if (key.Verify(signed_bytes, signature.bytes)) return Status();
    claimed |= signature.key_id == key.id();
    signers += (signers.empty() ? "" : ", ") +
               (signature.key_id.empty() ? "an unnamed key" : signature.key_id.substr(0, 64));
  }
  if (claimed) {
    return {Code::kDataLoss, "SIGNATURE_WRONG",
            "the signature of key " + key.id() +
                " does not fit: the payload or the signature was altered"};
  }
  return {Code::kPermissionDenied, "SIGNER_UNKNOWN",
          "signed by " + (signers.empty() ? "nobody" : signers) + ", not by key " + key.id()};
}

std::string ToJson(const Envelope& envelope) {
  Json json;
  json["payloadType"] = envelope.payload_type;
  json["payload"] = ToBase64(envelope.payload);
  json["signatures"] = Json::array();
  for (const Signature& signature : envelope.signatures) {
    Json one;
    one["keyid"] = signature.key_id;
    one["sig"] = ToBase64(signature.bytes);
    json["signatures"].push_back(std::move(one));
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

Result<Envelope> ParseEnvelope(std::string_view text) {
  if (text.size() > kMaxEnvelopeBytes) {
    return Malformed("larger than " + std::to_string(kMaxEnvelopeBytes) + " bytes");
  }
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return Malformed("expected a JSON object");
  Envelope envelope;
  envelope.payload_type = BF_TRY(TextOf(json, "payloadType"));
  envelope.payload = BF_TRY(BytesOf(json, "payload"));
  const auto signatures = json.find("signatures");
  if (signatures == json.end() || !signatures->is_array() || signatures->empty() ||
      signatures->size() > kMaxSignatures) {
    return Malformed("'signatures' is not a list of 1 to " + std::to_string(kMaxSignatures));
  }
  for (const Json& signature : *signatures) {
    if (!signature.is_object()) return Malformed("a signature is not an object");
    Signature read;
    if (signature.contains("keyid")) read.key_id = BF_TRY(TextOf(signature, "keyid"));
    read.bytes = BF_TRY(BytesOf(signature, "sig"));
    envelope.signatures.push_back(std::move(read));
  }
  return envelope;
}

}  // namespace bitfoundry::attest
