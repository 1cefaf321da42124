// Which pictures a report shows of each test, and why the network answers as it does there: by
// occlusion on the packed bytes (lib/saliency), so the same on every machine.
#pragma once

#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "saliency/saliency.h"
#include "saliency/surrogate.h"
#include "verdicts/evaluate.h"

namespace bitfoundry::evaluator {

inline constexpr size_t kPicturesPerTest = 10;       // wrong, and as many right
inline constexpr size_t kPairsPerTest = 6;           // before and after
inline constexpr size_t kExplainedPerTest = 2;       // of each, the first
inline constexpr size_t kMaxExplainedPictures = 48;  // of a report; the first tests' come first
inline constexpr size_t kMaxAveragedSlices = 8;      // of a report
inline constexpr size_t kAveraged = 16;              // samples of a slice for each of two answers

// Some samples that have something in common, drawn by the digests of their names: neighbours in a
// data set are often neighbours in a video, and ten of one moment show nothing.
struct Shown {
  std::string title;           // "Wrong"
  bool wrong = false;          // they are what the test is about
  size_t of = 0;               // so many there are
  std::vector<size_t> places;  // in Evidence::rows
};

std::vector<Shown> Choose(const verdicts::DataTest& test, const verdicts::Judged& judged,
                          const verdicts::Evidence& evidence);

// What speaks for this class in this picture?
struct Question {
  bool baseline = false;  // by the baseline; else by the candidate
  std::string view;       // transform, "" for none
  size_t place = 0;       // in Evidence::rows
  size_t of_class = 0;

  auto operator<=>(const Question&) const = default;
};

// Asked of a picture of a test: about the answer that was given; about the label in a test of
// saliency; of candidate and baseline in a regression.
std::vector<Question> Questions(const verdicts::DataTest& test, const verdicts::Evidence& evidence,
                                size_t place);

struct Explanation {
  saliency::Heatmap map;
  std::optional<double> deletion;  // areas; nothing unless the class is the answer
  std::optional<double> insertion;
  saliency::SurrogateHeatmap preview;  // what a gradient would have shown
  std::optional<double> agreement;     // of its ranks with the map's
};

// The mean of the maps of some rows of a slice that were given the same answer.
struct Average {
  std::string slice;
  size_t of_class = 0;
  size_t averaged = 0;
  size_t of = 0;
  saliency::Heatmap map;
};

struct Explanations {
  std::map<Question, Explanation> pictures;
  std::vector<Average> averages;  // of the untransformed slices, in the suite's order
  saliency::OcclusionOptions options;
};

// Of a model that is not packed there are none.
//
// Errors: kCancelled on `stop`; those of saliency::Explainer.
Result<Explanations> Explain(const verdicts::Subject& subject, const verdicts::Evaluated& evaluated,
                             int threads, const std::stop_token& stop);

}  // namespace bitfoundry::evaluator
