#include "verdicts/judgement.h"

#include <cmath>
#include <utility>

#include "stats/gap.h"
#include "stats/label_error.h"
#include "verdicts/words.h"

namespace bitfoundry::verdicts {
namespace {

constexpr const char* kKindNames[] = {"bound",    "regression", "gap",
                                      "shortcut", "fits",       "same_bits"};

// What a metric counts, in words.
std::string Counted(const DataTest& test) {
  switch (test.metric) {
    case Metric::kRecall:
    case Metric::kFnr:
      return "samples labelled '" + test.positive + "'";
    case Metric::kPrecision:
      return "samples predicted as '" + test.positive + "'";
    case Metric::kFpr:
      return "samples labelled other than '" + test.positive + "'";
    case Metric::kSaliencyInBox:
      return "samples with a box";
    default:
      return "samples";
  }
}

}  // namespace

void Judgement::Refuse(const std::string& reason) {
  result().set_outcome(v1::ERROR);
  result().set_reason(reason);
}

void Judgement::RefuseFew(int64_t n, const std::string& of_what) {
  Refuse("only " + std::to_string(n) + " " + of_what + ", among " +
         std::to_string(judged.members.size()) + " rows in the slice (" +
         std::to_string(result().unknown_rows()) + " more could not be decided); at least " +
         std::to_string(test_.min_n) + " are wanted");
}

void Judgement::Describe() {
  result().set_test_id(test_.id);
  result().set_line(test_.line);
  result().set_kind(kKindNames[static_cast<size_t>(test_.kind)]);
  result().set_at_most(test_.side == stats::Side::kAtMost);
  result().set_bound(test_.limit);
  result().set_blocks(test_.blocks);
  result().set_p_holds(1);
  result().set_p_broken(1);
  result().set_design_effect(1);
  for (const Transform& transform : test_.transforms) {
    result().set_transform(result().transform() + (result().transform().empty() ? "" : ", ") +
                           transform.text);
  }
  if (test_.kind == Kind::kFits || test_.kind == Kind::kSameBits) {
    result().set_core(std::string(emulate::Name(test_.core)));
    result().set_metric(test_.kind == Kind::kFits ? ToString(test_.figure) : "equal_outputs");
    return;
  }
  const Slice& slice = suite_.slices[test_.slice];
  result().set_slice(slice.name);
  result().set_expression(slice.expression.text());
  result().set_metric(test_.kind == Kind::kShortcut ? "positive_rate" : ToString(test_.metric));
  result().set_upper(1);
  result().set_alpha(suite_.alpha);
}

// False if there is nothing more to judge.
bool Judgement::SelectRows(const Chosen& chosen) {
  judged.members = chosen.members;
  result().set_unknown_rows(static_cast<int32_t>(chosen.unknown));
  result().set_rows_digest(chosen.digest);
  if (!chosen.names.ok()) {
    Refuse(chosen.names.message());
    return false;
  }
  const int32_t evaluations = circumstances_.evaluations(result().rows_digest()) + 1;
  result().set_evaluations(evaluations);
  if (suite_.max_evaluations > 0 && evaluations > suite_.max_evaluations) {
    Refuse("these rows were judged " + std::to_string(evaluations - 1) +
           " times before, and max_evaluations is " + std::to_string(suite_.max_evaluations) +
           ": label others");
    return false;
  }
  return true;
}

// Whether the row counts as a success; nothing if the metric does not count it.
std::optional<bool> Judgement::Success(size_t place, const Predictions& predictions) const {
  const size_t said = predictions.at(test_.view())[place];
  const size_t label = LabelOf(place);
  const bool labelled = label == positive_;
  const bool predicted = said == positive_;
  const auto among = [](bool counts, bool success) {
    return counts ? std::optional(success) : std::nullopt;
  };
  if (test_.kind == Kind::kShortcut) return predicted;
  switch (test_.metric) {
    case Metric::kAccuracy:
      return said == label;
    case Metric::kError:
      return said != label;
    case Metric::kRecall:
      return among(labelled, predicted);
    case Metric::kPrecision:
      return among(predicted, labelled);
    case Metric::kFpr:
      return among(!labelled, predicted);
    case Metric::kFnr:
      return among(labelled, !predicted);
    case Metric::kFlipRate:
      return std::any_of(test_.transforms.begin(), test_.transforms.end(),
                         [&](const auto& t) { return predictions.at(t.text)[place] != said; });
    case Metric::kSaliencyInBox:
      break;
  }
  return std::nullopt;
}

stats::Count Judgement::Count(std::span<const size_t> places, std::vector<size_t>* counted) const {
  stats::Count count;
  for (const size_t place : places) {
    const std::optional<bool> success = Success(place, evidence_.predictions);
    if (!success) continue;
    if (counted != nullptr) counted->push_back(place);
    ++count.n;
    if (*success) ++count.successes;
  }
  return count;
}

// Of places that the metric counts: which the baseline has right and the candidate not, and so on.
stats::Paired Judgement::Compare(std::span<const size_t> places) const {
  const bool success_is_right = test_.metric != Metric::kFpr && test_.metric != Metric::kFnr;
  stats::Paired pairs;
  for (const size_t place : places) {
    const bool now = Success(place, evidence_.predictions) == success_is_right;
    const bool before = Success(place, evidence_.baseline) == success_is_right;
    ++pairs.n;
    pairs.losses += before && !now ? 1 : 0;
    pairs.gains += now && !before ? 1 : 0;
  }
  return pairs;
}

// False, and refused, if a counted row may resemble others and does not say which.
bool Judgement::CheckClusters() {
  if (!clusters_) return true;
  const auto missing = std::count_if(judged.counted.begin(), judged.counted.end(),
                                     [&](size_t place) { return !clusters_->Has(place); });
  if (missing == 0) return true;
  Refuse(std::to_string(missing) + " of these rows have no " + test_.cluster->text +
         ": nobody can say which of them belong together");
  return false;
}

bool Judgement::EnoughGroups(const stats::Clustering& clustering, const std::string& where) {
  if (!clustering.too_few_groups) return true;
  Refuse("only " + std::to_string(clustering.groups) + " groups of " + test_.cluster->text + where +
         ": from fewer than " + std::to_string(stats::kMinGroups) +
         " nobody can say how much rows of one group resemble each other");
  return false;
}

// The count, worth as many independent rows as its clusters allow.
stats::Count Judgement::Clustered(std::span<const size_t> places,
                                  stats::Clustering* clustering) const {
  stats::Count count = Count(places);
  if (!clusters_) return count;
  std::vector<stats::Count> groups;
  for (const auto& group : clusters_->Split(places)) groups.push_back(Count(group));
  *clustering = stats::Cluster(groups);
  count.design_effect = clustering->design_effect;
  return count;
}

void Judgement::SetClustering(int64_t groups, double design_effect) {
  if (!clusters_) return;
  result().set_cluster(test_.cluster->text);
  result().set_clusters(static_cast<int32_t>(groups));
  result().set_design_effect(design_effect);
}

void Judgement::SetCount(const stats::Count& count) {
  result().set_n(static_cast<int32_t>(count.n));
  result().set_successes(static_cast<int32_t>(count.successes));
  if (count.n > 0) {
    result().set_rate(static_cast<double>(count.successes) / static_cast<double>(count.n));
  }
  result().set_measured(result().rate());
  result().set_lower(stats::LowerBound(count, suite_.alpha));
  result().set_upper(stats::UpperBound(count, suite_.alpha));
}

// Nothing is left to chance.
void Judgement::SetSure(bool kept) {
  result().set_outcome(kept ? v1::PASS : v1::FAIL);
  result().set_p_holds(kept ? 0 : 1);
  result().set_p_broken(kept ? 1 : 0);
}

v1::Group& Judgement::AddGroup(const std::string& name, const stats::Count& count) {
  v1::Group& group = *result().add_groups();
  group.set_name(name);
  group.set_n(static_cast<int32_t>(count.n));
  group.set_successes(static_cast<int32_t>(count.successes));
  group.set_lower(stats::LowerBound(count, suite_.alpha));
  group.set_upper(stats::UpperBound(count, suite_.alpha));
  return group;
}

void Judgement::Need(std::optional<int64_t> needed, const std::string& of_what) {
  if (!needed) {
    result().set_reason("the observed rate is on the limit: no number of samples would settle it");
    return;
  }
  result().set_labels_needed(static_cast<int32_t>(*needed));
  std::string what = of_what;
  if (*needed == 1 && what.starts_with("samples")) what.erase(6, 1);  // "1 more sample"
  result().set_reason("at the observed rate, " + std::to_string(*needed) + " more " + what +
                      " would settle it");
}

// The share of rows that a perfect model seems to get wrong (stats/label_error.h). Where there are
// more than two classes, a label that is wrong may be any of the others.
double Judgement::LabelError() const {
  const auto posterior = [&](size_t place) {
    return evidence_.data.rows[evidence_.rows[place]].posterior;
  };
  const auto others = static_cast<double>(evidence_.data.classes.size() - 1);
  if (test_.metric == Metric::kPrecision) {
    double labelled = 0;  // among the truly positive
    double not_labelled = 0;
    for (const size_t place : judged.members) {
      const bool positive = LabelOf(place) == positive_;
      if (positive) labelled += posterior(place);
      if (!positive) not_labelled += (1 - posterior(place)) / others;
    }
    return not_labelled == 0 ? 0 : not_labelled / (labelled + not_labelled);
  }
  std::vector<double> right;
  for (const size_t place : judged.counted) {
    const double is_wrong = 1 - posterior(place);
    right.push_back(1 - (test_.metric == Metric::kFpr ? is_wrong / others : is_wrong));
  }
  return stats::ExpectedLabelError(right);
}

// False, and refused, if the labels' own error forbids the limit.
bool Judgement::CheckCeiling() {
  if (test_.metric == Metric::kFlipRate) return true;  // is not held against labels
  const double error = LabelError();
  const double ceiling = stats::Ceiling(test_.side, error);
  result().set_ceiling(ceiling);
  if (stats::WithinReach(test_.side, test_.limit, error)) return true;
  Refuse("the limit is beyond " + Percent(ceiling) +
         ", which is all that a perfect model reaches while " + Percent(error) +
         " of these labels are expected to be wrong: ask for more opinions on them, or for less");
  return false;
}

// False, and refused, if the slice depends on the prediction and shows nothing: of those predicted
// "person" all that are labelled so are found, in every group and every bin. Flips and saliency are
// not decided thereby; but the model picks what it is judged on, which is no reason to release it.
bool Judgement::CheckPrediction() {
  if (!suite_.slices[test_.slice].expression.UsesPrediction()) return true;
  if (test_.metric != Metric::kFlipRate && test_.metric != Metric::kSaliencyInBox) {
    Refuse(
        "the slice depends on the prediction, which decides the figure: nothing would be shown; "
        "take a slice that does not");
    return false;
  }
  if (!test_.blocks) return true;
  Refuse(
      "the slice depends on the prediction: the model would pick what it is judged on; say "
      "severity: warn, or take a slice that does not");
  return false;
}

// False, and refused, if it is about precision and hardly a sample could be called positive
// wrongly: where nearly all are, who calls all of them so is precise too.
bool Judgement::CouldBeWrong(std::span<const size_t> places, const std::string& where) {
  if (test_.metric != Metric::kPrecision) return true;
  const auto others =
      std::ranges::count_if(places, [&](size_t place) { return LabelOf(place) != positive_; });
  const double share = 1 - static_cast<double>(others) / static_cast<double>(places.size());
  if (test_.kind == Kind::kBound && others >= test_.min_n && share >= test_.limit) {
    Refuse(Percent(share) + " of these samples are labelled '" + test_.positive +
           "', which is the precision of a model that calls all of them so: take a slice of which "
           "the limit asks more");
    return false;
  }
  if (others >= test_.min_n) return true;
  Refuse("precision is shown by samples labelled other than '" + test_.positive + "': there are " +
         std::to_string(others) + where + ", at least " + std::to_string(test_.min_n) +
         " are wanted");
  return false;
}

void Judgement::RunBound() {
  Count(judged.members, &judged.counted);
  stats::Clustering clustering;
  const stats::Count count = Clustered(judged.counted, &clustering);
  SetClustering(clustering.groups, clustering.design_effect);
  SetCount(count);
  if (count.n < test_.min_n) return RefuseFew(count.n, Counted(test_));
  if (!CouldBeWrong(judged.members)) return;
  if (!CheckClusters() || !EnoughGroups(clustering) || !CheckCeiling()) return;
  p = stats::TestRate(count, test_.side, test_.limit);
  if (!Open()) return;
  const bool kept = (result().rate() >= test_.limit) == (test_.side == stats::Side::kAtLeast);
  Need(stats::TrialsNeeded(count, test_.limit, AlphaToSettle(kept)), Counted(test_));
}

// A mean of shares between 0 and 1. Source of the bound: W. Hoeffding, "Probability inequalities
// for sums of bounded random variables", JASA 58 (1963) 13-30. It asks for independent terms, which
// the sums of clusters are, however alike their rows: of sizes m they are worth n^2 / sum m^2 rows.
void Judgement::RunMean() {
  double sum = 0;
  const auto drawn = evidence_.explained.find(test_.id);
  if (drawn != evidence_.explained.end()) judged.counted = drawn->second;
  for (const size_t place : judged.counted) sum += evidence_.in_box.at(place);
  double n = static_cast<double>(judged.counted.size());
  result().set_n(static_cast<int32_t>(judged.counted.size()));
  if (result().n() < test_.min_n) return RefuseFew(result().n(), Counted(test_));
  if (!CheckClusters()) return;
  const double mean = sum / n;
  if (clusters_) {
    double squares = 0;
    const auto groups = clusters_->Split(judged.counted);
    for (const auto& group : groups) squares += std::pow(static_cast<double>(group.size()), 2);
    SetClustering(static_cast<int64_t>(groups.size()), squares / n);
    n = n * n / squares;
  }
  const double reach = std::sqrt(-std::log(suite_.alpha) / (2 * n));
  result().set_measured(mean);
  result().set_rate(mean);
  result().set_lower(std::max(0.0, mean - reach));
  result().set_upper(std::min(1.0, mean + reach));
  const double above =
      test_.side == stats::Side::kAtLeast ? mean - test_.limit : test_.limit - mean;
  const double chance = std::exp(-2 * n * above * above);
  p = stats::PValues{above > 0 ? chance : 1, above < 0 ? chance : 1};
  if (!Open()) return;
  if (above == 0) return Need(std::nullopt, "");
  const double rows = static_cast<double>(judged.counted.size());
  const double enough = -std::log(AlphaToSettle(above > 0)) / (2 * above * above) * (rows / n);
  const auto needed = static_cast<int64_t>(std::ceil(enough - rows));
  if (rows + static_cast<double>(needed) <= static_cast<double>(kMaxExplained)) {
    return Need(needed, Counted(test_));
  }
  result().set_reason("the mean is too near the limit: it would take " +
                      std::to_string(std::llround(std::ceil(enough))) + " " + Counted(test_) +
                      ", and " + std::to_string(kMaxExplained) + " are looked at");
}

void Judgement::RunRegression() {
  if (!evidence_.has_baseline) {
    if (!test_.first_release) {
      return Refuse(
          "nothing was shipped yet by a suite of this name to be held against: name a baseline, "
          "or say first_release: true");
    }
    const int64_t n = Count(judged.members).n;
    if (n < test_.min_n) return RefuseFew(n, Counted(test_));
    SetSure(true);
    result().set_reason("first release: there is nothing to be held against");
    return;
  }
  Count(judged.members, &judged.counted);
  stats::Paired pairs = Compare(judged.counted);
  stats::Clustering clustering;
  if (clusters_) {
    std::vector<stats::Paired> groups;
    for (const auto& group : clusters_->Split(judged.counted)) groups.push_back(Compare(group));
    clustering = stats::Cluster(groups);
    pairs.design_effect = clustering.design_effect;
  }
  SetClustering(clustering.groups, clustering.design_effect);
  result().set_n(static_cast<int32_t>(pairs.n));
  result().set_losses(static_cast<int32_t>(pairs.losses));
  result().set_gains(static_cast<int32_t>(pairs.gains));
  result().set_measured(pairs.loss());
  if (pairs.n < test_.min_n) return RefuseFew(pairs.n, Counted(test_));
  if (!CheckClusters() || !EnoughGroups(clustering)) return;
  const stats::LossBounds bounds = stats::BoundLoss(pairs, suite_.alpha);
  result().set_lower(bounds.lower);
  result().set_upper(bounds.upper);
  p = stats::TestLoss(pairs, test_.limit);
  if (!Open()) return;
  Need(stats::PairsNeeded(pairs, test_.limit, AlphaToSettle(pairs.loss() <= test_.limit)),
       Counted(test_));
}

void Judgement::RunGap() {
  Count(judged.members, &judged.counted);
  const Texts across(columns_, test_.across);
  LeaveOut([&](size_t place) { return !across.Has(place); });
  if (!CheckClusters()) return;
  auto groups = across.Split(judged.members);  // one that the metric counts nothing of is one too
  std::sort(groups.begin(), groups.end(),
            [&](const auto& a, const auto& b) { return across.Of(a[0]) < across.Of(b[0]); });
  if (groups.size() < 2) {
    return Refuse("fewer than two groups of " + test_.across.text + " among the " +
                  std::to_string(judged.members.size()) + " rows of the slice");
  }
  for (const auto& places : groups) {
    if (!CouldBeWrong(places, " in the group '" + across.Of(places[0]) + "'")) return;
  }
  std::vector<stats::Count> counts;
  for (const auto& members : groups) {
    const std::string& name = across.Of(members[0]);
    std::vector<size_t> places;  // of these, what the metric counts
    Count(members, &places);
    stats::Clustering clustering;
    counts.push_back(Clustered(places, &clustering));
    AddGroup(name, counts.back());
    result().set_n(result().n() + static_cast<int32_t>(counts.back().n));
    if (counts.back().n < test_.min_n) {
      return Refuse("the group '" + name + "' has only " + std::to_string(counts.back().n) + " " +
                    Counted(test_) + "; at least " + std::to_string(test_.min_n) +
                    " are wanted: label more, or take a slice without it");
    }
    SetClustering(result().clusters() + clustering.groups,
                  std::max(result().design_effect(), clustering.design_effect));
    if (!EnoughGroups(clustering, " in the group '" + name + "'")) return;
  }
  const stats::Gap gap = stats::BoundGap(counts, suite_.alpha);
  result().set_measured(gap.observed);
  result().set_lower(gap.lower);
  result().set_upper(gap.upper);
  p = stats::TestGap(counts, test_.limit);
  if (!Open()) return;
  Need(stats::GapTrialsNeeded(counts, test_.limit, AlphaToSettle(gap.observed <= test_.limit)),
       Counted(test_) + " over all groups");
}

void Judgement::RunFits() {
  const auto found = evidence_.cores.find(test_.core);
  if (found == evidence_.cores.end() || !found->second.error.empty()) {
    return Refuse(found == evidence_.cores.end() ? "was not emulated" : found->second.error);
  }
  const double figure = found->second.figures.at(test_.figure);
  result().set_firmware(found->second.firmware);
  result().set_measured(figure);
  result().set_lower(figure);
  result().set_upper(figure);
  SetSure(figure <= test_.limit);
}

void Judgement::RunSameBits() {
  const auto found = evidence_.cores.find(test_.core);
  if (found == evidence_.cores.end() || !found->second.error.empty()) {
    return Refuse(found == evidence_.cores.end() ? "was not emulated" : found->second.error);
  }
  const Emulated& emulated = found->second;
  result().set_firmware(emulated.firmware);
  result().set_n(emulated.images);
  result().set_successes(emulated.equal);
  result().set_measured(emulated.images == 0 ? 0 : 1.0 * emulated.equal / emulated.images);
  if (emulated.images == 0) return Refuse("there are no golden images to compare");
  SetSure(emulated.equal == emulated.images);
  result().set_reason(emulated.difference);
}

void Judgement::Run(Chooser& chooser) {
  Describe();
  const auto unanswered = evidence_.unanswered.find(test_.id);
  if (unanswered != evidence_.unanswered.end()) return Refuse(unanswered->second);
  if (test_.kind == Kind::kFits) return RunFits();
  if (test_.kind == Kind::kSameBits) return RunSameBits();
  if (!SelectRows(chooser.Choose(test_)) || !CheckPrediction()) return;
  switch (test_.kind) {
    case Kind::kRegression:
      return RunRegression();
    case Kind::kGap:
      return RunGap();
    case Kind::kShortcut:
      return RunShortcut();
    default:
      return test_.metric == Metric::kSaliencyInBox ? RunMean() : RunBound();
  }
}

}  // namespace bitfoundry::verdicts
