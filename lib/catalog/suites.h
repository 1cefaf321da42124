// Suites of data unit tests: their texts, named by digest. What they mean: lib/verdicts.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace bitfoundry::db {
struct Tx;
}

namespace bitfoundry::catalog {

struct Suite {
  std::string digest;  // of yaml
  std::string name;    // the file's, for people
  std::string yaml;
  std::string title;  // what it calls itself, in all its versions
  int64_t version = 0;
};

class Suites {
 public:
  explicit Suites(db::Tx& tx) : tx_(tx) {}

  // One that is there already stays as it is.
  Status Add(const Suite& suite);

  // Errors: kNotFound, SUITE_NOT_FOUND.
  Result<Suite> Get(const std::string& digest);

 private:
  db::Tx& tx_;
};

}  // namespace bitfoundry::catalog
