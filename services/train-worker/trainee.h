// One leased run, from its data to its artefact.
#pragma once

#include <stop_token>

#include "base/status.h"
#include "bitfoundry/v1/trainer.pb.h"
#include "services/train-worker/door.h"

namespace bitfoundry::train_worker {

// Trains the run that `leased` names, from its newest checkpoint if there is one; saves a
// checkpoint after every epoch; packs, proves the packed network equal to the trainer's on every
// image of the test part, uploads, completes.
//
// Errors: kCancelled on `stop` or when told to yield, after a last checkpoint; kAborted, LEASE_LOST
// or RUN_CANCELLED; those of bnn::Train and bnn::Export, of a malformed snapshot, and of the door.
Status TrainRun(Door& door, const v1::AcquireLeaseResponse& leased, const std::stop_token& stop);

}  // namespace bitfoundry::train_worker
