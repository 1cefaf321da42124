// What the door does, without gRPC: starts the auto-labelling of a project and says how it stands.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "catalog/teacher.h"

namespace bitfoundry::db {
class Database;
}

namespace bitfoundry::autolabel {

class Desk {
 public:
  // teacher: the model that is asked; empty: there is none
  Desk(db::Database& database, std::string teacher)
      : database_(database), teacher_(std::move(teacher)) {}

  // Sets the budget (TeacherBudget::Set) and makes sure that a label job waits or runs
  // for each image with a sample that no teacher has answered for: one never asked for is new, a
  // dead one is redriven, and after a done one (the sample came later) there is another. Returns
  // how many jobs that made ready.
  //
  // Errors: kNotFound; kInvalidArgument, BUDGET, if a limit is negative.
  Result<int64_t> Start(const std::string& project, const catalog::TeacherBudget::Limits& budget);

  struct Progress {
    catalog::TeacherProgress counts;
    catalog::TeacherBudget::Limits budget;
    catalog::TeacherBudget::Spent spent;
    std::vector<std::string> classes;
    std::string teacher;  // empty: none, or none that knows the classes; people are asked
  };

  // Errors: kNotFound.
  Result<Progress> GetProgress(const std::string& project);

 private:
  db::Database& database_;
  const std::string teacher_;
};

}  // namespace bitfoundry::autolabel
