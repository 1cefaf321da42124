// Verdicts: one suite on one artefact and one snapshot. Rows are only ever added: a verdict that is
// judged anew stays, and another takes its place.
//
// The value is the message of evaluator.proto itself: the tables hold its fields, column by column.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "bitfoundry/v1/evaluator.pb.h"

namespace bitfoundry::db {
struct Tx;
}

namespace bitfoundry::catalog {

class Verdicts {
 public:
  explicit Verdicts(db::Tx& tx) : tx_(tx) {}

  // Adds a verdict with its tests; ignores verdict_id, create_time, suite_name and project, which
  // are derived. Returns its id, or nothing if there is one in its place, which stays: of the same
  // model, suite, snapshot and baseline, or one that replaces the same.
  Result<std::optional<int64_t>> Add(const v1::Verdict& verdict);

  // Errors: kNotFound, VERDICT_NOT_FOUND.
  Result<v1::Verdict> Get(int64_t id);

  // The newest of an artefact or a remote model, if there is one. Empty `suite` or `snapshot`, no
  // `baseline`: any. An empty baseline: held against nothing. Only those of ids above `newer_than`.
  Result<std::optional<v1::Verdict>> Newest(const std::string& model, const std::string& suite,
                                            const std::string& snapshot,
                                            const std::optional<std::string>& baseline = {},
                                            int64_t newer_than = 0);

  // The artefact of a project that was released last, "" if none was: a verdict that passes, by any
  // version of the suite of this title (in capitals or not), is a release, unless it was held
  // against an artefact that was none; judged anew it is the same release. Another one than
  // `except`.
  Result<std::string> Shipped(int64_t project_id, const std::string& suite_title,
                              const std::string& except);

  // Whether a verdict passes and is no release, but would be by now: what it was held against was
  // released since.
  Result<bool> IsOverdue(int64_t id);

  // How many evaluations judged the rows of this digest, whatever the model and the suite: a
  // verdict that was judged anew is one with what took its place. With `replaced`, which is about
  // to be, so many as there were before it.
  Result<int32_t> CountJudged(const std::string& rows_digest, int64_t replaced);

  // Of each model of a project one verdict by any of `suites`: that by suite and snapshot of the
  // wish if there is one, else by its suite, else the newest.
  struct Wish {
    std::vector<std::string> suites;
    std::string only_snapshot;  // empty: any
    std::string suite;
    std::string snapshot;
    bool remote = false;  // remote models too, not artefacts alone
  };
  struct Best {
    std::vector<v1::Verdict> verdicts;  // at most `limit`; of the model that was made last first
    int64_t models = 0;                 // so many have one
  };
  Result<Best> BestOf(int64_t project_id, const Wish& wish, int limit);

  // The suites that a project's models were judged by, the one used last first.
  struct Used {
    std::string suite;
    std::string snapshot;  // of its newest verdict
    std::string name;      // as in catalog::Suite
    std::string title;
    int64_t version = 0;
  };
  Result<std::vector<Used>> SuitesOf(int64_t project_id, int limit);

  // "2026-12-01", UTC, by the one clock.
  Result<std::string> Today();

  // Newest first, of a project (0: of all), with ids below `before` (0: from the newest).
  Result<std::vector<v1::Verdict>> List(int64_t project_id, int64_t before, int limit);

 private:
  db::Tx& tx_;
};

}  // namespace bitfoundry::catalog
