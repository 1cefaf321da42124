#include "catalog/verdicts.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <map>

#include "catalog/remote_models.h"
#include "db/array.h"
#include "db/database.h"

namespace bitfoundry::catalog {
namespace {

constexpr char kAdd[] = R"sql(
  INSERT INTO verdicts (artefact, suite, snapshot, outcome, runtime, report, baseline, date,
                        envelope, remote_model, unsure_answers, replaces, evaluation, releases)
  SELECT nullif($1, ''), $2, $3, $4::outcome, $5, $6, nullif($7, ''), $8, $9, nullif($10, ''), $11,
         nullif($12, 0),
         (SELECT coalesce(evaluation, id) FROM verdicts WHERE id = $12),
         $1 <> '' AND $4 = 'pass' AND NOT EXISTS (  -- the same evaluation is one release
           SELECT FROM verdicts
            WHERE artefact = $1 AND suite = $2 AND snapshot = $3
              AND coalesce(baseline, '') = $7 AND releases)
         AND ($7 = '' OR EXISTS (
           SELECT FROM verdicts AS b
             JOIN suites AS theirs ON theirs.digest = b.suite
             JOIN suites AS ours ON lower(ours.title) = lower(theirs.title) AND ours.digest = $2
             JOIN artefacts AS before ON before.digest = b.artefact
             JOIN artefacts AS now ON now.project_id = before.project_id AND now.digest = $1
            WHERE b.artefact = $7 AND b.releases))
  ON CONFLICT DO NOTHING RETURNING id
)sql";

constexpr char kAddTest[] = R"sql(
  INSERT INTO verdict_tests (verdict_id, position, test_id, slice, expression, metric, transform,
                             at_most, bound, blocks, outcome, reason, n, successes, lower, upper,
                             labels_needed, unknown_rows, rows_digest, result)
  VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::outcome, $12, $13, $14, $15, $16, $17, $18,
          $19, $20::jsonb)
)sql";

constexpr char kSelect[] = R"sql(
  SELECT v.id, coalesce(v.artefact, '') AS artefact, v.suite, suites.name AS suite_name, v.snapshot,
         v.runtime, v.report,
         v.outcome::text AS outcome, projects.name AS project,
         coalesce(v.baseline, '') AS baseline, v.date, v.envelope,
         v.remote_model, remote_models.description AS remote_description, v.unsure_answers,
         coalesce(v.replaces, 0) AS replaces,
         to_char(v.created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS created_at
    FROM verdicts AS v
    JOIN suites ON suites.digest = v.suite
    LEFT JOIN artefacts ON artefacts.digest = v.artefact
    LEFT JOIN remote_models ON remote_models.digest = v.remote_model
    JOIN projects ON projects.id = coalesce(artefacts.project_id, remote_models.project_id)
)sql";

constexpr char kShipped[] = R"sql(
  SELECT v.artefact
    FROM verdicts AS v
    JOIN artefacts ON artefacts.digest = v.artefact
    JOIN suites ON suites.digest = v.suite
   WHERE artefacts.project_id = $1 AND lower(suites.title) = lower($2) AND v.artefact <> $3
     AND v.releases
   ORDER BY v.id DESC LIMIT 1
)sql";

constexpr char kOverdue[] = R"sql(
  SELECT FROM verdicts AS v
    JOIN suites AS ours ON ours.digest = v.suite
    JOIN artefacts AS now ON now.digest = v.artefact  -- none of a remote model
    JOIN artefacts AS before ON before.digest = v.baseline AND before.project_id = now.project_id
   WHERE v.id = $1 AND v.outcome = 'pass'
     AND NOT EXISTS (
       SELECT FROM verdicts AS same
        WHERE same.artefact = v.artefact AND same.suite = v.suite AND same.snapshot = v.snapshot
          AND same.baseline = v.baseline AND same.releases)
     AND EXISTS (
       SELECT FROM verdicts AS b JOIN suites AS theirs ON theirs.digest = b.suite
        WHERE b.artefact = v.baseline AND b.releases AND lower(theirs.title) = lower(ours.title))
)sql";

