#include "services/trainer/lease_desk.h"

#include "base/trace.h"
#include "catalog/artefacts.h"
#include "catalog/snapshots.h"
#include "db/database.h"
#include "jobs/shared.h"
#include "packed/bundle.h"

namespace bitfoundry::trainer {
namespace {

// The bundle that a manifest in the store names, checked: every file there, the golden outputs
// replayed by this process.
Result<catalog::Artefact> ReadBundle(const blobs::Store& store, const std::string& digest) {
  const std::string manifest_text = BF_TRY(store.Get(digest, packed::kMaxManifestBytes));
  const packed::Manifest manifest = BF_TRY(packed::ParseManifest(manifest_text));
  catalog::Artefact artefact{.digest = digest, .snapshot = manifest.provenance.snapshot};
  std::vector<packed::File> files;
  for (const packed::ManifestFile& file : manifest.files) {
    std::string bytes = BF_TRY(store.Get(file.digest, kMaxFileBytes));
    files.push_back({file.name, std::move(bytes)});
    artefact.files.push_back({file.name, file.digest, file.bytes});
    if (file.name == "model.bnn") artefact.model_bytes = file.bytes;
  }
  files.push_back({"manifest.json", manifest_text});
  artefact.files.push_back({"manifest.json", digest, static_cast<int64_t>(manifest_text.size())});
  BF_TRY(packed::CheckBundle(files));
  return artefact;
}

Status EnqueueEvaluation(db::Tx& tx, const catalog::Artefact& artefact, const std::string& suite) {
  v1::EvaluateJob job;
  job.set_artefact(artefact.digest);
  job.set_suite(suite);
  job.set_snapshot(artefact.snapshot);
  return jobs::Queue(tx).Enqueue(jobs::EvaluateJob(job)).status();
}

}  // namespace

Result<std::optional<Work>> LeaseDesk::Acquire(const std::string& worker) {
  jobs::Claimed claimed;
  std::optional<Work> work;
  BF_TRY(database_.Transact([&](db::Tx& tx) -> Status {
    claimed = BF_TRY(jobs::Queue(tx).Claim("train", worker, lease_for_));
    if (claimed.leases.empty()) return Status();
    work = Work{.lease = claimed.leases[0]};
    work->run = BF_TRY(catalog::Runs(tx).OfJob(work->lease.job_id));
    work->has_checkpoint = BF_TRY(catalog::Runs(tx).NewestCheckpoint(work->run.id)).has_value();
    return Status();
  }));
  metrics_.Expired(claimed.expired);
  if (work.has_value()) metrics_.Claimed(work->lease.waited);
  return work;
}

Status LeaseDesk::UnderLease(const jobs::Lease& lease,
                             const std::function<Status(db::Tx&, const catalog::Run&)>& body) {
  return database_.Transact([&](db::Tx& tx) -> Status {
    BF_TRY(jobs::Queue(tx).Check(lease));
    return body(tx, BF_TRY(catalog::Runs(tx).OfJob(lease.job_id)));
  });
}

Result<Order> LeaseDesk::Heartbeat(const jobs::Lease& lease, const catalog::Progress& progress) {
  bool outranked = false;
  const Status beaten = UnderLease(lease, [&](db::Tx& tx, const catalog::Run& run) -> Status {
    jobs::Queue queue(tx);
    BF_TRY(queue.Renew(lease, lease_for_));
    outranked = BF_TRY(queue.IsOutranked(lease, beat()));
    if (progress.epochs == 0) return Status();  // nothing to tell yet
    return catalog::Runs(tx).AddProgress(run.id, lease.epoch, progress);
  });
  if (beaten.ok()) return outranked ? Order::kYield : Order::kContinue;
  if (beaten.reason() == "LEASE_LOST" &&
      BF_TRY(database_.Transact([&](db::Tx& tx) { return jobs::Queue(tx).WasCancelled(lease); }))) {
    return Order::kCancel;
  }
  return beaten;
}

Result<LeaseDesk::Dataset> LeaseDesk::GetDataset(const jobs::Lease& lease) {
  Dataset dataset;
  BF_TRY(UnderLease(lease, [&](db::Tx& tx, const catalog::Run& run) -> Status {
    const catalog::Snapshot snapshot = BF_TRY(catalog::Snapshots(tx).Get(run.snapshot));
    dataset = {snapshot.digest, snapshot.pixels_digest};
    return Status();
  }));
  return dataset;
}

Result<std::string> LeaseDesk::NewestCheckpoint(const jobs::Lease& lease) {
  std::optional<std::string> blob;
  BF_TRY(UnderLease(lease, [&](db::Tx& tx, const catalog::Run& run) -> Status {
    blob = BF_TRY(catalog::Runs(tx).NewestCheckpoint(run.id));
    return Status();
  }));
  if (!blob.has_value()) {
    return Status(Code::kNotFound, "NO_CHECKPOINT", "the run has no checkpoint yet");
  }
  return *blob;
}

Status LeaseDesk::SaveCheckpoint(const jobs::Lease& lease, int64_t step, const std::string& blob) {
  return UnderLease(lease, [&](db::Tx& tx, const catalog::Run& run) {
    return catalog::Runs(tx).AddCheckpoint(run.id, step, lease.epoch, blob);
  });
}

Status LeaseDesk::RecordUpload(const jobs::Lease& lease, const std::string& blob, int64_t bytes) {
  return UnderLease(lease, [&](db::Tx& tx, const catalog::Run&) {
    return catalog::Runs(tx).AddUpload(lease.job_id, lease.epoch, blob, bytes);
  });
}

Status LeaseDesk::Complete(const jobs::Lease& lease, const std::string& manifest_digest,
                           const catalog::Progress& progress) {
  const Result<catalog::Artefact> bundle = ReadBundle(store_, manifest_digest);
  if (bundle.status().code() == Code::kNotFound) {
    return {Code::kFailedPrecondition, "NOT_UPLOADED", bundle.status().message()};
  }
  if (!bundle.ok()) {
    return {Code::kFailedPrecondition, "BUNDLE_REFUSED", bundle.status().ToString()};
  }
  std::chrono::duration<double> ran{};
  BF_TRY(UnderLease(lease, [&](db::Tx& tx, const catalog::Run& run) -> Status {
    catalog::Runs runs(tx);
    for (const catalog::ArtefactFile& file : bundle->files) {
      if (BF_TRY(runs.WasUploaded(lease.job_id, lease.epoch, file.digest))) continue;
      return {Code::kFailedPrecondition, "NOT_UPLOADED",
              file.name + " was not uploaded under this lease"};
    }
    if (bundle->snapshot != run.snapshot) {
      return {Code::kFailedPrecondition, "BUNDLE_REFUSED",
              "the manifest names another snapshot than the run"};
    }
    catalog::Artefact artefact = *bundle;
    artefact.run_id = run.id;
    artefact.project_id = run.project_id;
    artefact.lease_epoch = lease.epoch;
    BF_TRY(catalog::Artefacts(tx).Add(artefact));
    BF_TRY(runs.AddProgress(run.id, lease.epoch, progress));
    if (!run.suite.empty()) {
      const TraceScope trace(BF_TRY(jobs::Queue(tx).State(lease.job_id)).traceparent);
      BF_TRY(EnqueueEvaluation(tx, artefact, run.suite));
    }
    ran = BF_TRY(jobs::Queue(tx).RanFor(lease));
    return jobs::Queue(tx).Complete(lease);
  }));
  metrics_.Ended("done", ran);
  return Status();
}

Result<jobs::GivenBack> LeaseDesk::GiveUp(const jobs::Lease& lease, const Status& why) {
  std::chrono::duration<double> ran{};
  const auto given = BF_TRY(database_.Transact([&](db::Tx& tx) -> Result<jobs::GivenBack> {
    ran = BF_TRY(jobs::Queue(tx).RanFor(lease));
    return jobs::Queue(tx).GiveBack(lease, why);
  }));
  const char* again = why.code() == Code::kCancelled ? "given_back" : "retried";
  if (given == jobs::GivenBack::kDead) metrics_.Ended("dead", ran);
  if (given == jobs::GivenBack::kReadyAgain) metrics_.Ended(again, ran);
  return given;
}

}  // namespace bitfoundry::trainer
