// evaluate, verdict: does the model hold? Exit 0 pass, 1 fail, 2 inconclusive, 3 error.
#include <chrono>
#include <cstdio>
#include <thread>

#include "base/digest.h"
#include "bitfoundry/v1/evaluator.grpc.pb.h"
#include "bitfoundry/v1/trainer.grpc.pb.h"
#include "services/bitfoundry/cli.h"
#include "services/bitfoundry/export_verdict.h"
#include "services/bitfoundry/remote_name.h"
#include "services/bitfoundry/verdict_text.h"

namespace bitfoundry::cli {
namespace {

using namespace std::chrono_literals;

constexpr int kNoVerdict = 3;

struct VerdictOptions {
  std::string model;
  std::string kind;     // of a remote model
  std::string project;  // of a remote model
  std::string suite_file;
  std::string suite;
  std::string snapshot;
  std::string baseline;
  std::string format = "table";
  std::string report;
  std::string junit;
  std::string attestation;
  std::string export_to;
  int64_t timeout_seconds = 1800;
};

Status SaveReport(v1::Evaluator::Stub& stub, int64_t verdict, const std::string& path) {
  v1::ReadReportRequest request;
  request.set_verdict_id(verdict);
  runtime::Call call(60s);
  const auto stream = stub.ReadReport(&call, request);
  std::string html;
  for (v1::ReadReportResponse part; stream->Read(&part);) html += part.chunk();
  BF_TRY(runtime::FromGrpc(stream->Finish()));
  return WriteFile(path, html);
}

// What the artefact says of itself, without any verdict.
Result<std::string> CardOf(const Shell& shell, const std::string& artefact) {
  const auto stub = v1::Trainer::NewStub(BF_TRY(shell.Door("trainer")));
  v1::ReadArtefactFileRequest request;
  request.set_artefact(artefact);
  request.set_name("MODEL_CARD.md");
  runtime::Call call(60s);
  const auto stream = stub->ReadArtefactFile(&call, request);
  std::string card;
  for (v1::ReadArtefactFileResponse part; stream->Read(&part);) card += part.chunk();
  BF_TRY(runtime::FromGrpc(stream->Finish()));
  return card;
}

// What there is only of artefacts.
Status CheckRemoteOutputs(const VerdictOptions& options) {
  if (options.format == "model-card") return BadUsage("a remote model has no model card");
  if (options.attestation.empty() && options.export_to.empty()) return Status();
  return Status(Code::kFailedPrecondition, "NOT_SIGNED",
                "a verdict on a remote model is never signed, because its answers cannot be made "
                "again: leave out --attestation and --export");
}

Result<int> Show(const Shell& shell, const VerdictOptions& options, v1::Evaluator::Stub& stub,
                 const v1::Verdict& verdict) {
  if (verdict.outcome() == v1::OUTCOME_UNSPECIFIED) {
    return Status(Code::kInternal, "NO_OUTCOME",
                  "the evaluator says that it is done but gave no verdict: ask again");
  }
  if (verdict.has_remote_model()) BF_TRY(CheckRemoteOutputs(options));
  const std::string form = shell.json ? "json" : options.format;
  v1::Verdict shown = verdict;
  if (form == "github" && !options.suite_file.empty()) shown.set_suite_name(options.suite_file);
  std::string text = BF_TRY(FormatVerdict(shown, form));
  if (form == "model-card") text = BF_TRY(CardOf(shell, verdict.artefact())) + "\n" + text;
  if (!options.junit.empty()) {
    BF_TRY(WriteFile(options.junit, BF_TRY(FormatVerdict(verdict, "junit"))));
  }
  if (!options.report.empty()) BF_TRY(SaveReport(stub, verdict.verdict_id(), options.report));
  if (!options.attestation.empty()) BF_TRY(SaveBundle(stub, verdict, options.attestation));
  if (!options.export_to.empty()) BF_TRY(ExportVerdict(stub, verdict, options.export_to));
  std::printf("%s", text.c_str());
  return ExitCode(verdict.outcome());
}

// Polls until the evaluation has ended.
Result<v1::Verdict> Await(v1::Evaluator::Stub& stub, const v1::GetVerdictRequest& request,
                          std::chrono::seconds timeout) {
  const auto until = std::chrono::steady_clock::now() + timeout;
  while (true) {
    v1::GetVerdictResponse response;
    BF_TRY(WhileUnavailable([&] {
      runtime::Call call;
      return stub.GetVerdict(&call, request, &response);
    }));
    if (response.state() == v1::GetVerdictResponse::DONE) return response.verdict();
    if (response.state() == v1::GetVerdictResponse::DEAD) {
      return Status(Code::kInternal, "EVALUATION_DEAD",
                    response.error() +
                        "; `bitfoundry jobs list-dead` names the job, `redrive` tries it again");
    }
    if (std::chrono::steady_clock::now() > until) {
      return Status(Code::kDeadlineExceeded,
                    "no verdict after " + std::to_string(timeout.count()) +
                        " s; the evaluation goes on, the same command waits for it again");
    }
    std::this_thread::sleep_for(200ms);
  }
}

Result<int> Evaluate(const Shell& shell, const VerdictOptions& options) {
  BF_TRY(CheckWritable(options.report));
  BF_TRY(CheckWritable(options.junit));
  BF_TRY(CheckWritable(options.attestation));
  v1::CreateEvaluationRequest request;
  if (IsRemote(options.model)) {
    BF_TRY(CheckRemoteOutputs(options));
    *request.mutable_remote_model() = BF_TRY(ReadRemote(options.model, options.kind));
    request.mutable_remote_model()->set_project(options.project);
  } else if (!options.kind.empty() || !options.project.empty()) {
    return BadUsage("--kind and --project are of remote models, like oip://host:port/name");
  } else {
    request.set_artefact(options.model);
  }
  request.set_suite_yaml(BF_TRY(ReadSuite(options.suite_file)));
  request.set_suite_name(std::filesystem::path(options.suite_file).filename().string());
  request.set_snapshot(options.snapshot);
  request.set_baseline(options.baseline);
  const auto stub = v1::Evaluator::NewStub(BF_TRY(shell.Door("evaluator")));
  v1::Evaluation evaluation;
  runtime::Call call;
  BF_TRY(runtime::FromGrpc(stub->CreateEvaluation(&call, request, &evaluation)));

  v1::GetVerdictRequest wanted;
  wanted.set_artefact(evaluation.artefact() + evaluation.remote_model());  // one of the two
  wanted.set_suite(evaluation.suite());
  wanted.set_snapshot(evaluation.snapshot());
  wanted.set_baseline(evaluation.baseline());
  wanted.set_newer_than(evaluation.replaces());
  const v1::Verdict verdict =
      BF_TRY(Await(*stub, wanted, std::chrono::seconds(options.timeout_seconds)));
  return Show(shell, options, *stub, verdict);
}

Result<int> ShowVerdict(const Shell& shell, const VerdictOptions& options) {
  v1::GetVerdictRequest request;
  request.set_artefact(options.model);
  if (!options.suite.empty()) {
    request.set_suite(IsDigest(options.suite) ? options.suite
                                              : Sha256(BF_TRY(ReadSuite(options.suite))));
  }
  request.set_snapshot(options.snapshot);
  if (!options.baseline.empty()) request.set_baseline(options.baseline);
  const auto stub = v1::Evaluator::NewStub(BF_TRY(shell.Door("evaluator")));
  const v1::Verdict verdict =
      BF_TRY(Await(*stub, request, std::chrono::seconds(options.timeout_seconds)));
  return Show(shell, options, *stub, verdict);
}

void AddShared(CLI::App& command, VerdictOptions& options) {
  command.add_option("--snapshot", options.snapshot, "Digest; else the one it was trained on");
  command
      .add_option("--format", options.format,
                  "table | json | junit | markdown | model-card | github")
      ->check(CLI::IsMember({"table", "json", "junit", "markdown", "model-card", "github"}))
      ->capture_default_str();
  command.add_option("--report", options.report, "Also write the HTML report to this file");
  command.add_option("--junit", options.junit, "Also write JUnit XML to this file");
  command.add_option("--attestation", options.attestation,
                     "Also write the signed verdict (in-toto) to this file");
  command.add_option("--export", options.export_to,
                     "Also write it, and all that `verify` needs to replay it, into this folder");
  command.add_option("--timeout", options.timeout_seconds, "Seconds to wait for the verdict")
      ->capture_default_str();
  command.footer(command.get_footer() +
                 "\n\nExit code: 0 pass, 1 fail, 2 inconclusive, 3 error (also of usage).");
}

}  // namespace

void AddVerdictCommands(CLI::App& app, Shell& shell) {
  const auto evaluate = std::make_shared<VerdictOptions>();
  CLI::App* command = Add(app, shell, "evaluate", "Run a suite of data unit tests on a model",
                          "bitfoundry evaluate 3f9a2b1c --suite person.yaml --report report.html\n"
                          "  bitfoundry evaluate oip://127.0.0.1:9000/centernet --kind detector "
                          "--project person --suite person.yaml",
                          evaluate, Evaluate);
  AddShared(*command, *evaluate);
  command
      ->add_option("MODEL", evaluate->model,
                   "Digest of an artefact, or its first 8 digits; or a model behind the Open\n"
                   "Inference Protocol: oip://host:port/name, perhaps with @version")
      ->required();
  command->add_option("--kind", evaluate->kind, "Of such a model: classifier | detector")
      ->check(CLI::IsMember({"classifier", "detector"}));
  command->add_option("--project", evaluate->project, "Of such a model: whose newest snapshot");
  command->add_option("--baseline", evaluate->baseline,
                      "Artefact that it is held against; else what is shipped, if the suite asks:\n"
                      "what passed last by a suite of the same name");
  command->add_option("--suite", evaluate->suite_file, "YAML file, docs/verdicts.md")->required();

  const auto verdict = std::make_shared<VerdictOptions>();
  command = Add(app, shell, "verdict", "The newest verdict on a model, for release pipelines",
                "bitfoundry verdict 3f9a2b1c --format junit > verdict.xml", verdict, ShowVerdict);
  AddShared(*command, *verdict);
  command
      ->add_option("MODEL", verdict->model,
                   "Digest of an artefact or a remote model, or its first 8 digits")
      ->required();
  command->add_option("--baseline", verdict->baseline,
                      "Artefact that it was held against; else whatever the newest was");
  command->add_option("--suite", verdict->suite, "YAML file, or a suite's digest; else the newest");
  for (const char* name : {"evaluate", "verdict"}) {
    app.get_subcommand(name)->preparse_callback(
        [&shell](size_t) { shell.error_code = kNoVerdict; });
  }
}

}  // namespace bitfoundry::cli