constexpr char kCountJudged[] = R"sql(
  SELECT count(DISTINCT coalesce(v.evaluation, v.id))
    FROM verdict_tests AS t JOIN verdicts AS v ON v.id = t.verdict_id
   WHERE t.rows_digest = $1
     AND ($2 = 0 OR coalesce(v.evaluation, v.id) <
                    (SELECT coalesce(evaluation, id) FROM verdicts WHERE id = $2))
)sql";

constexpr char kToday[] = "SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')";

// Of each model the verdict that says most about it in the light of suite $4 on snapshot $5; the
// model that was made last comes first.
constexpr char kBest[] = R"sql(
  SELECT id, count(*) OVER () AS models
    FROM (SELECT DISTINCT ON (coalesce(v.artefact, v.remote_model))
                 v.id, coalesce(artefacts.created_at, remote_models.created_at) AS made
            FROM verdicts AS v
            LEFT JOIN artefacts ON artefacts.digest = v.artefact
            LEFT JOIN remote_models ON remote_models.digest = v.remote_model
           WHERE coalesce(artefacts.project_id, remote_models.project_id) = $1
             AND v.suite = ANY ($2::text[]) AND ($3 = '' OR v.snapshot = $3)
             AND ($6 OR v.artefact IS NOT NULL)
           ORDER BY coalesce(v.artefact, v.remote_model),
                    v.suite = $4 AND v.snapshot = $5 DESC, v.suite = $4 DESC, v.id DESC) AS best
   ORDER BY made DESC, id DESC LIMIT $7
)sql";

constexpr char kSuitesOf[] = R"sql(
  SELECT v.suite, (array_agg(v.snapshot ORDER BY v.id DESC))[1] AS snapshot, suites.name,
         suites.title, suites.version
    FROM verdicts AS v
    JOIN suites ON suites.digest = v.suite
    LEFT JOIN artefacts ON artefacts.digest = v.artefact
    LEFT JOIN remote_models ON remote_models.digest = v.remote_model
   WHERE coalesce(artefacts.project_id, remote_models.project_id) = $1
   GROUP BY v.suite, suites.digest ORDER BY max(v.id) DESC LIMIT $2
)sql";

constexpr char kWhereIds[] =
    "WHERE v.id = ANY ($1::bigint[]) ORDER BY array_position($1::bigint[], v.id)";
constexpr char kWhereId[] = "WHERE v.id = $1";
constexpr char kWhereNewest[] = R"sql(
   WHERE (v.artefact = $1 OR v.remote_model = $1)
     AND ($2 = '' OR v.suite = $2) AND ($3 = '' OR v.snapshot = $3)
     AND ($4::text IS NULL OR coalesce(v.baseline, '') = $4) AND v.id > $5
   ORDER BY v.id DESC LIMIT 1
)sql";
constexpr char kWhereListed[] = R"sql(
   WHERE ($1 = 0 OR projects.id = $1) AND ($2 = 0 OR v.id < $2)
   ORDER BY v.id DESC LIMIT $3
)sql";

constexpr char kSelectTests[] = R"sql(
  SELECT verdict_id, test_id, slice, expression, metric, transform, at_most, bound, blocks,
         outcome::text AS outcome, reason, n, successes, lower, upper, labels_needed, unknown_rows,
         rows_digest, result
    FROM verdict_tests
   WHERE verdict_id = ANY ($1::bigint[])
   ORDER BY verdict_id, position
)sql";

// The columns' words for the outcomes are the proto's names in lower case.
std::string ToSql(v1::Outcome outcome) {
  std::string word = v1::Outcome_Name(outcome);
  for (char& c : word) c = static_cast<char>(c | 0x20);
  return word;
}

v1::Outcome FromSql(std::string word) {
  for (char& c : word) c = static_cast<char>(c & ~0x20);
  v1::Outcome outcome = v1::OUTCOME_UNSPECIFIED;
  v1::Outcome_Parse(word, &outcome);
  return outcome;
}

