// The rules of this code's style that a program can check.
#include <gtest/gtest.h>

#include <regex>
#include <set>
#include <string>

#include "tests/tidy/tree.h"

namespace bitfoundry::tidy {
namespace {

constexpr size_t kMaxColumns = 100;
constexpr size_t kMaxLines = 600;
constexpr size_t kMaxFunctionLines = 70;

// Code points, so that a quoted name with an accent is not punished.
size_t Columns(const std::string& line) {
  size_t columns = 0;
  for (const char c : line) columns += (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  return columns;
}

TEST(Names, LinesFitTheirColumns) {
  for (const File& file : Tree()) {
    for (size_t i = 0; i < file.lines.size(); ++i) {
      EXPECT_LE(Columns(file.lines[i]), kMaxColumns) << file.path << ":" << i + 1;
    }
  }
}

TEST(Names, FilesAreShortEnoughToRead) {
  for (const File& file : Tree()) EXPECT_LE(file.lines.size(), kMaxLines) << file.path;
}

// clang-format puts a function's closing brace into the first column, and its head there too.
TEST(Names, FunctionsFitAScreen) {
  for (const File& file : Tree()) {
    size_t head = 0;
    bool open = false;
    for (size_t i = 0; i < file.lines.size(); ++i) {
      const std::string& line = file.lines[i];
      if (line.empty() || line[0] == ' ' || line[0] == '#' || line[0] == '/') continue;
      const bool is_function = line.find('(') != std::string::npos && line.back() != ';' &&
                               line.rfind("namespace", 0) != 0 && line.rfind("TEST", 0) != 0;
      if (line[0] != '}') {
        head = i;
        open = is_function;
      } else if (open) {
        EXPECT_LE(i - head + 1, kMaxFunctionLines) << file.path << ":" << head + 1;
        open = false;
      }
    }
  }
}

// Each option is a variable of the environment too, which every process on a machine may see.
TEST(Names, AnOptionMeansOneThing) {
  const std::regex declared("runtime::Option k[A-Za-z]+\\{ *\"([a-z-]+)\"");
  std::set<std::string> names;
  for (const File& file : Tree()) {
    for (size_t i = 0; i + 1 < file.lines.size(); ++i) {
      const std::string line = file.lines[i] + file.lines[i + 1];  // it may be broken after {
      std::smatch match;
      if (file.lines[i].find("Option k") == std::string::npos) continue;
      if (!std::regex_search(line, match, declared)) continue;
      EXPECT_TRUE(names.insert(match[1]).second) << file.path << ": --" << match[1];
    }
  }
  EXPECT_GE(names.size(), 10U);
}

// An object that BF_TRY leaves half built is leaked: { a, BF_TRY(b) }.
TEST(Names, BracesHoldNoBfTryBehindAnotherValue) {
  const std::regex half_built(R"(\{[^{};]*,\s*(\.\w+\s*=\s*)?BF_TRY\()");
  const std::regex in_a_body(R"(\{\s*(return|if|for|BF_TRY)\b)");
  for (const File& file : Tree()) {
    if (!file.path.ends_with(".cc") && !file.path.ends_with(".h")) continue;
    std::string text;
    for (const std::string& line : file.lines) {
      if (line.find("//") == std::string::npos && !line.empty()) text += line + "\n";
    }
    for (std::sregex_iterator it(text.begin(), text.end(), half_built), end; it != end; ++it) {
      const std::string found = it->str();
      EXPECT_TRUE(std::regex_search(found, in_a_body)) << file.path << ": " << found;
    }
  }
}

TEST(Names, SayWhatAFileIsFor) {
  const std::regex vague("(^|[_/-])(utils?|manager|common|helpers?|misc)([_./-]|$)");
  for (const File& file : Tree()) {
    EXPECT_FALSE(std::regex_search(file.path, vague)) << file.path;
  }
}

TEST(Names, OnlyTheAgreedFoldersAreAtTheTop) {
  const std::set<std::string> agreed = {"services", "proto",   "lib",  "deploy", "migrations",
                                        "tests",    "scripts", "docs", ".ci"};
  const std::set<std::string> files = {"CMakeLists.txt", "CMakePresets.json", "README.md",
                                       "LICENSE"};
  for (const File& file : Tree()) {
    const auto parts = Parts(file.path);
    if (parts.size() > 1) {
      EXPECT_TRUE(agreed.contains(parts[0])) << file.path;
    } else {
      EXPECT_TRUE(files.contains(parts[0]) || parts[0][0] == '.') << file.path;
    }
  }
}

TEST(Names, DecisionsAreNumberedWithoutGapsOrTwins) {
  const std::regex numbered(R"(docs/decisions/(\d{4})-[a-z0-9-]+\.md)");
  std::set<int> numbers;
  size_t files = 0;
  for (const File& file : Tree()) {
    if (file.path.rfind("docs/decisions/", 0) != 0) continue;
    std::smatch match;
    ASSERT_TRUE(std::regex_match(file.path, match, numbered))
        << file.path << ": name it docs/decisions/0001-what-was-decided.md";
    numbers.insert(std::stoi(match[1]));
    ++files;
  }
  EXPECT_EQ(numbers.size(), files) << "two decisions share a number";
  if (!numbers.empty()) {
    EXPECT_EQ(static_cast<size_t>(*numbers.rbegin()), numbers.size());
  }
}

TEST(Names, EveryHeaderOpensWithWhatItIsForAndIsIncludedOnce) {
  for (const File& file : Tree()) {
    if (file.path.size() < 2 || file.path.substr(file.path.size() - 2) != ".h") continue;
    ASSERT_FALSE(file.lines.empty()) << file.path;
    EXPECT_TRUE(file.lines[0].rfind("//", 0) == 0 || file.lines[0].rfind("/*", 0) == 0)
        << file.path << " says not what it is for";
    bool guarded = false;
    for (const std::string& line : file.lines) {
      guarded |= line == "#pragma once" || line.rfind("#ifndef", 0) == 0;
    }
    EXPECT_TRUE(guarded) << file.path;
  }
}

}  // namespace
}  // namespace bitfoundry::tidy
