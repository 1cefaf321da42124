#include "services/evaluator/evaluation.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <future>
#include <thread>

#include "jobs/shared.h"
#include "runtime/client.h"
#include "runtime/error.h"
#include "services/evaluator/evaluator_service.h"
#include "services/evaluator/report.h"
#include "tests/integration/evaluator/evaluator_at_work.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::evaluator {
namespace {

using testing::IsOk;
using testing::StatusIs;

constexpr char kSuite[] = R"yaml(
suite: people
version: 1
defaults: { positive: person }
slices:
  away: tag.motion == "away"
tests:
  - { id: away_found, slice: away, metric: recall, at_least: 0.9 }
  - { id: quiet, slice: all, metric: fpr, at_most: 0.1 }
  - { id: dark, slice: all, metric: recall, at_least: 0.9, transform: "darken(0.3, 2)" }
)yaml";

class EvaluationTest : public EvaluatorAtWork {
 protected:
  v1::CreateEvaluationRequest Request(const std::string& yaml = kSuite) {
    v1::CreateEvaluationRequest request;
    request.set_artefact(artefact_.substr(0, 10));
    request.set_suite_yaml(yaml);
    request.set_suite_name("people.yaml");
    return request;
  }

  v1::GetVerdictResponse Verdict() {
    v1::GetVerdictRequest request;
    request.set_artefact(artefact_);
    request.set_suite(Sha256(std::string_view(kSuite)));
    const auto response = desk_->Get(request);
    EXPECT_THAT(response, IsOk());
    return response.ok() ? *response : v1::GetVerdictResponse();
  }
};

TEST_F(EvaluationTest, JudgesThePackedBytesOnTheTestPart) {
  ASSERT_THAT(desk_->Create(Request()), IsOk());
  EXPECT_EQ(Verdict().state(), v1::GetVerdictResponse::WAITING);
  ASSERT_EQ(WorkOnce(Handler()), "done");

  const v1::GetVerdictResponse response = Verdict();
  ASSERT_EQ(response.state(), v1::GetVerdictResponse::DONE);
  const v1::Verdict& verdict = response.verdict();
  EXPECT_EQ(verdict.artefact(), artefact_);
  EXPECT_EQ(verdict.snapshot(), snapshot_);
  EXPECT_EQ(verdict.project(), "people");
  EXPECT_EQ(verdict.suite_name(), "people.yaml");
  EXPECT_EQ(verdict.outcome(), v1::FAIL);
  ASSERT_EQ(verdict.tests_size(), 3);
  EXPECT_EQ(verdict.tests(0).outcome(), v1::PASS);
  EXPECT_EQ(verdict.tests(0).successes(), 98);
  EXPECT_EQ(verdict.tests(0).n(), 100);
  EXPECT_NEAR(verdict.tests(0).rate(), 0.98, 1e-12);
  EXPECT_EQ(verdict.tests(1).outcome(), v1::PASS);
  EXPECT_EQ(verdict.tests(1).successes(), 1);
  // All are darker than 128 after the transform: nobody is found.
  EXPECT_EQ(verdict.tests(2).outcome(), v1::FAIL);
  EXPECT_EQ(verdict.tests(2).successes(), 0);
  EXPECT_EQ(verdict.tests(2).transform(), "darken(0.3,2)");
}

TEST_F(EvaluationTest, TellsOfAVerdictOnlyWhenItIsWritten) {
  std::vector<v1::Outcome> told;
  const EvaluateHandler handler(database(), store(), *servers_, "r", 1,
                                [&](v1::Outcome outcome) { told.push_back(outcome); });
  ASSERT_THAT(desk_->Create(Request()), IsOk());
  ASSERT_EQ(WorkOnce([&](const jobs::Lease& lease, const std::stop_token& stop) {
              auto write = handler(lease, stop);
              EXPECT_TRUE(told.empty());
              return write;
            }),
            "done");
  EXPECT_EQ(told, std::vector<v1::Outcome>{v1::FAIL});
}

