// verify: is this verdict true? Its signature, and every bit of it, made again here.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "attest/key.h"
#include "base/digest.h"
#include "proof/core.h"
#include "proof/replay.h"
#include "services/bitfoundry/cli.h"
#include "verdicts/words.h"

namespace bitfoundry::cli {
namespace {

namespace fs = std::filesystem;

struct VerifyOptions {
  std::string bundle;
  std::string key;
  std::string blobs;
  std::string kernel = "auto";
  std::string core;
  int threads = 2;
};

Result<packed::Cpu> CpuOf(const std::string& kernel) {
  if (kernel == "auto") return packed::BestCpu();
  const packed::Cpu cpu = kernel == "avx512" ? packed::Cpu::kAvx512
                          : kernel == "avx2" ? packed::Cpu::kAvx2
                                             : packed::Cpu::kPortable;
  if (cpu <= packed::BestCpu()) return cpu;
  return Status(Code::kFailedPrecondition, "KERNEL_UNAVAILABLE",
                "this machine cannot run " + kernel + "; it has " +
                    packed::KernelsFor(packed::BestCpu()).name);
}

// The bytes that the verdict rests on: what an export lays beside it, or another store.
Result<blobs::Store> OpenStore(const VerifyOptions& options) {
  const fs::path folder = options.blobs.empty() ? fs::path(options.bundle).parent_path() / "blobs"
                                                : fs::path(options.blobs);
  if (fs::is_directory(folder)) return blobs::Store::Open(folder);
  return Status(Code::kNotFound, "EXHIBIT_MISSING",
                folder.string() +
                    ": no such folder; `bitfoundry verdict MODEL --export DIR` makes it, and "
                    "--blobs names another store");
}

void Print(const Shell& shell, const v1::Verdict& verdict, const std::string& keyid,
           const std::string& replayed_by) {
  const nlohmann::ordered_json all = {{"verified", true},
                                      {"outcome", v1::Outcome_Name(verdict.outcome())},
                                      {"tests", verdicts::Summary(verdict)},
                                      {"keyid", keyid},
                                      {"artefact", verdict.artefact()},
                                      {"suite", verdict.suite()},
                                      {"snapshot", verdict.snapshot()},
                                      {"baseline", verdict.baseline()},
                                      {"date", verdict.date()},
                                      {"computed_by", verdict.runtime()},
                                      {"replayed_by", replayed_by}};
  if (shell.json) {
    std::printf("%s\n", all.dump(2).c_str());
    return;
  }
  std::printf("VERIFIED: signed, and the same bits here. The verdict is %s: %s\n",
              v1::Outcome_Name(verdict.outcome()).c_str(), verdicts::Summary(verdict).c_str());
  std::vector<std::vector<std::string>> rows;
  for (const char* name : {"keyid", "artefact", "suite", "snapshot", "baseline", "date",
                           "computed_by", "replayed_by"}) {
    const std::string value = all[name];
    if (!value.empty()) rows.push_back({name, value});
  }
  PrintTable(rows);
}

Result<int> Verify(const Shell& shell, const VerifyOptions& options) {
  const auto key = BF_TRY(attest::PublicKey::Read(options.key));
  verdicts::Options how{.threads = options.threads};
  how.cpu = BF_TRY(CpuOf(options.kernel));
  std::string replayed_by = "bitfoundry sha256:" + DigestOfThisProgram() + ", ";
  if (options.core.empty()) {
    replayed_by += std::string("kernels ") + packed::KernelsFor(how.cpu).name;
  } else {
    const emulate::Core core = BF_TRY(emulate::ParseCore(options.core));
    how.run_elsewhere = proof::OnCore(core);
    replayed_by += "firmware on an emulated " + std::string(emulate::Name(core));
  }
  const std::string bundle = BF_TRY(ReadFile(options.bundle, proof::kMaxBundleBytes));
  const auto opened = proof::OpenVerdict(bundle, key);
  if (!opened.ok()) return opened.status().In(options.bundle);
  const blobs::Store store = BF_TRY(OpenStore(options));
  const Status same = proof::Replay(store, *opened, how, {});
  if (same.reason() == "REPLAY_DIFFERS") {
    return same.In("computed by " + opened->verdict.runtime() + ", replayed by " + replayed_by);
  }
  BF_TRY(same);
  Print(shell, opened->verdict, key.id(), replayed_by);
  return kDone;
}

}  // namespace

void AddVerifyCommand(CLI::App& app, Shell& shell) {
  const auto options = std::make_shared<VerifyOptions>();
  CLI::App* command =
      Add(app, shell, "verify",
          "Check a signed verdict: its signature, the bytes that it rests on, and, by evaluating\n"
          "again, every bit of it. Needs no factory. Exits with 0 only if all holds; whether the\n"
          "model passed is another question, which the output answers",
          "bitfoundry verify gate-verdict/verdict.intoto.jsonl --key public.pem", options, Verify);
  command->add_option("VERDICT", options->bundle, "File that `verdict --export` wrote")->required();
  command->add_option("--key", options->key, "Public key (PEM) of whoever may sign")->required();
  command->add_option("--blobs", options->blobs,
                      "Store that holds what the verdict rests on; else blobs/ beside it");
  command->add_option("--kernel", options->kernel, "auto | avx512 | avx2 | portable")
      ->check(CLI::IsMember({"auto", "avx512", "avx2", "portable"}))
      ->capture_default_str();
  command->add_option("--core", options->core,
                      "Take the answers from firmware on an emulated core, like m4");
  command->add_option("--threads", options->threads)
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
}

}  // namespace bitfoundry::cli
