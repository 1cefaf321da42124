#include "emulate/machine.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>

#include "emulate/process.h"

namespace bitfoundry::emulate {

const std::vector<packed::File>& BoardFiles();  // board/*

namespace {

namespace fs = std::filesystem;

struct Region {
  const char* origin;
  const char* length;
};

// A machine of QEMU.
struct Board {
  const char* machine;
  const char* processor;
  const char* vectors;  // where a reset looks for them
  Region flash;         // begins 1 KiB behind them, or elsewhere
  Region ram;
  const char* stack_bytes;
};

struct Target {
  Core core;
  const char* name;
  bool riscv;
  std::vector<std::string> flags;
  std::vector<Board> boards;  // smallest first; the last is the largest there is
};

// Addresses and sizes are those of QEMU's source, hw/arm and hw/riscv.
const std::vector<Target>& Targets() {
  static const Region kRam = {"0x20000000", "4M"};
  static const Region kFlash = {"0x400", "4095K"};
  static const Board kMicrobit = {"microbit",        "Cortex-M0",           "0x0",
                                  {"0x400", "255K"}, {"0x20000000", "16K"}, "2K"};
  static const Board kAn385 = {"mps2-an385", "Cortex-M3", "0x0", kFlash, kRam, "16K"};
  static const Board kAn386 = {"mps2-an386", "Cortex-M4", "0x0", kFlash, kRam, "16K"};
  static const Board kAn500 = {"mps2-an500", "Cortex-M7", "0x0", kFlash, kRam, "16K"};
  // Secure aliases, in which these two come up.
  static const Board kAn505 = {"mps2-an505",         "Cortex-M33",
                               "0x10000000",         {"0x10000400", "4095K"},
                               {"0x38000000", "4M"}, "16K"};
  static const Board kAn547 = {"mps3-an547",         "Cortex-M55",         "0x10000000",
                               {"0x11000000", "2M"}, {"0x31000000", "4M"}, "16K"};
  static const Board kVirt = {
      "virt", "rv32", "0x80000000", {"0x80000400", "4095K"}, {"0x80400000", "4M"}, "16K"};
  static const std::vector<Target> kTargets = {
      {Core::kM0Plus, "m0plus", false, {"-mcpu=cortex-m0plus", "-mthumb"}, {kMicrobit, kAn385}},
      {Core::kM3, "m3", false, {"-mcpu=cortex-m3", "-mthumb"}, {kAn385}},
      {Core::kM4,
       "m4",
       false,
       {"-mcpu=cortex-m4", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv4-sp-d16"},
       {kAn386}},
      {Core::kM7,
       "m7",
       false,
       {"-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-d16"},
       {kAn500}},
      {Core::kM33,
       "m33",
       false,
       {"-mcpu=cortex-m33", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-sp-d16"},
       {kAn505}},
      {Core::kM55, "m55", false, {"-mcpu=cortex-m55", "-mthumb", "-mfloat-abi=hard"}, {kAn547}},
      {Core::kRv32, "rv32imc", true, {"-march=rv32imc", "-mabi=ilp32", "-mno-relax"}, {kVirt}},
  };
  return kTargets;
}

const Target& TargetOf(Core core) {
  return *std::find_if(Targets().begin(), Targets().end(),
                       [&](const Target& t) { return t.core == core; });
}

// A program, and Debian's package that it is in.
struct Tool {
  std::string program;
  std::string package;
};

Tool CompilerFor(const Target& target) {
  if (target.riscv) return {"riscv64-unknown-elf-gcc", "gcc-riscv64-unknown-elf"};
  return {"arm-none-eabi-gcc", "gcc-arm-none-eabi"};
}

Tool EmulatorFor(const Target& target) {
  if (target.riscv) return {"qemu-system-riscv32", "qemu-system-misc"};
  return {"qemu-system-arm", "qemu-system-arm"};
}

// An empty folder, removed with all that is in it.
class Folder {
 public:
  static Result<Folder> Make() {
    std::error_code failed;
    std::string path = (fs::temp_directory_path(failed) / "bitfoundry-XXXXXX").string();
    if (failed || mkdtemp(path.data()) == nullptr) {
      return Status(Code::kUnavailable, "cannot make a folder like " + path);
    }
    return Folder(path);
  }
  Folder(Folder&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  ~Folder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }

  const fs::path& path() const { return path_; }

  Status Write(const packed::File& file) const {
    std::ofstream out(path_ / file.name, std::ios::binary);
    out << file.bytes;
    out.close();
    if (!out) return {Code::kUnavailable, (path_ / file.name).string() + ": cannot be written"};
    return {};
  }

  std::string Read(const std::string& name) const {
    std::ifstream file(path_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }

 private:
  explicit Folder(fs::path path) : path_(std::move(path)) {}
  fs::path path_;
};

// What one build and run has in its hands.
struct Bench {
  const Target& target;
  const Program& program;
  const Folder& folder;
  std::chrono::seconds limit;

  Result<Finished> Do(const Tool& tool, std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), tool.program);
    return Execute(arguments, tool.package, folder.path(), limit);
  }

  Status Build(const Tool& tool, const std::vector<std::string>& arguments) const {
    const Finished done = BF_TRY(Do(tool, arguments));
    if (done.exit_code == 0) return Status();
    return {Code::kInternal, "DOES_NOT_BUILD", tool.program + ": " + done.output};
  }
};

bool IsC(const std::string& name) { return name.ends_with(".c"); }

Status WriteFiles(const Bench& bench) {
  for (const packed::File& file : BoardFiles()) BF_TRY(bench.folder.Write(file));
  for (const packed::File& file : bench.program.sources) BF_TRY(bench.folder.Write(file));
  for (const packed::File& file : bench.program.inputs) BF_TRY(bench.folder.Write(file));
  return Status();
}

// No warning of any source is let through.
Status Compile(const Bench& bench) {
  std::vector<std::string> arguments = bench.target.flags;
  arguments.insert(arguments.end(),
                   {"-std=c99", "-ffreestanding", "-O2", "-Wall", "-Wextra", "-Wpedantic",
                    "-Werror", "-ffunction-sections", "-fdata-sections", "-c"});
  arguments.insert(arguments.end(), bench.program.options.begin(), bench.program.options.end());
  arguments.push_back("start.c");
  for (const packed::File& file : bench.program.sources) {
    if (IsC(file.name)) arguments.push_back(file.name);
  }
  BF_TRY(bench.Build(CompilerFor(bench.target), arguments));
  return bench.Build({"gcc", "gcc"}, {"-O2", "-shared", "-fPIC", "-fvisibility=hidden", "-o",
                                      "count.so", "count.c"});
}

// What board/link.ld leaves open.
std::string MemoryLd(const Board& board) {
  const auto region = [](const char* name, const char* access, const Region& r) {
    return std::string(name) + " (" + access + ") : ORIGIN = " + r.origin +
           ", LENGTH = " + r.length + "\n";
  };
  return "MEMORY {\n" + region("VECTORS", "rx", {board.vectors, "1K"}) +
         region("FLASH", "rx", board.flash) + region("RAM", "rw", board.ram) +
         "}\nSTACK_BYTES = " + board.stack_bytes + ";\n";
}

Status Link(const Bench& bench, const Board& board) {
  BF_TRY(bench.folder.Write({"memory.ld", MemoryLd(board)}));
  std::vector<std::string> arguments = bench.target.flags;
  arguments.insert(arguments.end(), {"-nostdlib", "-Wl,--gc-sections", "-Wl,--fatal-warnings",
                                     "-Tlink.ld", "-o", "program.elf", "start.o"});
  for (const packed::File& file : bench.program.sources) {
    if (IsC(file.name)) arguments.push_back(fs::path(file.name).stem().string() + ".o");
  }
  arguments.push_back("-lgcc");
  const Status linked = bench.Build(CompilerFor(bench.target), arguments);
  if (linked.message().find("' overflowed by ") == std::string::npos) return linked;
  return {Code::kFailedPrecondition, "DOES_NOT_FIT",
          std::string(board.machine) + " has " + board.flash.length + " of flash and " +
              board.ram.length + " of RAM: " + linked.message()};
}

// On the first board that it fits.
Result<Board> LinkForABoard(const Bench& bench) {
  Status linked;
  for (const Board& board : bench.target.boards) {
    linked = Link(bench, board);
    if (linked.ok()) return board;
    if (linked.reason() != "DOES_NOT_FIT") return linked;
  }
  return linked;
}

// The plugin's lines.
Status ReadCounts(const std::string& log, Outcome& outcome) {
  std::istringstream lines(log);
  uint64_t starts = 0;
  uint64_t stops = 0;
  bool ended = false;
  for (std::string word; lines >> word;) {
    uint64_t number = 0;
    lines >> number;
    if (word == "region") outcome.regions.push_back(number);
    if (word == "starts") starts = number;
    if (word == "stops") stops = number;
    if (word == "total") {
      outcome.total = number;
      ended = true;
    }
  }
  if (ended && starts == stops && stops == outcome.regions.size()) return Status();
  return {Code::kInternal, "RUN_FAILED",
          std::to_string(starts) + " starts of counting and " + std::to_string(stops) +
              " stops do not agree"};
}

Status Emulate(const Bench& bench, Outcome& outcome) {
  std::vector<std::string> arguments = {"-M",
                                        outcome.machine,
                                        "-display",
                                        "none",
                                        "-monitor",
                                        "none",
                                        "-serial",
                                        "none",
                                        "-semihosting-config",
                                        "enable=on,target=native",
                                        "-plugin",
                                        "./count.so",
                                        "-d",
                                        "plugin",
                                        "-D",
                                        "counts.txt",
                                        "-kernel",
                                        "program.elf"};
  if (bench.target.riscv) arguments.insert(arguments.end(), {"-bios", "none"});
  const Finished done = BF_TRY(bench.Do(EmulatorFor(bench.target), arguments));
  if (done.exit_code != 0) {
    return {Code::kInternal, "RUN_FAILED",
            "on " + outcome.machine + ": exit code " + std::to_string(done.exit_code) + ": " +
                done.output};
  }
  if (!bench.program.output.empty()) outcome.output = bench.folder.Read(bench.program.output);
  return ReadCounts(bench.folder.Read("counts.txt"), outcome);
}

// The first line of what a tool says of its version.
Result<std::string> VersionOf(const Tool& tool, const std::string& option) {
  const Folder folder = BF_TRY(Folder::Make());
  const Finished done = BF_TRY(
      Execute({tool.program, option}, tool.package, folder.path(), std::chrono::seconds(60)));
  return done.output.substr(0, done.output.find('\n'));
}

}  // namespace

std::string_view Name(Core core) { return TargetOf(core).name; }

Result<Core> ParseCore(std::string_view name) {
  std::string all;
  for (const Target& target : Targets()) {
    if (name == target.name) return target.core;
    all += std::string(all.empty() ? "" : ", ") + target.name;
  }
  return Status(Code::kInvalidArgument, "UNKNOWN_CORE",
                "no core " + std::string(name) + "; there are " + all);
}

Result<Outcome> BuildAndRun(Core core, const Program& program, std::chrono::seconds limit) {
  const Folder folder = BF_TRY(Folder::Make());
  const Bench bench{TargetOf(core), program, folder, limit};
  BF_TRY(WriteFiles(bench));
  BF_TRY(Compile(bench));
  Outcome outcome;
  const Board board = BF_TRY(LinkForABoard(bench));
  outcome.machine = board.machine;
  outcome.processor = board.processor;
  BF_TRY(Emulate(bench, outcome));
  return outcome;
}

Result<std::string> CompilerOf(Core core) {
  return "gcc " + BF_TRY(VersionOf(CompilerFor(TargetOf(core)), "-dumpfullversion"));
}

// "QEMU emulator version 7.2.22 (Debian 1:7.2+...)"
Result<std::string> EmulatorOf(Core core) {
  const std::string line = BF_TRY(VersionOf(EmulatorFor(TargetOf(core)), "--version"));
  std::istringstream words(line);
  std::string word;
  for (int i = 0; i < 4; ++i) words >> word;
  return "QEMU " + word;
}

}  // namespace bitfoundry::emulate
