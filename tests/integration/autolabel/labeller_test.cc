// bf-autolabel's jobs and door on a real Postgres, with a stub for the teacher (stub_teacher.h).
#include "services/autolabel/labeller.h"

#include <gtest/gtest.h>
#include <prometheus/text_serializer.h>

#include <filesystem>
#include <future>
#include <thread>

#include "catalog/projects.h"
#include "catalog/samples.h"
#include "images/codec.h"
#include "jobs/shared.h"
#include "services/autolabel/autolabel_service.h"
#include "tests/integration/autolabel/stub_teacher.h"
#include "tests/support/postgres.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::autolabel {
namespace {

using namespace oip;

using bitfoundry::testing::IsOk;
using bitfoundry::testing::StatusIs;
using catalog::Part;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

const std::vector<teacher::Detection> kSurePerson = {{10, 10, 40, 90, 0.8F, 0}};
const std::vector<teacher::Detection> kDoubtfulPerson = {{10, 10, 40, 90, 0.4F, 0}};

constexpr catalog::TeacherBudget::Limits kNoLimit{.max_calls = 0, .max_micros = 0};

class LabellerTest : public bitfoundry::testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    folder_ = std::filesystem::temp_directory_path() / ("bf_autolabel_" + std::to_string(getpid()));
    store_ = std::make_unique<blobs::Store>(*blobs::Store::Open(folder_));
    oip::ClientOptions options;
    options.first_pause = options.most_pause = std::chrono::milliseconds(0);
    options.failures_to_open = 1000;
    teacher_ = std::make_unique<oip::Detector>(stub_.Channel(), options, metrics_);
    labeller_ = std::make_unique<Labeller>(database(), *store_, teacher_.get(),
                                           /*price_micros=*/250, metrics_);
    desk_ = std::make_unique<Desk>(database(), teacher_->model());
    project_ = AddProject("people", {"no_person", "person"});
  }
  void TearDown() override {
    std::filesystem::remove_all(folder_);
    PostgresTest::TearDown();
  }

  int64_t AddProject(const std::string& name, const std::vector<std::string>& classes) {
    return database()
        .Transact([&](db::Tx& tx) {
          return catalog::Projects(tx).Create(
              {.name = name, .classes = classes, .height = 64, .width = 64, .channels = 1});
        })
        .
        operator*()
        .id;
  }

  // A gray image of its own, 100x100 if nothing is said, and one sample for each window (nothing:
  // all of it). Returns the image's digest.
  std::string AddImage(const std::vector<std::optional<Window>>& windows = {std::nullopt},
                       Part part = Part::kTrain, const std::string& session = "monday",
                       int side = 100) {
    images::Image image = images::Blank(side, side, 1);
    image.pixels[0] = static_cast<uint8_t>(++images_);
    const std::string bytes = images::EncodePng(image);
    const std::string digest = *store_->Put(bytes);
    AddSamples(project_, digest, static_cast<int64_t>(bytes.size()), windows, part, session);
    return digest;
  }

  void AddSamples(int64_t project, const std::string& digest, int64_t bytes,
                  const std::vector<std::optional<Window>>& windows, Part part,
                  const std::string& session) {
    ASSERT_THAT(database().Transact([&](db::Tx& tx) -> Status {
      catalog::Samples samples(tx);
      BF_TRY(samples.AddImage({digest, "png", 100, 100, bytes}));
      for (const auto& window : windows) {
        BF_TRY(samples.Add({.project_id = project,
                            .image_digest = digest,
                            .window = window,
                            .part = part,
                            .camera = "gate",
                            .session = session,
                            .position = images_ * 5}));
      }
      return Status();
    }),
                IsOk());
  }

  Result<jobs::Claimed> Claim(const std::string& kind) {
    return database().Transact(
        [&](db::Tx& tx) { return jobs::Queue(tx).Claim(kind, "test", std::chrono::seconds(60)); });
  }

  // Does one job of a kind as a worker would. kNotFound: there is none.
  Status Work(const std::string& kind) {
    Result<jobs::Claimed> claimed = Claim(kind);
    if (claimed.ok() && claimed->expired > 0) claimed = Claim(kind);
    if (!claimed.ok()) return claimed.status();
    if (claimed->leases.empty()) return {Code::kNotFound, "no job"};
    const jobs::Lease& lease = claimed->leases[0];
    const Result<jobs::Write> write =
        kind == "label" ? labeller_->Label(lease, {}) : labeller_->Describe(lease, {});
    const Status done = !write.ok() ? write.status() : database().Transact([&](db::Tx& tx) {
      const Status written = (*write)(tx);
      return written.ok() ? jobs::Queue(tx).Complete(lease) : written;
    });
    if (done.ok()) return done;
    const auto given =
        database().Transact([&](db::Tx& tx) { return jobs::Queue(tx).GiveBack(lease, done); });
    return given.ok() ? done : given.status();
  }

  // Works until there is no job; the statuses of those that failed.
  std::vector<Status> WorkAll(const std::string& kind) {
    std::vector<Status> failed;
    while (true) {
      const Status status = Work(kind);
      if (status.code() == Code::kNotFound) return failed;
      if (!status.ok()) failed.push_back(status);
    }
  }

  // The classes of the labels of a project, and nothing for what has none.
  std::string Labels() {
    return One(
        "SELECT string_agg(COALESCE((SELECT class_index::text FROM labels AS l"
        " WHERE l.sample_id = s.id), '-'), ' ' ORDER BY id) FROM samples AS s");
  }
  std::string Tasks() {
    return One(
        "SELECT string_agg((EXISTS (SELECT FROM tasks AS t WHERE t.sample_id = s.id))::text,"
        " ' ' ORDER BY id) FROM samples AS s");
  }
  std::string Count(const std::string& from) { return One("SELECT count(*) FROM " + from); }

  StubTeacher stub_;
  prometheus::Registry metrics_;
  std::filesystem::path folder_;
  std::unique_ptr<blobs::Store> store_;
  std::unique_ptr<oip::Detector> teacher_;
  std::unique_ptr<Labeller> labeller_;
  std::unique_ptr<Desk> desk_;
  int64_t project_ = 0;
  int images_ = 0;
};