TEST_F(EvaluationTest, IsNeverDoneWithoutItsVerdict) {
  ASSERT_THAT(desk_->Create(Request()), IsOk());
  pqxx::connection connection(dsn());
  pqxx::work lock(connection);
  lock.exec("LOCK TABLE job_keys IN ACCESS EXCLUSIVE MODE");
  auto looked = std::async(std::launch::async, [&] { return Verdict(); });
  while (One("SELECT count(*) FROM pg_locks WHERE NOT granted AND "
             "relation = 'job_keys'::regclass") == "0") {
    std::this_thread::yield();  // until it looks for the job
  }
  ASSERT_EQ(WorkOnce(Handler()), "done");
  lock.commit();
  const v1::GetVerdictResponse response = looked.get();
  EXPECT_EQ(response.state(), v1::GetVerdictResponse::DONE);
  EXPECT_EQ(response.verdict().outcome(), v1::FAIL);
}

TEST_F(EvaluationTest, IsOneJobAndOneVerdictHoweverOftenItIsAskedFor) {
  ASSERT_THAT(desk_->Create(Request()), IsOk());
  ASSERT_THAT(desk_->Create(Request()), IsOk());
  EXPECT_EQ(One("SELECT count(*) FROM jobs"), "1");
  ASSERT_EQ(WorkOnce(Handler()), "done");
  ASSERT_THAT(desk_->Create(Request()), IsOk());
  EXPECT_EQ(One("SELECT count(*) FROM jobs"), "0");
  EXPECT_EQ(One("SELECT count(*) FROM verdicts"), "1");
}

TEST_F(EvaluationTest, IsJudgedAnewWhereAnotherBuildGaveTheVerdict) {
  ASSERT_THAT(desk_->Create(Request()), IsOk());
  const EvaluateHandler earlier(database(), store(), *servers_, "an earlier build", 1);
  ASSERT_EQ(WorkOnce(earlier), "done");
  const v1::Verdict old = Verdict().verdict();
  EXPECT_EQ(old.runtime(), "an earlier build");
  EXPECT_EQ(old.tests(0).evaluations(), 1);

  const auto asked = desk_->Create(Request());
  ASSERT_THAT(asked, IsOk());
  EXPECT_EQ(asked->replaces(), old.verdict_id());
  ASSERT_THAT(desk_->Create(Request()), IsOk());
  EXPECT_EQ(One("SELECT count(*) FROM jobs"), "1");
  v1::GetVerdictRequest wanted;
  wanted.set_artefact(artefact_);
  wanted.set_suite(asked->suite());
  wanted.set_snapshot(asked->snapshot());
  wanted.set_newer_than(asked->replaces());
  EXPECT_EQ(desk_->Get(wanted)->state(), v1::GetVerdictResponse::WAITING);
  EXPECT_EQ(Verdict().verdict().verdict_id(), old.verdict_id());  // who does not ask gets what is

  ASSERT_EQ(WorkOnce(Handler()), "done");
  const v1::GetVerdictResponse anew = *desk_->Get(wanted);
  ASSERT_EQ(anew.state(), v1::GetVerdictResponse::DONE);
  EXPECT_EQ(anew.verdict().runtime(), kRuntime);
  EXPECT_EQ(anew.verdict().replaces(), old.verdict_id());
  EXPECT_EQ(anew.verdict().tests(0).evaluations(), 1);  // the same look at the same rows
  EXPECT_EQ(Verdict().verdict().verdict_id(), anew.verdict().verdict_id());

  EXPECT_EQ(desk_->Create(Request())->replaces(), 0);
  EXPECT_EQ(One("SELECT count(*) FROM jobs"), "0");
  EXPECT_EQ(One("SELECT count(*) FROM verdicts"), "2");
}

