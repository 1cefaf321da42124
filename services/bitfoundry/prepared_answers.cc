#include "services/bitfoundry/prepared_answers.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "catalog/samples.h"
#include "services/bitfoundry/cli.h"

namespace bitfoundry::cli {
namespace {

constexpr uint64_t kMaxBytes = 64 << 20;

// The fields of one line; nothing if a quote is not closed.
std::optional<std::vector<std::string>> Fields(const std::string& line) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < line.size(); ++i) {
    const char c = line[i];
    if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
      fields.back() += line[++i];
    } else if (c == '"') {
      quoted = !quoted;
    } else if (c == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += c;
    }
  }
  if (quoted) return std::nullopt;
  return fields;
}

Result<PreparedAnswer> Read(const std::vector<std::string>& names,
                            const std::vector<std::string>& fields) {
  PreparedAnswer answer;
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string& text = fields[i];
    if (names[i] == "sample") {
      answer.sample = text;
    } else if (names[i] == "answer") {
      answer.answer = text;
    } else if (names[i] == "frame" && !text.empty()) {
      int64_t frame = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), frame);
      if (error != std::errc() || end != text.data() + text.size()) {
        return Status(Code::kInvalidArgument, "frame is no number: " + text);
      }
      answer.frame = frame;
    } else if (!text.empty()) {
      answer.tags[names[i]] = text;
    }
  }
  if (!answer.sample.empty() && !answer.answer.empty()) return answer;
  return Status(Code::kInvalidArgument, "sample and answer must not be empty");
}

}  // namespace

Result<std::vector<PreparedAnswer>> ReadPreparedAnswers(const std::string& path) {
  std::istringstream text(BF_TRY(ReadUtf8(path, kMaxBytes)));
  std::vector<std::string> names;
  std::vector<PreparedAnswer> answers;
  std::string line;
  for (int number = 1; std::getline(text, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || line[0] == '#') continue;
    const std::string where = path + ":" + std::to_string(number);
    const auto fields = Fields(line);
    if (!fields.has_value()) return Status(Code::kInvalidArgument, where + ": a quote is open");
    if (names.empty()) {
      names = *fields;
      for (auto name = names.begin(); name != names.end(); ++name) {
        if (std::find(names.begin(), name, *name) != name) {
          return Status(Code::kInvalidArgument,
                        where + ": the column '" + *name + "' is there twice");
        }
        const bool is_tag = *name != "sample" && *name != "answer" && *name != "frame";
        const Status tag = is_tag ? catalog::CheckTags({{*name, ""}}) : Status();
        if (!tag.ok()) return tag.In(where);
      }
      for (const char* needed : {"sample", "answer"}) {
        if (std::find(names.begin(), names.end(), needed) == names.end()) {
          return Status(Code::kInvalidArgument,
                        where + ": the first line names the columns; there is no '" +
                            std::string(needed) + "'");
        }
      }
    } else if (fields->size() != names.size()) {
      return Status(Code::kInvalidArgument, where + ": " + std::to_string(fields->size()) +
                                                " fields where the first line has " +
                                                std::to_string(names.size()));
    } else {
      Result<PreparedAnswer> answer = Read(names, *fields);
      if (!answer.ok()) return answer.status().In(where);
      answer->line = number;
      answers.push_back(*std::move(answer));
    }
  }
  if (names.empty()) {
    return Status(Code::kInvalidArgument,
                  path + ": no line names the columns: sample,answer[,frame][,<tag>...]");
  }
  return answers;
}

}  // namespace bitfoundry::cli
