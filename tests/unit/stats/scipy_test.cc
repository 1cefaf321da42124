// Against an independent implementation, at test time. SciPy has to be there: an oracle that may be
// missing is none.
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdio>
#include <map>
#include <sstream>
#include <string>

#include "stats/clusters.h"
#include "stats/gap.h"
#include "stats/hypergeometric.h"
#include "stats/paired.h"
#include "stats/proportion.h"

namespace bitfoundry::stats {
namespace {

using Lines = std::map<std::string, std::vector<std::vector<double>>>;

Lines AskScipy() {
  Lines lines;
  const std::string command = BF_SOURCE_DIR "/tests/unit/stats/scipy_oracle.py";
  FILE* output = popen(command.c_str(), "r");
  std::string text;
  std::array<char, 4096> buffer = {};
  while (output != nullptr && fgets(buffer.data(), buffer.size(), output) != nullptr) {
    text += buffer.data();
  }
  if (output == nullptr || pclose(output) != 0) {
    ADD_FAILURE() << command << " failed: scripts/install installs python3-scipy";
    return lines;
  }
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    std::istringstream words(line);
    std::string question;
    words >> question;
    std::vector<double> numbers;
    for (double number = 0; words >> number;) numbers.push_back(number);
    lines[question].push_back(numbers);
  }
  return lines;
}

class Scipy : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { answers_ = AskScipy(); }

  // Applies `ours` to the arguments of each line, and compares it with the answer at its end.
  template <typename Ours>
  static void Compare(const std::string& question, size_t lines, double tolerance,
                      const Ours& ours) {
    ASSERT_GE(answers_[question].size(), lines) << question;
    for (const std::vector<double>& line : answers_[question]) {
      EXPECT_NEAR(ours(line), line.back(), tolerance)
          << question << " " << ::testing::PrintToString(line);
    }
  }

  static Count CountOf(const std::vector<double>& line) {
    return {static_cast<int64_t>(line[0]), static_cast<int64_t>(line[1])};
  }

  // Of groups that begin at `from` of a line and end before its answer.
  static std::vector<Count> GroupsOf(const std::vector<double>& line, size_t from) {
    std::vector<Count> groups;
    for (size_t i = from; i + 2 < line.size(); i += 2) {
      groups.push_back({static_cast<int64_t>(line[i]), static_cast<int64_t>(line[i + 1])});
    }
    return groups;
  }

  static inline Lines answers_;
};

TEST_F(Scipy, AgreesOnDrawsWithoutReplacement) {
  Compare("log_drawn", 15, 1e-9, [](const std::vector<double>& line) {
    const auto whole = [&](size_t i) { return static_cast<int64_t>(line[i]); };
    return std::log(AtLeastDrawn(whole(0), whole(1), whole(2), whole(3)));
  });
}

TEST_F(Scipy, GivesTheSameBounds) {
  Compare("lower", 150, 1e-9, [](const auto& a) { return LowerBound(CountOf(a), a[2]); });
  Compare("upper", 150, 1e-9, [](const auto& a) { return UpperBound(CountOf(a), a[2]); });
}

TEST_F(Scipy, GivesTheSameBoundsOnEffectiveCounts) {
  const auto count = [](const auto& a) {
    return Count{static_cast<int64_t>(a[0]), static_cast<int64_t>(a[1]), a[2]};
  };
  Compare("effective_lower", 4, 1e-9, [&](const auto& a) { return LowerBound(count(a), 0.05); });
  Compare("effective_upper", 4, 1e-9, [&](const auto& a) { return UpperBound(count(a), 0.05); });
}

TEST_F(Scipy, GivesTheSameBinomialTests) {
  const auto test = [](const auto& a, Side side) { return TestRate(CountOf(a), side, a[2]).holds; };
  Compare("at_least", 150, 1e-9, [&](const auto& a) { return test(a, Side::kAtLeast); });
  Compare("at_most", 150, 1e-9, [&](const auto& a) { return test(a, Side::kAtMost); });
}

TEST_F(Scipy, GivesTheSameMcNemarTests) {
  Compare("mcnemar", 9, 1e-9, [](const auto& a) {
    return McNemar({1000, static_cast<int64_t>(a[0]), static_cast<int64_t>(a[1]), a[2]});
  });
}

TEST_F(Scipy, GivesTheSameHolmCorrection) {
  Compare("holm", 28, 1e-9, [](const auto& a) {
    const auto size = static_cast<std::ptrdiff_t>(a[0]);
    const std::vector<double> p(a.begin() + 1, a.begin() + 1 + size);
    return Holm(p)[static_cast<size_t>(a[a.size() - 2])];
  });
}

TEST_F(Scipy, GivesTheSameSampleSizesByBruteForce) {
  ASSERT_EQ(answers_["sizes"].size(), 8U);
  for (const std::vector<double>& line : answers_["sizes"]) {
    const auto size = TrialsToCertify(line[0], line[1], 0.8, line[2]);
    ASSERT_TRUE(size.has_value());
    EXPECT_EQ(static_cast<double>(size->least), line[3]) << ::testing::PrintToString(line);
    EXPECT_EQ(static_cast<double>(size->always), line[4]) << ::testing::PrintToString(line);
  }
  Compare("power", 8, 1e-9, [](const auto& a) {
    return PowerToCertify(static_cast<int64_t>(a[0]), a[1], a[2], a[3]);
  });
}

TEST_F(Scipy, GivesTheSameNumberOfTrialsToSettleATest) {
  Compare("trials_needed", 5, 0, [](const auto& a) {
    const auto needed =
        TrialsNeeded({static_cast<int64_t>(a[0]), static_cast<int64_t>(a[1]), a[2]}, a[3], a[4]);
    return static_cast<double>(needed.value_or(-1));
  });
}

TEST_F(Scipy, GivesTheSameGapsAndTestsOfThem) {
  Compare("gap_upper", 6, 1e-9, [](const auto& a) { return BoundGap(GroupsOf(a, 1), a[0]).upper; });
  Compare("gap_lower", 6, 1e-9, [](const auto& a) { return BoundGap(GroupsOf(a, 1), a[0]).lower; });
  Compare("gap_holds", 2, 1e-9, [](const auto& a) { return TestGap(GroupsOf(a, 1), a[0]).holds; });
  Compare("gap_broken", 2, 1e-9,
          [](const auto& a) { return TestGap(GroupsOf(a, 1), a[0]).broken; });
}

TEST_F(Scipy, GivesTheSameCorrelationWithinGroups) {
  Compare("icc", 3, 1e-9, [](const auto& a) { return Cluster(GroupsOf(a, 0)).estimated_icc; });
}

// The oracle enumerates every outcome; only the search for the least favourable share is inexact.
TEST_F(Scipy, GivesTheSameTestsOfALossByEnumeration) {
  const auto test = [](const auto& a) {
    return TestLoss(
        {static_cast<int64_t>(a[0]), static_cast<int64_t>(a[1]), static_cast<int64_t>(a[2])}, a[3]);
  };
  Compare("loss_holds", 3, 1e-6, [&](const auto& a) { return test(a).holds; });
  Compare("loss_broken", 2, 1e-6, [&](const auto& a) { return test(a).broken; });
}

}  // namespace
}  // namespace bitfoundry::stats
