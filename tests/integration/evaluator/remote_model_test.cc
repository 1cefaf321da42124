#include "services/evaluator/remote_model.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "catalog/remote_models.h"
#include "catalog/samples.h"
#include "catalog/verdicts.h"
#include "images/codec.h"
#include "services/bitfoundry/verdict_text.h"
#include "services/teacher/inference_service.h"
#include "tests/integration/evaluator/evaluator_at_work.h"
#include "tests/integration/evaluator/stub_models.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::evaluator {
namespace {

using ::testing::HasSubstr;
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
  - id: dark
    slice: all
    metric: recall
    at_least: 0.9
    transform: "darken(0.3, 2)"
    severity: warn
)yaml";

class RemoteModelTest : public EvaluatorAtWork {
 protected:
  v1::CreateEvaluationRequest Request(const std::string& address) {
    v1::CreateEvaluationRequest request;
    v1::RemoteModel& remote = *request.mutable_remote_model();
    remote.set_project("people");
    remote.set_address(address);
    remote.set_model("brightness");
    remote.set_kind(v1::RemoteModel::CLASSIFIER);
    request.set_suite_yaml(kSuite);
    request.set_suite_name("people.yaml");
    return request;
  }

  std::string Work() { return WorkOnce(Handler(), "evaluate_remote"); }

  // The verdict, asked and worked for.
  v1::Verdict Judge(const v1::CreateEvaluationRequest& request) {
    const auto evaluation = desk_->Create(request);
    EXPECT_THAT(evaluation, IsOk());
    if (!evaluation.ok()) return {};
    EXPECT_EQ(Work(), "done") << One("SELECT max(last_error) FROM jobs");
    return VerdictOn(evaluation->remote_model());
  }

  v1::Verdict VerdictOn(const std::string& model) {
    v1::GetVerdictRequest request;
    request.set_artefact(model);
    const auto response = desk_->Get(request);
    EXPECT_THAT(response, IsOk());
    return response.ok() ? response->verdict() : v1::Verdict();
  }

  void ExpectNothingWritten() {
    EXPECT_EQ(One("SELECT count(*) FROM jobs"), "0");
    EXPECT_EQ(One("SELECT count(*) FROM suites"), "0");
    EXPECT_EQ(One("SELECT count(*) FROM remote_models"), "0");
  }

  BrightnessModel model_;
  Served server_{model_};
};

TEST_F(RemoteModelTest, AClassifierIsJudgedByTheSuiteOfAnArtefact) {
  const v1::Verdict verdict = Judge(Request(server_.address()));
  EXPECT_EQ(verdict.outcome(), v1::PASS);
  EXPECT_EQ(verdict.artefact(), "");
  EXPECT_EQ(verdict.project(), "people");
  EXPECT_EQ(verdict.snapshot(), snapshot_);
  EXPECT_EQ(verdict.remote_model().address(), server_.address());
  EXPECT_EQ(verdict.remote_model().version(), "1");
  EXPECT_EQ(verdict.remote_model().input(), "pixels UINT8 [-1,16,16,1]");
  ASSERT_EQ(verdict.tests_size(), 3);
  EXPECT_EQ(verdict.tests(0).successes(), 98);
  EXPECT_EQ(verdict.tests(1).successes(), 1);
  EXPECT_EQ(verdict.tests(2).outcome(), v1::FAIL) << "it sees transforms, as the network does";
  EXPECT_EQ(VerdictOn(verdict.remote_model().digest().substr(0, 8)).verdict_id(),
            verdict.verdict_id());
}

