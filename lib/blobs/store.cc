#include "blobs/store.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace bitfoundry::blobs {
namespace {

namespace fs = std::filesystem;

Status DiskError(const std::string& what, const fs::path& path, int error) {
  const std::string message =
      what + " " + path.string() + ": " + std::generic_category().message(error);
  if (error == ENOENT) return {Code::kNotFound, message};
  if (error == ENOSPC || error == EDQUOT) {
    return {Code::kResourceExhausted, "DISK_FULL", message};
  }
  return {Code::kUnavailable, message};
}

class File {
 public:
  explicit File(int fd) : fd_(fd) {}
  ~File() {
    if (fd_ >= 0) close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// Makes the names in a folder durable.
Status SyncFolder(const fs::path& folder) {
  const File file(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.fd() < 0 || fsync(file.fd()) != 0) return DiskError("cannot sync", folder, errno);
  return Status();
}

Status MakeFolder(const fs::path& folder) {
  if (mkdir(folder.c_str(), 0777) == 0) return SyncFolder(folder.parent_path());
  if (errno == EEXIST) return Status();
  return DiskError("cannot make", folder, errno);
}

// Two levels of 256 folders keep each folder small up to hundreds of millions of blobs.
fs::path PathOf(const fs::path& root, const std::string& digest) {
  return root / digest.substr(0, 2) / digest.substr(2, 2) / digest;
}

Status CheckDigest(const std::string& digest) {
  if (IsDigest(digest)) return Status();
  return {Code::kInvalidArgument, "NOT_A_DIGEST",
          "\"" + digest + "\" is no digest: 64 lowercase hexadecimal digits are"};
}

}  // namespace

Result<Store> Store::Open(const fs::path& root) {
  std::error_code failed;
  fs::create_directories(root / "drafts", failed);
  if (failed) return DiskError("cannot make", root, failed.value());
  return Store(root);
}

Result<std::string> Store::Put(std::string_view bytes) const {
  std::string digest = Sha256(bytes);
  const Result<uint64_t> there = Size(digest);
  if (there.ok() && *there == bytes.size()) return digest;
  Writer writer = BF_TRY(Write());
  BF_TRY(writer.Add(bytes));
  return writer.Finish();
}

Result<Writer> Store::Write() const {
  std::string draft = (root_ / "drafts" / "XXXXXX").string();
  const int fd = mkostemp(draft.data(), O_CLOEXEC);
  if (fd < 0) return DiskError("cannot make", draft, errno);
  return Writer(root_, draft, fd);
}

Result<std::string> Store::Get(const std::string& digest, uint64_t limit_bytes) const {
  const uint64_t size = BF_TRY(Size(digest));
  if (size > limit_bytes) {
    return Status(Code::kFailedPrecondition, "BLOB_TOO_LARGE",
                  "blob " + digest + " has " + std::to_string(size) + " bytes, the limit is " +
                      std::to_string(limit_bytes));
  }
  const fs::path path = PathOf(root_, digest);
  const File file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd() < 0) return DiskError("cannot open", path, errno);
  std::string bytes(size, '\0');
  for (size_t done = 0; done < bytes.size();) {
    const ssize_t n = read(file.fd(), bytes.data() + done, bytes.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return DiskError("cannot read", path, errno);
    if (n == 0) break;  // cut short: the digest will not match
    done += static_cast<size_t>(n);
  }
  if (Sha256(bytes) != digest) {
    return Status(Code::kDataLoss, "blob " + digest + ": its bytes are not what its name says");
  }
  return bytes;
}

Result<uint64_t> Store::Size(const std::string& digest) const {
  BF_TRY(CheckDigest(digest));
  struct stat found {};
  const fs::path path = PathOf(root_, digest);
  if (stat(path.c_str(), &found) != 0) return DiskError("no blob", digest, errno);
  return static_cast<uint64_t>(found.st_size);
}

Result<bool> Store::Exists(const std::string& digest) const {
  const Result<uint64_t> size = Size(digest);
  if (size.status().code() == Code::kNotFound) return false;
  if (!size.ok()) return size.status();
  return true;
}

Writer::Writer(fs::path root, fs::path draft, int fd)
    : root_(std::move(root)),
      draft_(std::move(draft)),
      fd_(fd),
      digest_(std::make_unique<Sha256Stream>()) {}

Writer::Writer(Writer&& other) noexcept
    : root_(std::move(other.root_)),
      draft_(std::move(other.draft_)),
      fd_(std::exchange(other.fd_, -1)),
      size_(other.size_),
      digest_(std::move(other.digest_)) {}

Writer::~Writer() {
  if (fd_ < 0) return;
  close(fd_);
  unlink(draft_.c_str());
}

Status Writer::Add(std::string_view bytes) {
  digest_->Add(bytes);
  size_ += bytes.size();
  while (!bytes.empty()) {
    const ssize_t n = write(fd_, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return DiskError("cannot write", draft_, errno);
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return Status();
}

Result<std::string> Writer::Finish() {
  std::string digest = digest_->Finish();
  const fs::path path = PathOf(root_, digest);
  if (fsync(fd_) != 0) return DiskError("cannot sync", draft_, errno);
  BF_TRY(MakeFolder(path.parent_path().parent_path()));
  BF_TRY(MakeFolder(path.parent_path()));
  if (rename(draft_.c_str(), path.c_str()) != 0) return DiskError("cannot make", path, errno);
  close(std::exchange(fd_, -1));
  BF_TRY(SyncFolder(path.parent_path()));
  return digest;
}

}  // namespace bitfoundry::blobs
