// The story of scripts/demo in small, by the real processes: images in, a verdict out.
// The teacher is the one stand-in: see tests/support/factory.h.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/client_unary_call.h>

#include <csignal>
#include <fstream>
#include <set>
#include <sstream>

#include "bitfoundry/v1/project.grpc.pb.h"
#include "grpc/health/v1/health.grpc.pb.h"
#include "runtime/client.h"
#include "tests/support/factory.h"

namespace bitfoundry::testing {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

constexpr std::pair<const char*, const char*> kDoors[] = {
    {"bf-ingestion", "bitfoundry.v1.Ingestion"},
    {"bf-autolabel", "bitfoundry.v1.AutoLabel"},
    {"bf-labelqueue", "bitfoundry.v1.LabelQueue"},
    {"bf-trainer", "bitfoundry.v1.TrainingLeases"},
    {"bf-evaluator", "bitfoundry.v1.Evaluator"}};

constexpr char kRecipe[] = R"json({
  "name": "bars", "epochs": 16, "batch": 12, "threads": 1,
  "stem": {"channels": 32, "kernel": 5, "stride": 4},
  "blocks": [{"channels": 32}, {"channels": 32, "pool": true}]
})json";
constexpr char kPass[] = "slice: all, metric: accuracy, at_least: 0.6";

// A suite that blocks on one test.
std::string Suite(const std::string& test) {
  return "suite: bars\nversion: 1\ndefaults: { positive: person }\n"
         "slices:\n  tall: label == \"person\" && attr.box_height_px >= 24\n"
         "tests:\n  - { id: the_one, " +
         test + " }\n";
}

