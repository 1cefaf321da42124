// Judgement's scan for shortcuts.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <set>

#include "stats/binomial.h"
#include "stats/gap.h"
#include "stats/hypergeometric.h"
#include "verdicts/bins.h"
#include "verdicts/judgement.h"
#include "verdicts/words.h"

namespace bitfoundry::verdicts {

// The samples of a label in the order of their values.
struct Ordered {
  std::vector<size_t> places;
  std::vector<double> values;
  std::vector<int64_t> called;  // [i]: so many of the first i are called positive

  size_t size() const { return places.size(); }
  std::string RangeOf(const Bin& bin) const {
    char text[64];
    std::snprintf(text, sizeof text, "%.4g..%.4g", values[bin.from], values[bin.to - 1]);
    return text;
  }
  std::array<stats::Count, 2> Counts(const Bin& bin) const {  // inside, outside
    const int64_t inside = called[bin.to] - called[bin.from];
    const auto n = static_cast<int64_t>(bin.size());
    return {{{n, inside}, {static_cast<int64_t>(size()) - n, called.back() - inside}}};
  }
};

namespace {

constexpr size_t kSmallest = 8;   // samples that can stand out by themselves
constexpr size_t kShares = 20;    // what has to be shown is shown of so many parts of the data
constexpr double kDoubt = 0.025;  // the chance that small bins hold back an honest label

double Difference(const std::array<stats::Count, 2>& counts) {
  const auto rate = [&](int side) {
    return static_cast<double>(counts[side].successes) / static_cast<double>(counts[side].n);
  };
  return rate(0) - rate(1);
}

// The least samples of a bin that leave room for an error or two: twice as many as show the limit
// where there is none.
size_t LeastToShow(double limit, double alpha) {
  return 2 * static_cast<size_t>(std::ceil(std::log(alpha / 2) / std::log1p(-limit)));
}

// The least of the bins of which the limit has to be shown.
size_t LeastShown(const Ordered& order, size_t least) {
  return std::max(least, (order.size() + kShares - 1) / kShares);
}

struct Plan {
  std::set<Bin> bins;
  size_t uncovered = 0;  // samples in none of these but the largest, which say little of them
  Bin first_uncovered;
};

// The bins of which the limit has to be shown: of a twentieth of the samples up to half of them;
// of fewer, but at least `least`, where they are equal, or what equal values leave over.
Plan PlanBins(const Ordered& order, size_t least) {
  Plan plan;
  const size_t n = order.size();
  const size_t shown = LeastShown(order, least);
  const auto add = [&](const Bin& bin) {
    if (bin.size() >= least && n - bin.size() >= least) plan.bins.insert(bin);
  };
  for (size_t size = shown; size <= n / 2; size *= 2) {
    for (const Bin& bin : BinsOf(order.values, size)) {
      if (bin.size() >= shown) add(bin);
    }
  }
  std::vector<bool> covered(n, false);
  const auto cover = [&] {
    for (const Bin& bin : plan.bins) {
      const bool is_one_value = order.values[bin.from] == order.values[bin.to - 1];
      if (bin.size() > 2 * shown && !is_one_value) continue;
      for (size_t i = bin.from; i < bin.to; ++i) covered[i] = true;
    }
  };
  cover();
  for (size_t i = 0; i < n;) {  // runs of what is not covered, without breaking up equal values
    size_t to = i;
    while (to < n && (!covered[to] || (to > i && order.values[to] == order.values[to - 1]))) ++to;
    if (to > i) add({i, to});
    i = std::max(i + 1, to);
  }
  cover();
  for (size_t i = 0; i < n; ++i) {
    if (covered[i]) continue;
    if (plan.uncovered++ == 0) plan.first_uncovered.from = i;
    plan.first_uncovered.to = i + 1;
  }
  return plan;
}

// Of the bins that are too small to show the limit of, but are beyond it, the least likely.
struct Suspect {
  Bin bin;
  double p = 1;
  int64_t bins = 0;  // that were looked at
};

// P(as many as are in the bin, of those that are like most in it) if chance had put them there and
// not elsewhere nearby. Nearby, because a rate may change with the attribute, within the limit:
// that is shown of larger bins.
double ChanceOfPlace(const Ordered& order, const Bin& bin, size_t near) {
  const size_t n = order.size();
  const size_t around = std::min(n, 2 * near);
  const size_t middle = (bin.from + bin.to) / 2;
  const size_t from = std::min(middle > near ? middle - near : 0, n - around);
  const bool positive = Difference(order.Counts(bin)) > 0;
  const auto alike = [&](size_t first, size_t end) {
    const int64_t called = order.called[end] - order.called[first];
    return positive ? called : static_cast<int64_t>(end - first) - called;
  };
  return stats::AtLeastDrawn(static_cast<int64_t>(around), alike(from, from + around),
                             static_cast<int64_t>(bin.size()), alike(bin.from, bin.to));
}

// P(what is in the bin) if its rate were that of the rest, but for the limit.
double ChanceOfRate(const std::array<stats::Count, 2>& counts, double limit) {
  const auto n = static_cast<double>(counts[0].n);
  const auto k = static_cast<double>(counts[0].successes);
  const double rest = static_cast<double>(counts[1].successes) / static_cast<double>(counts[1].n);
  return Difference(counts) > 0 ? stats::AtLeast(n, k, std::min(1.0, rest + limit))
                                : stats::AtMost(n, k, std::max(0.0, rest - limit));
}

// Any small bin may raise doubts, wherever it begins.
Suspect DoubtOf(const Ordered& order, size_t least, double limit) {
  Suspect suspect;
  const size_t shown = LeastShown(order, least);
  for (size_t size = kSmallest; size < shown; size += size / 4) {
    for (const Bin& bin : EveryBinOf(order.values, size, kSmallest)) {
      if (bin.size() >= shown || order.size() - bin.size() < least) continue;
      ++suspect.bins;
      if (std::abs(Difference(order.Counts(bin))) <= limit) continue;
      const double p = ChanceOfPlace(order, bin, shown);
      if (p < suspect.p) suspect.p = p, suspect.bin = bin;
    }
  }
  return suspect;
}

// For an alarm fewer are looked at, so that one is likelier to be more than chance.
Suspect AlarmOf(const Ordered& order, size_t least, double limit) {
  Suspect suspect;
  for (size_t size = kSmallest; size < LeastShown(order, least); size *= 2) {
    for (const Bin& bin : BinsOf(order.values, size)) {
      if (order.size() - bin.size() < least) continue;
      ++suspect.bins;
      const auto counts = order.Counts(bin);
      if (std::abs(Difference(counts)) <= limit) continue;
      const double p = ChanceOfRate(counts, limit);
      if (p < suspect.p) suspect.p = p, suspect.bin = bin;
    }
  }
  return suspect;
}

}  // namespace

// The bin against all other samples of the same label; it is the one to be told of if it is the
// likeliest alarm so far, or else the widest gap.
stats::PValues Judgement::ScanBin(const Ordered& order, const Bin& bin, bool shows, bool labelled,
                                  Worst& worst) {
  std::array<stats::Count, 2> counts = order.Counts(bin);
  if (clusters_) {
    std::array<std::vector<size_t>, 2> sides;
    for (size_t i = 0; i < order.size(); ++i) {
      sides[i >= bin.from && i < bin.to ? 0 : 1].push_back(order.places[i]);
    }
    bool unknown = false;  // how much rows resemble each other: then nothing is shown
    for (const int side : {0, 1}) {
      stats::Clustering clustering;
      counts[side] = Clustered(sides[side], &clustering);
      unknown = unknown || clustering.too_few_groups;
      worst.design_effect = std::max(worst.design_effect, clustering.design_effect);
    }
    if (unknown) ++worst.unknown;
    if (unknown) return stats::PValues();
  }
  stats::PValues bin_p = stats::TestGap(counts, test_.limit);
  if (!shows) bin_p.holds = 1;
  worst.scanned.push_back({counts, shows});
  const double gap = std::abs(Difference(counts));
  const double alarm = bin_p.broken <= suite_.alpha ? bin_p.broken : 1;
  if (std::pair(alarm, -gap) >= std::pair(worst.alarm, -worst.gap)) return bin_p;
  worst.alarm = alarm;
  worst.gap = gap;
  result().clear_groups();
  for (const int side : {0, 1}) {
    AddGroup(std::string(labelled ? "" : "not ") + test_.positive + ", " + test_.attribute.text +
                 (side == 0 ? " in " : " not in ") + order.RangeOf(bin),
             counts[side]);
  }
  return bin_p;
}

// Of the widest gap that there truly is: an upper bound holds if it does for the bin that has it, a
// lower one if it does for all (Bonferroni).
void Judgement::BoundScan(const Worst& worst) {
  double lower = 0;
  double upper = worst.unknown > 0 ? 1 : 0;
  for (const auto& [counts, shows] : worst.scanned) {
    lower = std::max(lower, stats::BoundGap(counts, suite_.alpha * worst.Share(shows)).lower);
    upper = std::max(upper, stats::BoundGap(counts, suite_.alpha).upper);
  }
  result().set_lower(lower);
  result().set_upper(upper);
}

// So many more rows, if they fell into the bins as these do: all bins have to be shown to hold, or
// one of them to be broken.
std::optional<int64_t> Judgement::ScanNeeds(const Worst& worst) const {
  const bool kept = worst.gap <= test_.limit;
  std::optional<double> growth;
  for (const auto& [counts, shows] : worst.scanned) {
    const double alpha = kept ? suite_.alpha : alarm_alpha_ * worst.Share(shows);
    if (!kept && std::abs(Difference(counts)) <= test_.limit) continue;
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

// The samples of a label in the order of their values.
Ordered Judgement::OrderOf(bool labelled, const std::vector<double>& values) const {
  Ordered order;
  for (const size_t place : judged.counted) {
    if ((LabelOf(place) == positive_) == labelled) order.places.push_back(place);
  }
  std::ranges::sort(order.places, {}, [&](size_t place) { return values[place]; });
  order.called.push_back(0);
  for (const size_t place : order.places) {
    order.values.push_back(values[place]);
    const bool called = Success(place, evidence_.predictions).value_or(false);
    order.called.push_back(order.called.back() + (called ? 1 : 0));
  }
  return order;
}

// A shortcut that was learnt shows as a rate of errors, given the label, that depends on what has
// nothing to do with it.
void Judgement::RunShortcut() {
  const auto found = columns_.attributes.find(test_.attribute.text.substr(5));
  if (found == columns_.attributes.end()) return Refuse("no sample has " + test_.attribute.text);
  std::vector<double> values(columns_.rows, std::nan(""));
  for (size_t i = 0; i < found->second.rows.size(); ++i) {
    values[found->second.rows[i]] = found->second.values[i];
  }
  judged.counted = judged.members;
  LeaveOut([&](size_t place) { return std::isnan(values[place]); });
  result().set_n(static_cast<int32_t>(judged.counted.size()));
  if (!CheckClusters()) return;
  const size_t least = LeastToShow(test_.limit, suite_.alpha);
  const size_t wanted = 2 * std::max(least, static_cast<size_t>(test_.min_n));
  std::array<double, 2> broken = {1, 1};  // as Worst::bins
  double holds = 0;
  Worst worst;
  std::string not_shown;
  for (const bool labelled : {false, true}) {
    const Ordered order = OrderOf(labelled, values);
    if (order.size() == 0) continue;
    const std::string name = (labelled ? "'" : "other than '") + test_.positive + "'";
    if (order.size() < wanted) {
      return Refuse("only " + std::to_string(order.size()) + " samples labelled " + name +
                    "; to compare a bin with the rest " + std::to_string(wanted) + " are wanted");
    }
    if (order.values.front() == order.values.back()) continue;  // nothing to depend on
    const Plan plan = PlanBins(order, least);
    if (plan.uncovered > 0) {
      not_shown = std::to_string(plan.uncovered) + " of the samples labelled " + name +
                  " cannot be compared (" + test_.attribute.text + " in " +
                  order.RangeOf(plan.first_uncovered) +
                  "): so many have one and the same value that no bin has " +
                  std::to_string(least) + " inside and outside";
    }
    for (const Bin& bin : plan.bins) {
      const stats::PValues one = ScanBin(order, bin, /*shows=*/true, labelled, worst);
      holds = std::max(holds, one.holds);
      broken[1] = std::min(broken[1], one.broken);
    }
    worst.bins[1] += std::ssize(plan.bins);
    const Suspect doubt = DoubtOf(order, least, test_.limit);
    const bool doubtful = doubt.p < 1 && doubt.p * static_cast<double>(doubt.bins) <= kDoubt;
    Suspect told = AlarmOf(order, least, test_.limit);
    if (doubtful && told.p == 1) told = doubt;
    worst.bins[0] += told.bins;
    if (!doubtful) continue;
    worst.doubtful += (worst.doubtful.empty() ? "" : " and the ") +
                      std::to_string(doubt.bin.size()) + " samples labelled " + name + " at " +
                      test_.attribute.text + " " + order.RangeOf(doubt.bin);
    const stats::PValues one = ScanBin(order, told.bin, /*shows=*/false, labelled, worst);
    broken[0] = std::min(broken[0], one.broken);
    holds = 1;
  }
  double alarm = 1;
  for (const bool shows : {false, true}) {
    if (worst.bins[shows ? 1 : 0] == 0) continue;
    alarm = std::min(alarm, broken[shows ? 1 : 0] / worst.Share(shows));
  }
  if (!not_shown.empty() && alarm > alarm_alpha_) return Refuse(not_shown);
  if (worst.bins[0] + worst.bins[1] == 0)
    return Refuse(test_.attribute.text + " is the same in all samples");
  if (worst.scanned.empty()) {
    return Refuse("each bin, or the rest, lies in fewer than " + std::to_string(stats::kMinGroups) +
                  " groups of " + test_.cluster->text +
                  ": nobody can say how much rows of one group resemble each other");
  }
  p = stats::PValues{not_shown.empty() ? holds : 1, alarm};
  TellOfScan(worst);
}

void Judgement::TellOfScan(const Worst& worst) {
  result().set_measured(worst.gap);
  if (clusters_) {
    SetClustering(static_cast<int64_t>(clusters_->Split(judged.counted).size()),
                  worst.design_effect);
  }
  BoundScan(worst);
  if (!Open()) return;
  if (worst.unknown == 0 && !worst.doubtful.empty()) {
    result().set_reason("the " + worst.doubtful +
                        " stand out more than chance would have it: look at them, or label more "
                        "like them");
  } else if (worst.unknown == 0) {
    Need(ScanNeeds(worst), "samples");
  } else {
    result().set_reason(std::to_string(worst.unknown) + " bins, or the rest, lie in fewer than " +
                        std::to_string(stats::kMinGroups) + " groups of " + test_.cluster->text +
                        ": nobody can say how much rows of one group resemble each other");
  }
  result().set_reason("of " + std::to_string(worst.bins[0] + worst.bins[1]) +
                      " bins the worst differs by " + Percent(worst.gap) + " from the rest; " +
                      result().reason());
}

}  // namespace bitfoundry::verdicts
