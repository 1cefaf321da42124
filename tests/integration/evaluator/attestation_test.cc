// A verdict out of one place and into another: given by the evaluator, signed, exported through its
// door, and verified from nothing but the exported folder and the public key.
#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "bitfoundry/v1/jobs.pb.h"
#include "catalog/suites.h"
#include "catalog/verdicts.h"
#include "emulate/process.h"
#include "proof/core.h"
#include "proof/replay.h"
#include "runtime/client.h"
#include "services/bitfoundry/export_verdict.h"
#include "services/evaluator/evaluator_service.h"
#include "tests/integration/evaluator/evaluator_at_work.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::evaluator {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using testing::IsOk;

constexpr char kSuite[] = R"yaml(
suite: people
version: 1
defaults: { positive: person, max_evaluations: 9 }
slices:
  away: tag.motion == "away"
tests:
  - { id: away_found, slice: away, metric: recall, at_least: 0.9 }
  - { id: dark, slice: all, metric: recall, at_least: 0.9, transform: "darken(0.3, 2)" }
  - { id: alike, slice: all, across: tag.motion, metric: accuracy, max_gap: 0.1 }
  - { id: no_loss, slice: all, vs: shipped, metric: accuracy, max_loss: 0.1, first_release: true }
)yaml";

std::string ReadText(const fs::path& path) {
  std::ostringstream text;
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

void WriteText(const fs::path& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

class AttestationTest : public EvaluatorAtWork {
 protected:
  void SetUp() override {
    EvaluatorAtWork::SetUp();
    service_ = std::make_unique<EvaluatorService>(*desk_);
    grpc::ServerBuilder builder;
    builder.RegisterService(service_.get());
    server_ = builder.BuildAndStart();
    stub_ = v1::Evaluator::NewStub(server_->InProcessChannel({}));
    folder_ = fs::path(::testing::TempDir()) / ("exported_" + std::to_string(getpid()));
    WritePublicKey();
  }

  void TearDown() override {
    fs::remove_all(folder_);
    EvaluatorAtWork::TearDown();
  }

  void WritePublicKey() {
    fs::create_directories(folder_);
    WriteText(folder_ / "public.pem", key_.Public().ToPem());
  }

  // The verdict of the suite, as the evaluator's job gives it.
  v1::Verdict Evaluate(std::optional<attest::PrivateKey> key) {
    v1::EvaluateJob job;
    job.set_artefact(artefact_);
    job.set_suite(Sha256(suite_));
    job.set_snapshot(snapshot_);
    job.set_baseline(baseline_);
    jobs::Lease lease;
    BF_CHECK(google::protobuf::util::MessageToJsonString(job, &lease.payload_json).ok());
    const EvaluateHandler handler(
        database(), store(), *servers_, "the test's runtime", 2, [](v1::Outcome) {},
        std::move(key));
    const Status done = database().Transact([&](db::Tx& tx) -> Status {
      return catalog::Suites(tx).Add({job.suite(), "people.yaml", suite_});
    });
    EXPECT_THAT(done, IsOk());
    const auto write = handler(lease, {});
    EXPECT_THAT(write, IsOk());
    EXPECT_THAT(database().Transact([&](db::Tx& tx) { return (*write)(tx); }), IsOk());
    v1::GetVerdictRequest request;
    request.set_artefact(artefact_);
    return desk_->Get(request)->verdict();
  }

  void Export() {
    verdict_ = Evaluate(key_);
    ASSERT_THAT(cli::ExportVerdict(*stub_, verdict_, folder_), IsOk());
  }

  proof::SignedVerdict Opened() { return *proof::OpenVerdict(ReadText(Bundle()), key_.Public()); }

  Status Replay(const proof::SignedVerdict& verdict, const verdicts::Options& options = {}) {
    const auto exported = blobs::Store::Open(folder_ / "blobs");
    return proof::Replay(*exported, verdict, options, {});
  }

  fs::path Bundle() const { return folder_ / proof::kBundleName; }

  fs::path PathOf(const std::string& digest) const {
    return folder_ / "blobs" / digest.substr(0, 2) / digest.substr(2, 2) / digest;
  }

  // `bitfoundry verify`, on the exported folder.
  emulate::Finished Verify(const std::vector<std::string>& options = {}) {
    std::vector<std::string> arguments = {std::string(BF_BINARY_DIR) + "/bin/bitfoundry", "verify",
                                          proof::kBundleName, "--key", "public.pem"};
    arguments.insert(arguments.end(), options.begin(), options.end());
    return *emulate::Execute(arguments, "bitfoundry", folder_, std::chrono::seconds(100));
  }

  // Signs what `alter` makes of the verdict as the factory would, into the exported folder.
  template <typename Alter>
  void SignAltered(const attest::PrivateKey& key, Alter alter) {
    const proof::SignedVerdict good = Opened();
    v1::Verdict verdict = good.verdict;
    alter(verdict);
    WriteText(Bundle(), *proof::SignVerdict(verdict, good.exhibits, key));
  }

  std::string suite_ = kSuite;
  std::string baseline_;
  const attest::PrivateKey key_ = attest::PrivateKey::Generate();
  v1::Verdict verdict_;
  fs::path folder_;
  std::unique_ptr<EvaluatorService> service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<v1::Evaluator::Stub> stub_;
};

TEST_F(AttestationTest, IsVerifiedElsewhereFromTheFolderAlone) {
  Export();
  Run("DELETE FROM verdict_tests; DELETE FROM verdicts");  // nothing of the factory is asked
  const emulate::Finished done = Verify();
  EXPECT_EQ(done.exit_code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("VERIFIED: signed, and the same bits here. The verdict is "
                                     "FAIL"));
  EXPECT_THAT(done.output, HasSubstr(key_.Public().id()));
  EXPECT_THAT(done.output, HasSubstr("the test's runtime"));
  EXPECT_THAT(Verify({"--json"}).output, HasSubstr("\"verified\": true"));
}

TEST_F(AttestationTest, RepeatsWhatItWasHeldAgainstAndItsFirmware) {
  packed::Network blind = BrightnessNetwork();
  std::get<packed::Dense>(blind.ops.back().kind).biases = {1 << 20, 0};  // says nobody, always
  baseline_ = *database().Transact([&](db::Tx& tx) { return Publish(tx, blind, 2); });
  suite_ += R"yaml(
  - { id: light, scan: shortcut, on: [attr.brightness], max_gap: 0.2, severity: warn }
  - { id: fits, on: m4, fits: { flash_bytes: 65536, instructions: 90000000 } }
  - { id: same_bits, equal_on: [m4] }
)yaml";
  Export();
  EXPECT_EQ(verdict_.baseline(), baseline_);
  ASSERT_GE(verdict_.tests_size(), 8);
  const std::vector<proof::Exhibit> exhibits = Opened().exhibits;
  EXPECT_GT(exhibits.size(), 7U) << "the baseline's files too";
  Run("DELETE FROM verdict_tests; DELETE FROM verdicts");
  const emulate::Finished done = Verify();
  EXPECT_EQ(done.exit_code, 0) << done.output;

  for (const proof::Exhibit& exhibit : exhibits) {
    if (exhibit.name.find("baseline") == std::string::npos) continue;
    const std::string good = ReadText(PathOf(exhibit.sha256));
    WriteText(PathOf(exhibit.sha256), good + "x");
    EXPECT_EQ(Replay(Opened()).reason(), "DIGEST_MISMATCH") << exhibit.name;
    WriteText(PathOf(exhibit.sha256), good);
  }
}

TEST_F(AttestationTest, GivesTheSameBitsWithAllKernelsAndNumbersOfThreads) {
  Export();
  for (int cpu = 0; cpu <= static_cast<int>(packed::BestCpu()); ++cpu) {
    verdicts::Options options;
    options.cpu = static_cast<packed::Cpu>(cpu);
    options.threads = 1 + 2 * cpu;
    EXPECT_THAT(Replay(Opened(), options), IsOk()) << cpu;
  }
  EXPECT_EQ(Verify({"--kernel", "portable"}).exit_code, 0);
}

TEST_F(AttestationTest, GivesTheSameBitsOnAnEmulatedCortexM) {
  Export();
  const emulate::Finished done = Verify({"--core", "m4"});
  EXPECT_EQ(done.exit_code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("firmware on an emulated m4"));

  verdicts::Options options;  // a core that errs is noticed
  options.run_elsewhere = [](const auto&, const auto&, const std::vector<size_t>& rows, const auto&,
                             const auto&) -> Result<std::vector<size_t>> {
    return std::vector<size_t>(rows.size(), 1);
  };
  EXPECT_EQ(Replay(Opened(), options).reason(), "REPLAY_DIFFERS");
}

TEST_F(AttestationTest, IsRefusedWhenAnyByteThatItRestsOnIsAltered) {
  Export();
  const std::vector<proof::Exhibit> exhibits = Opened().exhibits;
  ASSERT_EQ(exhibits.size(), 7U) << "suite, rows, pixels, manifest, model, golden, report";
  for (const proof::Exhibit& exhibit : exhibits) {
    const std::string good = ReadText(PathOf(exhibit.sha256));
    for (const size_t at : {size_t{0}, good.size() / 2, good.size() - 1}) {
      std::string altered = good;
      altered[at] = static_cast<char>(altered[at] ^ 1);
      WriteText(PathOf(exhibit.sha256), altered);
      const Status status = Replay(Opened());
      EXPECT_EQ(status.reason(), "DIGEST_MISMATCH");
      EXPECT_THAT(status.message(), HasSubstr(exhibit.name));
    }
    const emulate::Finished done = Verify();
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.output, HasSubstr("[DIGEST_MISMATCH]"));
    fs::remove(PathOf(exhibit.sha256));
    EXPECT_EQ(Replay(Opened()).reason(), "EXHIBIT_MISSING") << exhibit.name;
    WriteText(PathOf(exhibit.sha256), good);
  }
  EXPECT_THAT(Replay(Opened()), IsOk());
}

