// Whether models and data belong together, found out when an evaluation is asked for: a job that
// cannot but die is no answer.
#pragma once

#include "base/status.h"
#include "bitfoundry/v1/evaluator.pb.h"
#include "blobs/store.h"
#include "snapshot/snapshot.h"

namespace bitfoundry::evaluator {

// OK if the artefact (a remote model is none) and the baseline, if one is named, take the images
// and classes of `data`, whose pixels are not looked at.
//
// Errors: kFailedPrecondition MODEL_DOES_NOT_FIT; those of reading artefacts.
Status CheckFit(const blobs::Store& store, const v1::Evaluation& evaluation,
                const snapshot::Snapshot& data);

}  // namespace bitfoundry::evaluator
