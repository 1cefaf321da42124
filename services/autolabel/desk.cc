#include "services/autolabel/desk.h"

#include "catalog/projects.h"
#include "db/database.h"
#include "jobs/queue.h"
#include "jobs/shared.h"
#include "services/autolabel/labeller.h"

namespace bitfoundry::autolabel {
namespace {

constexpr int kImagesAtOnce = 500;  // in one transaction

// True if this made a job ready.
Result<bool> EnsureLabelJob(db::Tx& tx, int64_t project_id, const std::string& digest) {
  jobs::Queue queue(tx);
  jobs::JobSpec spec = jobs::LabelJob(project_id, digest);
  const std::string first_key = spec.unique_key;
  while (true) {
    if (BF_TRY(queue.EnqueueAll({&spec, 1})) == 1) return true;
    const int64_t id = BF_TRY(queue.Enqueue(spec));  // known: says which it is
    const std::string state = BF_TRY(queue.State(id)).state;
    if (state == "dead") return BF_TRY(queue.Redrive(spec.kind, {&id, 1})) == 1;
    if (state != "done") return false;
    // It may have been done since the image was listed.
    if (!BF_TRY(catalog::IsUnjudged(tx, project_id, digest))) return false;
    spec.unique_key = first_key + ":after:" + std::to_string(id);
  }
}

}  // namespace

Result<int64_t> Desk::Start(const std::string& name, const catalog::TeacherBudget::Limits& budget) {
  if (budget.max_calls.value_or(0) < 0 || budget.max_micros.value_or(0) < 0) {
    return Status(Code::kInvalidArgument, "BUDGET", "the budget is negative; 0 is no limit");
  }
  const catalog::Project project =
      BF_TRY(database_.Transact([&](db::Tx& tx) -> Result<catalog::Project> {
        const catalog::Project found = BF_TRY(catalog::Projects(tx).Get(name));
        BF_TRY(catalog::TeacherBudget(tx).Set(found.id, budget));
        return found;
      }));

  int64_t made = 0;
  for (std::string last;;) {
    const int64_t before = made;
    const Result<int64_t> seen = database_.Transact([&](db::Tx& tx) -> Result<int64_t> {
      const std::vector<std::string> digests =
          BF_TRY(catalog::UnjudgedImages(tx, project.id, last, kImagesAtOnce));
      made = before;
      for (const std::string& digest : digests) {
        if (BF_TRY(EnsureLabelJob(tx, project.id, digest))) ++made;
      }
      if (!digests.empty()) last = digests.back();
      return static_cast<int64_t>(digests.size());
    });
    if (BF_TRY(Result<int64_t>(seen)) < kImagesAtOnce) return made;
  }
}

Result<Desk::Progress> Desk::GetProgress(const std::string& name) {
  return database_.Transact([&](db::Tx& tx) -> Result<Progress> {
    const catalog::Project project = BF_TRY(catalog::Projects(tx).Get(name));
    Progress progress;
    progress.counts = BF_TRY(catalog::GetTeacherProgress(tx, project.id));
    progress.budget = BF_TRY(catalog::TeacherBudget(tx).Get(project.id));
    progress.spent = BF_TRY(catalog::TeacherBudget(tx).Total(project.id));
    progress.classes = project.classes;
    progress.teacher = TeacherKnows(project) ? teacher_ : "";
    return progress;
  });
}

}  // namespace bitfoundry::autolabel