TEST_F(AttestationTest, IsRefusedWhenItsTextOrItsSignatureIsAltered) {
  Export();
  const std::string good = ReadText(Bundle());
  for (const char* field : {"\"payload\":\"", "\"sig\":\""}) {
    std::string altered = good;
    char& digit = altered[altered.rfind(field) + std::string(field).size() + 20];
    digit = digit == 'A' ? 'B' : 'A';
    WriteText(Bundle(), altered);
    const emulate::Finished done = Verify();
    EXPECT_EQ(done.exit_code, 1);
    EXPECT_THAT(done.output, HasSubstr("[SIGNATURE_WRONG]")) << field;
  }
}

TEST_F(AttestationTest, IsRefusedWhenAnotherKeyHasSignedIt) {
  Export();
  SignAltered(attest::PrivateKey::Generate(), [](v1::Verdict& v) { v.set_outcome(v1::PASS); });
  const emulate::Finished done = Verify();
  EXPECT_EQ(done.exit_code, 1);
  EXPECT_THAT(done.output, HasSubstr("[SIGNER_UNKNOWN]"));
}

// The key was stolen, or the factory lies: the replay tells.
TEST_F(AttestationTest, IsRefusedWithTestAndFieldWhenWhatWasSignedIsNotTrue) {
  Export();
  const std::string good = ReadText(Bundle());
  const auto message = [&](auto alter) {
    WriteText(Bundle(), good);
    SignAltered(key_, alter);
    const Status status = Replay(Opened());
    EXPECT_EQ(status.reason(), "REPLAY_DIFFERS");
    return status.message();
  };
  EXPECT_EQ(message([](v1::Verdict& v) { v.mutable_tests(0)->set_successes(99); }),
            "test \"away_found\".successes: signed 99, here 98");
  EXPECT_THAT(message([](v1::Verdict& v) { v.set_outcome(v1::PASS); }),
              HasSubstr("outcome: signed \"PASS\", here \"FAIL\""));
  EXPECT_THAT(message([](v1::Verdict& v) {
                v.mutable_tests(0)->set_lower(std::nextafter(v.tests(0).lower(), 1));
              }),
              HasSubstr("test \"away_found\".lower: signed 0."));
  EXPECT_THAT(message([](v1::Verdict& v) { v.mutable_tests()->RemoveLast(); }),
              HasSubstr("tests: signed ["));
  EXPECT_THAT(message([](v1::Verdict& v) { v.mutable_tests(1)->set_rows_digest("x"); }),
              HasSubstr("rows_digest"));
  EXPECT_THAT(message([](v1::Verdict& v) { v.set_report(std::string(64, '0')); }),
              HasSubstr("exhibits"));
  EXPECT_THAT(message([](v1::Verdict& v) { v.set_project("another"); }),
              HasSubstr("project: signed \"another\", here \"people\""));
}

