// A replay on an emulated microcontroller: the firmware that ships gives the answers.
#pragma once

#include "emulate/machine.h"
#include "verdicts/evaluate.h"

namespace bitfoundry::proof {

// Builds a network as firmware for `core`, runs it on every image, and answers by its logits. Each
// layer and logit is held against this machine's on the way.
//
//   errors  REPLAY_DIFFERS with the sample and the layer; those of emulate::Prepare and Run
verdicts::Runner OnCore(emulate::Core core);

}  // namespace bitfoundry::proof
