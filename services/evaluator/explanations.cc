#include "services/evaluator/explanations.h"

#include <algorithm>
#include <atomic>
#include <set>
#include <thread>

#include "base/digest.h"

namespace bitfoundry::evaluator {
namespace {

using verdicts::DataTest;
using verdicts::Evidence;
using verdicts::Kind;
using verdicts::Metric;

size_t LabelOf(const Evidence& evidence, size_t place) {
  return static_cast<size_t>(evidence.data.rows[evidence.rows[place]].class_index);
}

// Up to `most` of `places`, by the digests of their names.
std::vector<size_t> Draw(const Evidence& evidence, const std::vector<size_t>& places, size_t most) {
  std::vector<std::pair<std::string, size_t>> drawn;
  for (const size_t place : places) {
    drawn.emplace_back(Sha256(evidence.data.rows[evidence.rows[place]].name), place);
  }
  std::sort(drawn.begin(), drawn.end());
  if (drawn.size() > most) drawn.resize(most);
  std::vector<size_t> some;
  for (const auto& [digest, place] : drawn) some.push_back(place);
  return some;
}

// Splits the counted rows by `wrong` and draws from both.
template <typename Wrong>
std::vector<Shown> Split(const verdicts::Judged& judged, const Evidence& evidence,
                         const char* wrong_title, const char* right_title, Wrong wrong) {
  std::vector<size_t> parts[2];
  for (const size_t place : judged.counted) parts[wrong(place) ? 0 : 1].push_back(place);
  return {{wrong_title, true, parts[0].size(), Draw(evidence, parts[0], kPicturesPerTest)},
          {right_title, false, parts[1].size(), Draw(evidence, parts[1], kPicturesPerTest)}};
}

// The lowest and the highest shares of saliency inside the box.
std::vector<Shown> Extremes(const verdicts::Judged& judged, const Evidence& evidence) {
  std::vector<size_t> places = judged.counted;
  std::stable_sort(places.begin(), places.end(), [&](size_t a, size_t b) {
    return evidence.in_box.at(a) < evidence.in_box.at(b);
  });
  const size_t some = std::min(places.size() / 2, kPicturesPerTest);
  const auto half = static_cast<std::ptrdiff_t>(some);
  return {{"Least in the box", true, places.size(), {places.begin(), places.begin() + half}},
          {"Most in the box", false, places.size(), {places.rbegin(), places.rbegin() + half}}};
}

struct Work {
  Question question;
  const verdicts::Transform* transform = nullptr;  // or none
  bool shown = false;  // with its curves; else it is for an average alone
};

class Agenda {
 public:
  Agenda(const verdicts::Subject& subject, const verdicts::Evaluated& evaluated)
      : subject_(subject), evaluated_(evaluated), evidence_(evaluated.evidence) {
    for (size_t i = 0; i < evaluated.tests.size(); ++i) AddPictures(i);
    for (size_t i = 0; i < evaluated.tests.size(); ++i) AddAverages(i);
  }

  std::vector<Work> work() const {
    std::vector<Work> all;
    for (const auto& [question, work] : work_) all.push_back(work);
    return all;
  }

  // The averages, from the maps of the work that was done.
  std::vector<Average> Averages(const std::map<Question, Explanation>& pictures) const {
    std::vector<Average> averages;
    for (const auto& [average, questions] : averages_) {
      std::vector<saliency::Heatmap> maps;
      for (const Question& question : questions) maps.push_back(pictures.at(question).map);
      averages.push_back(average);
      averages.back().map = saliency::Mean(maps);
    }
    return averages;
  }

 private:
  void AddPictures(size_t i) {
    const DataTest& test = subject_.suite.tests[i];
    for (const Shown& shown : Choose(test, evaluated_.tests[i], evidence_)) {
      for (size_t k = 0; k < std::min(shown.places.size(), kExplainedPerTest); ++k) {
        const auto questions = Questions(test, evidence_, shown.places[k]);
        if (work_.size() + questions.size() > kMaxExplainedPictures) return;
        for (const Question& question : questions) {
          const auto* transform = question.view.empty() ? nullptr : &test.transforms[0];
          work_.try_emplace(question, Work{question, transform, true});
        }
      }
    }
  }

  void AddAverages(size_t i) {
    const std::string& slice = evaluated_.tests[i].result.slice();
    if (slice.empty() || !subject_.suite.tests[i].view().empty() ||
        slices_.size() == kMaxAveragedSlices || !slices_.insert(slice).second) {
      return;
    }
    std::map<size_t, std::vector<size_t>> by_answer;
    for (const size_t place : evaluated_.tests[i].members) {
      by_answer[evidence_.predictions.at("")[place]].push_back(place);
    }
    std::vector<std::pair<size_t, size_t>> answers;  // the two that are given most often
    for (const auto& [answer, places] : by_answer) answers.emplace_back(places.size(), answer);
    std::sort(answers.rbegin(), answers.rend());
    if (answers.size() > 2) answers.resize(2);
    std::sort(answers.begin(), answers.end(), [](auto& a, auto& b) { return a.second < b.second; });
    for (const auto& [of, answer] : answers) {
      std::vector<Question> questions;
      for (const size_t place : Draw(evidence_, by_answer.at(answer), kAveraged)) {
        questions.push_back({false, "", place, answer});
        work_.try_emplace(questions.back(), Work{questions.back()});
      }
      averages_.emplace_back(Average{slice, answer, questions.size(), of, {}}, questions);
    }
  }

