// The files of the repository, as git knows them, for the tests of its own order.
#pragma once

#include <string>
#include <vector>

namespace bitfoundry::tidy {

struct File {
  std::string path;                // from the root, like "lib/base/status.h"
  std::vector<std::string> lines;  // of our C and C++; empty for other files
};

// Every file that git tracks or would track.
const std::vector<File>& Tree();

// True for our C and C++: .h, .c, .cc.
bool IsSource(const std::string& path);

// "lib/base/status.h" -> {"lib", "base", "status.h"}
std::vector<std::string> Parts(const std::string& path);

}  // namespace bitfoundry::tidy
