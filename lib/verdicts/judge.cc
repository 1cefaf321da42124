#include "verdicts/judge.h"

#include <algorithm>

#include "base/digest.h"

namespace bitfoundry::verdicts {
namespace {

std::string DigestOfNames(const Evidence& evidence, const std::vector<size_t>& members) {
  std::vector<std::string> names;
  for (const size_t i : members) names.push_back(evidence.data.rows[evidence.rows[i]].name);
  std::sort(names.begin(), names.end());
  Sha256Stream stream;
  for (const std::string& name : names) stream.Add(name + "\n");
  return stream.Finish();
}

stats::Count CountRows(const DataTest& test, const Evidence& evidence,
                       const std::vector<size_t>& predictions, Judged& judged) {
  const auto& classes = evidence.data.classes;
  stats::Count count;
  for (const size_t i : judged.members) {
    const size_t label = static_cast<size_t>(evidence.data.rows[evidence.rows[i]].class_index);
    const bool labelled = classes[label] == test.positive;
    const bool predicted = classes[predictions[i]] == test.positive;
    bool counts = true;
    bool success = false;
    switch (test.metric) {
      case Metric::kAccuracy:
        success = label == predictions[i];
        break;
      case Metric::kRecall:
        counts = labelled, success = predicted;
        break;
      case Metric::kPrecision:
        counts = predicted, success = labelled;
        break;
      case Metric::kFpr:
        counts = !labelled, success = predicted;
        break;
      case Metric::kFnr:
        counts = labelled, success = !predicted;
        break;
    }
    if (!counts) continue;
    judged.counted.push_back(i);
    ++count.n;
    if (success) ++count.successes;
  }
  return count;
}

// What a metric counts, in words.
std::string Counted(const DataTest& test) {
  switch (test.metric) {
    case Metric::kAccuracy:
      return "samples";
    case Metric::kRecall:
    case Metric::kFnr:
      return "samples labelled '" + test.positive + "'";
    case Metric::kPrecision:
      return "samples predicted as '" + test.positive + "'";
    case Metric::kFpr:
      return "samples labelled other than '" + test.positive + "'";
  }
  return "";
}

void Refuse(v1::TestResult& result, const std::string& reason) {
  result.set_outcome(v1::ERROR);
  result.set_reason(reason);
}

void Decide(const DataTest& test, double alpha, stats::Count count, v1::TestResult& result) {
  switch (stats::Decide(count, test.side, test.limit, alpha)) {
    case stats::Decision::kHolds:
      result.set_outcome(v1::PASS);
      return;
    case stats::Decision::kBroken:
      result.set_outcome(v1::FAIL);
      return;
    case stats::Decision::kOpen:
      break;
  }
  result.set_outcome(v1::INCONCLUSIVE);
  const auto needed = stats::TrialsNeeded(count, test.limit, alpha);
  if (!needed) {
    result.set_reason("the observed rate is on the limit: no number of samples would settle it");
    return;
  }
  result.set_labels_needed(static_cast<int32_t>(*needed));
  result.set_reason("at the observed rate, " + std::to_string(*needed) + " more " + Counted(test) +
                    " would settle it");
}

Judged JudgeTest(const Suite& suite, const DataTest& test, const Evidence& evidence,
                 const slices::Columns& columns, const slices::Vocabulary& vocabulary) {
  const Slice& slice = suite.slices[test.slice];
  Judged judged;
  v1::TestResult& result = judged.result;
  result.set_test_id(test.id);
  result.set_slice(slice.name);
  result.set_expression(slice.expression.text());
  result.set_metric(ToString(test.metric));
  result.set_transform(test.transform.text);
  result.set_at_most(test.side == stats::Side::kAtMost);
  result.set_bound(test.limit);
  result.set_blocks(test.blocks);
  result.set_upper(1);

  const auto& predictions = evidence.predictions.at(test.transform.text);
  const Status names = slice.expression.Check(vocabulary);
  if (names.ok()) {
    const slices::Selection selected = slice.expression.Select(columns, predictions);
    judged.members = selected.Rows();
    result.set_unknown_rows(static_cast<int32_t>(selected.Unknown()));
  }
  result.set_rows_digest(DigestOfNames(evidence, judged.members));
  const stats::Count count = CountRows(test, evidence, predictions, judged);
  result.set_n(static_cast<int32_t>(count.n));
  result.set_successes(static_cast<int32_t>(count.successes));
  if (count.n > 0) {
    result.set_rate(static_cast<double>(count.successes) / static_cast<double>(count.n));
  }
  result.set_lower(stats::LowerBound(count, suite.alpha));
  result.set_upper(stats::UpperBound(count, suite.alpha));

  if (!names.ok()) {
    Refuse(result, names.message());
  } else if (count.n < test.min_n) {
    Refuse(result, "only " + std::to_string(count.n) + " " + Counted(test) + ", among " +
                       std::to_string(judged.members.size()) + " rows in the slice (" +
                       std::to_string(result.unknown_rows()) + " more could not be decided); at " +
                       "least " + std::to_string(test.min_n) + " are wanted");
  } else {
    Decide(test, suite.alpha, count, result);
  }
  return judged;
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

std::vector<Judged> Judge(const Suite& suite, const Evidence& evidence) {
  const slices::Columns columns = slices::Columns::Of(evidence.data, evidence.rows);
  const slices::Vocabulary vocabulary = columns.Names();
  std::vector<Judged> judged;
  for (const DataTest& test : suite.tests) {
    judged.push_back(JudgeTest(suite, test, evidence, columns, vocabulary));
  }
  return judged;
}

v1::Outcome Overall(const std::vector<Judged>& tests) {
  const auto any = [&](v1::Outcome outcome) {
    return std::any_of(tests.begin(), tests.end(), [&](const Judged& test) {
      return test.result.blocks() && test.result.outcome() == outcome;
    });
  };
  if (any(v1::ERROR)) return v1::ERROR;
  if (any(v1::FAIL)) return v1::FAIL;
  if (any(v1::INCONCLUSIVE)) return v1::INCONCLUSIVE;
  return any(v1::PASS) ? v1::PASS : v1::ERROR;  // nothing that blocks: nothing was shown
}

}  // namespace bitfoundry::verdicts