TEST_F(EvaluationTest, IsJudgedAnewWhenAWaiverHasEnded) {
  const std::string until = One("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD')");
  v1::CreateEvaluationRequest request = Request();
  request.set_suite_yaml(request.suite_yaml() +
                         "waivers:\n  - { test: dark, reason: \"no dark images yet\", by: eva, "
                         "until: " +
                         until + " }\n");
  ASSERT_THAT(desk_->Create(request), IsOk());
  ASSERT_EQ(WorkOnce(Handler()), "done");
  EXPECT_EQ(desk_->Create(request)->replaces(), 0);  // its last day
  Run("UPDATE verdict_tests SET result = result || '{\"waivedUntil\": \"2026-01-01\"}' "
      "WHERE result ? 'waivedUntil'");
  EXPECT_EQ(desk_->Create(request)->replaces(), std::stoll(One("SELECT id FROM verdicts")));
  EXPECT_EQ(One("SELECT count(*) FROM jobs"), "1");
}

TEST_F(EvaluationTest, GivesTheSameBitsAgainWithAnyNumberOfThreads) {
  verdicts::Subject subject;
  subject.artefact = artefact_;
  subject.suite = *verdicts::ParseSuite(kSuite, "people.yaml");
  subject.network = BrightnessNetwork();
  subject.data = SampleData();
  const verdicts::Circumstances circumstances{"2026-01-01", [](const std::string&) { return 0; }};
  const auto once = verdicts::Evaluate(subject, circumstances, {"r", 1}, {});
  const auto again = verdicts::Evaluate(subject, circumstances, {"r", 7}, {});
  ASSERT_THAT(once, IsOk());
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(once->verdict.SerializeAsString(), again->verdict.SerializeAsString());
  const auto why = Explain(subject, *once, 1, {});
  const auto why_again = Explain(subject, *again, 7, {});
  ASSERT_THAT(why, IsOk());
  ASSERT_THAT(why_again, IsOk());
  EXPECT_FALSE(why->pictures.empty());
  EXPECT_EQ(RenderReport(subject, *once, *why), RenderReport(subject, *again, *why_again));
}

TEST_F(EvaluationTest, RefusesABrokenSuiteBeforeAnythingIsWritten) {
  std::string yaml = kSuite;
  yaml.replace(yaml.find("recall"), 6, "recal");
  const auto typo = desk_->Create(Request(yaml));
  EXPECT_THAT(typo, StatusIs(Code::kInvalidArgument));
  EXPECT_EQ(typo.status().message(),
            "people.yaml:8:44: unknown metric 'recal'; did you mean 'recall'?");

  yaml = kSuite;
  yaml.replace(yaml.find("tag.motion"), 10, "tag.moton");
  const auto name = desk_->Create(Request(yaml));
  EXPECT_EQ(name.status().message(),
            "people.yaml:6:9: no sample has the tag 'moton'; did you mean 'motion'?");
  EXPECT_EQ(One("SELECT count(*) FROM jobs"), "0");
  EXPECT_EQ(One("SELECT count(*) FROM suites"), "0");
}

TEST_F(EvaluationTest, WritesNoVerdictUnderALeaseThatSomebodyElseHolds) {
  ASSERT_THAT(desk_->Create(Request()), IsOk());
  const auto outcome = WorkOnce([&](const jobs::Lease& lease, const std::stop_token& stop) {
    auto write = Handler()(lease, stop);
    Run("UPDATE jobs SET lease_epoch = lease_epoch + 1, lease_owner = 'another'");
    return write;
  });
  EXPECT_EQ(outcome, "lost");
  EXPECT_EQ(One("SELECT count(*) FROM verdicts"), "0");
  EXPECT_EQ(One("SELECT count(*) FROM verdict_tests"), "0");
  EXPECT_EQ(Verdict().state(), v1::GetVerdictResponse::RUNNING);
}

TEST_F(EvaluationTest, SaysWhyAnEvaluationDied) {
  ASSERT_THAT(desk_->Create(Request()), IsOk());
  ASSERT_EQ(WorkOnce([](const jobs::Lease&, const std::stop_token&) -> Result<jobs::Write> {
              return Status(Code::kDataLoss, "the disk ate it");
            }),
            "dead");
  EXPECT_EQ(Verdict().state(), v1::GetVerdictResponse::DEAD);
  EXPECT_NE(Verdict().error().find("the disk ate it"), std::string::npos);
}

