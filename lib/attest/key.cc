#include "attest/key.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "base/digest.h"

namespace bitfoundry::attest {
namespace {

constexpr char kMake[] = "make a key with: openssl genpkey -algorithm ed25519 -out key.pem";

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Key = std::shared_ptr<EVP_PKEY>;

Key Own(EVP_PKEY* key) { return {key, EVP_PKEY_free}; }

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

Status Invalid(const std::string& name, const std::string& what) {
  return {Code::kInvalidArgument, "KEY_INVALID", name + ": " + what};
}

Status Unreadable(const std::string& path, int error) {
  return {error == ENOENT ? Code::kNotFound : Code::kPermissionDenied, "KEY_UNREADABLE",
          path + ": the key cannot be read: " + std::strerror(error)};
}

// OpenSSL's errors are kept for each thread, and what asks next would take ours for its own.
class ErrorsForgotten {
 public:
  ErrorsForgotten() { ERR_set_mark(); }
  ~ErrorsForgotten() { ERR_pop_to_mark(); }
  ErrorsForgotten(const ErrorsForgotten&) = delete;
  ErrorsForgotten& operator=(const ErrorsForgotten&) = delete;
};

class File {
 public:
  File(const std::string& path, int flags, mode_t mode = 0)
      : descriptor_(open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~File() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  int descriptor() const { return descriptor_; }

 private:
  const int descriptor_;
};

// The text of a key's file. Permissions are those of the file that is open, not of its name.
Result<std::string> ReadFile(const std::string& path, bool is_private) {
  const File file(path, O_RDONLY | O_NONBLOCK);  // or opening a pipe would wait for its writer
  struct stat status {};
  if (file.descriptor() < 0 || fstat(file.descriptor(), &status) != 0) {
    return Unreadable(path, errno);
  }
  if (!S_ISREG(status.st_mode)) return Invalid(path, "not a file");
  if (is_private && (status.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
    return Status(Code::kPermissionDenied, "KEY_EXPOSED",
                  path +
                      ": others may read or write this private key; chmod 600 it, and replace "
                      "it if it may have been read");
  }
  std::string text(kMaxKeyBytes + 1, '\0');
  const ssize_t size = read(file.descriptor(), text.data(), text.size());
  if (size < 0) return Unreadable(path, errno);
  if (static_cast<size_t>(size) > kMaxKeyBytes) return Invalid(path, "too large for a key");
  text.resize(static_cast<size_t>(size));
  return text;
}

// The first block of a PEM text, its bytes wiped when it goes.
struct Block {
  char* label = nullptr;
  char* header = nullptr;
  unsigned char* bytes = nullptr;
  long size = 0;

  explicit Block(const std::string& pem) {
    if (pem.size() > kMaxKeyBytes) return;
    const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())), BIO_free);
    if (PEM_read_bio(bio.get(), &label, &header, &bytes, &size) != 1) label = nullptr;
  }
  ~Block() {
    OPENSSL_free(label);
    OPENSSL_free(header);
    OPENSSL_clear_free(bytes, static_cast<size_t>(size));
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
};

constexpr char kPrivate[] = "PRIVATE KEY";
constexpr char kPublic[] = "PUBLIC KEY";

// OK if the block says that it is what is wanted; what it is instead.
Status CheckLabel(const Block& block, const std::string& wanted, const std::string& name) {
  if (block.label == nullptr) return Invalid(name, std::string("no PEM key in it; ") + kMake);
  const std::string label = block.label;
  if (label == wanted && *block.header == '\0') return Status();
  if (label == "ENCRYPTED PRIVATE KEY" || *block.header != '\0') {
    return Invalid(
        name,
        "this key is encrypted; decrypt it with: openssl pkey -out decrypted.pem -in " + name);
  }
  if (label == kPrivate && wanted == kPublic) {
    return Invalid(name,
                   "this is a private key, and a public one is wanted: openssl pkey -pubout "
                   "-in " +
                       name);
  }
  return Invalid(name, "expected a PEM block '" + wanted + "', found '" + label + "'; " + kMake);
}

Result<Key> Ed25519(Key key, const std::string& name) {
  if (key == nullptr) return Invalid(name, "the bytes of this key are damaged");
  if (EVP_PKEY_get_id(key.get()) == EVP_PKEY_ED25519) return key;
  const char* type = EVP_PKEY_get0_type_name(key.get());
  return Invalid(name, std::string("this key is for ") + (type == nullptr ? "something" : type) +
                           ", not Ed25519; " + kMake);
}

std::string TextOf(BIO* bio) {
  char* text = nullptr;
  const long size = BIO_get_mem_data(bio, &text);
  return {text, static_cast<size_t>(size)};
}

}  // namespace

PublicKey::PublicKey(std::shared_ptr<evp_pkey_st> key) : key_(std::move(key)) {
  const Bio der(BIO_new(BIO_s_mem()), BIO_free);
  BF_CHECK(i2d_PUBKEY_bio(der.get(), key_.get()) == 1);
  id_ = Sha256(TextOf(der.get()));
}

Result<PublicKey> PublicKey::Read(const std::string& path) {
  const std::string pem = BF_TRY(ReadFile(path, /*is_private=*/false));
  return FromPem(pem, path);
}

Result<PublicKey> PublicKey::FromPem(const std::string& pem, const std::string& name) {
  const ErrorsForgotten forgotten;
  const Block block(pem);
  BF_TRY(CheckLabel(block, kPublic, name));
  const unsigned char* at = block.bytes;
  Key key = BF_TRY(Ed25519(Own(d2i_PUBKEY(nullptr, &at, block.size)), name));
  return PublicKey(std::move(key));
}

std::string PublicKey::ToPem() const {
  const Bio pem(BIO_new(BIO_s_mem()), BIO_free);
  BF_CHECK(PEM_write_bio_PUBKEY(pem.get(), key_.get()) == 1);
  return TextOf(pem.get());
}

bool PublicKey::Verify(std::string_view message, std::string_view signature) const {
  const ErrorsForgotten forgotten;
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  BF_CHECK(EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1);
  return EVP_DigestVerify(context.get(), Bytes(signature), signature.size(), Bytes(message),
                          message.size()) == 1;
}

PrivateKey PrivateKey::Generate() {
  Key key = Own(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
  BF_CHECK(key != nullptr);
  return PrivateKey(std::move(key));
}

Result<PrivateKey> PrivateKey::Read(const std::string& path) {
  std::string pem = BF_TRY(ReadFile(path, /*is_private=*/true));
  Result<PrivateKey> key = FromPem(pem, path);
  OPENSSL_cleanse(pem.data(), pem.size());
  return key;
}

Result<PrivateKey> PrivateKey::FromPem(const std::string& pem, const std::string& name) {
  const ErrorsForgotten forgotten;
  const Block block(pem);
  BF_TRY(CheckLabel(block, kPrivate, name));
  const unsigned char* at = block.bytes;
  Key key = BF_TRY(Ed25519(Own(d2i_AutoPrivateKey(nullptr, &at, block.size)), name));
  return PrivateKey(std::move(key));
}

Status PrivateKey::Save(const std::string& path) const {
  const File file(path, O_WRONLY | O_CREAT | O_EXCL, S_IRUSR | S_IWUSR);
  if (file.descriptor() < 0 && errno == EEXIST) {
    return {Code::kAlreadyExists, path + " is there already, and a key is never overwritten"};
  }
  const ErrorsForgotten forgotten;
  const Bio out(BIO_new_fd(file.descriptor(), BIO_NOCLOSE), BIO_free);
  if (file.descriptor() < 0 || PEM_write_bio_PKCS8PrivateKey(out.get(), key_.get(), nullptr,
                                                             nullptr, 0, nullptr, nullptr) != 1) {
    const int error = errno;
    if (file.descriptor() >= 0) unlink(path.c_str());
    return {Code::kUnavailable, path + ": the key cannot be written: " + std::strerror(error)};
  }
  return Status();
}

PublicKey PrivateKey::Public() const { return PublicKey(key_); }

std::string PrivateKey::Sign(std::string_view message) const {
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  BF_CHECK(EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1);
  std::string signature(64, '\0');
  size_t size = signature.size();
  BF_CHECK(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                          Bytes(message), message.size()) == 1);
  BF_CHECK(size == signature.size());
  return signature;
}

}  // namespace bitfoundry::attest