TEST_F(RemoteModelTest, AClassifierIsAskedInTheTensorsThatItHas) {
  const BrightnessModel::Tensor forms[] = {{"FP32", {-1, 16, 16, 1}},
                                           {"UINT8", {1, -1, -1, -1}},
                                           {"FP32", {-1, 32, 24, 3}},
                                           {"UINT8", {-1, 512, 512, 3}}};
  for (const BrightnessModel::Tensor& form : forms) {
    model_.inputs = {form};
    const v1::Verdict verdict = Judge(Request(server_.address()));
    ASSERT_EQ(verdict.tests_size(), 3) << verdict.remote_model().input();
    EXPECT_EQ(verdict.tests(0).successes(), 98) << verdict.remote_model().input();
    EXPECT_EQ(verdict.tests(1).successes(), 1) << verdict.remote_model().input();
  }
  EXPECT_EQ(One("SELECT count(*) FROM remote_models"), "4") << "other tensors, another model";
}

TEST_F(RemoteModelTest, RefusesOtherTensorsBeforeAnythingIsWritten) {
  using Tensors = std::vector<BrightnessModel::Tensor>;
  const Tensors input = model_.inputs;
  const Tensors output = model_.outputs;
  const struct {
    Tensors inputs, outputs;
    const char* says;
  } cases[] = {
      {{}, output, "the server says: none"},
      {{{"UINT8", {-1, 16, 16, 1}}, {"FP32", {1}}}, output, "expected one input"},
      {{{"FP16", {-1, 16, 16, 1}}}, output, "pixels FP16 [-1,16,16,1]"},
      {{{"UINT8", {-1, 1, 16, 16}}}, output, "[-1 or 1, height, width, 1 or 3]"},
      {{{"UINT8", {8, 16, 16, 1}}}, output, "-1 or 1"},
      {{{"UINT8", {-1, 16, 16}}}, output, "height, width"},
      {{{"UINT8", {-1, 16, 1024, 1}}}, output, "at most 512"},
      {{{"UINT8", {-1, 0, 16, 1}}}, output, "at most 512"},
      {input, {{"INT64", {-1, 2}}}, "expected one output, FP32, [-1 or 1, 2]"},
      {input, {{"FP32", {-1, 2}}, {"FP32", {-1, 2}}}, "expected one output"},
      {input, {{"FP32", {2}}}, "expected one output"},
      {input, {{"FP32", {-1, 1000}}}, "scores 1000 classes"},
  };
  for (const auto& wrong : cases) {
    model_.inputs = wrong.inputs;
    model_.outputs = wrong.outputs;
    const auto refused = desk_->Create(Request(server_.address()));
    EXPECT_THAT(refused, StatusIs(Code::kFailedPrecondition));
    EXPECT_THAT(refused.status().message(), HasSubstr(wrong.says));
  }
  ExpectNothingWritten();
}

TEST_F(RemoteModelTest, RefusesAModelThatCannotBeAsked) {
  auto request = Request(server_.address());
  request.mutable_remote_model()->set_model("yolo");
  EXPECT_THAT(desk_->Create(request), StatusIs(Code::kNotFound));
  request = Request(server_.address());
  request.mutable_remote_model()->set_version("2");
  EXPECT_THAT(desk_->Create(request), StatusIs(Code::kNotFound));

  for (const char* address : {"", "localhost", "unix:/tmp/x", "a b:1", "h:1/x", "h:"}) {
    EXPECT_EQ(desk_->Create(Request(address)).status().reason(), "REMOTE_MODEL") << address;
  }
  request = Request(server_.address());
  request.mutable_remote_model()->clear_kind();
  EXPECT_EQ(desk_->Create(request).status().reason(), "REMOTE_MODEL");
  request = Request(server_.address());
  request.mutable_remote_model()->clear_project();
  EXPECT_EQ(desk_->Create(request).status().reason(), "REMOTE_MODEL");
  request.mutable_remote_model()->set_project("cats");
  EXPECT_EQ(desk_->Create(request).status().reason(), "PROJECT_NOT_FOUND");
  request.set_snapshot(snapshot_);
  EXPECT_EQ(desk_->Create(request).status().reason(), "MODEL_DOES_NOT_FIT");
  request = Request(server_.address());
  request.set_baseline("00000000");
  EXPECT_EQ(desk_->Create(request).status().reason(), "ARTEFACT_NOT_FOUND");

  server_.Stop();
  EXPECT_THAT(desk_->Create(Request(server_.address())), StatusIs(Code::kUnavailable));
  ExpectNothingWritten();
}