TEST_F(LabellerTest, OneLookAtTheParentAnswersForEachOfItsWindows) {
  stub_.See({{10, 10, 40, 90, 0.8F, 0}, {80, 0, 90, 10, 0.4F, 0}});
  const std::string digest =
      AddImage({Window{0, 0, 64, 100}, Window{36, 0, 64, 100}, Window{40, 20, 32, 32}});
  EXPECT_EQ(*desk_->Start("people", kNoLimit), 1);
  EXPECT_THAT(Work("label"), IsOk());
  EXPECT_EQ(stub_.calls, 1);
  EXPECT_EQ(Labels(), "1 - 0");  // person; only a doubtful box is in; nobody
  EXPECT_EQ(Tasks(), "false true false");
  EXPECT_EQ(One("SELECT string_agg(COALESCE(refusal::text, class_index::text), ' ' ORDER BY id)"
                " FROM answers WHERE annotator = 'teacher:centernet@v7' AND kind = 'teacher'"),
            "1 unsure 0");
  EXPECT_EQ(One("SELECT evidence->>'rule' FROM answers LIMIT 1"), "person_window/1");
  EXPECT_EQ(One("SELECT image_digest FROM detections WHERE rule = 'person_window/1'"), digest);
}

TEST_F(LabellerTest, ATestSampleIsForPeopleHoweverSureTheTeacherIs) {
  stub_.See(kSurePerson);
  AddImage({std::nullopt}, Part::kTest);
  EXPECT_EQ(*desk_->Start("people", kNoLimit), 1);
  EXPECT_THAT(Work("label"), IsOk());
  EXPECT_EQ(Count("answers WHERE class_index = 1"), "1");
  EXPECT_EQ(Labels(), "-");
  EXPECT_EQ(Tasks(), "true");
}