// An earlier look at the same rows is part of a verdict, and only the factory knows of it.
TEST_F(AttestationTest, TakesTheCountOfEarlierEvaluationsAsSigned) {
  Export();
  SignAltered(key_, [](v1::Verdict& verdict) {
    for (auto& test : *verdict.mutable_tests()) test.set_evaluations(5);
  });
  EXPECT_THAT(Replay(Opened()), IsOk());
}

TEST_F(AttestationTest, IsCheckedByOpensslAlone) {
  Export();
  const std::string text = ReadText(std::string(BF_SOURCE_DIR) + "/docs/attestation.md");
  const size_t begin = text.rfind("```sh\n") + 6;
  const std::string commands = text.substr(begin, text.find("```\n", begin) - begin);
  for (const char* line : {"1", "2"}) {
    WriteText(folder_ / "script.sh", "set -eu\nsed -n " + std::string(line) +
                                         "p verdict.intoto.jsonl > verdict.dsse.json\n" + commands);
    const auto done =
        *emulate::Execute({"sh", "script.sh"}, "dash", folder_, std::chrono::seconds(60));
    EXPECT_EQ(done.exit_code, 0) << done.output;
    EXPECT_THAT(ReadText(folder_ / "payload.json"), HasSubstr(artefact_));
  }
}