std::string ToJson(const v1::TestResult& test) {
  std::string json;
  BF_CHECK(google::protobuf::util::MessageToJsonString(test, &json).ok());
  return json;
}

v1::TestResult TestFrom(const pqxx::row& row) {
  v1::TestResult test;
  if (!row["result"].is_null()) {
    BF_CHECK(google::protobuf::util::JsonStringToMessage(row["result"].c_str(), &test).ok());
    return test;
  }
  test.set_kind("bound");  // from before results were kept whole
  test.set_test_id(row["test_id"].c_str());
  test.set_slice(row["slice"].c_str());
  test.set_expression(row["expression"].c_str());
  test.set_metric(row["metric"].c_str());
  test.set_transform(row["transform"].c_str());
  test.set_at_most(row["at_most"].as<bool>());
  test.set_bound(row["bound"].as<double>());
  test.set_blocks(row["blocks"].as<bool>());
  test.set_outcome(FromSql(row["outcome"].c_str()));
  test.set_reason(row["reason"].c_str());
  test.set_n(row["n"].as<int32_t>());
  test.set_successes(row["successes"].as<int32_t>());
  if (test.n() > 0) test.set_rate(static_cast<double>(test.successes()) / test.n());
  test.set_measured(test.rate());
  test.set_lower(row["lower"].as<double>());
  test.set_upper(row["upper"].as<double>());
  test.set_labels_needed(row["labels_needed"].as<int32_t>());
  test.set_unknown_rows(row["unknown_rows"].as<int32_t>());
  test.set_rows_digest(row["rows_digest"].c_str());
  return test;
}

std::vector<v1::Verdict> FromRows(db::Tx& tx, const pqxx::result& rows) {
  std::vector<v1::Verdict> verdicts;
  std::map<int64_t, size_t> places;
  for (const pqxx::row& row : rows) {
    v1::Verdict verdict;
    verdict.set_verdict_id(row["id"].as<int64_t>());
    verdict.set_artefact(row["artefact"].c_str());
    verdict.set_suite(row["suite"].c_str());
    verdict.set_suite_name(row["suite_name"].c_str());
    verdict.set_snapshot(row["snapshot"].c_str());
    verdict.set_runtime(row["runtime"].c_str());
    verdict.set_report(row["report"].c_str());
    verdict.set_outcome(FromSql(row["outcome"].c_str()));
    verdict.set_project(row["project"].c_str());
    verdict.set_create_time(row["created_at"].c_str());
    verdict.set_baseline(row["baseline"].c_str());
    verdict.set_date(row["date"].c_str());
    verdict.set_envelope(row["envelope"].c_str());
    if (!row["remote_model"].is_null()) {
      *verdict.mutable_remote_model() =
          ReadRemoteModel(row["remote_model"].c_str(), row["remote_description"].c_str());
    }
    verdict.set_unsure_answers(row["unsure_answers"].as<int32_t>());
    verdict.set_replaces(row["replaces"].as<int64_t>());
    places[verdict.verdict_id()] = verdicts.size();
    verdicts.push_back(std::move(verdict));
  }
  const std::string ids = db::ArrayOf(
      verdicts, [](const auto& verdict) { return std::to_string(verdict.verdict_id()); });
  for (const pqxx::row& row : tx.work.exec_params(kSelectTests, ids)) {
    *verdicts[places.at(row["verdict_id"].as<int64_t>())].add_tests() = TestFrom(row);
  }
  return verdicts;
}

}  // namespace