TEST_F(LabellerTest, WhatWasSeenOnceIsNotPaidForAgain) {
  stub_.See(kSurePerson);
  const std::string digest = AddImage();
  EXPECT_EQ(*desk_->Start("people", kNoLimit), 1);
  EXPECT_THAT(Work("label"), IsOk());

  const int64_t other = AddProject("others", {"person", "no_person"});
  AddSamples(other, digest, 1, {std::nullopt}, Part::kTrain, "monday");
  EXPECT_EQ(*desk_->Start("others", kNoLimit), 1);
  EXPECT_THAT(Work("label"), IsOk());
  EXPECT_EQ(stub_.calls, 1);
  EXPECT_EQ(Labels(), "1 0");  // the other project has its classes the other way round
  const Desk::Progress progress = *desk_->GetProgress("others");
  EXPECT_EQ(progress.spent.calls, 0);
  EXPECT_EQ(progress.spent.cache_hits, 1);
}

TEST_F(LabellerTest, AWindowThatComesLaterIsAnsweredFromWhatWasSeen) {
  stub_.See(kSurePerson);
  const std::string digest = AddImage({Window{0, 0, 64, 100}});
  EXPECT_EQ(*desk_->Start("people", kNoLimit), 1);
  EXPECT_EQ(*desk_->Start("people", kNoLimit), 0);  // it waits already
  EXPECT_THAT(Work("label"), IsOk());
  EXPECT_EQ(*desk_->Start("people", kNoLimit), 0);  // nothing is missing

  for (const Window& window : {Window{1, 0, 64, 100}, Window{2, 0, 64, 100}}) {
    AddSamples(project_, digest, 1, {window}, Part::kTrain, "monday");
    EXPECT_EQ(*desk_->Start("people", kNoLimit), 1);
    EXPECT_EQ(*desk_->Start("people", kNoLimit), 0);
    EXPECT_THAT(Work("label"), IsOk());
  }
  EXPECT_EQ(Labels(), "1 1 1");
  EXPECT_EQ(stub_.calls, 1);
}

TEST_F(LabellerTest, AnImageThatIsJudgedWhileAllAreListedGetsNoSecondJob) {
  AddImage();
  ASSERT_EQ(*desk_->Start("people", kNoLimit), 1);
  const jobs::Lease lease = Claim("label")->leases.at(0);
  const Result<jobs::Write> write = labeller_->Label(lease, {});
  ASSERT_THAT(write, IsOk());

  pqxx::connection connection(dsn());
  pqxx::work work(connection);
  work.exec("LOCK TABLE job_keys IN EXCLUSIVE MODE");
  auto second = std::async(std::launch::async, [&] { return *desk_->Start("people", kNoLimit); });
  while (Count("pg_locks WHERE NOT granted AND relation = 'job_keys'::regclass") == "0") {
    std::this_thread::yield();  // until it has listed the image and wants to enqueue
  }
  db::Tx tx{work};
  ASSERT_THAT((*write)(tx), IsOk());
  ASSERT_THAT(jobs::Queue(tx).Complete(lease), IsOk());
  work.commit();
  EXPECT_EQ(second.get(), 0);
}

TEST_F(LabellerTest, GarbageBuriesTheJobAndNeverEntersTheCache) {
  stub_.See(kSurePerson);
  stub_.garbage = true;
  AddImage();
  EXPECT_EQ(*desk_->Start("people", kNoLimit), 1);
  EXPECT_EQ(Work("label").reason(), "MODEL_GARBAGE");
  EXPECT_EQ(Count("detections"), "0");
  EXPECT_EQ(Count("answers"), "0");
  EXPECT_EQ(desk_->GetProgress("people")->counts.dead_jobs, 1);

  stub_.garbage = false;
  EXPECT_EQ(*desk_->Start("people", kNoLimit), 1);  // takes the dead up again
  EXPECT_THAT(Work("label"), IsOk());
  EXPECT_EQ(Count("detections"), "1");
}

TEST_F(LabellerTest, ATeacherThatIsAwayCostsTheJobAnAttemptAndNothingElse) {
  stub_.fail_next = 4;
  AddImage();
  EXPECT_EQ(*desk_->Start("people", kNoLimit), 1);
  EXPECT_THAT(Work("label"), StatusIs(Code::kUnavailable));
  EXPECT_EQ(One("SELECT state::text || attempt FROM jobs"), "ready1");
  Run("UPDATE jobs SET run_at = now()");
  EXPECT_THAT(Work("label"), IsOk());
  EXPECT_EQ(desk_->GetProgress("people")->spent.calls, 5);  // the failed ones may have cost
  EXPECT_EQ(Labels(), "0");
}

