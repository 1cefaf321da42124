#include "runtime/options.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cstdlib>

namespace bitfoundry::runtime {
namespace {

// "pg-dsn" -> "BF_PG_DSN"
std::string EnvironmentName(const std::string& name) {
  std::string upper = "BF_" + name;
  for (char& c : upper) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return upper;
}

std::string Help(const std::vector<Option>& known) {
  std::string text;
  for (const Option& o : known) {
    text += std::string("\n  --") + o.name + "=" + o.fallback + "\n      " + o.help + "  [" +
            EnvironmentName(o.name) + "]";
  }
  return text;
}

}  // namespace

Result<Options> Options::Parse(int argc, const char* const* argv,
                               const std::vector<Option>& known) {
  Options options;
  options.known_ = known;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--help") return Status(Code::kCancelled, Help(known));

    const size_t equals = argument.find('=');
    if (argument.rfind("--", 0) != 0 || equals == std::string::npos) {
      return Status(Code::kInvalidArgument, argument + ": not of the form --name=value");
    }
    const std::string name = argument.substr(2, equals - 2);
    if (std::none_of(known.begin(), known.end(), [&](const Option& o) { return o.name == name; })) {
      return Status(Code::kInvalidArgument, "--" + name + ": unknown; known are" + Help(known));
    }
    options.arguments_[name] = argument.substr(equals + 1);
  }
  return options;
}

std::string Options::Text(const Option& option) const {
  if (const auto found = arguments_.find(option.name); found != arguments_.end()) {
    return found->second;
  }
  const char* value = std::getenv(EnvironmentName(option.name).c_str());
  return value != nullptr ? value : option.fallback;
}

Result<int64_t> Options::Integer(const Option& option, int64_t low, int64_t high) const {
  const std::string text = Text(option);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < low || value > high) {
    return Status(Code::kInvalidArgument, "OPTION",
                  std::string("--") + option.name + "=" + text + ": not a whole number from " +
                      std::to_string(low) + " to " + std::to_string(high));
  }
  return value;
}

std::string Options::ToString() const {
  std::string text;
  for (const Option& o : known_) {
    if (!text.empty()) text += ' ';
    text += std::string("--") + o.name + "=" + (o.secret ? "***" : Text(o));
  }
  return text;
}

}  // namespace bitfoundry::runtime
