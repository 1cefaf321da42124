// The content-addressed store: bytes named by their SHA-256, in a folder.
//
//   <root>/ab/cd/abcd...   one file per blob, written once and never changed
//   <root>/drafts/         being written; a crash may leave a file here, which nothing refers to
//
// Bytes come before rows (docs/architecture.md): a blob is durable when Put returns, so a row that
// names it can be committed. Putting the same bytes twice is harmless, from any number of
// processes at once. A crash leaves at worst a blob or a draft that no row names.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "base/digest.h"
#include "base/status.h"

namespace bitfoundry::blobs {

class Writer;

// Safe for threads. Errors of all functions, besides those stated:
//   kInvalidArgument    the digest is none
//   kResourceExhausted  DISK_FULL
//   kUnavailable        the disk failed in another way; the message says how
class Store {
 public:
  // Makes the folder if there is none.
  static Result<Store> Open(const std::filesystem::path& root);

  // Returns the digest of `bytes`, which are then on the disk.
  Result<std::string> Put(std::string_view bytes) const;

  // For bytes that arrive in pieces.
  Result<Writer> Write() const;

  // The bytes, checked against their name.
  //
  // Errors:
  //   kNotFound            no such blob
  //   kFailedPrecondition  BLOB_TOO_LARGE: more than `limit_bytes`
  //   kDataLoss            the file's bytes are not what its name says: the disk, or somebody's
  //                        hand, has changed them
  Result<std::string> Get(const std::string& digest, uint64_t limit_bytes) const;

  // Bytes of the blob, unread. Errors: kNotFound.
  Result<uint64_t> Size(const std::string& digest) const;

  Result<bool> Exists(const std::string& digest) const;

 private:
  explicit Store(std::filesystem::path root) : root_(std::move(root)) {}

  std::filesystem::path root_;
};

// One blob on its way in. Without Finish, nothing is kept.
class Writer {
 public:
  Writer(Writer&& other) noexcept;
  ~Writer();

  Status Add(std::string_view bytes);

  uint64_t size() const { return size_; }  // added so far

  // Call once, last. Returns the digest; the bytes are then on the disk.
  Result<std::string> Finish();

 private:
  friend class Store;
  Writer(std::filesystem::path root, std::filesystem::path draft, int fd);

  std::filesystem::path root_;
  std::filesystem::path draft_;
  int fd_;
  uint64_t size_ = 0;
  std::unique_ptr<Sha256Stream> digest_;
};

}  // namespace bitfoundry::blobs
