// Judgement's scan for shortcuts.
#include <algorithm>
#include <cmath>

#include "stats/gap.h"
#include "verdicts/bins.h"
#include "verdicts/judgement.h"
#include "verdicts/words.h"

namespace bitfoundry::verdicts {
namespace {

// So many of the places are in none of the bins; 0 if all are, or have one value.
int64_t Uncovered(std::span<const Bin> bins, std::span<const size_t> places,
                  std::span<const double> values) {
  if (values[places.front()] == values[places.back()]) return 0;  // nothing to depend on
  return std::ranges::count_if(places, [&](size_t place) {
    return std::ranges::none_of(bins, [&](const Bin& bin) { return bin.Holds(values[place]); });
  });
}

}  // namespace

// The bin against all other rows of the same label; shown if it is the worst so far, that is the
// likeliest alarm, or else the widest gap.
stats::PValues Judgement::ScanBin(const Bin& bin, bool labelled, std::span<const size_t> places,
                                  const std::vector<double>& values, Worst& worst) {
  std::array<std::vector<size_t>, 2> sides;
  for (const size_t place : places) sides[bin.Holds(values[place]) ? 0 : 1].push_back(place);
  std::array<stats::Count, 2> counts;
  bool unknown = false;  // how much rows resemble each other: then nothing is shown
  for (const int side : {0, 1}) {
    stats::Clustering clustering;
    counts[side] = Clustered(sides[side], &clustering);
    unknown = unknown || clustering.too_few_groups;
    worst.design_effect = std::max(worst.design_effect, clustering.design_effect);
  }
  ++worst.bins;
  if (!unknown) worst.scanned.push_back(counts);
  const stats::PValues bin_p = unknown ? stats::PValues() : stats::TestGap(counts, test_.limit);
  const double gap = stats::BoundGap(counts, suite_.alpha).observed;
  const double alarm = bin_p.broken <= suite_.alpha ? bin_p.broken : 1;
  if (std::pair(alarm, -gap) >= std::pair(worst.alarm, -worst.gap)) return bin_p;
  worst.alarm = alarm;
  worst.gap = gap;
  result().clear_groups();
  for (const int side : {0, 1}) {
    AddGroup(std::string(labelled ? "" : "not ") + test_.positive + ", " + test_.attribute.text +
                 (side == 0 ? " in " : " not in ") + bin.ToString(),
             counts[side]);
  }
  return bin_p;
}

// Of the widest gap that there truly is: an upper bound holds if it does for the bin that has it, a
// lower one if it does for all (Bonferroni).
void Judgement::BoundScan(const Worst& worst) {
  const double each = suite_.alpha / static_cast<double>(worst.bins);
  double lower = 0;
  double upper = worst.bins > std::ssize(worst.scanned) ? 1 : 0;
  for (const auto& counts : worst.scanned) {
    lower = std::max(lower, stats::BoundGap(counts, each).lower);
    upper = std::max(upper, stats::BoundGap(counts, suite_.alpha).upper);
  }
  result().set_lower(lower);
  result().set_upper(upper);
}

// So many more rows, if they fell into the bins as these do: all bins have to be shown to hold, or
// one of them to be broken.
std::optional<int64_t> Judgement::ScanNeeds(const Worst& worst) const {
  const bool kept = worst.gap <= test_.limit;
  const double alpha = kept ? suite_.alpha : alarm_alpha_ / static_cast<double>(worst.bins);
  std::optional<double> growth;
  for (const auto& counts : worst.scanned) {
    if (!kept && stats::BoundGap(counts, alpha).observed <= test_.limit) continue;
    const auto needed = stats::GapTrialsNeeded(counts, test_.limit, alpha);
    if (!needed && kept) return std::nullopt;
    if (!needed) continue;
    const double one =
        static_cast<double>(*needed) / static_cast<double>(counts[0].n + counts[1].n);
    growth = !growth ? one : kept ? std::max(*growth, one) : std::min(*growth, one);
  }
  if (!growth) return std::nullopt;
  return static_cast<int64_t>(std::ceil(*growth * judged.result.n()));
}

// A shortcut that was learnt shows as a rate of errors, given the label, that depends on what has
// nothing to do with it. The bins are those of both labels together: where a shortcut is, one label
// is rare, and its own lowest 1 % would be mostly elsewhere. For that label the bin is as wide as
// min_n asks for, so that each sample is in one that was looked at.
void Judgement::RunShortcut() {
  const auto found = columns_.attributes.find(test_.attribute.text.substr(5));
  if (found == columns_.attributes.end()) return Refuse("no sample has " + test_.attribute.text);
  std::vector<double> values(columns_.rows, std::nan(""));
  for (size_t i = 0; i < found->second.rows.size(); ++i) {
    values[found->second.rows[i]] = found->second.values[i];
  }
  judged.counted = judged.members;
  LeaveOut([&](size_t place) { return std::isnan(values[place]); });
  std::vector<size_t> by_label[2];
  for (const size_t place : judged.counted) {
    by_label[LabelOf(place) == positive_ ? 1 : 0].push_back(place);
  }
  result().set_n(static_cast<int32_t>(judged.counted.size()));
  if (!CheckClusters()) return;
  stats::PValues all{0, 1};
  Worst worst;
  const std::vector<Bin> bins = BinsOf(judged.counted, values);
  for (const bool labelled : {false, true}) {
    auto& places = by_label[labelled ? 1 : 0];
    if (places.empty()) continue;
    const std::string name = (labelled ? "'" : "other than '") + test_.positive + "'";
    if (std::ssize(places) < 2 * test_.min_n) {
      return Refuse("only " + std::to_string(places.size()) + " samples labelled " + name +
                    "; to compare a bin with the rest " + std::to_string(2 * test_.min_n) +
                    " are wanted");
    }
    std::ranges::sort(places, {}, [&](size_t place) { return values[place]; });
    const auto least = static_cast<size_t>(test_.min_n);
    std::vector<Bin> mine = Widened(bins, places, values, least);
    if (Uncovered(mine, places, values) > 0) {  // a bin of both holds nearly all of this one
      mine = Widened(BinsOf(places, values), places, values, least);
    }
    if (const int64_t uncovered = Uncovered(mine, places, values); uncovered > 0) {
      return Refuse(std::to_string(uncovered) + " of the samples labelled " + name +
                    " cannot be compared: so many have one and the same " + test_.attribute.text +
                    " that no bin has " + std::to_string(test_.min_n) + " inside and outside");
    }
    for (const Bin& bin : mine) {
      const stats::PValues one = ScanBin(bin, labelled, places, values, worst);
      all.holds = std::max(all.holds, one.holds);
      all.broken = std::min(all.broken, one.broken);
    }
  }
  if (worst.bins == 0) return Refuse(test_.attribute.text + " is the same in all samples");
  if (worst.scanned.empty()) {
    return Refuse("each bin, or the rest, lies in fewer than " + std::to_string(stats::kMinGroups) +
                  " groups of " + test_.cluster->text +
                  ": nobody can say how much rows of one group resemble each other");
  }
  result().set_measured(worst.gap);
  if (clusters_) {
    SetClustering(static_cast<int64_t>(clusters_->Split(judged.counted).size()),
                  worst.design_effect);
  }
  all.broken = std::min(1.0, all.broken * static_cast<double>(worst.bins));
  p = all;
  BoundScan(worst);
  if (!Open()) return;
  const int64_t unknown = worst.bins - std::ssize(worst.scanned);
  if (unknown == 0) {
    Need(ScanNeeds(worst), "samples");
  } else {
    result().set_reason(std::to_string(unknown) + " bins, or the rest, lie in fewer than " +
                        std::to_string(stats::kMinGroups) + " groups of " + test_.cluster->text +
                        ": nobody can say how much rows of one group resemble each other");
  }
  result().set_reason("the widest of " + std::to_string(worst.bins) + " bins differs by " +
                      Percent(worst.gap) + " from the rest; " + result().reason());
}

}  // namespace bitfoundry::verdicts
