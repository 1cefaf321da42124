// The architecture, as a test: which room may include which, and where each package may appear.
// Debian puts every header in /usr/include, so CMake alone cannot keep LibTorch out of a room.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "tests/tidy/tree.h"

namespace bitfoundry::tidy {
namespace {

using Names = std::set<std::string>;

// The table of rooms in docs/architecture.md: a room may include itself, those that its row names,
// and what these may include. So the map on the page is the one that holds.
std::map<std::string, Names> ReadRooms() {
  static const std::regex row(R"re(\| (\w+) \| .* \| ([\w, ]+) \|)re");
  static const std::regex word(R"re(\w+)re");
  std::ifstream page(BF_SOURCE_DIR "/docs/architecture.md");
  std::map<std::string, Names> rooms;
  std::string line;
  while (std::getline(page, line) && line != "## Rooms") {
  }
  while (std::getline(page, line) && line.rfind("## ", 0) != 0) {
    std::smatch cells;
    if (!std::regex_match(line, cells, row) || cells.str(1) == "room") continue;
    const std::string may_use = cells.str(2);
    Names& names = rooms[cells.str(1)];
    for (std::sregex_iterator i(may_use.begin(), may_use.end(), word), end; i != end; ++i) {
      if (i->str() != "nothing") names.insert(i->str());
    }
  }
  return rooms;
}

const std::map<std::string, Names> kRooms = ReadRooms();

// A package's headers may be included only under these path prefixes.
const std::map<std::string, Names> kPackages = {
    {"torch", {"lib/bnn/", "tests/unit/bnn/", "tests/bench/"}},
    {"pqxx", {"lib/db/", "lib/jobs/", "lib/catalog/", "lib/labels/", "tests/"}},
    {"hiredis", {"lib/jobs/", "tests/"}},
    {"prometheus", {"lib/oip/", "lib/runtime/", "services/", "tests/"}},
    {"grpcpp", {"lib/oip/", "lib/runtime/", "services/", "tests/"}},
    {"opencv2", {"lib/images/", "services/ingestion/", "services/teacher/", "tests/"}},
    {"turbojpeg.h", {"lib/images/", "tests/"}},
    {"png.h", {"lib/images/", "tests/"}},
    {"spdlog", {"lib/base/"}},
    {"openssl", {"lib/attest/", "lib/base/", "tests/unit/attest/"}},
    {"CLI", {"services/bitfoundry/"}},
    {"yaml-cpp", {"lib/verdicts/", "tests/"}},
};

bool StartsWithAny(const std::string& text, const Names& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& p) { return text.rfind(p, 0) == 0; });
}

// What `room` may include, arrows followed to their end.
Names Reachable(const std::string& room) {
  Names reached;
  for (const std::string& next : kRooms.at(room)) {
    reached.insert(next);
    reached.merge(Reachable(next));
  }
  return reached;
}

// Calls visit(file, line number, "jobs/queue.h" or "png.h") for every include of the tree.
template <typename Visit>
void ForEachInclude(const Visit& visit) {
  static const std::regex include(R"re(^\s*#\s*include\s+[<"]([^>"]+)[>"])re");
  for (const File& file : Tree()) {
    for (size_t i = 0; i < file.lines.size(); ++i) {
      if (std::smatch match; std::regex_search(file.lines[i], match, include)) {
        visit(file, file.path + ":" + std::to_string(i + 1), match.str(1));
      }
    }
  }
}

TEST(Rooms, IncludesFollowTheArrows) {
  size_t seen = 0;
  ForEachInclude([&](const File& file, const std::string& where, const std::string& header) {
    const auto parts = Parts(file.path);
    if (parts[0] != "lib" || parts.size() < 3) return;
    ASSERT_TRUE(kRooms.contains(parts[1]))
        << file.path << ": docs/architecture.md has no such room";
    const std::string target = Parts(header)[0];
    EXPECT_NE(target, "services") << where << ": lib must not know the services";
    if (!kRooms.contains(target) || target == parts[1]) return;
    ++seen;
    EXPECT_TRUE(Reachable(parts[1]).contains(target)) << where << ": may not use " << target;
  });
  EXPECT_GT(seen, 0U) << "no include between rooms was found: is the pattern still right?";
}

TEST(Rooms, EachOfTheTableIsThereAndUsesOnlyOthersOfIt) {
  ASSERT_FALSE(kRooms.empty()) << "docs/architecture.md: no table of rooms was found";
  for (const auto& [room, may_use] : kRooms) {
    EXPECT_TRUE(std::filesystem::is_directory(BF_SOURCE_DIR "/lib/" + room)) << room;
    for (const std::string& used : may_use)
      EXPECT_TRUE(kRooms.contains(used)) << room << ": " << used;
  }
}

TEST(Rooms, PackagesStayWhereTheyAreCaged) {
  size_t seen = 0;
  ForEachInclude([&](const File& file, const std::string& where, const std::string& header) {
    const auto package = kPackages.find(Parts(header)[0]);
    if (package == kPackages.end()) return;
    ++seen;
    EXPECT_TRUE(StartsWithAny(file.path, package->second)) << where << ": " << header;
  });
  EXPECT_GT(seen, 0U) << "no package's header was found: is the pattern still right?";
}

TEST(Rooms, AServiceDoesNotKnowAnother) {
  ForEachInclude([&](const File& file, const std::string& where, const std::string& header) {
    const auto parts = Parts(file.path);
    if (parts[0] != "services" || header.rfind("services/", 0) != 0) return;
    EXPECT_EQ(Parts(header)[1], parts[1]) << where << ": they meet only in Postgres";
  });
}

TEST(Rooms, OnlyTheTrainWorkerTouchesTraining) {
  ForEachInclude([&](const File& file, const std::string& where, const std::string& header) {
    if (Parts(header)[0] != "bnn" || header == "bnn/recipe.h") return;  // that one is plain text
    EXPECT_TRUE(StartsWithAny(
        file.path, {"lib/bnn/", "services/train-worker/", "services/train_worker/", "tests/"}))
        << where << ": only bf-train-worker links LibTorch";
  });
}

// What ships to the microcontroller leans on nothing but the compiler's own headers, and lies in
// one folder, where its own are found without a path.
TEST(Rooms, TheMicrocontrollerRuntimeIsFreestanding) {
  const Names freestanding = {"stddef.h", "stdint.h",   "stdbool.h",
                              "limits.h", "arm_acle.h", "arm_mve.h"};
  ForEachInclude([&](const File& file, const std::string& where, const std::string& header) {
    if (file.path.rfind("lib/mcu/", 0) != 0 || header.rfind("bf_", 0) == 0) return;
    EXPECT_TRUE(freestanding.contains(header)) << where << ": " << header;
  });
}

}  // namespace
}  // namespace bitfoundry::tidy
