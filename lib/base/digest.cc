#include "base/digest.h"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <fstream>

#include "base/status.h"

namespace bitfoundry {

struct Sha256Stream::Context {
  EVP_MD_CTX* evp = EVP_MD_CTX_new();
  ~Context() { EVP_MD_CTX_free(evp); }
};

Sha256Stream::Sha256Stream() : context_(std::make_unique<Context>()) {
  BF_CHECK(EVP_DigestInit_ex(context_->evp, EVP_sha256(), nullptr) == 1);
}

Sha256Stream::~Sha256Stream() = default;

void Sha256Stream::Add(std::string_view bytes) {
  BF_CHECK(EVP_DigestUpdate(context_->evp, bytes.data(), bytes.size()) == 1);
}

std::string Sha256Stream::Finish() {
  std::array<unsigned char, 32> raw{};
  BF_CHECK(EVP_DigestFinal_ex(context_->evp, raw.data(), nullptr) == 1);
  constexpr char kDigits[] = "0123456789abcdef";
  std::string hex;
  for (const unsigned char byte : raw) {
    hex += kDigits[byte >> 4U];
    hex += kDigits[byte & 15U];
  }
  return hex;
}

std::string Sha256(std::string_view bytes) {
  Sha256Stream stream;
  stream.Add(bytes);
  return stream.Finish();
}

std::string Sha256(std::span<const uint8_t> bytes) {
  return Sha256(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

std::string DigestOfThisProgram() {
  std::ifstream self("/proc/self/exe", std::ios::binary);
  Sha256Stream digest;
  std::string piece(size_t{1} << 20, '\0');
  while (self.read(piece.data(), static_cast<std::streamsize>(piece.size())), self.gcount() > 0) {
    digest.Add(std::string_view(piece).substr(0, static_cast<size_t>(self.gcount())));
  }
  return digest.Finish();
}

bool IsDigest(std::string_view text) {
  return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace bitfoundry
