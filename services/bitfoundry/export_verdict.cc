#include "services/bitfoundry/export_verdict.h"

#include <chrono>
#include <fstream>

#include "base/digest.h"
#include "proof/signed_verdict.h"
#include "runtime/client.h"

namespace bitfoundry::cli {
namespace {

namespace fs = std::filesystem;

// Calls add(chunk) for what comes, at most `limit` bytes. An empty digest asks for the bundle.
template <typename Add>
Status Read(v1::Evaluator::Stub& stub, int64_t verdict, const std::string& digest, uint64_t limit,
            Add add) {
  v1::ReadExhibitRequest request;
  request.set_verdict_id(verdict);
  request.set_digest(digest);
  runtime::Call call(std::chrono::minutes(10));
  const auto stream = stub.ReadExhibit(&call, request);
  uint64_t size = 0;
  for (v1::ReadExhibitResponse part; stream->Read(&part);) {
    size += part.chunk().size();
    if (size > limit) {
      call.TryCancel();
      return {Code::kResourceExhausted, "TOO_LARGE",
              "more than " + std::to_string(limit) + " bytes came for " + digest};
    }
    BF_TRY(add(part.chunk()));
  }
  return runtime::FromGrpc(stream->Finish());
}

Status CheckDigest(const std::string& name, const std::string& got, const std::string& wanted) {
  if (got == wanted) return Status();
  return {Code::kDataLoss, "DIGEST_MISMATCH", name + ": what came is not what was asked for"};
}

Result<std::string> ReadBundle(v1::Evaluator::Stub& stub, const v1::Verdict& verdict) {
  std::string bundle;
  BF_TRY(
      Read(stub, verdict.verdict_id(), "", proof::kMaxBundleBytes, [&](const std::string& chunk) {
        bundle += chunk;
        return Status();
      }));
  BF_TRY(CheckDigest(proof::kBundleName, Sha256(bundle), verdict.envelope()));
  return bundle;
}

Status WriteWhole(const fs::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  if (!file) return {Code::kUnavailable, path.string() + ": cannot be written"};
  return Status();
}

}  // namespace

Status SaveBundle(v1::Evaluator::Stub& stub, const v1::Verdict& verdict, const fs::path& file) {
  return WriteWhole(file, BF_TRY(ReadBundle(stub, verdict)));
}

Status ExportVerdict(v1::Evaluator::Stub& stub, const v1::Verdict& verdict,
                     const fs::path& folder) {
  const std::string bundle = BF_TRY(ReadBundle(stub, verdict));
  const auto store = BF_TRY(blobs::Store::Open(folder / "blobs"));
  for (const proof::Exhibit& exhibit : BF_TRY(proof::OpenUnchecked(bundle)).exhibits) {
    blobs::Writer writer = BF_TRY(store.Write());
    const Status came =
        Read(stub, verdict.verdict_id(), exhibit.sha256, proof::LimitOf(exhibit.name),
             [&](const std::string& chunk) { return writer.Add(chunk); });
    if (!came.ok()) return came.In(exhibit.name);
    BF_TRY(CheckDigest(exhibit.name, BF_TRY(writer.Finish()), exhibit.sha256));
  }
  for (const auto& entry : fs::recursive_directory_iterator(folder / "blobs")) {
    if (!entry.is_regular_file()) continue;  // made to be given away: others may read it
    fs::permissions(entry, fs::perms::group_read | fs::perms::others_read, fs::perm_options::add);
  }
  return WriteWhole(folder / proof::kBundleName, bundle);
}

}  // namespace bitfoundry::cli
