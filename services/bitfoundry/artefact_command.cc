// artefact pull: an artefact's files, and its firmware for a core and a budget.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "bitfoundry/v1/trainer.grpc.pb.h"
#include "emulate/emulate.h"
#include "packed/bundle.h"
#include "packed/firmware.h"
#include "packed/format.h"
#include "services/bitfoundry/cli.h"
#include "services/bitfoundry/emulated.h"

namespace bitfoundry::cli {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using Files = std::vector<packed::File>;

struct PullOptions {
  std::string artefact;  // digest, or its first digits
  std::string folder = ".";
  uint64_t flash_bytes = 0;  // 0: as the firmware was published
  std::string kernel;        // empty: chosen
  std::string core;          // empty: as the firmware was published
  std::string firmware_name = "model";
  bool emulate = false;
};

// The file's bytes, checked against its digest.
Result<std::string> Fetch(v1::Trainer::Stub& stub, const std::string& artefact,
                          const v1::ArtefactFile& file) {
  v1::ReadArtefactFileRequest request;
  request.set_artefact(artefact);
  request.set_name(file.name());
  runtime::Call call(60s);
  const auto stream = stub.ReadArtefactFile(&call, request);
  std::string bytes;
  for (v1::ReadArtefactFileResponse part; stream->Read(&part);) bytes += part.chunk();
  BF_TRY(runtime::FromGrpc(stream->Finish()));
  if (Sha256(bytes) != file.digest()) {
    return Status(Code::kDataLoss, file.name() + " is not what its digest says");
  }
  return bytes;
}

Status WriteFiles(const Shell& shell, const fs::path& folder, const Files& files) {
  std::error_code failed;
  fs::create_directories(folder, failed);
  for (const packed::File& file : files) {
    const fs::path path = folder / fs::path(file.name).filename();
    std::ofstream out(path, std::ios::binary);
    out << file.bytes;
    out.close();
    if (!out) return {Code::kUnavailable, path.string() + ": cannot be written"};
    if (!shell.json) std::printf("%8zu  %s\n", file.bytes.size(), path.c_str());
  }
  return Status();
}

Result<std::string> Bytes(const Files& artefact, const std::string& name) {
  const auto found = std::ranges::find(artefact, name, &packed::File::name);
  if (found != artefact.end()) return found->bytes;
  return Status(Code::kDataLoss, "MISSING_FILE", "the artefact has no " + name);
}

Result<packed::Network> NetworkOf(const Files& artefact) {
  const std::string model = BF_TRY(Bytes(artefact, "model.bnn"));
  return packed::Parse({reinterpret_cast<const uint8_t*>(model.data()), model.size()});
}

// The artefact's network as firmware again, its kernels chosen for another core or budget.
Result<Files> Firmware(const Files& artefact, const PullOptions& asked) {
  const packed::Network network = BF_TRY(NetworkOf(artefact));
  packed::FirmwareOptions options = FirmwareFor(network, asked.flash_bytes, asked.kernel);
  if (!asked.core.empty()) {
    options = emulate::OptionsFor(BF_TRY(emulate::ParseCore(asked.core)), options);
  }
  options.name = asked.firmware_name;
  const std::string manifest = BF_TRY(Bytes(artefact, "manifest.json"));
  options.classes = BF_TRY(packed::ParseManifest(manifest)).provenance.classes;
  return BF_TRY(packed::MakeFirmware(network, options)).files;
}

// That firmware on its emulated core.
Result<Emulated> Count(const Files& artefact, const PullOptions& asked) {
  const packed::Network network = BF_TRY(NetworkOf(artefact));
  const std::string golden = BF_TRY(Bytes(artefact, "golden.bin"));
  const std::vector<packed::Golden> images = BF_TRY(packed::ParseGolden(golden));
  const auto core = BF_TRY(emulate::ParseCore(asked.core.empty() ? "m4" : asked.core));
  return EmulateOn(core, {network, images}, FirmwareFor(network, asked.flash_bytes, asked.kernel));
}

// What `--emulate` asks for, beside the firmware; what stands there of another one goes.
Result<int> WriteCounts(const Shell& shell, const fs::path& folder, const Files& files,
                        const std::string& digest, const PullOptions& options) {
  const std::string name = options.firmware_name + "_emulated";
  std::error_code failed;
  for (const char* end : {".json", ".md"}) fs::remove(folder / (name + end), failed);
  if (!options.emulate) return kDone;
  const Emulated counted = BF_TRY(Count(files, options));
  nlohmann::ordered_json json = {{"artefact", digest}, {"firmware", options.firmware_name}};
  json.update(ToJson(counted));
  const std::string title = "Firmware `" + options.firmware_name + "` of artefact `" + digest + "`";
  BF_TRY(WriteFiles(shell, folder,
                    {{name + ".json", json.dump(2) + "\n"},
                     {name + ".md", ToMarkdown(counted) + "\n" + title + ".\n"}}));
  if (!shell.json) std::printf("%s", ToText(counted).c_str());
  return counted.differences.empty() ? kDone : kFailed;
}

Result<int> PullArtefact(const Shell& shell, const PullOptions& options) {
  if (!options.core.empty()) BF_TRY(emulate::ParseCore(options.core));
  const auto stub = v1::Trainer::NewStub(BF_TRY(shell.Door("trainer")));
  v1::GetArtefactRequest request;
  request.set_digest(options.artefact);
  v1::Artefact artefact;
  runtime::Call call;
  BF_TRY(runtime::FromGrpc(stub->GetArtefact(&call, request, &artefact)));
  Files files;
  for (const v1::ArtefactFile& file : artefact.files()) {
    std::string bytes = BF_TRY(Fetch(*stub, artefact.digest(), file));
    files.push_back({file.name(), std::move(bytes)});
  }
  BF_TRY(WriteFiles(shell, options.folder, files));
  fs::path folder = options.folder;
  if (options.flash_bytes > 0 || !options.kernel.empty() || !options.core.empty() ||
      options.firmware_name != "model") {
    folder /= "firmware";
    BF_TRY(WriteFiles(shell, folder, BF_TRY(Firmware(files, options))));
  }
  const int code = BF_TRY(WriteCounts(shell, folder, files, artefact.digest(), options));
  if (shell.json) std::printf("%s\n", ToJson(artefact).c_str());
  return code;
}

}  // namespace

