// board: the models of a project beside each other, by one suite, and how they came there.
#include <cstdio>

#include "base/digest.h"
#include "bitfoundry/v1/evaluator.grpc.pb.h"
#include "services/bitfoundry/board_text.h"
#include "services/bitfoundry/cli.h"

namespace bitfoundry::cli {
namespace {

using namespace std::chrono_literals;

struct BoardOptions {
  std::string project;
  std::string suite_file;
  std::string suite;
  std::string snapshot;
  std::string candidate;
  int32_t models = 0;
  int32_t versions = 0;
  std::string format = "table";
  std::string html;
};

Status SavePage(v1::Evaluator::Stub& stub, const v1::GetBoardRequest& request,
                const std::string& path) {
  runtime::Call call(60s);
  const auto stream = stub.ReadBoard(&call, request);
  std::string html;
  for (v1::ReadReportResponse part; stream->Read(&part);) html += part.chunk();
  BF_TRY(runtime::FromGrpc(stream->Finish()));
  return WriteFile(path, html);
}

Result<int> ShowBoard(const Shell& shell, const BoardOptions& options) {
  BF_TRY(CheckWritable(options.html));
  v1::GetBoardRequest request;
  request.set_project(options.project);
  request.set_suite(options.suite_file.empty() ? options.suite
                                               : Sha256(BF_TRY(ReadSuite(options.suite_file))));
  request.set_snapshot(options.snapshot);
  request.set_candidate(options.candidate);
  request.set_max_models(options.models);
  request.set_max_versions(options.versions);
  const auto stub = v1::Evaluator::NewStub(BF_TRY(shell.Door("evaluator")));
  v1::Board board;
  runtime::Call call;
  BF_TRY(runtime::FromGrpc(stub->GetBoard(&call, request, &board)));
  const std::string text = BF_TRY(FormatBoard(board, shell.json ? "json" : options.format));
  if (!options.html.empty()) BF_TRY(SavePage(*stub, request, options.html));
  std::printf("%s", text.c_str());
  return kDone;
}

}  // namespace

void AddBoardCommand(CLI::App& app, Shell& shell) {
  const auto options = std::make_shared<BoardOptions>();
  CLI::App* command =
      Add(app, shell, "board",
          "Models beside each other by one suite: candidate, shipped, baseline, remote, earlier;\n"
          "and each test over the versions",
          "bitfoundry board person --html board.html", options, ShowBoard);
  command->add_option("PROJECT", options->project, "Name of the project")->required();
  auto* file = command->add_option("--suite", options->suite_file,
                                   "YAML file; else the suite of the project's newest verdict");
  command->add_option("--suite-digest", options->suite, "The same by its digest")->excludes(file);
  command->add_option("--snapshot", options->snapshot, "Digest; else that of the newest verdict");
  command->add_option("--candidate", options->candidate,
                      "Digest of an artefact, or its first 8 digits; else the newest");
  command->add_option("--models", options->models, "Columns, at most 32; 0: 8")
      ->check(CLI::NonNegativeNumber);
  command
      ->add_option("--versions", options->versions, "Artefacts in the history, at most 100; 0: 20")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--format", options->format, "table | json | markdown")
      ->check(CLI::IsMember({"table", "json", "markdown"}))
      ->capture_default_str();
  command->add_option("--html", options->html, "Also write the board as a page to this file");
}

}  // namespace bitfoundry::cli