TEST_F(RemoteModelTest, AnAnswerThatIsGarbageGivesNoVerdict) {
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const std::function<void(inference::ModelInferResponse&)> spoils[] = {
      [](auto& r) { r.clear_outputs(); },
      [](auto& r) { r.mutable_outputs(0)->set_datatype("FP64"); },
      [](auto& r) { r.mutable_outputs(0)->set_shape(1, 3); },
      [](auto& r) { r.mutable_outputs(0)->set_shape(0, 1 << 30); },
      [](auto& r) { r.mutable_raw_output_contents(0)->pop_back(); },
      [&](auto& r) { std::memcpy(r.mutable_raw_output_contents(0)->data(), &nan, sizeof(nan)); },
  };
  auto request = Request(server_.address());
  int version = 0;
  for (const auto& spoil : spoils) {
    model_.version = std::to_string(++version);  // another model, so that it is asked again
    model_.spoil = spoil;
    const auto evaluation = desk_->Create(request);
    ASSERT_THAT(evaluation, IsOk());
    EXPECT_EQ(Work(), "dead");
    v1::GetVerdictRequest wanted;
    wanted.set_artefact(evaluation->remote_model());
    wanted.set_suite(evaluation->suite());
    wanted.set_snapshot(evaluation->snapshot());
    const auto response = desk_->Get(wanted);
    ASSERT_THAT(response, IsOk());
    EXPECT_EQ(response->state(), v1::GetVerdictResponse::DEAD);
    EXPECT_THAT(response->error(), HasSubstr("the model's answer: "));
  }
  EXPECT_EQ(One("SELECT count(*) FROM verdicts"), "0");
}

TEST_F(RemoteModelTest, AFailureThatPassesCostsNothing) {
  model_.fail_next = 2;
  EXPECT_EQ(Judge(Request(server_.address())).outcome(), v1::PASS);
}

TEST_F(RemoteModelTest, AServerThatIsGoneIsAskedAgainLater) {
  ASSERT_THAT(desk_->Create(Request(server_.address())), IsOk());
  server_.Stop();
  EXPECT_EQ(Work(), "retried");
  EXPECT_EQ(One("SELECT count(*) FROM verdicts"), "0");
}

TEST_F(RemoteModelTest, AVersionThatChangesIsAnotherModel) {
  ASSERT_THAT(desk_->Create(Request(server_.address())), IsOk());
  model_.version = "2";
  EXPECT_EQ(Work(), "dead");
  EXPECT_THAT(One("SELECT last_error FROM finished_jobs"), HasSubstr("ask for another one"));
  EXPECT_EQ(Judge(Request(server_.address())).remote_model().version(), "2");
  EXPECT_EQ(One("SELECT count(*) FROM remote_models"), "2");
}

TEST_F(RemoteModelTest, AVersionThatChangesInTheMiddleGivesNoVerdict) {
  ASSERT_THAT(desk_->Create(Request(server_.address())), IsOk());
  model_.spoil = [this](auto&) { model_.version = "2"; };  // from the second call on
  EXPECT_EQ(Work(), "dead");
  EXPECT_THAT(One("SELECT last_error FROM finished_jobs"), HasSubstr("ask for another one"));
  EXPECT_EQ(One("SELECT count(*) FROM verdicts"), "0");

  model_.spoil = [](auto&) {};
  ASSERT_THAT(desk_->Create(Request(server_.address())), IsOk());
  model_.answers_as = "3";  // and its metadata do not say so
  EXPECT_EQ(Work(), "retried");
  EXPECT_THAT(One("SELECT last_error FROM jobs"), HasSubstr("answers as version 3, not 2"));
}