TEST_F(EvaluationTest, RefusesASnapshotThatTheModelDoesNotFitBeforeAnythingRuns) {
  const auto freeze = [&](const snapshot::Snapshot& data) {
    const auto frozen = snapshot::Encode(data);
    EXPECT_THAT(store().Put(frozen->rows), IsOk());
    const auto pixels = store().Put(frozen->pixels);
    Run("INSERT INTO snapshots (digest, pixels_digest, project_id, class_list_version, summary) "
        "SELECT '" +
        frozen->digest + "', '" + *pixels + "', project_id, 1, '{}' FROM snapshots LIMIT 1");
    return frozen->digest;
  };
  snapshot::Snapshot data = SampleData();
  data.classes = {"person", "no_person"};
  auto request = Request();
  request.set_snapshot(freeze(data));
  const auto classes = desk_->Create(request);
  EXPECT_THAT(classes, StatusIs(Code::kFailedPrecondition));
  EXPECT_EQ(classes.status().reason(), "MODEL_DOES_NOT_FIT");
  EXPECT_EQ(classes.status().message(),
            "the model takes 16x16x1 images of 'no_person' 'person', snapshot of people has "
            "16x16x1 images of 'person' 'no_person': evaluate the model on a snapshot of the "
            "project it was made for");
  data = SampleData();
  data.height /= 2;
  data.width *= 2;
  request.set_snapshot(freeze(data));
  EXPECT_EQ(desk_->Create(request).status().reason(), "MODEL_DOES_NOT_FIT");
  request.set_snapshot(std::string(64, '0'));
  EXPECT_EQ(desk_->Create(request).status().reason(), "SNAPSHOT_NOT_FOUND");
  EXPECT_EQ(One("SELECT count(*) FROM jobs"), "0");
  EXPECT_EQ(One("SELECT count(*) FROM suites"), "0");
}

// The evaluation of a run is enqueued by bf-trainer, which does not look at models.
TEST_F(EvaluationTest, WorksOffNoJobOfAModelThatDoesNotFit) {
  snapshot::Snapshot data = SampleData();
  data.classes = {"person", "no_person"};
  const auto frozen = snapshot::Encode(data);
  ASSERT_THAT(store().Put(frozen->rows), IsOk());
  const auto pixels = store().Put(frozen->pixels);
  Run("INSERT INTO snapshots (digest, pixels_digest, project_id, class_list_version, summary) "
      "SELECT '" +
      frozen->digest + "', '" + *pixels + "', project_id, 1, '{}' FROM snapshots");
  ASSERT_THAT(desk_->Create(Request()), IsOk());
  Run("UPDATE jobs SET payload = jsonb_set(payload, '{snapshot}', '\"" + frozen->digest + "\"')");
  ASSERT_EQ(WorkOnce(Handler()), "dead");
  EXPECT_NE(One("SELECT last_error FROM finished_jobs").find("the model takes "),
            std::string::npos);
}