void AddArtefactCommand(CLI::App& app, Shell& shell) {
  CLI::App* artefact = app.add_subcommand("artefact", "What a run publishes");
  artefact->footer("Example:\n  bitfoundry artefact pull 3f9a2b1c -o person/");
  artefact->require_subcommand(1);
  const auto pull = std::make_shared<PullOptions>();
  CLI::App* command =
      Add(*artefact, shell, "pull", "Fetch every file of an artefact, digests checked",
          "bitfoundry artefact pull 3f9a2b1c -o model/", pull, PullArtefact);
  command->add_option("MODEL", pull->artefact, "Digest, or its first 8 digits")->required();
  command->add_option("-o,--output", pull->folder, "Folder")->capture_default_str();
  CLI::Option* flash =
      command
          ->add_option(
              "--flash", pull->flash_bytes,
              "Also choose the firmware's kernels anew, for so many bytes of constants, into "
              "the folder firmware/")
          ->check(CLI::PositiveNumber);
  command->add_option("--kernel", pull->kernel, "The same, one kernel for all binary layers")
      ->check(CLI::IsMember({"rows", "lean", "fast"}))
      ->excludes(flash);
  command->add_option("--core", pull->core,
                      "The same, for a core: m0plus, m3, m4, m7, m33, m55 or rv32imc");
  command->add_option("--name", pull->firmware_name,
                      "The same, with files and symbols of another name: for a second model beside "
                      "the first");
  command->add_flag("--emulate", pull->emulate,
                    "Also run that firmware on its emulated core (m4 if none is named), into "
                    "NAME_emulated.md and .json beside it");
}

}  // namespace bitfoundry::cli