TEST_F(AttestationTest, RefusesAKeyThatCannotBeReadBeforeAnythingElse) {
  const auto refusal = [&](const std::string& key) {
    return emulate::Execute(
               {std::string(BF_BINARY_DIR) + "/bin/bitfoundry", "verify", "nowhere", "--key", key},
               "bitfoundry", folder_, std::chrono::seconds(100))
        ->output;
  };
  EXPECT_THAT(refusal("gone.pem"), AllOf(HasSubstr("gone.pem"), HasSubstr("[KEY_UNREADABLE]")));
  WriteText(folder_ / "bad.pem", "not a key");
  EXPECT_THAT(refusal("bad.pem"), AllOf(HasSubstr("bad.pem"), HasSubstr("openssl genpkey")));
  EXPECT_THAT(refusal("public.pem"), HasSubstr("nowhere: "));
}

TEST_F(AttestationTest, SaysThatAVerdictWithoutAKeyIsNotSigned) {
  verdict_ = Evaluate(std::nullopt);
  EXPECT_EQ(verdict_.envelope(), "");
  const Status status = cli::ExportVerdict(*stub_, verdict_, folder_);
  EXPECT_EQ(status.reason(), "NOT_SIGNED");
  EXPECT_THAT(status.message(), HasSubstr("--signing-key"));
}

TEST_F(AttestationTest, ReadsNothingThroughTheDoorThatTheVerdictDoesNotRestOn) {
  verdict_ = Evaluate(key_);
  const std::string secret = *store().Put("another project's picture");
  v1::ReadExhibitRequest request;
  request.set_verdict_id(verdict_.verdict_id());
  for (const std::string& digest : {secret, std::string("../../etc/passwd")}) {
    request.set_digest(digest);
    EXPECT_EQ(desk_->Exhibit(request).status().reason(), "EXHIBIT_MISSING");
  }
  request.set_digest(snapshot_);
  EXPECT_THAT(desk_->Exhibit(request), IsOk());
}

}  // namespace
}  // namespace bitfoundry::evaluator
