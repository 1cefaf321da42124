#include "verdicts/judge.h"

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/digest.h"
#include "stats/clusters.h"
#include "stats/decision.h"
#include "stats/gap.h"
#include "stats/label_error.h"
#include "stats/paired.h"
#include "verdicts/bins.h"

namespace bitfoundry::verdicts {
namespace {

constexpr const char* kKindNames[] = {"bound",    "regression", "gap",
                                      "shortcut", "fits",       "same_bits"};

std::string DigestOfNames(const Evidence& evidence, const std::vector<size_t>& members) {
  std::vector<std::string> names;
  for (const size_t i : members) names.push_back(evidence.data.rows[evidence.rows[i]].name);
  std::sort(names.begin(), names.end());
  Sha256Stream stream;
  for (const std::string& name : names) stream.Add(name + "\n");
  return stream.Finish();
}

std::string Percent(double rate) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * rate);
  return text;
}

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

// Judges one test; what it finds is in `judged`, and what chance has to do with it in `p`.
class Judgement {
 public:
  Judgement(const Suite& suite, const DataTest& test, const Evidence& evidence,
            const slices::Columns& columns, const Circumstances& circumstances)
      : suite_(suite),
        test_(test),
        evidence_(evidence),
        columns_(columns),
        circumstances_(circumstances) {}

  void Run();

  Judged judged;
  std::optional<stats::PValues> p;  // unless it is decided without

 private:
  v1::TestResult& result() { return judged.result; }
  void Describe();
  bool SelectRows();
  void Refuse(const std::string& reason);
  void RefuseFew(int64_t n, const std::string& of_what);

  std::optional<bool> Success(size_t place, const Predictions& predictions) const;
  stats::Count Count(const std::vector<size_t>& places, std::vector<size_t>* counted) const;
  std::vector<std::vector<size_t>> Groups(const std::string& field, std::vector<std::string>* names,
                                          bool with_rest) const;
  void SetCount(const stats::Count& count);
  void SetClustering(const stats::Clustering& clustering);
  bool CheckCeiling();
  void Need(std::optional<int64_t> needed, const std::string& of_what);

  void RunBound();
  void RunMean();
  void RunRegression();
  void RunGap();
  void RunShortcut();
  void RunFits();
  void RunSameBits();

  const Suite& suite_;
  const DataTest& test_;
  const Evidence& evidence_;
  const slices::Columns& columns_;
  const Circumstances& circumstances_;
};

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
  result().set_metric(ToString(test_.metric));
  result().set_upper(1);
}

