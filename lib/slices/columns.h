// What an expression is evaluated on: rows of a snapshot turned into columns, once, so that each
// slice is a few passes over arrays. A column lists only the rows that have a value, so memory is
// that of the data, however many names there are.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "snapshot/snapshot.h"

namespace bitfoundry::slices {

// The names that exist in a data set, each list sorted. A slice over any other is a mistake.
struct Vocabulary {
  std::vector<std::string> classes;
  std::vector<std::string> tags;
  std::vector<std::string> attributes;
  std::vector<std::string> meta;
  std::vector<std::string> numbers;  // those in `meta` that are a number in one row at least
  // What tags, camera and session are; not of those that are more than 1,000 things.
  std::map<std::string, std::vector<std::string>> texts;
};

struct NumberColumn {
  std::vector<uint32_t> rows;  // that have a value, ascending
  std::vector<double> values;  // [rows], finite
};

struct TextColumn {
  std::vector<uint32_t> rows;   // that have a value, ascending
  std::vector<uint32_t> codes;  // [rows], places in `words`
  std::vector<std::string> words;
};

struct Columns {
  size_t rows = 0;
  std::vector<std::string> classes;
  std::vector<uint32_t> labels;  // [rows], places in `classes`
  std::map<std::string, TextColumn> tags;
  std::map<std::string, TextColumn> meta;     // camera, session
  std::map<std::string, NumberColumn> facts;  // position, and the tags whose text is a number
  std::map<std::string, NumberColumn> attributes;

  // Of the rows at `places` in data.rows, in that order; at most 2^32.
  static Columns Of(const snapshot::Snapshot& data, std::span<const size_t> places);

  Vocabulary Names() const;
};

}  // namespace bitfoundry::slices