TEST_F(RemoteModelTest, IsOneJobHoweverOftenItIsAskedFor) {
  ASSERT_THAT(desk_->Create(Request(server_.address())), IsOk());
  ASSERT_THAT(desk_->Create(Request(server_.address())), IsOk());
  EXPECT_EQ(One("SELECT count(*) FROM jobs"), "1");
  EXPECT_EQ(One("SELECT kind FROM jobs"), "evaluate_remote");
}

TEST_F(RemoteModelTest, IsNeverReleasedAndNeverABaseline) {
  const v1::Verdict verdict = Judge(Request(server_.address()));
  ASSERT_EQ(verdict.outcome(), v1::PASS);
  const auto shipped = database().Transact([](db::Tx& tx) {
    return catalog::Verdicts(tx).Shipped(/*project_id=*/1, "people", /*except=*/"");
  });
  EXPECT_EQ(*shipped, "");

  v1::CreateEvaluationRequest request;
  request.set_artefact(artefact_);
  request.set_baseline(verdict.remote_model().digest());
  request.set_suite_yaml(kSuite);
  EXPECT_EQ(desk_->Create(request).status().reason(), "ARTEFACT_NOT_FOUND");

  const std::string both = "UPDATE verdicts SET artefact = '" + artefact_ + "'";
  EXPECT_THROW(Run(both), pqxx::check_violation);
  EXPECT_THROW(Run("UPDATE verdicts SET remote_model = NULL"), pqxx::check_violation);
}

TEST_F(RemoteModelTest, CountsAmongTheEvaluationsOfTheSameRows) {
  Judge(Request(server_.address()));
  v1::CreateEvaluationRequest request;
  request.set_artefact(artefact_);
  request.set_suite_yaml(kSuite);
  ASSERT_THAT(desk_->Create(request), IsOk());
  ASSERT_EQ(WorkOnce(Handler()), "done");
  const v1::Verdict verdict = VerdictOn(artefact_);
  ASSERT_EQ(verdict.tests_size(), 3);
  EXPECT_EQ(verdict.tests(0).evaluations(), 2);
}

TEST_F(RemoteModelTest, IsHeldAgainstWhatIsShipped) {
  std::string yaml = kSuite;
  yaml += "  - { id: as_good, slice: all, vs: shipped, metric: accuracy, max_loss: 0.02 }\n";
  auto request = Request(server_.address());
  request.set_suite_yaml(yaml);
  request.set_baseline(artefact_);
  const v1::Verdict verdict = Judge(request);
  EXPECT_EQ(verdict.baseline(), artefact_);
  ASSERT_EQ(verdict.tests_size(), 4);
  EXPECT_EQ(verdict.tests(3).outcome(), v1::PASS);
  EXPECT_EQ(verdict.tests(3).losses(), 0) << "the network asks the same question";

  v1::CreateEvaluationRequest release;  // of what it was held against, which changes nothing here
  release.set_artefact(artefact_);
  release.set_suite_yaml(kSuite);
  ASSERT_THAT(desk_->Create(release), IsOk());
  ASSERT_EQ(WorkOnce(Handler()), "done");
  EXPECT_EQ(One("SELECT count(*) FROM verdicts WHERE releases"), "1");
  EXPECT_EQ(desk_->Create(request)->replaces(), 0) << "it is asked once";
}

TEST_F(RemoteModelTest, SaysWhoseAnswersTheyAre) {
  const v1::Verdict verdict = Judge(Request(server_.address()));
  ASSERT_NE(verdict.verdict_id(), 0);
  const std::string html = *desk_->Report(verdict.verdict_id());
  for (const std::string& text :
       {html, *cli::FormatVerdict(verdict, "table"), *cli::FormatVerdict(verdict, "markdown")}) {
    EXPECT_THAT(text, HasSubstr("that the classifier brightness 1 at 127"));
    EXPECT_THAT(text, HasSubstr("No replay can give them again"));
    EXPECT_THAT(text, HasSubstr("never released"));
    EXPECT_THAT(text, ::testing::Not(HasSubstr("the same verdict on every machine")));
  }
  v1::ListVerdictsRequest list;
  list.set_project("people");
  EXPECT_EQ(desk_->List(list)->verdicts(0).remote_model().model(), "brightness");
}

