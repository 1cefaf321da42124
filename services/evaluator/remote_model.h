// Models behind the Open Inference Protocol, asked about a snapshot's samples, so that they can be
// judged by the same suite as an artefact.
//
// A classifier (oip/classifier.h) sees what the packed network sees, transforms included.
//
// A detector sees the images as they came in, in full size, and oip/boxes.h makes of its boxes an
// answer about each window. It cannot be asked about transforms, which are made of a network's
// input. Where the rule is unsure, nobody was found well enough for an alarm, so it counts as
// no_person: then the answer hangs on the image alone, as that of any model does, and a detector
// gains nothing by being unsure but what it loses in recall. The verdict says how often it was.
//
// What a server has is asked before and after, and each answer has to name the same version.
#pragma once

#include <prometheus/registry.h>

#include <atomic>
#include <string>

#include "base/status.h"
#include "bitfoundry/v1/evaluator.pb.h"
#include "blobs/store.h"
#include "oip/client.h"
#include "snapshot/snapshot.h"
#include "verdicts/evaluate.h"

namespace bitfoundry::evaluator {

// How patiently a server is asked. The breaker stays closed: a job that fails is tried again later.
oip::ClientOptions Patience();

// Thread-safe.
class RemoteServers {
 public:
  RemoteServers(const blobs::Store& store, prometheus::Registry& metrics,
                oip::ClientOptions patience = Patience())
      : store_(store), metrics_(metrics), patience_(std::move(patience)) {}

  // Asks the server of `asked` (address, model, kind, perhaps a version) for the rest of it, as
  // often as the patience says. `data` need have no rows.
  //
  // Errors: those of the transport, and
  //   kInvalidArgument     REMOTE_MODEL: the address, model or kind is none
  //   kNotFound            the server has no such model or version
  //   kFailedPrecondition  MODEL_TENSORS: which it has, and which were expected
  //                        MODEL_DOES_NOT_FIT: the classes of the data are not those of the model
  Result<v1::RemoteModel> Describe(const v1::RemoteModel& asked,
                                   const snapshot::Snapshot& data) const;

  // Asks `model`, as Describe gave it; `unsure` is how many of the answers were.
  //
  // The predictor's errors: kFailedPrecondition MODEL_CHANGED, if the server has another version by
  // now, or other tensors; kDataLoss MODEL_GARBAGE; those of the transport and the store.
  verdicts::Predictor Ask(const v1::RemoteModel& model, std::atomic<int32_t>& unsure) const;

 private:
  Result<v1::RemoteModel> DescribeOnce(const v1::RemoteModel& asked,
                                       const snapshot::Snapshot& data) const;
  Status CheckSame(const v1::RemoteModel& model, const snapshot::Snapshot& data) const;
  Result<std::vector<size_t>> Classify(const v1::RemoteModel& model, const snapshot::Snapshot& data,
                                       const std::vector<size_t>& rows,
                                       const verdicts::Transform& transform,
                                       const std::stop_token& stop) const;
  Result<std::vector<size_t>> Detect(const v1::RemoteModel& model, const snapshot::Snapshot& data,
                                     const std::vector<size_t>& rows, std::atomic<int32_t>& unsure,
                                     const std::stop_token& stop) const;

  const blobs::Store& store_;
  prometheus::Registry& metrics_;
  const oip::ClientOptions patience_;
};

}  // namespace bitfoundry::evaluator