TEST_F(EvaluationTest, IsHeldAgainstTheBaselineThatWasAskedFor) {
  packed::Network blind = BrightnessNetwork();
  std::get<packed::Dense>(blind.ops.back().kind).biases = {1 << 20, 0};  // says nobody, always
  const auto worse = database().Transact([&](db::Tx& tx) { return Publish(tx, blind, 2); });
  const auto same =
      database().Transact([&](db::Tx& tx) { return Publish(tx, BrightnessNetwork(), 3); });
  ASSERT_THAT(worse, IsOk());
  ASSERT_THAT(same, IsOk());
  auto request = Request(
      "suite: people\nversion: 1\ndefaults: { positive: person }\ntests:\n"
      "  - { id: gains, slice: all, vs: shipped, metric: recall, max_loss: 0 }\n");
  const auto judge = [&](const std::string& baseline) {
    request.set_baseline(baseline.substr(0, 10));
    const auto asked = desk_->Create(request);
    EXPECT_THAT(asked, IsOk());
    EXPECT_EQ(asked->baseline(), baseline);
    EXPECT_EQ(WorkOnce(Handler()), "done");
  };
  const auto find = [&](const std::string& baseline) {
    v1::GetVerdictRequest wanted;
    wanted.set_artefact(artefact_);
    wanted.set_suite(Sha256(request.suite_yaml()));
    if (!baseline.empty()) wanted.set_baseline(baseline);
    return *desk_->Get(wanted);
  };

  request.set_baseline(artefact_.substr(0, 8));
  EXPECT_EQ(desk_->Create(request).status().reason(), "BASELINE_IS_CANDIDATE");
  judge(*worse);
  request.set_baseline(*same);
  ASSERT_THAT(desk_->Create(request), IsOk());
  EXPECT_EQ(find(*same).state(), v1::GetVerdictResponse::WAITING) << "another is no answer";
  judge(*same);
  EXPECT_EQ(find(*worse).verdict().baseline(), *worse);
  EXPECT_EQ(find(*worse).verdict().tests(0).gains(), 128);
  EXPECT_EQ(find(worse->substr(0, 8)).verdict().baseline(), *worse);
  EXPECT_EQ(find(*same).verdict().baseline(), *same);
  EXPECT_EQ(find(*same).verdict().tests(0).gains(), 0);
  EXPECT_EQ(find("").verdict().baseline(), *same) << "the newest";
}

TEST_F(EvaluationTest, IsHeldAgainstWhatPassedBySuitesOfTheSameNameAlone) {
  const auto other =
      database().Transact([&](db::Tx& tx) { return Publish(tx, BrightnessNetwork(), 2); });
  ASSERT_THAT(other, IsOk());
  const auto judge = [&](const std::string& artefact, const std::string& yaml) {
    auto request = Request(yaml);
    request.set_artefact(artefact);
    const auto asked = desk_->Create(request);
    EXPECT_THAT(asked, IsOk());
    EXPECT_EQ(WorkOnce(Handler()), "done");
    v1::GetVerdictRequest wanted;
    wanted.set_artefact(artefact);
    wanted.set_suite(asked->suite());
    wanted.set_baseline(asked->baseline());
    return desk_->Get(wanted)->verdict();
  };
  const auto suite = [](const std::string& name, const char* version) {
    return "suite: " + name + "\nversion: " + version +
           "\ndefaults: { positive: person }\ntests:\n"
           "  - { id: found, slice: all, metric: recall, at_least: 0.5 }\n"
           "  - { id: kept, slice: all, vs: shipped, metric: recall, max_loss: 0.1, "
           "first_release: true }\n";
  };
  EXPECT_EQ(judge(*other, suite("easy", "1")).outcome(), v1::PASS);
  const v1::Verdict first = judge(artefact_, suite("people", "1"));
  EXPECT_EQ(first.outcome(), v1::PASS);
  EXPECT_EQ(first.baseline(), "") << "what passes an easy suite is no baseline for this one";
  EXPECT_EQ(judge(*other, suite("people", "2")).baseline(), artefact_) << "in another version";
}

// What is shipped may change between two that ask for the same.
TEST_F(EvaluationTest, AsksAnewWhenSomethingElseIsShipped) {
  const auto other =
      database().Transact([&](db::Tx& tx) { return Publish(tx, BrightnessNetwork(), 2); });
  ASSERT_THAT(other, IsOk());
  auto request = Request(
      "suite: people\nversion: 1\ndefaults: { positive: person }\ntests:\n"
      "  - { id: found, slice: all, metric: recall, at_least: 0.5 }\n"
      "  - { id: gains, slice: all, vs: shipped, metric: recall, max_loss: 0.1, "
      "first_release: true }\n");
  const auto find = [&](const std::string& baseline) {
    v1::GetVerdictRequest wanted;
    wanted.set_artefact(artefact_);
    wanted.set_suite(Sha256(request.suite_yaml()));
    wanted.set_baseline(baseline);
    return *desk_->Get(wanted);
  };
  EXPECT_EQ(desk_->Create(request)->baseline(), "");
  EXPECT_EQ(find("").state(), v1::GetVerdictResponse::WAITING);
  ASSERT_EQ(WorkOnce(Handler()), "done");
  request.set_baseline(*other);
  ASSERT_THAT(desk_->Create(request), IsOk());
  ASSERT_EQ(WorkOnce(Handler()), "done");
  request.clear_baseline();
  EXPECT_EQ(desk_->Create(request)->baseline(), "");
  EXPECT_EQ(find("").verdict().baseline(), "") << "though the newest is against another";

  request.set_artefact(*other);
  ASSERT_THAT(desk_->Create(request), IsOk());
  ASSERT_EQ(WorkOnce(Handler()), "done");  // passes, and is shipped thereby
  request.set_artefact(artefact_);
  EXPECT_EQ(desk_->Create(request)->baseline(), *other);
  EXPECT_EQ(find(*other).state(), v1::GetVerdictResponse::DONE);
}

