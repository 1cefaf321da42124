// Ed25519 keys (RFC 8032) in the files that openssl reads and writes: PEM, a private key as PKCS#8,
// a public one as SubjectPublicKeyInfo (RFC 8410). OpenSSL ends in this room.
//
// A private key's file is refused if others than its owner and group may touch it, or if its group
// may write it: whoever can read it can sign, and a warning in a pipeline is read by nobody.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

struct evp_pkey_st;  // OpenSSL's EVP_PKEY

namespace bitfoundry::attest {

inline constexpr size_t kMaxKeyBytes = 16 * 1024;  // of a file; an Ed25519 key has about 120

class PublicKey {
 public:
  // Errors, all with `path` and what to do:
  //   kNotFound, kPermissionDenied  KEY_UNREADABLE  no such file, or not a file that can be read
  //   kInvalidArgument              KEY_INVALID     not PEM, a private key, or not Ed25519
  static Result<PublicKey> Read(const std::string& path);

  // The same of a text; `name` stands for the path in messages.
  static Result<PublicKey> FromPem(const std::string& pem, const std::string& name);

  std::string ToPem() const;

  // SHA-256 of the key's SubjectPublicKeyInfo in DER, 64 hexadecimal digits.
  const std::string& id() const { return id_; }

  // True if `signature` is this key's, of exactly `message`.
  bool Verify(std::string_view message, std::string_view signature) const;

 private:
  friend class PrivateKey;
  explicit PublicKey(std::shared_ptr<evp_pkey_st> key);

  std::shared_ptr<evp_pkey_st> key_;
  std::string id_;
};

class PrivateKey {
 public:
  static PrivateKey Generate();

  // Errors: as PublicKey::Read, KEY_INVALID also if it is encrypted, and
  //   kPermissionDenied  KEY_EXPOSED  others may read or write the file
  static Result<PrivateKey> Read(const std::string& path);

  // Whatever the file it came from allows.
  static Result<PrivateKey> FromPem(const std::string& pem, const std::string& name);

  // Writes a new file that its owner alone can read.
  // Errors: kAlreadyExists: a key is never overwritten; kUnavailable: the file cannot be written.
  Status Save(const std::string& path) const;

  PublicKey Public() const;

  // 64 bytes; the same each time.
  std::string Sign(std::string_view message) const;

 private:
  explicit PrivateKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {}

  std::shared_ptr<evp_pkey_st> key_;
};

}  // namespace bitfoundry::attest
