#include "labels/settle.h"

#include <algorithm>
#include <vector>

#include "catalog/answers.h"
#include "catalog/tasks.h"
#include "db/database.h"

namespace bitfoundry::labels {
namespace {

using catalog::AnnotatorKind;
using catalog::Answer;
using catalog::Refusal;

constexpr char kLock[] =
    "SELECT part = 'test' FROM samples WHERE id = $1 AND project_id = $2 FOR NO KEY UPDATE";

// Appends a revision, with class NULL if $2 (settled) is false, unless it would change nothing.
constexpr char kAppend[] = R"sql(
  WITH newest AS (
    SELECT revision, class_index, posterior FROM labels WHERE sample_id = $1
     ORDER BY revision DESC LIMIT 1)
  INSERT INTO labels (sample_id, revision, class_index, posterior, answers, rule)
  SELECT $1, COALESCE((SELECT revision FROM newest), 0) + 1, CASE WHEN $2 THEN $3::int END, $4, $5,
         $6
   WHERE CASE WHEN $2 THEN NOT EXISTS (SELECT FROM newest
                                        WHERE class_index = $3 AND posterior = $4)
              ELSE EXISTS (SELECT FROM newest WHERE class_index IS NOT NULL) END
)sql";

std::vector<Opinion> OpinionsIn(const std::vector<Answer>& answers, const catalog::Project& project,
                                bool people_only) {
  std::vector<Opinion> opinions;
  for (const Answer& a : answers) {
    const bool person = a.kind == AnnotatorKind::kPerson;
    if (people_only && !person) continue;
    if (!a.class_index.has_value() || a.class_list_version != project.class_list_version) continue;
    if (*a.class_index >= static_cast<int>(project.classes.size())) continue;
    if (!person && !a.confidence.has_value()) continue;
    opinions.push_back({*a.class_index, person ? kPersonReliability : *a.confidence});
  }
  return opinions;
}

// How many people have said a class without having been asked by a task.
int SaidElsewhere(const std::vector<Answer>& answers) {
  return static_cast<int>(std::count_if(answers.begin(), answers.end(), [](const Answer& a) {
    return a.kind == AnnotatorKind::kPerson && a.class_index.has_value() && !a.task_id.has_value();
  }));
}

// True if asking more people makes no sense.
bool Hopeless(const std::vector<Answer>& answers) {
  int refusals = 0;
  for (const Answer& a : answers) {
    if (a.kind != AnnotatorKind::kPerson || !a.refusal.has_value()) continue;
    if (*a.refusal != Refusal::kUnsure && *a.refusal != Refusal::kTooHard) return true;
    ++refusals;
  }
  return refusals >= kMaxRefusals;
}

}  // namespace

Result<bool> RequestOpinions(db::Tx& tx, const catalog::Project& project, int64_t sample_id,
                             int slots, int priority) {
  return catalog::Tasks(tx).Open(project.id, sample_id, slots, priority);
}

Result<std::optional<Belief>> Settle(db::Tx& tx, const catalog::Project& project,
                                     int64_t sample_id) {
  const pqxx::result sample = tx.work.exec_params(kLock, sample_id, project.id);
  if (sample.empty()) {
    return Status(Code::kNotFound, "SAMPLE_NOT_FOUND",
                  "project '" + project.name + "' has no sample " + std::to_string(sample_id));
  }
  const std::vector<Answer> answers = BF_TRY(catalog::Answers(tx).Of(sample_id));
  const std::vector<Opinion> opinions =
      OpinionsIn(answers, project, /*people_only=*/sample[0][0].as<bool>());
  const Belief belief = Consensus(opinions, static_cast<int>(project.classes.size()));
  const std::optional<Belief> label = belief.settled() ? std::optional(belief) : std::nullopt;
  if (!opinions.empty()) {
    tx.work.exec_params0(kAppend, sample_id, belief.settled(), belief.class_index, belief.posterior,
                         opinions.size(), std::string(kRule));
  }

  catalog::Tasks tasks(tx);
  const std::optional<catalog::Task> task = BF_TRY(tasks.OfSample(sample_id));
  if (!task.has_value() || !task->open) return label;
  const bool all_answered = task->answered == task->slots;
  if (Hopeless(answers)) {
    BF_TRY(tasks.Close(task->id, catalog::TaskEnd::kRefused));
  } else if (label.has_value() && task->answered + SaidElsewhere(answers) >= task->slots) {
    BF_TRY(tasks.Close(task->id, catalog::TaskEnd::kAnswered));
  } else if (all_answered && task->slots < catalog::kMaxSlots) {
    BF_TRY(tasks.AddSlot(task->id));
  } else if (all_answered) {
    BF_TRY(tasks.Close(task->id, catalog::TaskEnd::kRefused));
  }
  return label;
}

}  // namespace bitfoundry::labels