TEST_F(RemoteModelTest, IsNotSignedThoughTheEvaluatorHasAKey) {
  ASSERT_THAT(desk_->Create(Request(server_.address())), IsOk());
  const EvaluateHandler signs(
      database(), store(), *servers_, "r", 1, [](v1::Outcome) {}, attest::PrivateKey::Generate());
  ASSERT_EQ(WorkOnce(signs, "evaluate_remote"), "done");
  v1::ListVerdictsRequest list;
  list.set_project("people");
  const v1::Verdict verdict = desk_->List(list)->verdicts(0);
  EXPECT_EQ(verdict.outcome(), v1::PASS);
  EXPECT_EQ(verdict.envelope(), "");
  v1::ReadExhibitRequest request;
  request.set_verdict_id(verdict.verdict_id());
  const auto refused = desk_->Exhibit(request);
  EXPECT_EQ(refused.status().reason(), "NOT_SIGNED");
  EXPECT_THAT(refused.status().message(), HasSubstr("cannot be made again"));
}

// Two windows side by side in each image. The detector sees what is bright: above 150 levels a
// person, sure of it above 180.
class RemoteDetectorTest : public RemoteModelTest {
 protected:
  static constexpr int kLeft = 40;

  RemoteDetectorTest()
      : detector_("centernet", "v7", [this](const teacher::Tile& tile) { return See(tile); }),
        served_(detector_) {}

  Result<std::vector<teacher::Detection>> See(const teacher::Tile& tile) {
    ++looks_;
    std::vector<teacher::Detection> seen;
    for (const int x : {0, kLeft}) {
      const uint8_t level = tile.pixels[static_cast<size_t>(3 * (x + 4))];
      const auto left = static_cast<float>(x);
      if (level > 150) seen.push_back({left, 0, left + kLeft, kLeft, level > 180 ? 0.9F : 0.4F, 0});
    }
    return seen;
  }

  // Adds an image of two windows and their samples.
  void AddImage(snapshot::Snapshot& data, uint8_t left, uint8_t right, int label) {
    images::Image image = images::Blank(2 * kLeft, kLeft, 1);
    for (size_t i = 0; i < image.pixels.size(); ++i) {
      image.pixels[i] = static_cast<int>(i) % (2 * kLeft) < kLeft ? left : right;
    }
    image.pixels[0] = static_cast<uint8_t>(data.rows.size() / 2);  // all differ
    const std::string digest = *store().Put(images::EncodePng(image));
    for (const int x : {0, kLeft}) {
      snapshot::Row row;
      row.name = catalog::SampleName(digest, catalog::Window{x, 0, kLeft, kLeft});
      row.part = snapshot::Part::kTest;
      row.class_index = x == 0 ? label : 0;
      row.posterior = 1;
      data.rows.push_back(row);
      data.pixels.insert(data.pixels.end(), kSide * kSide, 0);
    }
  }

  std::string Freeze(const snapshot::Snapshot& data) {
    const auto frozen = *snapshot::Encode(data);
    const std::string rows = *store().Put(frozen.rows);
    const std::string pixels = *store().Put(frozen.pixels);
    const Status added = database().Transact([&](db::Tx& tx) {
      return catalog::Snapshots(tx).Add(
          {.digest = rows, .pixels_digest = pixels, .project_id = 1, .summary_json = "{}"});
    });
    EXPECT_THAT(added, IsOk());
    return rows;
  }

