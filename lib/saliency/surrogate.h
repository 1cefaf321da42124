// A preview of an occlusion map from one pass forward and one back, where occlusion asks hundreds
// of times. (With the kernels of AVX-512 those hundreds take no longer: 6 ms of the processor each,
// for the demo's network. Where there are none, or squares are many, it is the faster one.) What it
// shows is a surrogate: a binarized network has no gradient, its outputs jump, and what is
// differentiated here is another network (Widdicombe and Julier, "Gradient-based
// interpretability methods and binarized neural networks", 2021,
// https://arxiv.org/abs/2106.12569). Its map has a type of its own, so that no metric takes it for
// the exact one, and a report puts its agreement with that beside it.
//
// The surrogate has the packed network's values on this image, and on the way back
//   sign(v - t)  is  clip((v - t) / w, -1, 1): its gradient is 1 / w where |v - t| <= w, else 0
//                (straight-through; Hubara et al. 2016, https://arxiv.org/abs/1602.02830). They
//                clip at 1 behind batch norm, whose scale is folded into the packed thresholds and
//                lost; so w is the median of |v - t| over the layer's values: half of them pass
//   RoundShift   is the division
//   relu         passes where v > 0
//   a maximum    is shared alike by the values that attain it
// where t lies half-way between the last sum of one sign and the first of the other. A pixel's
// share of the margin is its gradient times what taking it away changes (pixel less mean): to the
// first order, what occlusion finds.
#pragma once

#include <memory>
#include <optional>
#include <span>

#include "saliency/saliency.h"

namespace bitfoundry::saliency {

struct SurrogateHeatmap {
  Heatmap surrogate;  // in logits of the surrogate
};

// One caller at a time.
class SurrogateExplainer {
 public:
  // Errors: those of packed::Interpreter::Make().
  static Result<SurrogateExplainer> Make(const packed::Network& network);

  SurrogateExplainer(SurrogateExplainer&&) noexcept;
  SurrogateExplainer& operator=(SurrogateExplainer&&) noexcept;
  ~SurrogateExplainer();

  // The surrogate of Explainer::Occlusion(), with its arguments and errors. The same program gives
  // the same map on every machine.
  Result<SurrogateHeatmap> Occlusion(std::span<const uint8_t> image, size_t of_class,
                                     const OcclusionOptions& options = {});

 private:
  struct State;
  explicit SurrogateExplainer(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Spearman's rank correlation of two maps of one size, -1 to 1; equal values share their ranks.
// Nothing if one of them is the same everywhere. An order says nothing of the values' scale, which
// a surrogate does not have right.
std::optional<double> RankCorrelation(const Heatmap& a, const Heatmap& b);

}  // namespace bitfoundry::saliency