  const verdicts::Subject& subject_;
  const verdicts::Evaluated& evaluated_;
  const Evidence& evidence_;
  std::map<Question, Work> work_;
  std::set<std::string> slices_;
  std::vector<std::pair<Average, std::vector<Question>>> averages_;
};

// Of one network.
struct Explainers {
  static Result<Explainers> Make(const packed::Network& network) {
    auto exact = BF_TRY(saliency::Explainer::Make(network));
    auto preview = BF_TRY(saliency::SurrogateExplainer::Make(network));
    return Explainers{std::move(exact), std::move(preview)};
  }

  saliency::Explainer exact;
  saliency::SurrogateExplainer preview;
};

std::optional<double> Area(const Result<saliency::Curve>& curve) {
  return curve.ok() ? std::optional(curve->area) : std::nullopt;
}

Result<Explanation> ExplainOne(const Evidence& evidence, const Work& work,
                               const saliency::OcclusionOptions& options, Explainers& by) {
  const size_t row = evidence.rows[work.question.place];
  const auto pixels = evidence.data.Image(row);
  std::vector<uint8_t> image(pixels.begin(), pixels.end());
  if (work.transform != nullptr) {
    image = verdicts::Apply(*work.transform, evidence.data, row);
  }
  Explanation found;
  const size_t of_class = work.question.of_class;
  found.map = BF_TRY(by.exact.Occlusion(image, of_class, options));
  if (!work.shown) return found;
  found.deletion = Area(by.exact.Deletion(image, of_class, found.map));
  found.insertion = Area(by.exact.Insertion(image, of_class, found.map));
  found.preview = BF_TRY(by.preview.Occlusion(image, of_class, options));
  found.agreement = saliency::RankCorrelation(found.map, found.preview.surrogate);
  return found;
}

}  // namespace

std::vector<Shown> Choose(const DataTest& test, const verdicts::Judged& judged,
                          const Evidence& evidence) {
  if (test.kind == Kind::kFits || test.kind == Kind::kSameBits || test.kind == Kind::kShortcut) {
    return {};
  }
  if (test.metric == Metric::kSaliencyInBox) return Extremes(judged, evidence);
  const auto right = [&](const verdicts::Predictions& predictions, size_t place) {
    const size_t said = predictions.at(test.view())[place];
    if (test.metric == Metric::kFpr) return evidence.data.classes[said] != test.positive;
    return said == LabelOf(evidence, place);
  };
  if (test.kind == Kind::kRegression) {
    if (!evidence.has_baseline) return {};
    verdicts::Judged changed;
    for (const size_t place : judged.counted) {
      if (right(evidence.predictions, place) != right(evidence.baseline, place)) {
        changed.counted.push_back(place);
      }
    }
    return Split(changed, evidence, "Lost", "Gained",
                 [&](size_t place) { return !right(evidence.predictions, place); });
  }
  if (test.metric == Metric::kFlipRate) {
    auto pairs = Split(judged, evidence, "Flipped", "Kept", [&](size_t place) {
      return std::any_of(test.transforms.begin(), test.transforms.end(), [&](const auto& t) {
        return evidence.predictions.at(t.text)[place] != evidence.predictions.at("")[place];
      });
    });
    for (Shown& shown : pairs) shown.places.resize(std::min(shown.places.size(), kPairsPerTest));
    return pairs;
  }
  return Split(judged, evidence, "Wrong", "Right",
               [&](size_t place) { return !right(evidence.predictions, place); });
}

std::vector<Question> Questions(const DataTest& test, const Evidence& evidence, size_t place) {
  if (test.metric == Metric::kFlipRate) return {};
  if (test.metric == Metric::kSaliencyInBox) return {{false, "", place, LabelOf(evidence, place)}};
  const std::string view = test.view();
  std::vector<Question> questions = {{false, view, place, evidence.predictions.at(view)[place]}};
  if (test.kind == Kind::kRegression && evidence.has_baseline) {
    questions.push_back({true, "", place, evidence.baseline.at("")[place]});
  }
  return questions;
}

Result<Explanations> Explain(const verdicts::Subject& subject, const verdicts::Evaluated& evaluated,
                             int threads, const std::stop_token& stop) {
  Explanations explanations;
  if (subject.predictor) return explanations;
  explanations.options = saliency::OcclusionFor(subject.network.input);
  const Agenda agenda(subject, evaluated);
  const std::vector<Work> work = agenda.work();
  if (work.empty()) return explanations;

  std::vector<Explanation> found(work.size());
  std::atomic<size_t> next = 0;
  const auto take = [&]() -> Status {
    auto candidate = BF_TRY(Explainers::Make(subject.network));
    std::optional<Explainers> baseline;
    if (evaluated.evidence.has_baseline) {
      baseline = BF_TRY(Explainers::Make(subject.baseline_network));
    }
    for (size_t i = next++; i < work.size(); i = next++) {
      if (stop.stop_requested()) return Status(Code::kCancelled, "stopped in the middle");
      found[i] = BF_TRY(ExplainOne(evaluated.evidence, work[i], explanations.options,
                                   work[i].question.baseline ? *baseline : candidate));
    }
    return Status();
  };
  std::vector<Status> statuses(static_cast<size_t>(std::max(1, threads)));
  {
    std::vector<std::jthread> workers;
    for (Status& status : statuses) workers.emplace_back([&] { status = take(); });
  }
  for (const Status& status : statuses) BF_TRY(status);
  for (size_t i = 0; i < work.size(); ++i) {
    explanations.pictures[work[i].question] = std::move(found[i]);
  }
  explanations.averages = agenda.Averages(explanations.pictures);
  return explanations;
}

}  // namespace bitfoundry::evaluator