TEST_F(LabellerTest, TheBudgetHoldsHoweverManyWorkAtOnce) {
  for (int i = 0; i < 12; ++i) AddImage();
  EXPECT_EQ(*desk_->Start("people", {.max_calls = 5, .max_micros = {}}), 12);
  std::vector<std::vector<Status>> failed(4);
  std::vector<std::thread> workers;
  for (auto& mine : failed) workers.emplace_back([&] { mine = WorkAll("label"); });
  for (std::thread& worker : workers) worker.join();

  int exhausted = 0;
  for (const auto& mine : failed) {
    for (const Status& status : mine) {
      EXPECT_EQ(status.reason(), "BUDGET_EXHAUSTED") << status.ToString();
      ++exhausted;
    }
  }
  EXPECT_EQ(exhausted, 7);
  EXPECT_EQ(stub_.calls, 5);
  EXPECT_EQ(Count("answers"), "5");

  EXPECT_EQ(*desk_->Start("people", {}), 7);  // says nothing of the budget: it stays
  EXPECT_EQ(WorkAll("label").size(), 7U);
  EXPECT_EQ(stub_.calls, 5);
  EXPECT_EQ(*desk_->GetProgress("people")->budget.max_calls, 5);

  EXPECT_EQ(*desk_->Start("people", {.max_calls = 0, .max_micros = 12 * 250 - 1}), 7);
  EXPECT_EQ(WorkAll("label").size(), 1U);  // one call short
  const Desk::Progress progress = *desk_->GetProgress("people");
  EXPECT_EQ(progress.spent.calls, 11);
  EXPECT_EQ(progress.spent.micros, 11 * 250);
  EXPECT_THAT(prometheus::TextSerializer().Serialize(metrics_.Collect()),
              ::testing::HasSubstr("bf_teacher_spend_micros_total 2750\n"));
  EXPECT_EQ(progress.counts.judged_images, 11);
  EXPECT_EQ(progress.counts.images, 12);
}

TEST_F(LabellerTest, AnImageOfManyTilesIsNotBegunWithABudgetForSomeOfThem) {
  constexpr int kSide = 700;  // 9 tiles, 8 a call
  ASSERT_EQ(Detector::Calls(kSide, kSide), 2);
  AddImage({std::nullopt}, Part::kTrain, "monday", kSide);
  EXPECT_EQ(*desk_->Start("people", {.max_calls = 1, .max_micros = {}}), 1);
  EXPECT_EQ(Work("label").reason(), "BUDGET_EXHAUSTED");
  EXPECT_EQ(stub_.calls, 0);

  stub_.garbage = true;  // to the first call: the second is not made, and not paid
  EXPECT_EQ(*desk_->Start("people", {.max_calls = 2, .max_micros = {}}), 1);
  EXPECT_EQ(Work("label").reason(), "MODEL_GARBAGE");
  EXPECT_EQ(desk_->GetProgress("people")->spent.calls, 1);
  EXPECT_EQ(desk_->GetProgress("people")->spent.micros, 250);

  stub_.garbage = false;
  stub_.calls = 0;
  EXPECT_EQ(*desk_->Start("people", {.max_calls = 3, .max_micros = {}}), 1);
  EXPECT_THAT(Work("label"), IsOk());
  EXPECT_EQ(stub_.calls, 2);
  EXPECT_EQ(desk_->GetProgress("people")->spent.calls, 3);
}

TEST_F(LabellerTest, ATeacherThatCostsIsNotAskedBeforeSomebodySetABudget) {
  const std::string digest = AddImage();
  ASSERT_THAT(database().Transact([&](db::Tx& tx) {
    return jobs::Queue(tx).Enqueue(jobs::LabelJob(project_, digest));  // as ingestion does
  }),
              IsOk());
  EXPECT_EQ(Work("label").reason(), "BUDGET_UNSET");
  EXPECT_EQ(stub_.calls, 0);
  EXPECT_EQ(*desk_->Start("people", kNoLimit), 1);
  EXPECT_THAT(Work("label"), IsOk());
}

