// Projects and their class lists: one task each.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace bitfoundry::db {
struct Tx;
}

namespace bitfoundry::catalog {

struct Project {
  int64_t id = 0;
  std::string name;
  std::vector<std::string> classes;  // the newest list; a class is named by its index
  int class_list_version = 1;
  int height = 0;
  int width = 0;
  int channels = 0;
};

class Projects {
 public:
  explicit Projects(db::Tx& tx) : tx_(tx) {}

  // Ignores id and class_list_version of `project`.
  //
  // Errors:
  //   kInvalidArgument  a name, class or size out of its limits; the message says which and why
  //   kAlreadyExists    PROJECT_EXISTS
  Result<Project> Create(const Project& project);

  // Errors: kNotFound, PROJECT_NOT_FOUND.
  Result<Project> Get(const std::string& name);
  Result<Project> Get(int64_t id);

  // In order of their ids, from the first above `after`.
  Result<std::vector<Project>> List(int64_t after, int limit);

 private:
  db::Tx& tx_;
};

}  // namespace bitfoundry::catalog
