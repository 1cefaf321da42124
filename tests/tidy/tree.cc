#include "tests/tidy/tree.h"

#include <array>
#include <cstdio>
#include <fstream>
#include <sstream>

#include "base/status.h"

namespace bitfoundry::tidy {
namespace {

std::vector<File> ReadTree() {
  const std::string root = BF_SOURCE_DIR;
  // safe.directory: the tests may run as another user than the one who cloned.
  FILE* git = popen(
      ("git -c safe.directory='*' -C '" + root + "' ls-files --cached --others --exclude-standard")
          .c_str(),
      "r");
  BF_CHECK(git != nullptr);
  std::string names;
  std::array<char, 4096> buffer{};
  while (const size_t n = fread(buffer.data(), 1, buffer.size(), git)) {
    names.append(buffer.data(), n);
  }
  pclose(git);

  std::vector<File> tree;
  std::istringstream paths(names);
  for (std::string path; std::getline(paths, path);) {
    std::ifstream file(root + "/" + path);
    if (!file) continue;  // deleted, not yet committed
    File entry{path, {}};
    if (IsSource(path)) {
      for (std::string line; std::getline(file, line);) entry.lines.push_back(line);
    }
    tree.push_back(std::move(entry));
  }
  return tree;
}

}  // namespace

const std::vector<File>& Tree() {
  static const std::vector<File> tree = ReadTree();
  return tree;
}

bool IsSource(const std::string& path) {
  const std::string extension = path.substr(path.find_last_of("./") + 1);
  return extension == "h" || extension == "c" || extension == "cc";
}

std::vector<std::string> Parts(const std::string& path) {
  std::vector<std::string> parts;
  std::istringstream text(path);
  for (std::string part; std::getline(text, part, '/');) parts.push_back(part);
  return parts;
}

}  // namespace bitfoundry::tidy
