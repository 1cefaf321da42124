// Structured logs: one JSON object a line on stderr, through spdlog.
//
//   Log(Level::kInfo, "job done", {{"kind", "train"}, {"job", std::to_string(id)}});
//   {"time":"2026-11-23T05:41:00.123Z","level":"info","process":"bf-trainer","message":"job done",
//    "kind":"train","job":"17"}
//
// A line that is written on behalf of a call or a job with a trace context (base/trace.h) has it as
// "traceparent".
//
// Secrets (connection strings, keys) are never given to it.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>

namespace bitfoundry {

enum class Level { kDebug, kInfo, kWarning, kError };

using Field = std::pair<std::string_view, std::string>;

void Log(Level level, std::string_view message, std::initializer_list<Field> fields = {});

// The "process" of every later line, and the lowest level that is written. Called once, by
// runtime::Main; before that, lines say "bitfoundry" and kInfo is the lowest.
void SetUpLog(const std::string& process, Level lowest);

}  // namespace bitfoundry
