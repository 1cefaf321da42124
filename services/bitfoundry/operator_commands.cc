// migrate, jobs: what operators need.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bitfoundry/v1/jobs.grpc.pb.h"
#include "db/database.h"
#include "db/migrate.h"
#include "services/bitfoundry/cli.h"
#include "services/bitfoundry/run_file.h"

namespace bitfoundry::cli {
namespace {

struct MigrateOptions {
  std::string dsn;
};

Result<int> Migrate(const Shell& shell, const MigrateOptions& options) {
  std::string dsn = options.dsn;
  if (dsn.empty()) dsn = BF_TRY(ReadRunFile(shell.data)).pg_dsn;
  db::Database database(dsn, 1);
  const std::vector<std::string> applied = BF_TRY(db::Migrate(database));
  if (shell.json) {
    std::printf("%s\n", nlohmann::json{{"applied", applied}}.dump().c_str());
  } else {
    for (const std::string& name : applied) std::printf("applied %s\n", name.c_str());
    if (applied.empty()) std::printf("up to date\n");
  }
  return kDone;
}

struct JobOptions {
  std::string kind;
  std::vector<int64_t> ids;
};

Result<int> ListDead(const Shell& shell, const JobOptions& options) {
  const auto stub = v1::Jobs::NewStub(BF_TRY(shell.Door("trainer")));
  v1::ListDeadJobsRequest request;
  request.set_kind(options.kind);
  request.set_page_size(1000);
  v1::ListDeadJobsResponse response;
  runtime::Call call;
  BF_TRY(runtime::FromGrpc(stub->ListDeadJobs(&call, request, &response)));
  if (shell.json) {
    std::printf("%s\n", ToJson(response).c_str());
    return kDone;
  }
  std::vector<std::vector<std::string>> rows{{"job", "kind", "attempts", "died", "why"}};
  for (const v1::DeadJob& job : response.jobs()) {
    rows.push_back({std::to_string(job.job_id()), job.kind(), std::to_string(job.attempts()),
                    job.finish_time(), job.error()});
  }
  response.jobs().empty() ? void(std::printf("no dead jobs\n")) : PrintTable(rows);
  return kDone;
}

Result<int> Redrive(const Shell& shell, const JobOptions& options) {
  if (options.kind.empty() == options.ids.empty()) {
    return BadUsage("give either --kind or job ids");
  }
  const auto stub = v1::Jobs::NewStub(BF_TRY(shell.Door("trainer")));
  v1::RedriveJobsRequest request;
  request.set_kind(options.kind);
  for (const int64_t id : options.ids) request.add_job_ids(id);
  v1::RedriveJobsResponse response;
  runtime::Call call;
  BF_TRY(runtime::FromGrpc(stub->RedriveJobs(&call, request, &response)));
  if (const auto asked = std::ssize(options.ids); response.redriven() < asked) {
    return Status(Code::kFailedPrecondition, "NOT_DEAD",
                  std::to_string(response.redriven()) + " of " + std::to_string(asked) +
                      " jobs are ready again; the others are not dead, or not there:"
                      " `bitfoundry jobs list-dead` shows those that are");
  }
  if (shell.json) {
    std::printf("%s\n", ToJson(response).c_str());
  } else {
    std::printf("%ld jobs are ready again\n", static_cast<long>(response.redriven()));
  }
  return kDone;
}

}  // namespace

void AddOperatorCommands(CLI::App& app, Shell& shell) {
  const auto migrate = std::make_shared<MigrateOptions>();
  Add(app, shell, "migrate", "Bring a database up to this build's schema; `up` does it by itself",
      "BF_PG_DSN='host=db dbname=bitfoundry' bitfoundry migrate", migrate, Migrate)
      ->add_option("--pg-dsn", migrate->dsn, "libpq connection string; without: that of --data")
      ->envname("BF_PG_DSN");

  CLI::App* jobs = app.add_subcommand("jobs", "Jobs that were given up");
  jobs->footer("Example:\n  bitfoundry jobs list-dead");
  jobs->require_subcommand(1);
  const CLI::IsMember kinds({"label", "describe", "train", "evaluate", "evaluate_remote"});
  const auto list = std::make_shared<JobOptions>();
  Add(*jobs, shell, "list-dead", "Jobs that failed for good, and why",
      "bitfoundry jobs list-dead --kind label", list, ListDead)
      ->add_option("--kind", list->kind, "label | describe | train | evaluate | evaluate_remote")
      ->check(kinds);
  const auto redrive = std::make_shared<JobOptions>();
  CLI::App* again = Add(*jobs, shell, "redrive", "Make dead jobs ready again, with all attempts",
                        "bitfoundry jobs redrive --kind label", redrive, Redrive);
  again->add_option("--kind", redrive->kind, "All of this kind")->check(kinds);
  again->add_option("ID", redrive->ids, "Or these jobs; cancelled ones too");
}

}  // namespace bitfoundry::cli
