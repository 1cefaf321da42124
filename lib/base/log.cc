#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/trace.h"

namespace bitfoundry {
namespace {

// The one global of the factory: a process has one stderr.
struct Sink {
  std::shared_ptr<spdlog::logger> logger = [] {
    auto made = std::make_shared<spdlog::logger>("bitfoundry",
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
    // %v is our JSON without its opening brace; the time goes in front of it.
    made->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%eZ",%v)", spdlog::pattern_time_type::utc);
    made->flush_on(spdlog::level::debug);
    return made;
  }();
  std::string process = "bitfoundry";
};

Sink& TheSink() {
  static Sink sink;
  return sink;
}

spdlog::level::level_enum ToSpdlog(Level level) {
  switch (level) {
    case Level::kDebug:
      return spdlog::level::debug;
    case Level::kInfo:
      return spdlog::level::info;
    case Level::kWarning:
      return spdlog::level::warn;
    case Level::kError:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

const char* Name(Level level) {
  switch (level) {
    case Level::kDebug:
      return "debug";
    case Level::kInfo:
      return "info";
    case Level::kWarning:
      return "warning";
    case Level::kError:
      return "error";
  }
  return "error";
}

}  // namespace

void Log(Level level, std::string_view message, std::initializer_list<Field> fields) {
  Sink& sink = TheSink();
  if (!sink.logger->should_log(ToSpdlog(level))) return;
  nlohmann::ordered_json line;
  line["level"] = Name(level);
  line["process"] = sink.process;
  line["message"] = message;
  for (const auto& [name, value] : fields) line[std::string(name)] = value;
  if (!CurrentTrace().empty()) line["traceparent"] = CurrentTrace();
  // Bytes that are no UTF-8 (a hostile file name) are replaced, not thrown at.
  const std::string text =
      line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
  sink.logger->log(ToSpdlog(level), "{}", text.substr(1));
}

void SetUpLog(const std::string& process, Level lowest) {
  TheSink().process = process;
  TheSink().logger->set_level(ToSpdlog(lowest));
}

}  // namespace bitfoundry
