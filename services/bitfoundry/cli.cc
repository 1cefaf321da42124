#include "services/bitfoundry/cli.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "services/bitfoundry/run_file.h"

namespace bitfoundry::cli {

using namespace std::chrono_literals;

// A channel that is connected: the first call would fail at once if nobody listened yet.
static Result<std::shared_ptr<grpc::Channel>> Connected(const std::string& door,
                                                        const std::string& address,
                                                        std::chrono::seconds patience, bool quiet) {
  const auto channel = runtime::Connect(address);
  const auto now = std::chrono::system_clock::now();
  if (channel->WaitForConnected(now + std::min(patience, 2s))) return channel;
  const std::string what = door + " does not answer at " + address;
  if (!quiet && patience > 2s) std::fprintf(stderr, "%s yet: waiting\n", what.c_str());
  if (channel->WaitForConnected(now + patience)) return channel;
  return Status(Code::kUnavailable, "NO_ANSWER", what);
}

Result<std::shared_ptr<grpc::Channel>> Shell::Door(const std::string& service,
                                                   std::chrono::seconds patience) const {
  std::string variable = "BF_" + service;
  for (char& c : variable) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  if (const char* address = std::getenv(variable.c_str()); address != nullptr) {
    return Connected("bf-" + service, address, patience, json);
  }
  const RunFile run = BF_TRY(ReadRunFile(data));
  const RunEntry* entry = run.Find("bf-" + service);
  if (entry == nullptr || run.state == "down" || !IsAlive(run.supervisor)) {
    return Status(Code::kUnavailable, "NOT_RUNNING",
                  "bf-" + service + " is not running in " + data.string() +
                      ": run `bitfoundry up`, or set " + variable + " to its address");
  }
  return Connected(entry->name, entry->listen, patience, json);
}

std::string Quote(const std::string& text) {
  return nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void PrintTable(const Rows& rows) { std::printf("%s", Align(rows).c_str()); }

// Where the first character begins that is not UTF-8 (RFC 3629); the text's size if all are.
static size_t FirstNotUtf8(const std::string& text) {
  for (size_t at = 0; at < text.size();) {
    const auto byte = [&](size_t i) {
      return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
    };
    const unsigned lead = byte(0);
    const size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
    bool good = length > 0 && lead < 0xF5;
    for (size_t i = 1; i < length; ++i) good = good && (byte(i) & 0xC0) == 0x80;
    // Too long a form, a surrogate, above U+10FFFF.
    if (lead == 0xE0) good = good && byte(1) >= 0xA0;
    if (lead == 0xED) good = good && byte(1) < 0xA0;
    if (lead == 0xF0) good = good && byte(1) >= 0x90;
    if (lead == 0xF4) good = good && byte(1) < 0x90;
    if (!good) return at;
    at += length;
  }
  return text.size();
}

std::string NewRequestId() {
  std::random_device random;
  std::string id;
  for (int i = 0; i < 32; ++i) {
    unsigned digit = random() % 16;
    if (i == 12) digit = 4;              // version
    if (i == 16) digit = 8 + digit % 4;  // variant
    if (i == 8 || i == 12 || i == 16 || i == 20) id += '-';
    id += "0123456789abcdef"[digit];
  }
  return id;
}

Status WriteFile(const std::filesystem::path& path, const std::string& bytes) {
  std::ofstream file(path, std::ios::binary);
  file << bytes;
  file.close();
  if (!file) return {Code::kUnavailable, path.string() + ": cannot be written"};
  return Status();
}

Status CheckWritable(const std::filesystem::path& path) {
  if (path.empty()) return Status();
  std::error_code failed;
  const bool there = std::filesystem::exists(path, failed);
  const bool writable = std::ofstream(path, std::ios::app).is_open();
  if (!there && writable) std::filesystem::remove(path, failed);
  if (writable) return Status();
  return {Code::kInvalidArgument, "NOT_WRITABLE", path.string() + ": cannot be written"};
}

Result<std::string> ReadFile(const std::filesystem::path& path, uint64_t limit_bytes) {
  const auto unreadable = [&](const std::string& why) {
    return Status(Code::kNotFound, "FILE_UNREADABLE", path.string() + ": " + why);
  };
  std::error_code failed;
  const auto found = std::filesystem::status(path, failed);
  if (!std::filesystem::exists(found)) return unreadable(failed.message());
  if (!std::filesystem::is_regular_file(found)) return unreadable("is not a file");
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) return unreadable(std::generic_category().message(errno));
  const auto size = static_cast<uint64_t>(file.tellg());
  if (size > limit_bytes) {
    return Status(Code::kFailedPrecondition, "FILE_TOO_LARGE",
                  path.string() + ": " + std::to_string(size) + " bytes, the limit is " +
                      std::to_string(limit_bytes));
  }
  std::string bytes(size, '\0');
  file.seekg(0);
  file.read(bytes.data(), static_cast<std::streamsize>(size));
  if (!file) return Status(Code::kUnavailable, path.string() + ": cannot be read");
  return bytes;
}

Result<std::string> ReadText(const std::filesystem::path& path, uint64_t limit_bytes) {
  std::string text = BF_TRY(ReadFile(path, limit_bytes));
  if (text.starts_with("\xEF\xBB\xBF")) text.erase(0, 3);
  return text;
}

Result<std::string> ReadUtf8(const std::filesystem::path& path, uint64_t limit_bytes) {
  std::string text = BF_TRY(ReadText(path, limit_bytes));
  const size_t at = std::min(FirstNotUtf8(text), text.find('\0'));
  if (at >= text.size()) return text;
  const auto line = 1 + std::count(text.begin(), text.begin() + static_cast<ptrdiff_t>(at), '\n');
  return Status(Code::kInvalidArgument, "NOT_UTF8",
                path.string() + ":" + std::to_string(line) + ": not UTF-8, or NUL");
}

const CLI::Validator& Utf8Text() {
  static const CLI::Validator validator(
      [](const std::string& text) {
        const size_t at = FirstNotUtf8(text);
        return at == text.size() ? "" : "not UTF-8 at byte " + std::to_string(at);
      },
      "");
  return validator;
}

Result<std::string> ReadSuite(const std::filesystem::path& path) {
  constexpr uint64_t kMaxSuiteBytes = 256 << 10;
  std::string text = BF_TRY(ReadFile(path, kMaxSuiteBytes));
  if (const size_t at = FirstNotUtf8(text); at != text.size()) {
    return Status(Code::kInvalidArgument, "SUITE_INVALID",
                  path.string() + ": not UTF-8 at byte " + std::to_string(at));
  }
  return text;
}

Status WhileUnavailable(const std::function<grpc::Status()>& call) {
  const auto until = std::chrono::steady_clock::now() + 60s;
  while (true) {
    const Status status = runtime::FromGrpc(call());
    const bool passing =
        status.code() == Code::kUnavailable || status.code() == Code::kDeadlineExceeded;
    if (!passing || std::chrono::steady_clock::now() > until) return status;
    std::this_thread::sleep_for(500ms);
  }
}

}  // namespace bitfoundry::cli
