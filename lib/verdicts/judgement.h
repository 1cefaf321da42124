// One test of a suite, judged; judge.h makes a verdict of them.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "stats/clusters.h"
#include "stats/decision.h"
#include "stats/paired.h"
#include "stats/proportion.h"
#include "verdicts/bins.h"
#include "verdicts/judge.h"
#include "verdicts/rows.h"

namespace bitfoundry::verdicts {

struct Ordered;  // shortcut.cc

// What a scan finds in its bins, and of these the worst.
struct Worst {
  struct Scanned {
    std::array<stats::Count, 2> counts;  // what is in it, and what is not
    bool shows = false;                  // the limit has to be shown of it
  };
  double alarm = 2;  // the worst one's p-value, if it is one; else 1
  double gap = -1;
  double design_effect = 1;
  std::array<int64_t, 2> bins = {};  // that were looked at: for doubts alone, to show the limit
  int64_t unknown = 0;               // of which nothing can be shown
  std::string doubtful;              // the small ones that stand out, in words
  std::vector<Scanned> scanned;      // of which anything can be

  // The share of an error rate that a bin has: both kinds have half of it (Bonferroni, weighted).
  double Share(bool shows) const { return 0.5 / static_cast<double>(bins[shows ? 1 : 0]); }
};

// Judges one test; what it finds is in `judged`, and what chance has to do with it in `p`.
class Judgement {
 public:
  //   alarm_alpha  at which an alarm is one, whatever the suite's other tests show
  Judgement(const Suite& suite, const DataTest& test, const Evidence& evidence,
            const slices::Columns& columns, const Circumstances& circumstances, double alarm_alpha)
      : suite_(suite),
        test_(test),
        evidence_(evidence),
        columns_(columns),
        circumstances_(circumstances),
        alarm_alpha_(alarm_alpha) {
    const auto& classes = evidence.data.classes;
    positive_ = static_cast<size_t>(std::find(classes.begin(), classes.end(), test.positive) -
                                    classes.begin());
    if (test.cluster) clusters_.emplace(columns, *test.cluster);
  }

  void Run(Chooser& chooser);

  Judged judged;
  std::optional<stats::PValues> p;  // unless it is decided without

 private:
  v1::TestResult& result() { return judged.result; }
  void Describe();
  bool SelectRows(const Chosen& chosen);
  bool CheckPrediction();
  bool CouldBeWrong(std::span<const size_t> places, const std::string& where = "");
  void Refuse(const std::string& reason);
  void RefuseFew(int64_t n, const std::string& of_what);

  size_t LabelOf(size_t place) const {
    return static_cast<size_t>(evidence_.data.rows[evidence_.rows[place]].class_index);
  }
  std::optional<bool> Success(size_t place, const Predictions& predictions) const;
  stats::Count Count(std::span<const size_t> places, std::vector<size_t>* counted = nullptr) const;
  stats::Paired Compare(std::span<const size_t> places) const;

  // Counted rows that lack what the test sorts them by: nobody can say where they belong.
  template <typename Lacks>
  void LeaveOut(Lacks lacks) {
    const auto left_out = static_cast<int32_t>(std::erase_if(judged.counted, lacks));
    result().set_unknown_rows(result().unknown_rows() + left_out);
  }
  bool CheckClusters();
  bool EnoughGroups(const stats::Clustering& clustering, const std::string& where = "");
  stats::Count Clustered(std::span<const size_t> places, stats::Clustering* clustering) const;
  void SetClustering(int64_t groups, double design_effect);

  void SetCount(const stats::Count& count);
  void SetSure(bool kept);
  v1::Group& AddGroup(const std::string& name, const stats::Count& count);
  double LabelError() const;
  bool CheckCeiling();
  double AlphaToSettle(bool kept) const { return kept ? suite_.alpha : alarm_alpha_; }
  bool Open() const { return p->holds > suite_.alpha && p->broken > alarm_alpha_; }
  void Need(std::optional<int64_t> needed, const std::string& of_what);

  void RunBound();
  void RunMean();
  void RunRegression();
  void RunGap();
  void RunShortcut();
  Ordered OrderOf(bool labelled, const std::vector<double>& values) const;
  stats::PValues ScanBin(const Ordered& order, const Bin& bin, bool shows, bool labelled,
                         Worst& worst);
  void TellOfScan(const Worst& worst);
  void BoundScan(const Worst& worst);
  std::optional<int64_t> ScanNeeds(const Worst& worst) const;
  void RunFits();
  void RunSameBits();

  const Suite& suite_;
  const DataTest& test_;
  const Evidence& evidence_;
  const slices::Columns& columns_;
  const Circumstances& circumstances_;
  const double alarm_alpha_;
  size_t positive_ = 0;  // class
  std::optional<Texts> clusters_;
};

}  // namespace bitfoundry::verdicts