TEST_F(LabellerTest, WhatACrashedAttemptReservedStaysSpent) {
  AddImage();
  EXPECT_EQ(*desk_->Start("people", {.max_calls = 1, .max_micros = {}}), 1);
  const auto claimed = Claim("label");
  EXPECT_THAT(labeller_->Label(claimed->leases[0], {}), IsOk());  // and dies before it writes
  EXPECT_EQ(One("SELECT calls || settled::text FROM teacher_spend"), "1false");
  Run("UPDATE jobs SET lease_until = now() - interval '1 second'");

  EXPECT_EQ(Work("label").reason(), "BUDGET_EXHAUSTED");
  EXPECT_EQ(stub_.calls, 1);
}

TEST_F(LabellerTest, InAProjectOfOtherClassesPeopleAreAskedAndNothingIsSpent) {
  project_ = AddProject("cats", {"cat", "dog"});
  AddImage();
  EXPECT_EQ(*desk_->Start("cats", kNoLimit), 1);
  EXPECT_THAT(Work("label"), IsOk());
  EXPECT_EQ(stub_.calls, 0);
  EXPECT_EQ(Count("tasks WHERE closed_at IS NULL"), "1");
  EXPECT_EQ(Count("answers"), "0");
  EXPECT_EQ(desk_->GetProgress("cats")->teacher, "");
}

TEST_F(LabellerTest, WithoutATeacherPeopleAreAskedAboutEverySample) {
  labeller_ = std::make_unique<Labeller>(database(), *store_, nullptr, 250, metrics_);
  desk_ = std::make_unique<Desk>(database(), "");
  AddImage({Window{0, 0, 50, 50}, Window{50, 50, 50, 50}});
  AddImage({std::nullopt}, Part::kTest);
  EXPECT_EQ(*desk_->Start("people", kNoLimit), 2);
  EXPECT_TRUE(WorkAll("label").empty());
  EXPECT_EQ(Tasks(), "true true true");
  const auto progress = desk_->GetProgress("people");
  EXPECT_EQ(progress->counts.waiting_jobs, 0);
  EXPECT_EQ(progress->teacher, "");
  EXPECT_EQ(stub_.calls, 0);
}

TEST_F(LabellerTest, OnceASessionIsKnownItsPeopleAreDescribed) {
  for (int i = 0; i < 3; ++i) AddImage({Window{0, 0, 100, 100}, Window{60, 0, 40, 40}});
  AddImage({std::nullopt}, Part::kTrain, "tuesday");
  EXPECT_EQ(*desk_->Start("people", kNoLimit), 4);
  Run("UPDATE jobs SET priority = (SELECT -position FROM samples WHERE image_digest ="
      " payload->>'imageDigest' LIMIT 1)");  // in the order of the frames
  for (int i = 0; i < 3; ++i) {
    const float up = 8.0F * static_cast<float>(i);
    stub_.See({{10, 30 - up, 40, 90 - up, 0.8F, 0}});
    EXPECT_EQ(Count("jobs WHERE kind = 'describe'"), "0") << i;
    EXPECT_THAT(Work("label"), IsOk());
  }
  EXPECT_EQ(One("SELECT payload->>'session' FROM jobs WHERE kind = 'describe'"), "monday");
  EXPECT_THAT(Work("describe"), IsOk());

  const auto of_frame = [&](int position) {
    return One(
        "SELECT COALESCE((SELECT value FROM sample_tags WHERE sample_id = s.id AND"
        " key = 'motion'), '-') || ' ' || (SELECT value FROM sample_attributes WHERE"
        " sample_id = s.id AND key = 'box_height_px' AND source = 'describe/1')"
        " FROM samples AS s WHERE x = 0 AND position = " +
        std::to_string(position));
  };
  EXPECT_EQ(of_frame(5), "unknown 60");
  EXPECT_EQ(of_frame(10), "away 60");
  EXPECT_EQ(of_frame(15), "unknown 60");
  EXPECT_EQ(Count("sample_tags"), "3");  // nothing on windows in which nobody was seen
}