  // 60 images with a person on the left, of whom 50 are clear and 4 are faint; nobody on the right,
  // where two are faint too.
  snapshot::Snapshot Windows() {
    snapshot::Snapshot data = SampleData();
    data.rows.clear();
    data.pixels.clear();
    for (int i = 0; i < 60; ++i) {
      AddImage(data, i < 50 ? 200 : i < 54 ? 160 : 30, i < 2 ? 160 : 40, 1);
    }
    return data;
  }

  v1::CreateEvaluationRequest DetectorRequest(const std::string& snapshot) {
    auto request = Request(served_.address());
    request.mutable_remote_model()->set_model("centernet");
    request.mutable_remote_model()->set_kind(v1::RemoteModel::DETECTOR);
    request.set_snapshot(snapshot);
    request.set_suite_yaml(R"yaml(
suite: people
version: 1
defaults: { positive: person }
tests:
  - { id: found, slice: all, metric: recall, at_least: 0.7 }
  - { id: quiet, slice: all, metric: fpr, at_most: 0.1 }
  - { id: dark, slice: all, metric: recall, at_least: 0.9, transform: "darken(0.3, 2)" }
  - { id: fits, on: m4, fits: { flash_bytes: 131072 } }
)yaml");
    return request;
  }

  std::atomic<int> looks_ = 0;
  teacher::InferenceService detector_;
  Served served_;
};

TEST_F(RemoteDetectorTest, AnswersAboutEachWindowOfTheImagesAsTheyCameIn) {
  const v1::Verdict verdict = Judge(DetectorRequest(Freeze(Windows())));
  ASSERT_EQ(verdict.tests_size(), 4);
  EXPECT_EQ(verdict.tests(0).n(), 60);
  EXPECT_EQ(verdict.tests(0).successes(), 50) << "unsure is no person";
  EXPECT_EQ(verdict.tests(1).n(), 60);
  EXPECT_EQ(verdict.tests(1).successes(), 0) << "and no alarm";
  EXPECT_EQ(verdict.unsure_answers(), 6);
  EXPECT_EQ(looks_, 60) << "one look at an image, however many windows it has";
  EXPECT_EQ(verdict.tests(2).outcome(), v1::ERROR);
  EXPECT_THAT(verdict.tests(2).reason(), HasSubstr("as they came in"));
  EXPECT_EQ(verdict.tests(3).outcome(), v1::ERROR);
  EXPECT_EQ(verdict.outcome(), v1::ERROR);
  EXPECT_EQ(verdict.remote_model().version(), "v7");
  EXPECT_EQ(verdict.remote_model().rule(), "person_window/1, unsure counts as no_person");
  EXPECT_THAT(*cli::FormatVerdict(verdict, "table"), HasSubstr("; 6 were unsure"));
}

TEST_F(RemoteDetectorTest, NeedsClassesThatItsRuleHas) {
  snapshot::Snapshot data = Windows();
  data.classes = {"empty", "person"};
  const auto refused = desk_->Create(DetectorRequest(Freeze(data)));
  EXPECT_EQ(refused.status().reason(), "MODEL_DOES_NOT_FIT");
  EXPECT_THAT(refused.status().message(), HasSubstr("person or no_person"));
}

TEST_F(RemoteDetectorTest, NeedsTheImagesThemselves) {
  auto request = DetectorRequest(snapshot_);  // whose rows name no blob
  ASSERT_THAT(desk_->Create(request), IsOk());
  EXPECT_EQ(Work(), "dead");
  EXPECT_EQ(One("SELECT count(*) FROM verdicts"), "0");
}

TEST_F(RemoteDetectorTest, IsNoClassifier) {
  auto request = DetectorRequest(snapshot_);
  request.mutable_remote_model()->set_kind(v1::RemoteModel::CLASSIFIER);
  const auto refused = desk_->Create(request);
  EXPECT_EQ(refused.status().reason(), "MODEL_TENSORS");
  EXPECT_THAT(refused.status().message(), HasSubstr("detections FP32"));
}

}  // namespace
}  // namespace bitfoundry::evaluator
