// SHA-256 names: every blob, image, snapshot, suite and artefact is named by the digest of its
// bytes, 64 lowercase hexadecimal digits.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace bitfoundry {

// The digest of `bytes`.
std::string Sha256(std::string_view bytes);
std::string Sha256(std::span<const uint8_t> bytes);

// The digest of the program that runs this: of the file that it was started from.
std::string DigestOfThisProgram();

// True if `text` is 64 lowercase hexadecimal digits. Whoever takes a digest from outside checks it
// here before it becomes a file name.
bool IsDigest(std::string_view text);

// The digest of bytes that arrive in pieces.
class Sha256Stream {
 public:
  Sha256Stream();
  ~Sha256Stream();
  Sha256Stream(const Sha256Stream&) = delete;
  Sha256Stream& operator=(const Sha256Stream&) = delete;

  void Add(std::string_view bytes);

  // Call once, last.
  std::string Finish();

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

}  // namespace bitfoundry
