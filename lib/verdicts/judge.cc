#include "verdicts/judge.h"

#include <algorithm>
#include <utility>

#include "slices/nearest.h"
#include "stats/decision.h"
#include "verdicts/judgement.h"
#include "verdicts/rows.h"

namespace bitfoundry::verdicts {
namespace {

v1::Outcome OutcomeOf(stats::Decision decision) {
  if (decision == stats::Decision::kHolds) return v1::PASS;
  return decision == stats::Decision::kBroken ? v1::FAIL : v1::INCONCLUSIVE;
}

void Waive(const Suite& suite, const std::string& date, v1::TestResult& result) {
  if (result.outcome() != v1::FAIL && result.outcome() != v1::INCONCLUSIVE) return;
  std::string ended;
  for (const Waiver& waiver : suite.waivers) {
    const bool names_it = waiver.test == result.test_id() ||
                          waiver.test == result.test_id().substr(0, result.test_id().find('/'));
    if (!names_it) continue;
    if (date > waiver.until) {
      ended = "the waiver by " + waiver.by + " ended after " + waiver.until;
      continue;
    }
    result.set_waived_by(waiver.by);
    result.set_waived_until(waiver.until);
    result.set_waiver_reason(waiver.reason);
  }
  if (ended.empty() || !result.waived_by().empty()) return;
  result.set_reason(result.reason().empty() ? ended : result.reason() + "; " + ended);
}

// A regression that passes because there was nothing to be held against.
bool IsFirstRelease(const v1::TestResult& result) {
  return result.kind() == "regression" && result.n() == 0;
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

Status CheckNames(const Suite& suite, const slices::Vocabulary& vocabulary) {
  for (const Slice& slice : suite.slices) {
    const Status status = slice.expression.Check(vocabulary);
    if (!status.ok()) return Status(Code::kInvalidArgument, "SUITE_INVALID", status.message());
  }
  const auto check = [](const Field& field, const std::vector<std::string>& known) {
    const size_t dot = field.text.find('.');
    const std::string name = field.text.substr(dot + 1);
    if (field.text.empty() || std::ranges::count(known, name) > 0) return Status();
    return Status(
        Code::kInvalidArgument, "SUITE_INVALID",
        field.at.ToString() + ": no sample has " + field.text + slices::Suggest(name, known));
  };
  const auto names = [&](const Field& field) {
    return field.text.starts_with("tag.") ? vocabulary.tags : vocabulary.meta;
  };
  for (const DataTest& test : suite.tests) {
    if (test.cluster) BF_TRY(check(*test.cluster, names(*test.cluster)));
    BF_TRY(check(test.across, names(test.across)));
    BF_TRY(check(test.attribute, vocabulary.attributes));
    if (test.positive.empty() || std::ranges::count(vocabulary.classes, test.positive) > 0)
      continue;
    return Status(Code::kInvalidArgument, "SUITE_INVALID",
                  test.positive_at.ToString() + ": unknown class '" + test.positive + "'" +
                      slices::Suggest(test.positive, vocabulary.classes));
  }
  return Status();
}

std::vector<Judged> Judge(const Suite& suite, const Evidence& evidence,
                          const Circumstances& circumstances) {
  const slices::Columns columns = slices::Columns::Of(evidence.data, evidence.rows);
  Chooser chooser(suite, evidence, columns);
  const auto left_to_chance =
      std::count_if(suite.tests.begin(), suite.tests.end(), [](const DataTest& test) {
        return test.kind != Kind::kFits && test.kind != Kind::kSameBits;
      });
  const double alarm_alpha =
      suite.alpha / static_cast<double>(std::max<int64_t>(left_to_chance, 1));
  std::vector<Judged> judged;
  std::vector<stats::PValues> family;
  std::vector<size_t> places;  // of the family's tests
  for (const DataTest& test : suite.tests) {
    Judgement judgement(suite, test, evidence, columns, circumstances, alarm_alpha);
    judgement.Run(chooser);
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
    } else if (result.p_broken() <= suite.alpha) {
      result.set_reason("alone this would be an alarm, among " + std::to_string(family.size()) +
                        " tests one like it may be chance" +
                        (result.reason().empty() ? "" : "; " + result.reason()));
    }
  }
  for (Judged& test : judged) Waive(suite, circumstances.date, test.result);
  return judged;
}

v1::Outcome Overall(const std::vector<Judged>& tests) {
  const auto any = [&](v1::Outcome outcome) {
    return std::any_of(tests.begin(), tests.end(), [&](const Judged& test) {
      return test.result.blocks() && test.result.outcome() == outcome &&
             test.result.waived_by().empty();
    });
  };
  if (any(v1::ERROR)) return v1::ERROR;
  if (any(v1::FAIL)) return v1::FAIL;
  if (any(v1::INCONCLUSIVE)) return v1::INCONCLUSIVE;
  const bool shown = std::any_of(tests.begin(), tests.end(), [](const Judged& test) {
    return test.result.blocks() && test.result.outcome() == v1::PASS &&
           !IsFirstRelease(test.result);
  });
  return shown ? v1::PASS : v1::ERROR;  // nothing that blocks: nothing was shown
}

}  // namespace bitfoundry::verdicts