TEST_F(LabellerTest, SaysWhereInASampleTheBoxIsAsSharesOfIt) {
  stub_.See({{10, 30, 40, 90, 0.8F, 0}});
  AddImage({std::nullopt, Window{20, 10, 40, 40}, Window{60, 0, 40, 40}});
  EXPECT_EQ(*desk_->Start("people", kNoLimit), 1);
  EXPECT_THAT(Work("label"), IsOk());
  EXPECT_THAT(Work("describe"), IsOk());

  const auto place = [&](const std::string& sample) {
    return One(
        "SELECT COALESCE(string_agg(substr(key, 5) || ' ' || value, ', ' ORDER BY key), 'nobody')"
        " FROM sample_attributes WHERE key LIKE 'box\\_%' AND key <> 'box_height_px' AND"
        " sample_id = (SELECT id FROM samples WHERE " +
        sample + ")");
  };
  EXPECT_EQ(place("x IS NULL"), "bottom 0.9, left 0.1, right 0.4, top 0.3");
  EXPECT_EQ(place("x = 20"), "bottom 1, left 0, right 0.5, top 0.5") << "cut at the window";
  EXPECT_EQ(place("x = 60"), "nobody");
}

TEST_F(LabellerTest, OfTwoThatCompleteASessionAtOnceOneSeesIt) {
  const std::string first = AddImage(), second = AddImage();
  const catalog::Eye eye{"centernet", "v7", kRule};
  const auto complete = [&](db::Tx& tx, const std::string& digest) -> Result<int64_t> {
    BF_TRY(catalog::Detections(tx).Add(digest, eye, {}));
    return catalog::Detections(tx).CompleteSession(project_, "monday", eye);
  };
  std::atomic<bool> done = false;
  Result<int64_t> late(int64_t{-1});
  std::thread other;
  const Result<int64_t> early = database().Transact([&](db::Tx& tx) {
    const Result<int64_t> samples = complete(tx, first);
    other = std::thread([&] {
      late = database().Transact([&](db::Tx& theirs) { return complete(theirs, second); });
      done = true;
    });
    while (!done && Count("pg_locks WHERE locktype = 'advisory' AND NOT granted") == "0") {
      std::this_thread::yield();
    }
    return samples;
  });
  other.join();
  EXPECT_EQ(*early, 0);
  EXPECT_EQ(*late, 2);
}

TEST_F(LabellerTest, TheDoorStartsAndTells) {
  stub_.See(kDoubtfulPerson);
  AddImage();
  jobs::Doorbell doorbell(
      {.host = "127.0.0.1", .port = 1});  // nobody there: a bell is a convenience
  AutoLabelService service(*desk_, doorbell);
  grpc::ServerContext context;
  v1::StartAutoLabelRequest start;
  v1::StartAutoLabelResponse started;
  start.set_project("nobody");
  EXPECT_THAT(runtime::FromGrpc(service.StartAutoLabel(&context, &start, &started)),
              StatusIs(Code::kNotFound));
  start.set_project("people");
  start.set_max_calls(-1);
  EXPECT_THAT(runtime::FromGrpc(service.StartAutoLabel(&context, &start, &started)),
              StatusIs(Code::kInvalidArgument));
  start.set_max_calls(10);
  ASSERT_TRUE(service.StartAutoLabel(&context, &start, &started).ok());
  EXPECT_EQ(started.enqueued_images(), 1);

  v1::GetAutoLabelProgressRequest ask;
  v1::AutoLabelProgress progress;
  ask.set_project("people");
  ASSERT_TRUE(service.GetAutoLabelProgress(&context, &ask, &progress).ok());
  EXPECT_EQ(progress.waiting_jobs(), 1);
  EXPECT_EQ(progress.judged_images(), 0);
  EXPECT_THAT(Work("label"), IsOk());
  ASSERT_TRUE(service.GetAutoLabelProgress(&context, &ask, &progress).ok());
  EXPECT_EQ(progress.judged_images(), 1);
  EXPECT_EQ(progress.open_tasks(), 1);
  EXPECT_EQ(progress.calls(), 1);
  EXPECT_EQ(progress.micros(), 250);
  EXPECT_EQ(progress.teacher(), "centernet");
  const std::map<std::string, int64_t> answers(progress.answers().begin(),
                                               progress.answers().end());
  EXPECT_THAT(answers, UnorderedElementsAre(Pair("unsure", 1)));
}

}  // namespace
}  // namespace bitfoundry::autolabel