// Whether the server's reflection names `service`. A call of one message, so no stream is needed.
bool Reflects(const std::shared_ptr<grpc::Channel>& channel, const std::string& service) {
  const grpc::internal::RpcMethod rpc(
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
      grpc::internal::RpcMethod::NORMAL_RPC);
  const grpc::Slice list_services(std::string("\x3A\x00", 2));  // field 7, an empty string
  const grpc::ByteBuffer request(&list_services, 1);
  grpc::ByteBuffer response;
  runtime::Call call;
  const grpc::Status status =
      grpc::internal::BlockingUnaryCallImpl<grpc::ByteBuffer, grpc::ByteBuffer>(
          channel.get(), rpc, &call, request, &response)
          .status();
  EXPECT_TRUE(status.ok()) << status.error_message();
  grpc::Slice slice;
  EXPECT_TRUE(response.DumpToSingleSlice(&slice).ok());
  const std::string bytes(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return bytes.find(service) != std::string::npos;
}

class Story : public ::testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& text) {
    return WriteText(factory_.folder(), name, text);
  }

  void ExpectADoor(const std::string& door, const std::string& service) {
    const auto channel = runtime::Connect(factory_.Listens(door));
    grpc::health::v1::HealthCheckResponse health;
    runtime::Call call;
    EXPECT_TRUE(grpc::health::v1::Health::NewStub(channel)->Check(&call, {}, &health).ok()) << door;
    EXPECT_EQ(health.status(), grpc::health::v1::HealthCheckResponse::SERVING) << door;
    EXPECT_TRUE(Reflects(channel, service)) << door;
  }

  void ExpectADeadlineToBeRequired() {
    const auto stub = v1::Projects::NewStub(runtime::Connect(factory_.Listens("bf-ingestion")));
    grpc::ClientContext endless;
    v1::ListProjectsResponse response;
    EXPECT_EQ(runtime::FromGrpc(stub->ListProjects(&endless, {}, &response)).reason(),
              "DEADLINE_REQUIRED");
  }

  void ExpectMetrics() {
    for (const auto& [door, service] : kDoors) {
      EXPECT_THAT(HttpGet(factory_.Metrics(door), "/metrics"),
                  HasSubstr("bf_grpc_server_handled_total{code=\"OK\""))
          << door;
    }
    EXPECT_THAT(HttpGet(factory_.Metrics("bf-evaluator"), "/metrics"),
                HasSubstr("bf_verdicts_total{outcome=\"PASS\"} 2"));
    EXPECT_THAT(HttpGet(factory_.Metrics("bf-labelqueue"), "/metrics"),
                HasSubstr("bf_queue_oldest_ready_age_seconds{queue=\"task\"} 0"));
  }

  // Images in, a snapshot out.
  void MakeSnapshot() {
    factory_.Must("project create bars --classes no_person,person --input 64x64x1");
    // A broken picture is reported and keeps no other from being taken.
    std::ofstream(pictures_.train + "/cut.png") << "\x89PNG\r\n\x1a\n";
    const Said ingested =
        factory_.Cli("ingest bars " + pictures_.train + " --session morning --camera gate --json");
    EXPECT_EQ(ingested.code, 1);
    EXPECT_EQ(ingested.json()["accepted"], Pictures::kTrain);
    ASSERT_EQ(ingested.json()["refused"].size(), 1);
    EXPECT_EQ(ingested.json()["refused"][0]["reason"], "IMAGE_TRUNCATED");
    EXPECT_EQ(factory_.Must("ingest bars " + pictures_.test +
                            " --part test --session evening"
                            " --camera gate")["accepted"],
              Pictures::kTest);

    const json labelled = factory_.Must("autolabel bars --watch");
    EXPECT_EQ(labelled["judged_images"], std::to_string(Pictures::kTrain + Pictures::kTest));
    EXPECT_EQ(labelled["answers"]["unsure"], std::to_string(Pictures::kPale + Pictures::kTest / 6));
    EXPECT_EQ(labelled["open_tasks"], std::to_string(Pictures::kPale + Pictures::kTest));

    EXPECT_EQ(factory_.Must("label bars --annotator maria --answers " + pictures_.answers),
              json({{"answered", Pictures::kPale + Pictures::kTest},
                    {"skipped", 0},
                    {"no_task", 0},
                    {"no_sample", 0}}));
    const json snapshot = factory_.Must("snapshot bars");
    EXPECT_EQ(snapshot["train_samples"], Pictures::kTrain);
    EXPECT_EQ(snapshot["test_samples"], Pictures::kTest);
    EXPECT_EQ(snapshot["unlabelled_samples"], 0);
  }

  // Trains, and returns the artefact.
  std::string Train() {
    const std::string suite = Write("suite.yaml", Suite(kPass));
    const json run = factory_.Must("train bars --watch --recipe " + Write("recipe.json", kRecipe) +
                                   " --suite " + suite);
    EXPECT_EQ(run["state"], "DONE");
    EXPECT_EQ(run["attempts"], 1);
    return run["artefact"];
  }

  // The newest, whichever way it goes.
  json Verdict(const std::string& artefact) {
    return factory_.Cli("verdict " + artefact + " --json").json();
  }

  // The exit code of `evaluate` with that test in the suite.
  int Evaluate(const std::string& artefact, const std::string& test,
               const std::string& options = "") {
    return factory_
        .Cli("evaluate " + artefact + " --suite " + Write("suite.yaml", Suite(test)) + " " +
             options)
        .code;
  }

  void ExpectAVerdict(const std::string& artefact) {
    // The evaluation that came with the training; then others, one for each exit code.
    const json verdict = Verdict(artefact);
    EXPECT_EQ(verdict["outcome"], "PASS") << verdict;
    EXPECT_EQ(verdict["tests"][0]["n"], Pictures::kTest);
    const double rate = std::min(0.999, verdict["tests"][0]["rate"].get<double>());
    EXPECT_EQ(Evaluate(artefact, "slice: tall, metric: recall, at_least: 0.5"), 0);
    EXPECT_EQ(Evaluate(artefact, "slice: all, metric: accuracy, at_least: 0.9, transform: " +
                                     std::string("\"darken(0.02, 1)\"")),
              1);
    EXPECT_EQ(Evaluate(artefact, "slice: all, metric: accuracy, at_least: " + std::to_string(rate)),
              2);
    EXPECT_EQ(Evaluate(artefact, "slice: all, metric: accuracy, at_least: 0.5, min_n: 99"), 3);
    const Said junit = factory_.Cli("verdict " + artefact + " --format junit");
    EXPECT_EQ(junit.code, 3);  // the newest verdict
    EXPECT_THAT(junit.text, ::testing::ContainsRegex("<testsuites.* errors=\"1\""));
    const std::string report = factory_.folder() / "report.html";
    EXPECT_EQ(Evaluate(artefact, kPass, "--report " + report), 0);
    EXPECT_GT(std::filesystem::file_size(report), 1000U);
    const std::string again = Write("suite.yaml", Suite(kPass));
    EXPECT_EQ(factory_.Cli("verdict " + artefact + " --suite " + again).code, 0);
  }

  void ExpectASignedVerdict(const std::string& artefact) {
    const std::string folder = factory_.folder() / "verdict";
    EXPECT_EQ(factory_.Cli("verdict " + artefact + " --export " + folder).code, 3);  // its outcome
    const std::string key = " --key " + (factory_.folder() / "data/keys/public.pem").string();
    const json verified = factory_.Must("verify " + folder + "/verdict.intoto.jsonl" + key);
    EXPECT_EQ(verified["artefact"], artefact);
    EXPECT_EQ(verified["computed_by"], Verdict(artefact)["runtime"]);
    EXPECT_THAT(factory_.Cli("verdict " + artefact + " --format model-card").text,
                ::testing::AllOf(HasSubstr("# Model card: bars"), HasSubstr("## How it was judged"),
                                 HasSubstr(Verdict(artefact)["envelope"].get<std::string>())));
  }

  void ExpectStatus(const std::string& artefact) {
    const json status = factory_.Must("status");
    EXPECT_EQ(status["state"], "up");
    for (const json& process : status["processes"]) {
      EXPECT_EQ(process["state"], "ready") << process;
      EXPECT_EQ(process["restarts"], 0) << process;
      EXPECT_EQ(process["health"], process["metrics"] == "" ? "-" : "SERVING") << process;
    }
    for (const json& queue : status["queues"]) {
      EXPECT_EQ(queue["ready"], "0") << queue;
      EXPECT_EQ(queue["running"], "0") << queue;
      EXPECT_EQ(queue["dead"], "0") << queue;
    }
    EXPECT_EQ(status["verdicts"].size(), 5);
    EXPECT_EQ(status["verdicts"][0]["artefact"], artefact);
  }

  // The teacher behind its own protocol, beside the artefact.
  void ExpectABoard(const std::string& artefact) {
    const std::string teacher = "evaluate oip://" + factory_.TeacherAddress() +
                                "/centernet --kind detector --project bars --suite " +
                                Write("suite.yaml", Suite(kPass));
    const Said judged = factory_.Cli(teacher + " --json");
    EXPECT_EQ(judged.code, 0) << judged.text;  // wrong where a bar is pale
    EXPECT_EQ(judged.json()["tests"][0]["successes"], Pictures::kTest - Pictures::kTest / 6);
    EXPECT_EQ(judged.json()["unsure_answers"], Pictures::kTest / 6);
    EXPECT_EQ(judged.json()["artefact"], "");
    EXPECT_EQ(factory_.Cli(teacher).code, 0) << "once for ever";

    const std::string page = factory_.folder() / "board.html";
    const json board = factory_.Must("board bars --suite " + Write("suite.yaml", Suite(kPass)) +
                                     " --html " + page);
    ASSERT_EQ(board["models"].size(), 2);
    EXPECT_EQ(board["models"][0]["verdict"]["artefact"], artefact);
    EXPECT_EQ(board["models"][1]["verdict"]["remote_model"]["version"], "bars");
    EXPECT_EQ(board["tests"][0]["cells"].size(), 2);
    EXPECT_EQ(board["versions"].size(), 1);
    EXPECT_GT(std::filesystem::file_size(page), 1000U);
    EXPECT_EQ(factory_.Cli("board cats").code, 1);
  }

  void ExpectAGoodModel(const std::string& artefact) {
    const std::string folder = factory_.folder() / "model";
    const json pulled = factory_.Must("artefact pull " + artefact + " -o " + folder);
    std::set<std::string> files;
    for (const json& file : pulled["files"]) files.insert(file["name"]);
    EXPECT_THAT(files, ::testing::IsSupersetOf({"model.bnn", "manifest.json", "golden.bin"}));
    EXPECT_LE(std::filesystem::file_size(folder + "/model.bnn"), 60'000U);
    const json layers = factory_.Must("inspect " + folder + "/model.bnn");
    EXPECT_GT(layers["macs_1bit"], 0);
    int right = 0;
    for (int i = Pictures::kTrain; i < Pictures::kTrain + Pictures::kTest; ++i) {
      const json answer = factory_.Must("run " + folder + "/model.bnn " + pictures_.test + "/" +
                                        std::to_string(i) + ".png");
      right += answer["class"] == (i % 2 == 0 ? 1 : 0);
    }
    // The very count that the evaluator made of the same bytes.
    EXPECT_EQ(Verdict(artefact)["tests"][0]["successes"], right);
  }

  // The folder for a core, with what that core was seen to do.
  void ExpectACountedFirmware(const std::string& artefact) {
    const std::string folder = factory_.folder() / "m0plus";
    factory_.Must("artefact pull " + artefact + " --core m0plus --emulate -o " + folder);
    json counted = json::parse(std::ifstream(folder + "/firmware/model_emulated.json"));
    EXPECT_EQ(counted["artefact"], artefact);
    counted.erase("artefact");
    counted.erase("firmware");
    EXPECT_EQ(counted["core"], "m0plus");
    EXPECT_EQ(counted["differences"], json::array());
    EXPECT_GT(counted["instructions"], 0);
    const json typed = factory_.Must("emulate " + folder + "/model.bnn --core m0plus");
    EXPECT_EQ(counted, typed["cores"][0]);
    std::stringstream page;
    page << std::ifstream(folder + "/firmware/model_emulated.md").rdbuf();
    EXPECT_THAT(page.str(), HasSubstr("| all |  | "));
    EXPECT_TRUE(std::filesystem::exists(folder + "/firmware/model.c"));
    factory_.Must("artefact pull " + artefact + " --core m4 -o " + folder);
    EXPECT_FALSE(std::filesystem::exists(folder + "/firmware/model_emulated.md")) << "of another";
  }

  Factory factory_;
  const Pictures pictures_{factory_.folder()};
};

