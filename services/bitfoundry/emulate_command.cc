// emulate: a model.bnn as firmware, on emulated microcontrollers, compared and counted.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "emulate/emulate.h"
#include "packed/format.h"
#include "services/bitfoundry/cli.h"
#include "services/bitfoundry/emulated.h"

namespace bitfoundry::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr uint64_t kMaxGoldenBytes = 64 << 20;
constexpr size_t kRandomImages = 4;
constexpr uint32_t kSeed = 1;

struct EmulateOptions {
  std::string model;
  std::string core = "m4";
  uint64_t flash_bytes = 0;  // 0: as it is published
  std::string kernel;
  std::string golden;
};

// The golden images to run: of a file, of the one beside the model, or random ones.
Result<std::vector<packed::Golden>> GoldenFor(const EmulateOptions& options,
                                              const packed::Network& network) {
  const fs::path beside = fs::path(options.model).parent_path() / "golden.bin";
  const fs::path path = options.golden.empty() ? beside : fs::path(options.golden);
  if (options.golden.empty() && !fs::exists(beside)) {
    return emulate::RandomGolden(network, kRandomImages, kSeed);
  }
  const auto golden = packed::ParseGolden(BF_TRY(ReadFile(path, kMaxGoldenBytes)));
  if (!golden.ok()) return golden.status().In(path.string());
  return *golden;
}

Result<int> Emulate(const Shell& shell, const EmulateOptions& options) {
  std::vector<emulate::Core> cores(emulate::kCores.begin(), emulate::kCores.end());
  if (options.core != "all") cores = {BF_TRY(emulate::ParseCore(options.core))};
  const std::string bytes = BF_TRY(ReadFile(options.model, packed::kMaxModelBytes));
  emulate::Case one;
  one.network =
      BF_TRY(packed::Parse({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
  one.golden = BF_TRY(GoldenFor(options, one.network));

  const auto firmware = FirmwareFor(one.network, options.flash_bytes, options.kernel);
  int code = kDone;
  ordered_json all = ordered_json::array();
  for (const emulate::Core core : cores) {
    const Emulated e = BF_TRY(EmulateOn(core, one, firmware));
    if (!e.differences.empty()) code = kFailed;
    if (shell.json) {
      all.push_back(ToJson(e));
    } else {
      std::printf("%s%s", core == cores.front() ? "" : "\n", ToText(e).c_str());
    }
  }
  if (shell.json) std::printf("%s\n", ordered_json{{"cores", all}}.dump(2).c_str());
  return code;
}

}  // namespace

void AddEmulateCommand(CLI::App& app, Shell& shell) {
  const auto options = std::make_shared<EmulateOptions>();
  CLI::App* command =
      Add(app, shell, "emulate", "Run a model.bnn as firmware on emulated cores; compare, count",
          "bitfoundry emulate model/model.bnn --core m4", options, Emulate);
  command->add_option("FILE", options->model)->required();
  command->add_option("--core", options->core, "m0plus, m3, m4, m7, m33, m55, rv32imc; or all")
      ->capture_default_str();
  command
      ->add_option(
          "--flash", options->flash_bytes,
          "Bytes that the model's constants may take; else the firmware as `artefact pull` "
          "gives it for this core")
      ->check(CLI::PositiveNumber);
  command->add_option("--kernel", options->kernel, "Of all binary layers, instead of choosing")
      ->check(CLI::IsMember({"rows", "lean", "fast"}));
  command->add_option("--golden", options->golden,
                      "Else golden.bin beside the model; else random images");
}

}  // namespace bitfoundry::cli
