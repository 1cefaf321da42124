// How often the verdicts of lib/stats are wrong, by simulation with a fixed seed:
//
//   bench_stats gate       2,000 releases of 20 slices, n = 200, bound 0.95
//   bench_stats clusters   one-sided 95 % bounds on frames that come in sessions
//   bench_stats loss       one-sided 95 % tests of "a loss of 0.01 at most" on pairs
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <vector>

#include "stats/clusters.h"
#include "stats/decision.h"
#include "stats/paired.h"
#include "tests/support/simulation.h"

using namespace bitfoundry;
using stats::Count;
using stats::Decision;

namespace {

constexpr double kAlpha = 0.05;

struct Shares {
  int pass = 0, inconclusive = 0, fail = 0;

  void Add(const std::vector<Decision>& slices) {
    const auto has = [&](Decision d) {
      return std::find(slices.begin(), slices.end(), d) != slices.end();
    };
    ++(has(Decision::kBroken) ? fail : has(Decision::kOpen) ? inconclusive : pass);
  }
  void Print(double rate, const char* gate, int rounds) const {
    const auto percent = [&](int n) { return 100.0 * n / rounds; };
    std::printf("| %.2f | %s | %.1f %% | %.1f %% | %.1f %% |\n", rate, gate, percent(pass),
                percent(inconclusive), percent(fail));
  }
};

void Gate() {
  constexpr int kRounds = 2000;
  std::puts("| true rate | gate | pass | inconclusive | fail |\n|---|---|---|---|---|");
  for (const double rate : {0.95, 0.96, 0.97, 0.98, 0.99, 0.90}) {
    std::mt19937_64 random(/*seed=*/4);
    Shares point;
    Shares plain;
    Shares holm;
    for (int round = 0; round < kRounds; ++round) {
      std::vector<Decision> by_point;
      std::vector<Decision> by_bound;
      std::vector<stats::PValues> tests;
      for (int slice = 0; slice < 20; ++slice) {
        const int64_t right = testing::Successes(200, rate, random);
        by_point.push_back(right >= 190 ? Decision::kHolds : Decision::kBroken);
        tests.push_back(stats::TestRate({200, right}, stats::Side::kAtLeast, 0.95));
        by_bound.push_back(stats::Decide(tests.back(), kAlpha));
      }
      point.Add(by_point);
      plain.Add(by_bound);
      holm.Add(stats::DecideFamily(tests, kAlpha));
    }
    point.Print(rate, "point", kRounds);
    plain.Print(rate, "exact bounds, each alarm at 0.05", kRounds);
    holm.Print(rate, "exact bounds, alarms by Holm", kRounds);
  }
}

void Clusters() {
  constexpr int kRounds = 2000;
  std::puts(
      "| rate | ICC | sessions x frames | as if independent | textbook | ours, lower | ours, "
      "upper |\n|---|---|---|---|---|---|---|");
  for (const double rate : {0.7, 0.9, 0.95, 0.98}) {
    for (const double icc : {0.0, 0.1, 0.3, 0.5}) {
      for (const auto& [sessions, frames] :
           {std::pair<size_t, int64_t>{5, 100}, {10, 100}, {20, 50}, {50, 20}, {100, 50}}) {
        std::mt19937_64 random(/*seed=*/4);
        const std::vector<int64_t> sizes(sessions, frames);
        int plain = 0;
        int textbook = 0;
        int lower = 0;
        int upper = 0;
        for (int round = 0; round < kRounds; ++round) {
          const auto groups = testing::BetaBinomialGroups(sizes, rate, icc, random);
          Count total = testing::Total(groups);
          const stats::Clustering clustering = stats::Cluster(groups);
          plain += stats::LowerBound(total, kAlpha) <= rate;
          total.design_effect = 1 + static_cast<double>(frames - 1) * clustering.estimated_icc;
          textbook += stats::LowerBound(total, kAlpha) <= rate;
          total.design_effect = clustering.design_effect;
          lower += stats::LowerBound(total, kAlpha) <= rate;
          upper += stats::UpperBound(total, kAlpha) >= rate;
        }
        const auto percent = [](int n) { return 100.0 * n / kRounds; };
        std::printf("| %.2f | %.1f | %zu x %d | %.1f %% | %.1f %% | %.1f %% | %.1f %% |\n", rate,
                    icc, sessions, static_cast<int>(frames), percent(plain), percent(textbook),
                    percent(lower), percent(upper));
      }
    }
  }
}

void Loss() {
  constexpr int kRounds = 2000;
  std::puts(
      "| n | changed both ways | true loss | holds | open | broken |\n|---|---|---|---|---|---|");
  for (const int64_t n : {500, 1000, 2000, 5000}) {
    for (const double gain : {0.005, 0.02}) {
      for (const double loss : {0.0, 0.01, 0.03}) {
        std::mt19937_64 random(/*seed=*/4);
        int holds = 0;
        int broken = 0;
        for (int round = 0; round < kRounds; ++round) {
          stats::Paired pairs{n};
          pairs.losses = testing::Successes(n, gain + loss, random);
          pairs.gains = testing::Successes(n - pairs.losses, gain / (1 - gain - loss), random);
          const Decision decision = stats::Decide(stats::TestLoss(pairs, 0.01), kAlpha);
          holds += decision == Decision::kHolds;
          broken += decision == Decision::kBroken;
        }
        const auto percent = [](int count) { return 100.0 * count / kRounds; };
        std::printf("| %d | %.3f | %.2f | %.1f %% | %.1f %% | %.1f %% |\n", static_cast<int>(n),
                    gain, loss, percent(holds), percent(kRounds - holds - broken), percent(broken));
      }
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const char* what = argc == 2 ? argv[1] : "";
  if (std::strcmp(what, "gate") == 0) return Gate(), 0;
  if (std::strcmp(what, "clusters") == 0) return Clusters(), 0;
  if (std::strcmp(what, "loss") == 0) return Loss(), 0;
  std::fprintf(stderr, "bench_stats gate | clusters | loss\n");
  return 2;
}
