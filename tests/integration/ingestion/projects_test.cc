// What a project may be called and made of.
#include "catalog/projects.h"

#include "tests/support/postgres.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::catalog {
namespace {

using testing::IsOk;

class ProjectsTest : public testing::PostgresTest {
 protected:
  Status Create(const Project& project) {
    return database().Transact([&](db::Tx& tx) { return Projects(tx).Create(project); }).status();
  }
  const Project good_{
      .name = "gate", .classes = {"empty", "person"}, .height = 64, .width = 64, .channels = 1};
};

TEST_F(ProjectsTest, NamesHaveLimitsHoweverLongTheyAre) {
  const std::string endless(1 << 20, 'a');  // on which a std::regex overflows the stack
  for (const std::string& name : {std::string(), std::string("Gate"), std::string("a b"),
                                  std::string("-a"), endless.substr(0, 64), endless}) {
    Project named = good_;
    named.name = name;
    EXPECT_EQ(Create(named).reason(), "PROJECT_INVALID") << name.substr(0, 80);
    Project with_class = good_;
    with_class.classes[1] = name == "Gate" || name == "a b" ? "caf\u00e9" : name;
    EXPECT_EQ(Create(with_class).reason(), "PROJECT_INVALID") << name.substr(0, 80);
  }
  Project longest = good_;
  longest.name = longest.classes[1] = endless.substr(0, 63);
  EXPECT_THAT(Create(longest), IsOk());
}

TEST_F(ProjectsTest, ThereAreTwoTo64DifferentClasses) {
  Project project = good_;
  for (const std::vector<std::string>& classes :
       {std::vector<std::string>{}, {"one"}, {"same", "same"}, std::vector<std::string>(65, "x")}) {
    project.classes = classes;
    EXPECT_EQ(Create(project).reason(), "PROJECT_INVALID") << classes.size();
  }
  EXPECT_THAT(Create(good_), IsOk());
}

}  // namespace
}  // namespace bitfoundry::catalog