TEST_F(EvaluationTest, KeepsTheVerdictWhenWhatIsShippedIsAlsoAskedForByName) {
  const auto shipped =
      database().Transact([&](db::Tx& tx) { return Publish(tx, BrightnessNetwork(), 2); });
  ASSERT_THAT(shipped, IsOk());
  auto request = Request(
      "suite: people\nversion: 1\ndefaults: { positive: person }\ntests:\n"
      "  - { id: found, slice: all, metric: recall, at_least: 0.5 }\n"
      "  - { id: gains, slice: all, vs: shipped, metric: recall, max_loss: 0.1, "
      "first_release: true }\n");
  request.set_artefact(*shipped);
  ASSERT_THAT(desk_->Create(request), IsOk());
  ASSERT_EQ(WorkOnce(Handler()), "done");  // passes: it is what is shipped
  v1::EvaluateJob of_training;             // which leaves it to the evaluator what is shipped
  of_training.set_artefact(artefact_);
  of_training.set_suite(Sha256(request.suite_yaml()));
  of_training.set_snapshot(One("SELECT digest FROM snapshots"));
  ASSERT_THAT(database().Transact([&](db::Tx& tx) {
    return jobs::Queue(tx).Enqueue(jobs::EvaluateJob(of_training)).status();
  }),
              IsOk());
  ASSERT_EQ(WorkOnce(Handler()), "done");
  request.set_artefact(artefact_);
  const std::string first = One("SELECT max(id) FROM verdicts");
  EXPECT_EQ(One("SELECT baseline FROM verdicts WHERE id = " + first), *shipped);
  request.set_baseline(*shipped);
  ASSERT_THAT(desk_->Create(request), IsOk());
  EXPECT_EQ(One("SELECT count(*) FROM jobs"), "0");
  EXPECT_EQ(One("SELECT max(id) FROM verdicts"), first);
}

class ReleaseTest : public EvaluationTest {
 protected:
  std::string PublishAs(const packed::Network& network, int run) {
    const auto digest = database().Transact([&](db::Tx& tx) { return Publish(tx, network, run); });
    EXPECT_THAT(digest, IsOk());
    return digest.ok() ? *digest : "";
  }
  std::string PublishGood(int run) { return PublishAs(BrightnessNetwork(), run); }

  // By a suite that asks for what is shipped, or one of the same name that does not.
  v1::Verdict Judge(const std::string& artefact, const std::string& title,
                    const std::string& baseline = "") {
    return JudgeBy(kRuntime, artefact, title, baseline, true);
  }
  v1::Verdict JudgeBy(const std::string& build, const std::string& artefact,
                      const std::string& title, const std::string& baseline, bool compares) {
    const std::string kept =
        "  - { id: kept, slice: all, vs: shipped, metric: recall, max_loss: 0.1, "
        "first_release: true }\n";
    auto request = Request("suite: " + title +
                           "\nversion: 1\ndefaults: { positive: person }\ntests:\n"
                           "  - { id: found, slice: all, metric: recall, at_least: 0.5 }\n" +
                           (compares ? kept : ""));
    request.set_artefact(artefact);
    request.set_baseline(baseline);
    const auto asked = desk_->Create(request);
    EXPECT_THAT(asked, IsOk());
    EXPECT_EQ(WorkOnce(EvaluateHandler(database(), store(), *servers_, build, 1)), "done");
    v1::GetVerdictRequest wanted;
    wanted.set_artefact(artefact);
    wanted.set_suite(asked->suite());
    wanted.set_newer_than(asked->replaces());
    return desk_->Get(wanted)->verdict();
  }
};

