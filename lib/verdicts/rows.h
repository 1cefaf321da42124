// Which rows a test is about, and which of them belong together.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "slices/columns.h"
#include "verdicts/judge.h"

namespace bitfoundry::verdicts {

// Rows by their text in a field.
class Texts {
 public:
  Texts(const slices::Columns& columns, const Field& field);

  bool Has(size_t place) const { return code_[place] != kNone; }
  const std::string& Of(size_t place) const { return column_->words[code_[place]]; }

  // Those of `places` that have a text, one group for each, in the order of the columns.
  std::vector<std::vector<size_t>> Split(std::span<const size_t> places) const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  const slices::TextColumn* column_ = nullptr;
  std::vector<uint32_t> code_;  // by place
};

// The rows of a slice.
struct Chosen {
  Status names;  // OK if the data has all that the slice names
  std::vector<size_t> members;
  size_t unknown = 0;
  std::string digest;
};

// Finds each slice once, however many tests it has.
class Chooser {
 public:
  Chooser(const Suite& suite, const Evidence& evidence, const slices::Columns& columns)
      : suite_(suite), evidence_(evidence), columns_(columns), names_(columns.Names()) {}

  const Chosen& Choose(const DataTest& test);

 private:
  const Suite& suite_;
  const Evidence& evidence_;
  const slices::Columns& columns_;
  const slices::Vocabulary names_;
  std::map<std::pair<size_t, std::string>, Chosen> chosen_;
};

}  // namespace bitfoundry::verdicts