TEST_F(Story, FromImagesToAVerdictThatARestartKeeps) {
  factory_.Up();
  for (const auto& [door, service] : kDoors) ExpectADoor(door, service);
  ExpectADeadlineToBeRequired();
  MakeSnapshot();
  const std::string artefact = Train();
  ExpectAVerdict(artefact);
  ExpectAGoodModel(artefact);
  ExpectACountedFirmware(artefact);
  ExpectASignedVerdict(artefact);
  ExpectStatus(artefact);
  ExpectMetrics();
  ExpectABoard(artefact);

  const json verdict = Verdict(artefact);
  const json models = factory_.Must("models bars");
  const json queues = factory_.Must("status")["queues"];
  const json snapshot = factory_.Must("snapshot bars");
  factory_.Down();
  EXPECT_EQ(factory_.Cli("snapshot bars").code, 1);
  factory_.Up();
  EXPECT_EQ(Verdict(artefact), verdict);
  EXPECT_EQ(factory_.Must("models bars"), models);
  EXPECT_EQ(factory_.Must("status")["queues"], queues);
  ExpectAGoodModel(artefact);
  EXPECT_EQ(factory_.Must("snapshot bars"), snapshot);
  // The same pictures again are no samples, and the same run again is done already.
  EXPECT_EQ(factory_.Must("ingest bars " + pictures_.test + " --part test")["duplicates"],
            Pictures::kTest);
  EXPECT_EQ(Train(), artefact);
}