// A pass against a model that was refused shows little, and does not move what is shipped; nor does
// one against a model that passed so.
TEST_F(ReleaseTest, IsNoneThatWasHeldAgainstWhatWasNone) {
  packed::Network blind = BrightnessNetwork();
  std::get<packed::Dense>(blind.ops.back().kind).biases = {1, 0};
  std::get<packed::Dense>(blind.ops.back().kind).weights.assign(64, 0);
  const std::string refused = PublishAs(blind, 2);
  const std::string second = PublishGood(3);
  const std::string third = PublishGood(4);
  EXPECT_EQ(Judge(artefact_, "people").outcome(), v1::PASS);
  EXPECT_EQ(Judge(refused, "people").outcome(), v1::FAIL);
  EXPECT_EQ(Judge(second, "people", refused).outcome(), v1::PASS);
  EXPECT_EQ(Judge(third, "people", second).outcome(), v1::PASS);
  // In capitals it is the same suite, and what is shipped is the same.
  EXPECT_EQ(Judge(refused, "People").baseline(), artefact_);
  EXPECT_EQ(Judge(third, "people").outcome(), v1::PASS);  // against what is shipped
  EXPECT_EQ(Judge(refused, "PEOPLE").baseline(), third);
}

TEST_F(ReleaseTest, FollowsWhatItWasHeldAgainstWhenItIsAskedForAgain) {
  const std::string second = PublishGood(2);
  const std::string third = PublishGood(3);
  const v1::Verdict early = Judge(second, "people", artefact_);
  EXPECT_EQ(early.outcome(), v1::PASS);
  EXPECT_EQ(Judge(artefact_, "people").baseline(), "") << "nothing was released yet";
  const v1::Verdict anew = Judge(second, "people");  // held against what is shipped by now
  EXPECT_EQ(anew.baseline(), artefact_);
  EXPECT_EQ(anew.replaces(), early.verdict_id());
  v1::CreateEvaluationRequest again = Request(One("SELECT yaml FROM suites LIMIT 1"));
  again.set_artefact(second);
  EXPECT_EQ(desk_->Create(again)->replaces(), 0) << "once is enough";
  EXPECT_EQ(Judge(third, "people").baseline(), second);
}

TEST_F(ReleaseTest, KeepsItsPlaceWhenItIsJudgedAnew) {
  const std::string second = PublishGood(2);
  const std::string third = PublishGood(3);
  const v1::Verdict first = JudgeBy("an earlier build", artefact_, "people", "", false);
  EXPECT_EQ(first.tests(0).evaluations(), 1);
  EXPECT_EQ(Judge(second, "people", artefact_).tests(0).evaluations(), 2);
  const v1::Verdict anew = JudgeBy(kRuntime, artefact_, "people", "", false);
  EXPECT_EQ(anew.replaces(), first.verdict_id());
  EXPECT_EQ(anew.outcome(), v1::PASS);
  EXPECT_EQ(anew.tests(0).evaluations(), 1) << "as many as there were when it was judged";
  const v1::Verdict last = Judge(third, "people");
  EXPECT_EQ(last.baseline(), second) << "which was released after it";
  EXPECT_EQ(last.tests(0).evaluations(), 3);
}

TEST_F(EvaluationTest, IsUnknownUntilItIsAskedFor) {
  v1::GetVerdictRequest request;
  request.set_artefact(artefact_);
  EXPECT_THAT(desk_->Get(request), StatusIs(Code::kNotFound));
  request.set_artefact("00000000");
  EXPECT_THAT(desk_->Get(request), StatusIs(Code::kNotFound));
}

