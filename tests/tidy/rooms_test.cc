// The architecture, as a test: which room may include which, and where each package may appear.
// Debian puts every header in /usr/include, so CMake alone cannot keep LibTorch out of a room.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <regex>
#include <set>
#include <string>

#include "tests/tidy/tree.h"

namespace bitfoundry::tidy {
namespace {

using Names = std::set<std::string>;

// A room may include itself, these, and what these may include. A new room is a new line here.
const std::map<std::string, Names> kRooms = {
    {"base", {}},
    {"attest", {"base"}},
    {"mcu", {}},
    {"packed", {"base"}},
    {"saliency", {"packed"}},
    {"emulate", {"packed"}},
    {"images", {"base"}},
    {"stats", {"base"}},
    {"blobs", {"base"}},
    {"snapshot", {"base"}},
    {"db", {"base"}},
    {"jobs", {"db"}},
    {"catalog", {"db"}},
    {"labels", {"catalog", "jobs", "stats"}},
    {"curation", {"catalog", "images", "stats"}},
    {"slices", {"snapshot"}},
    {"verdicts", {"emulate", "images", "saliency", "slices", "stats"}},
    {"bnn", {"packed"}},
    {"runtime", {"base"}},
    {"oip", {"catalog", "images", "runtime"}},
};

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
    ASSERT_TRUE(kRooms.contains(parts[1])) << file.path << ": this room is not in kRooms";
    const std::string target = Parts(header)[0];
    EXPECT_NE(target, "services") << where << ": lib must not know the services";
    if (!kRooms.contains(target) || target == parts[1]) return;
    ++seen;
    EXPECT_TRUE(Reachable(parts[1]).contains(target)) << where << ": may not use " << target;
  });
  EXPECT_GT(seen, 0U) << "no include between rooms was found: is the pattern still right?";
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