Result<std::optional<int64_t>> Verdicts::Add(const v1::Verdict& verdict) {
  const pqxx::result added = tx_.work.exec_params(
      kAdd, verdict.artefact(), verdict.suite(), verdict.snapshot(), ToSql(verdict.outcome()),
      verdict.runtime(), verdict.report(), verdict.baseline(), verdict.date(), verdict.envelope(),
      verdict.remote_model().digest(), verdict.unsure_answers(), verdict.replaces());
  if (added.empty()) return std::optional<int64_t>();
  const auto id = added[0][0].as<int64_t>();
  int position = 0;
  for (const v1::TestResult& test : verdict.tests()) {
    tx_.work.exec_params0(kAddTest, id, position++, test.test_id(), test.slice(), test.expression(),
                          test.metric(), test.transform(), test.at_most(), test.bound(),
                          test.blocks(), ToSql(test.outcome()), test.reason(), test.n(),
                          test.successes(), test.lower(), test.upper(), test.labels_needed(),
                          test.unknown_rows(), test.rows_digest(), ToJson(test));
  }
  return std::optional<int64_t>(id);
}

Result<std::string> Verdicts::Shipped(int64_t project_id, const std::string& suite_title,
                                      const std::string& except) {
  const pqxx::result found = tx_.work.exec_params(kShipped, project_id, suite_title, except);
  return found.empty() ? std::string() : std::string(found[0][0].c_str());
}

Result<bool> Verdicts::IsOverdue(int64_t id) { return !tx_.work.exec_params(kOverdue, id).empty(); }

Result<int32_t> Verdicts::CountJudged(const std::string& rows_digest, int64_t replaced) {
  return tx_.work.exec_params1(kCountJudged, rows_digest, replaced)[0].as<int32_t>();
}

Result<std::string> Verdicts::Today() { return std::string(tx_.work.exec1(kToday)[0].c_str()); }

Result<v1::Verdict> Verdicts::Get(int64_t id) {
  auto found = FromRows(tx_, tx_.work.exec_params(std::string(kSelect) + kWhereId, id));
  if (found.empty()) {
    return Status(Code::kNotFound, "VERDICT_NOT_FOUND", "no verdict " + std::to_string(id));
  }
  return std::move(found[0]);
}

Result<Verdicts::Best> Verdicts::BestOf(int64_t project_id, const Wish& wish, int limit) {
  const auto text = [](const std::string& value) { return value; };
  const pqxx::result found =
      tx_.work.exec_params(kBest, project_id, db::ArrayOf(wish.suites, text), wish.only_snapshot,
                           wish.suite, wish.snapshot, wish.remote, limit);
  Best best;
  if (!found.empty()) best.models = found[0]["models"].as<int64_t>();
  const std::string ids = db::ArrayOf(found, [](const auto& row) { return row["id"].c_str(); });
  best.verdicts = FromRows(tx_, tx_.work.exec_params(std::string(kSelect) + kWhereIds, ids));
  return best;
}

Result<std::vector<Verdicts::Used>> Verdicts::SuitesOf(int64_t project_id, int limit) {
  std::vector<Used> suites;
  for (const pqxx::row& row : tx_.work.exec_params(kSuitesOf, project_id, limit)) {
    suites.push_back({.suite = row["suite"].c_str(),
                      .snapshot = row["snapshot"].c_str(),
                      .name = row["name"].c_str(),
                      .title = row["title"].c_str(),
                      .version = row["version"].as<int64_t>()});
  }
  return suites;
}

Result<std::optional<v1::Verdict>> Verdicts::Newest(const std::string& model,
                                                    const std::string& suite,
                                                    const std::string& snapshot,
                                                    const std::optional<std::string>& baseline,
                                                    int64_t newer_than) {
  auto found = FromRows(tx_, tx_.work.exec_params(std::string(kSelect) + kWhereNewest, model, suite,
                                                  snapshot, baseline, newer_than));
  if (found.empty()) return std::optional<v1::Verdict>();
  return std::optional<v1::Verdict>(std::move(found[0]));
}

Result<std::vector<v1::Verdict>> Verdicts::List(int64_t project_id, int64_t before, int limit) {
  return FromRows(
      tx_, tx_.work.exec_params(std::string(kSelect) + kWhereListed, project_id, before, limit));
}

}  // namespace bitfoundry::catalog