// bf-trainer names a suite in its runs and enqueues their evaluations itself.
TEST_F(EvaluationTest, FindsTheEvaluationThatATrainingAskedFor) {
  v1::CreateSuiteRequest keep;
  keep.set_suite_yaml("suite: broken");
  EXPECT_THAT(desk_->KeepSuite(keep), StatusIs(Code::kInvalidArgument));
  EXPECT_EQ(One("SELECT count(*) FROM suites"), "0");
  keep.set_suite_yaml(kSuite);
  const auto kept = desk_->KeepSuite(keep);
  ASSERT_THAT(kept, IsOk());
  Run("UPDATE runs SET suite = '" + kept->digest() + "'");
  ASSERT_THAT(desk_->Create(Request()), IsOk());

  v1::GetVerdictRequest request;
  request.set_artefact(artefact_);
  const auto waiting = desk_->Get(request);
  ASSERT_THAT(waiting, IsOk());
  EXPECT_EQ(waiting->state(), v1::GetVerdictResponse::WAITING);
  ASSERT_EQ(WorkOnce(Handler()), "done");
  EXPECT_EQ(desk_->Get(request)->verdict().suite(), kept->digest());
}

TEST_F(EvaluationTest, ListsVerdictsNewestFirstPageByPage) {
  for (const char* limit : {"0.5", "0.6", "0.7"}) {
    std::string yaml = kSuite;
    yaml.replace(yaml.find("at_least: 0.9"), 13, std::string("at_least: ") + limit);
    ASSERT_THAT(desk_->Create(Request(yaml)), IsOk());
    ASSERT_EQ(WorkOnce(Handler()), "done");
  }
  v1::ListVerdictsRequest request;
  request.set_project("people");
  request.set_page_size(2);
  const auto first = desk_->List(request);
  ASSERT_THAT(first, IsOk());
  ASSERT_EQ(first->verdicts_size(), 2);
  EXPECT_EQ(first->verdicts(0).tests(0).bound(), 0.7);
  EXPECT_EQ(first->verdicts(0).tests_size(), 3);
  request.set_page_token(first->next_page_token());
  const auto second = desk_->List(request);
  ASSERT_THAT(second, IsOk());
  ASSERT_EQ(second->verdicts_size(), 1);
  EXPECT_EQ(second->verdicts(0).tests(0).bound(), 0.5);
  EXPECT_EQ(second->next_page_token(), "");
  request.Clear();
  EXPECT_EQ(desk_->List(request)->verdicts_size(), 3) << "of all projects";
  request.set_page_token("x");
  EXPECT_THAT(desk_->List(request), StatusIs(Code::kInvalidArgument));
}

TEST_F(EvaluationTest, StreamsAReportThatRunsNothingFromOutside) {
  ASSERT_THAT(desk_->Create(Request()), IsOk());
  ASSERT_EQ(WorkOnce(Handler()), "done");

  EvaluatorService service(*desk_);
  grpc::ServerBuilder builder;
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  const auto stub = v1::Evaluator::NewStub(server->InProcessChannel({}));
  runtime::Call call;
  v1::ReadReportRequest request;
  request.set_verdict_id(Verdict().verdict().verdict_id());
  const auto reader = stub->ReadReport(&call, request);
  std::string html;
  for (v1::ReadReportResponse piece; reader->Read(&piece);) html += piece.chunk();
  ASSERT_THAT(runtime::FromGrpc(reader->Finish()), IsOk());

  EXPECT_EQ(Sha256(html), Verdict().verdict().report());
  EXPECT_EQ(html.find("<b>sideways</b>"), std::string::npos);
  EXPECT_NE(html.find("&lt;b&gt;sideways&lt;/b&gt;"), std::string::npos);
  EXPECT_NE(html.find("one camera"), std::string::npos);
  EXPECT_NE(html.find("default-src 'none'"), std::string::npos);
  for (const char* loads : {"<script", "http:", "https:", "url("}) {
    EXPECT_EQ(html.find(loads), std::string::npos) << loads;
  }
}

}  // namespace
}  // namespace bitfoundry::evaluator