// False if there is nothing more to judge.
bool Judgement::SelectRows() {
  const slices::Expression& slice = suite_.slices[test_.slice].expression;
  const Status names = slice.Check(columns_.Names());
  if (names.ok()) {
    const slices::Selection selected =
        slice.Select(columns_, evidence_.predictions.at(test_.view()));
    judged.members = selected.Rows();
    result().set_unknown_rows(static_cast<int32_t>(selected.Unknown()));
  }
  result().set_rows_digest(DigestOfNames(evidence_, judged.members));
  if (!names.ok()) {
    Refuse(names.message());
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
  const auto& classes = evidence_.data.classes;
  const size_t said = predictions.at(test_.view())[place];
  const auto label = static_cast<size_t>(evidence_.data.rows[evidence_.rows[place]].class_index);
  const bool labelled = classes[label] == test_.positive;
  const bool predicted = classes[said] == test_.positive;
  const auto among = [](bool counts, bool success) {
    return counts ? std::optional(success) : std::nullopt;
  };
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

stats::Count Judgement::Count(const std::vector<size_t>& places,
                              std::vector<size_t>* counted) const {
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

// The counted rows by the text that they have in a field, in order of it. Rows without one are left
// out or, with_rest, each a group by itself.
std::vector<std::vector<size_t>> Judgement::Groups(const std::string& field,
                                                   std::vector<std::string>* names,
                                                   bool with_rest) const {
  const auto& texts = field.starts_with("tag.") ? columns_.tags : columns_.meta;
  const auto found = texts.find(field.substr(field.find('.') + 1));
  std::vector<const std::string*> text(columns_.rows, nullptr);
  if (found != texts.end()) {
    const slices::TextColumn& column = found->second;
    for (size_t i = 0; i < column.rows.size(); ++i) {
      text[column.rows[i]] = &column.words[column.codes[i]];
    }
  }
  std::map<std::string, std::vector<size_t>> by_text;
  std::vector<std::vector<size_t>> groups;
  for (const size_t place : judged.counted) {
    if (text[place] != nullptr) {
      by_text[*text[place]].push_back(place);
    } else if (with_rest) {
      groups.push_back({place});
    }
  }
  for (auto& [name, places] : by_text) {
    if (names != nullptr) names->push_back(name);
    groups.push_back(std::move(places));
  }
  return groups;
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

void Judgement::SetClustering(const stats::Clustering& clustering) {
  result().set_cluster(test_.cluster->text);
  result().set_clusters(static_cast<int32_t>(clustering.groups));
  result().set_design_effect(clustering.design_effect);
}

void Judgement::Need(std::optional<int64_t> needed, const std::string& of_what) {
  if (!needed) {
    result().set_reason("the observed rate is on the limit: no number of samples would settle it");
    return;
  }
  result().set_labels_needed(static_cast<int32_t>(*needed));
  result().set_reason("at the observed rate, " + std::to_string(*needed) + " more " + of_what +
                      " would settle it");
}

// False, and refused, if the labels' own error forbids the limit.
bool Judgement::CheckCeiling() {
  std::vector<double> posteriors;
  for (const size_t place : judged.counted) {
    posteriors.push_back(evidence_.data.rows[evidence_.rows[place]].posterior);
  }
  const double error = stats::ExpectedLabelError(posteriors);
  const double ceiling = stats::Ceiling(test_.side, error);
  result().set_ceiling(ceiling);
  if (stats::WithinReach(test_.side, test_.limit, error)) return true;
  Refuse("the limit is beyond " + Percent(ceiling) +
         ", which is all that a perfect model reaches "
         "while " +
         Percent(error) +
         " of these labels are expected to be wrong: ask for more "
         "opinions on them, or for less");
  return false;
}

void Judgement::RunBound() {
  stats::Count count = Count(judged.members, &judged.counted);
  bool too_few_groups = false;
  if (test_.cluster) {
    std::vector<stats::Count> groups;
    for (const auto& places : Groups(test_.cluster->text, nullptr, /*with_rest=*/true)) {
      groups.push_back(Count(places, nullptr));
    }
    const stats::Clustering clustering = stats::Cluster(groups);
    SetClustering(clustering);
    count.design_effect = clustering.design_effect;
    too_few_groups = clustering.too_few_groups;
  }
  SetCount(count);
  if (count.n < test_.min_n) return RefuseFew(count.n, Counted(test_));
  if (too_few_groups) {
    return Refuse("only " + std::to_string(result().clusters()) + " groups of " +
                  test_.cluster->text + ": from fewer than " + std::to_string(stats::kMinGroups) +
                  " nobody can say how much rows of one group resemble each other");
  }
  if (test_.metric != Metric::kFlipRate && !CheckCeiling()) return;
  p = stats::TestRate(count, test_.side, test_.limit);
  if (stats::Decide(*p, suite_.alpha) == stats::Decision::kOpen) {
    Need(stats::TrialsNeeded(count, test_.limit, suite_.alpha), Counted(test_));
  }
}

// A mean of shares between 0 and 1. Source of the bound: W. Hoeffding, "Probability inequalities
// for sums of bounded random variables", JASA 58 (1963) 13-30.
void Judgement::RunMean() {
  double sum = 0;
  for (const size_t place : judged.members) {
    const auto found = evidence_.in_box.find(place);
    if (found == evidence_.in_box.end()) continue;
    judged.counted.push_back(place);
    sum += found->second;
  }
  const auto n = static_cast<double>(judged.counted.size());
  result().set_n(static_cast<int32_t>(judged.counted.size()));
  if (result().n() < test_.min_n || result().n() == 0)
    return RefuseFew(result().n(), Counted(test_));
  const double mean = sum / n;
  const double reach = std::sqrt(-std::log(suite_.alpha) / (2 * n));
  result().set_measured(mean);
  result().set_rate(mean);
  result().set_lower(std::max(0.0, mean - reach));
  result().set_upper(std::min(1.0, mean + reach));
  const double above =
      test_.side == stats::Side::kAtLeast ? mean - test_.limit : test_.limit - mean;
  const double chance = std::exp(-2 * n * above * above);
  p = stats::PValues{above > 0 ? chance : 1, above < 0 ? chance : 1};
  if (stats::Decide(*p, suite_.alpha) == stats::Decision::kOpen) {
    result().set_reason("the mean is too near the limit for so few samples");
  }
}

void Judgement::RunRegression() {
  if (!evidence_.has_baseline) {
    if (!test_.first_release) {
      return Refuse(
          "nothing was shipped yet to be held against: name a baseline, or say "
          "first_release: true");
    }
    result().set_outcome(v1::PASS);
    result().set_reason("first release: there is nothing to be held against");
    return;
  }
  const auto compare = [&](const std::vector<size_t>& places) {
    stats::Paired pairs;
    for (const size_t place : places) {
      const auto label =
          static_cast<size_t>(evidence_.data.rows[evidence_.rows[place]].class_index);
      const bool now = evidence_.predictions.at("")[place] == label;
      const bool before = evidence_.baseline.at("")[place] == label;
      ++pairs.n;
      pairs.losses += before && !now ? 1 : 0;
      pairs.gains += now && !before ? 1 : 0;
    }
    return pairs;
  };
  Count(judged.members, &judged.counted);
  stats::Paired pairs = compare(judged.counted);
  if (test_.cluster) {
    std::vector<stats::Paired> groups;
    for (const auto& places : Groups(test_.cluster->text, nullptr, /*with_rest=*/true)) {
      groups.push_back(compare(places));
    }
    const stats::Clustering clustering = stats::Cluster(groups);
    SetClustering(clustering);
    pairs.design_effect = clustering.design_effect;
  }
  result().set_n(static_cast<int32_t>(pairs.n));
  result().set_losses(static_cast<int32_t>(pairs.losses));
  result().set_gains(static_cast<int32_t>(pairs.gains));
  result().set_measured(pairs.loss());
  if (pairs.n < test_.min_n) return RefuseFew(pairs.n, Counted(test_));
  const stats::LossBounds bounds = stats::BoundLoss(pairs, suite_.alpha);
  result().set_lower(bounds.lower);
  result().set_upper(bounds.upper);
  p = stats::TestLoss(pairs, test_.limit);
  if (stats::Decide(*p, suite_.alpha) == stats::Decision::kOpen) {
    Need(stats::PairsNeeded(pairs, test_.limit, suite_.alpha), Counted(test_));
  }
}

void Judgement::RunGap() {
  Count(judged.members, &judged.counted);
  std::vector<std::string> names;
  std::vector<stats::Count> counts;
  for (const auto& places : Groups(test_.across.text, &names, /*with_rest=*/false)) {
    counts.push_back(Count(places, nullptr));
    v1::Group& group = *result().add_groups();
    group.set_name(names[counts.size() - 1]);
    group.set_n(static_cast<int32_t>(counts.back().n));
    group.set_successes(static_cast<int32_t>(counts.back().successes));
    group.set_lower(stats::LowerBound(counts.back(), suite_.alpha));
    group.set_upper(stats::UpperBound(counts.back(), suite_.alpha));
    result().set_n(result().n() + group.n());
  }
  if (counts.size() < 2) {
    return Refuse("fewer than two groups of " + test_.across.text + " among the " +
                  std::to_string(judged.members.size()) + " rows of the slice");
  }
  for (const v1::Group& group : result().groups()) {
    if (group.n() < test_.min_n) {
      return Refuse("the group '" + group.name() + "' has only " + std::to_string(group.n()) + " " +
                    Counted(test_) + "; at least " + std::to_string(test_.min_n) + " are wanted");
    }
  }
  const stats::Gap gap = stats::BoundGap(counts, suite_.alpha);
  result().set_measured(gap.observed);
  result().set_lower(gap.lower);
  result().set_upper(gap.upper);
  p = stats::TestGap(counts, test_.limit);
  if (stats::Decide(*p, suite_.alpha) == stats::Decision::kOpen) {
    Need(stats::GapTrialsNeeded(counts, test_.limit, suite_.alpha),
         Counted(test_) + " over all groups");
  }
}

// A shortcut that was learnt shows as a rate of errors, given the label, that depends on what has
// nothing to do with it. Every bin is held against all other rows of the same label.
void Judgement::RunShortcut() {
  const auto found = columns_.attributes.find(test_.attribute.text.substr(5));
  if (found == columns_.attributes.end()) return Refuse("no sample has " + test_.attribute.text);
  std::vector<double> values(columns_.rows, std::nan(""));
  for (size_t i = 0; i < found->second.rows.size(); ++i) {
    values[found->second.rows[i]] = found->second.values[i];
  }
  stats::PValues all{0, 1};
  int64_t bins = 0;
  double largest = -1;
  for (const bool labelled : {false, true}) {
    std::vector<size_t> places;  // of this label, with a value
    for (const size_t place : judged.members) {
      const auto& row = evidence_.data.rows[evidence_.rows[place]];
      const std::string& label = evidence_.data.classes[static_cast<size_t>(row.class_index)];
      if ((label == test_.positive) == labelled && !std::isnan(values[place])) {
        places.push_back(place);
      }
    }
    judged.counted.insert(judged.counted.end(), places.begin(), places.end());
    for (const Bin& bin : BinsOf(places, values)) {
      stats::Count counts[2];  // inside, outside
      for (const size_t place : places) {
        stats::Count& count = counts[bin.Holds(values[place]) ? 0 : 1];
        ++count.n;
        const std::string& said = evidence_.data.classes[evidence_.predictions.at("")[place]];
        if (said == test_.positive) ++count.successes;
      }
      if (counts[0].n < test_.min_n || counts[1].n < test_.min_n) continue;
      ++bins;
      const stats::PValues one = stats::TestGap(counts, test_.limit);
      all.holds = std::max(all.holds, one.holds);
      all.broken = std::min(all.broken, one.broken);
      const double gap = stats::BoundGap(counts, suite_.alpha).observed;
      if (gap <= largest) continue;
      largest = gap;
      result().clear_groups();
      for (const int side : {0, 1}) {
        v1::Group& group = *result().add_groups();
        group.set_name(std::string(labelled ? "" : "not ") + test_.positive + ", " +
                       test_.attribute.text + (side == 0 ? " in " : " not in ") + bin.ToString());
        group.set_n(static_cast<int32_t>(counts[side].n));
        group.set_successes(static_cast<int32_t>(counts[side].successes));
        group.set_lower(stats::LowerBound(counts[side], suite_.alpha));
        group.set_upper(stats::UpperBound(counts[side], suite_.alpha));
      }
    }
  }
  result().set_n(static_cast<int32_t>(judged.counted.size()));
  if (bins == 0)
    return Refuse("no bin of " + test_.attribute.text + " has " + std::to_string(test_.min_n) +
                  " samples of one label");
  result().set_measured(largest);
  all.broken = std::min(1.0, all.broken * static_cast<double>(bins));
  p = all;
  if (stats::Decide(all, suite_.alpha) == stats::Decision::kOpen) {
    result().set_reason("the widest of " + std::to_string(bins) + " bins differs by " +
                        Percent(largest) + " from the rest; so few samples could hide more");
  }
}

void Judgement::RunFits() {
  const auto found = evidence_.cores.find(test_.core);
  if (found == evidence_.cores.end() || !found->second.error.empty()) {
    return Refuse(found == evidence_.cores.end() ? "was not emulated" : found->second.error);
  }
  const double figure = found->second.figures.at(test_.figure);
  result().set_measured(figure);
  result().set_lower(figure);
  result().set_upper(figure);
  result().set_outcome(figure <= test_.limit ? v1::PASS : v1::FAIL);
}

void Judgement::RunSameBits() {
  const auto found = evidence_.cores.find(test_.core);
  if (found == evidence_.cores.end() || !found->second.error.empty()) {
    return Refuse(found == evidence_.cores.end() ? "was not emulated" : found->second.error);
  }
  const Emulated& emulated = found->second;
  result().set_n(emulated.images);
  result().set_successes(emulated.equal);
  result().set_measured(emulated.images == 0 ? 0 : 1.0 * emulated.equal / emulated.images);
  if (emulated.images == 0) return Refuse("there are no golden images to compare");
  const bool equal = emulated.equal == emulated.images;
  result().set_outcome(equal ? v1::PASS : v1::FAIL);
  result().set_reason(emulated.difference);
}

void Judgement::Run() {
  Describe();
  const auto unanswered = evidence_.unanswered.find(test_.id);
  if (unanswered != evidence_.unanswered.end()) return Refuse(unanswered->second);
  if (test_.kind == Kind::kFits) return RunFits();
  if (test_.kind == Kind::kSameBits) return RunSameBits();
  if (!SelectRows()) return;
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

v1::Outcome OutcomeOf(stats::Decision decision) {
  if (decision == stats::Decision::kHolds) return v1::PASS;
  return decision == stats::Decision::kBroken ? v1::FAIL : v1::INCONCLUSIVE;
}

void Waive(const Suite& suite, const std::string& date, v1::TestResult& result) {
  for (const Waiver& waiver : suite.waivers) {
    const bool names_it = waiver.test == result.test_id() ||
                          waiver.test == result.test_id().substr(0, result.test_id().find('/'));
    if (!names_it || date > waiver.until) continue;
    result.set_waived_by(waiver.by);
    result.set_waived_until(waiver.until);
    result.set_waiver_reason(waiver.reason);
  }
}

}  // namespace

std::vector<size_t> TestRows(const snapshot::Snapshot& data) {
  std::vector<size_t> rows;
  for (size_t i = 0; i < data.rows.size(); ++i) {
    if (data.rows[i].part == snapshot::Part::kTest) rows.push_back(i);
  }
  return rows;
}

slices::Vocabulary VocabularyOf(const snapshot::Snapshot& data, const std::vector<size_t>& rows) {
  return slices::Columns::Of(data, rows).Names();
}

std::vector<Judged> Judge(const Suite& suite, const Evidence& evidence,
                          const Circumstances& circumstances) {
  const slices::Columns columns = slices::Columns::Of(evidence.data, evidence.rows);
  std::vector<Judged> judged;
  std::vector<stats::PValues> family;
  std::vector<size_t> places;  // of the family's tests
  for (const DataTest& test : suite.tests) {
    Judgement judgement(suite, test, evidence, columns, circumstances);
    judgement.Run();
    if (judgement.p) {
      family.push_back(*judgement.p);
      places.push_back(judged.size());
      judgement.judged.result.set_p_holds(judgement.p->holds);
      judgement.judged.result.set_p_broken(judgement.p->broken);
    }
    judged.push_back(std::move(judgement.judged));
  }
  const std::vector<stats::Decision> decisions = stats::DecideFamily(family, suite.alpha);
  for (size_t i = 0; i < places.size(); ++i) {
    v1::TestResult& result = judged[places[i]].result;
    result.set_outcome(OutcomeOf(decisions[i]));
    if (result.outcome() != v1::INCONCLUSIVE) {
      result.clear_reason();
      result.clear_labels_needed();
    } else if (result.reason().empty()) {
      result.set_reason("alone this would be an alarm; among " + std::to_string(family.size()) +
                        " tests one like it may be chance");
    }
  }
  for (Judged& test : judged) Waive(suite, circumstances.date, test.result);
  return judged;
}

v1::Outcome Overall(const std::vector<Judged>& tests) {
  const auto any = [&](v1::Outcome outcome) {
    return std::any_of(tests.begin(), tests.end(), [&](const Judged& test) {
      const bool waived = !test.result.waived_by().empty() && outcome != v1::ERROR;
      return test.result.blocks() && test.result.outcome() == outcome &&
             (!waived || outcome == v1::PASS);
    });
  };
  if (any(v1::ERROR)) return v1::ERROR;
  if (any(v1::FAIL)) return v1::FAIL;
  if (any(v1::INCONCLUSIVE)) return v1::INCONCLUSIVE;
  return any(v1::PASS) ? v1::PASS : v1::ERROR;  // nothing that blocks: nothing was shown
}

}  // namespace bitfoundry::verdicts
