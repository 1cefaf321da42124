// A suite on a model and a snapshot: gathers what the suite needs (predictions, saliency, emulated
// cores) by the arithmetic that ships, and judges.
#pragma once

#include <functional>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/status.h"
#include "packed/bundle.h"
#include "packed/kernels.h"
#include "packed/network.h"
#include "saliency/saliency.h"
#include "verdicts/judge.h"

namespace bitfoundry::verdicts {

// The class index that a model says of each of `rows` of `data`, after `transform`.
//
//   errors   kUnimplemented if it cannot be asked so: the tests that need it are errors
using Predictor = std::function<Result<std::vector<size_t>>(
    const snapshot::Snapshot& data, const std::vector<size_t>& rows, const Transform& transform,
    const std::stop_token& stop)>;

// What is judged, read and found to fit together.
struct Subject {
  std::string artefact;  // digests; of a model that is not packed, its name
  std::string suite_digest;
  std::string snapshot;
  std::string suite_name;  // the file's
  Suite suite;
  packed::Network network;
  std::vector<packed::Golden> golden;  // for emulated cores
  Predictor predictor;                 // a model that is not packed: it stands for the two above
  std::string baseline;                // digest of an artefact, or empty
  packed::Network baseline_network;
  snapshot::Snapshot data;
};

// OK if the network takes the snapshot's images and its classes are the snapshot's.
// Errors: kFailedPrecondition MODEL_DOES_NOT_FIT.
Status CheckFit(const packed::Network& network, const packed::Provenance& provenance,
                const snapshot::Snapshot& data);

// Where the sample's object is, in pixels of the network's input: its attributes box_left, box_top,
// box_right and box_bottom are shares of the sample. Nothing if it lacks one, or all is outside.
std::optional<saliency::Box> BoxOf(const snapshot::Row& row, const packed::Shape& input);

// The class index that a packed network gives each of `rows` of `data`, after `transform`.
using Runner = std::function<Result<std::vector<size_t>>(
    const packed::Network& network, const snapshot::Snapshot& data, const std::vector<size_t>& rows,
    const Transform& transform, const std::stop_token& stop)>;

struct Options {
  std::string runtime;  // what computes it, as the verdict names it
  int threads = 1;
  packed::Cpu cpu = packed::BestCpu();  // whose kernels compute it: all give the same bits
  Runner run_elsewhere = {};            // runs the networks instead of this machine
};

struct Evaluated {
  v1::Verdict verdict;        // all but its id, report, envelope and time
  std::vector<Judged> tests;  // in the suite's order
  Evidence evidence;          // refers to the subject's data
};

// The same subject, circumstances and runtime give the same verdict, with any number of threads, if
// the model is packed. One that is not has no saliency and no firmware: tests of these are errors.
//
//   errors   kCancelled on `stop`
Result<Evaluated> Evaluate(const Subject& subject, const Circumstances& circumstances,
                           const Options& options, const std::stop_token& stop);

}  // namespace bitfoundry::verdicts