TEST_F(Story, PeopleAreAskedAboutEverySampleWithoutALabelIfToldTo) {
  factory_.Up();
  factory_.Must("project create bars --classes no_person,person --input 64x64x1");
  factory_.Signal("bf-autolabel", SIGSTOP);  // it would ask them too, and label some
  factory_.Must("ingest bars " + pictures_.train + " --session morning");
  factory_.Must("ingest bars " + pictures_.test + " --part test --session evening");
  const std::string prepared = "label bars --annotator maria --answers " + pictures_.answers;
  constexpr int kAnswers = Pictures::kPale + Pictures::kTest;
  const std::string cats = Write("cats.csv", "sample,answer\nx,unsure\nx,cat\n");
  const Said refused = factory_.Cli("label bars --annotator maria --json --answers " + cats);
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.json()["error"]["message"],
              HasSubstr("cats.csv:3: 'cat' is no answer here; those are: no_person, person, "));
  const auto why = [&](const std::string& file, const std::string& text) {
    const Said said =
        factory_.Cli("label bars --annotator maria --json --answers " + Write(file, text));
    EXPECT_EQ(said.code, 1);
    return said.json()["error"]["message"].get<std::string>();
  };
  const std::string sample = factory_.One("SELECT image_digest FROM samples LIMIT 1");
  EXPECT_THAT(why("two.csv", "sample,answer\n" + sample + ",person\n" + sample + ",no_person\n"),
              HasSubstr("two.csv:3: line 2 says another thing of " + sample));
  EXPECT_THAT(why("tag.csv", "sample,answer,Way\n" + sample + ",person,up\n"),
              HasSubstr("tag.csv:1: tag 'Way'"));
  EXPECT_THAT(why("twice.csv", "sample,answer,way,way\n" + sample + ",person,up,down\n"),
              HasSubstr("twice.csv:1: the column 'way' is there twice"));
  EXPECT_THAT(
      why("long.csv", "sample,answer,way\n" + sample + ",person," + std::string(129, 'x') + "\n"),
      HasSubstr("long.csv:2: tag 'way'"));
  EXPECT_THAT(why("none.csv", "# nothing\n"), HasSubstr("no line names the columns"));
  EXPECT_THAT(why("bytes.csv", "sample,answer\n\xff,person\n"),
              HasSubstr("bytes.csv:2: not UTF-8, or NUL"));
  EXPECT_EQ(factory_.Must(prepared)["no_task"], kAnswers);
  EXPECT_EQ(factory_.Must(prepared + " --all")["answered"], kAnswers);
  const json status = factory_.Cli("status --json").json();  // one of the processes is stopped
  for (const json& queue : status["queues"]) {
    if (queue["kind"] != "task") continue;
    EXPECT_EQ(queue["done"], std::to_string(kAnswers));
    EXPECT_EQ(queue["ready"], std::to_string(Pictures::kTrain + Pictures::kTest - kAnswers));
  }
  EXPECT_EQ(factory_.One("SELECT count(*) FROM tasks"),
            std::to_string(Pictures::kTrain + Pictures::kTest));
  EXPECT_EQ(factory_.Must(prepared + " --all")["no_task"], kAnswers);
  EXPECT_EQ(factory_.One("SELECT count(*) FROM tasks"),
            std::to_string(Pictures::kTrain + Pictures::kTest));
  factory_.Signal("bf-autolabel", SIGCONT);
}

}  // namespace
}  // namespace bitfoundry::testing
