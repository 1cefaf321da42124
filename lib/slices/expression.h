// Slices: the language that picks the samples a data unit test is about.
//
//   label == "person" && tag.motion == "away" && attr.box_height_px < 60
//   !(meta.camera in ["door", "hall"]) || has_tag("occluded")
//   label != prediction && meta.distance_m > 7 && attr.brightness <= quantile(0.05)
//
//   expression = conjunction { "||" conjunction }
//   conjunction = term { "&&" term }
//   term       = "!" term | "(" expression ")" | "true" | "false" | "has_tag" "(" text ")"
//              | field ( compare value | "in" range | "in" "[" item { "," item } "]" )
//   field      = "label" | "prediction" | "tag." name | "meta." name | "attr." name
//   compare    = "==" | "!=" | "<" | "<=" | ">" | ">="
//   item       = value | range
//   value      = text | number | "quantile" "(" number ")" | "label" | "prediction"
//   range      = value ( ".." | "..<" ) value
//
// text     label, prediction, tag.*, meta.camera, meta.session; values in 'single' or "double"
//          quotes. Text has no order: it is compared with ==, != and in. label and prediction can
//          also be compared with each other.
// numbers  attr.*, meta.position. 2..7 holds both ends, 2..<7 all but the upper.
// meta.*   what was recorded with the image: besides those named, every tag, as a number where it
//          is compared with one (`bitfoundry ingest --tag distance_m=8.5`). A text that is not
//          wholly a number has none.
// quantile(q), 0 <= q <= 1: the nearest-rank quantile of the field it is compared with, over the
//          rows the expression is evaluated on that have it: the least value that at least a share
//          q of them does not exceed (and the least of all for q = 0).
//
// There are no loops, so every evaluation ends.
//
// Three values (Kleene's logic). A comparison with something that a sample does not have is neither
// true nor false but unknown, and so is its negation; unknown && false is false, unknown || true is
// true. A sample of unknown membership is not in the slice; whoever uses the slice counts these,
// because many of them mean that the slice is not what its author believes. has_tag is always
// known.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "slices/columns.h"

namespace bitfoundry::slices {

// Where the text of an expression begins, for messages: "suite.yaml:12:7: ...". Counted from 1.
struct Origin {
  std::string file;  // empty: "12:7: ..."
  int line = 1;
  int column = 1;

  std::string ToString() const;
};

// What an expression says of each row: row i is bit i % 64 of word i / 64; bits past the last row
// are 0. A row that is possible and not certain is unknown.
struct Selection {
  std::vector<uint64_t> certain;   // true
  std::vector<uint64_t> possible;  // true or unknown

  size_t Count() const;
  size_t Unknown() const;
  std::vector<size_t> Rows() const;  // the certain ones, ascending
};

inline constexpr size_t kMaxExpressionBytes = 4096;
inline constexpr int kMaxNesting = 64;

class Expression {
 public:
  // Errors: kInvalidArgument SLICE_INVALID, "file:line:column: what was expected, what was found",
  // with a suggestion where a known word is near.
  static Result<Expression> Parse(const std::string& text, const Origin& origin = {});

  // OK if every name that the expression uses exists: a slice over a misspelt tag would be empty,
  // and its negation everything. A value that no sample has may come to be had: it is refused only
  // where it looks like a misspelt one: the same but for case, or a little different from one that
  // is there, and not in its digits alone.
  // Errors: kInvalidArgument SLICE_INVALID, with the name's position and a suggestion.
  Status Check(const Vocabulary& vocabulary) const;

  // OK if some sample has each of the values: a list that names one more would claim what it does
  // not hold. Tags and capture facts of very many values are not looked at.
  // Errors: as Check.
  Status CheckValues(const Vocabulary& vocabulary) const;

  // Where it holds. Names that `columns` lacks are missing in every row.
  //
  //   predictions  [columns.rows] places in columns.classes; or none: no model answered
  Selection Select(const Columns& columns, std::span<const size_t> predictions = {}) const;

  // Whether different models make it pick different rows.
  bool UsesPrediction() const;

  const std::string& text() const { return text_; }

 private:
  friend class Parser;
  class Evaluation;

  enum class Source : uint8_t { kLabel, kPrediction, kTag, kMeta, kAttribute };
  enum class Kind : uint8_t { kConstant, kNot, kAnd, kOr, kAgree, kHasTag, kOneOf, kWithin };

  struct Number {
    double value = 0;  // or, of a quantile, its share
    bool is_quantile = false;
  };
  struct Range {
    Number low, high;
    bool below_high = false;  // the upper end is not part of it
  };

  // One step of the tree; the fields that its kind needs are set. Every comparison is one of these,
  // or one under a kNot: a number is compared by the ranges it lies in.
  struct Node {
    Kind kind = Kind::kConstant;
    bool constant = true;
    size_t left = 0;  // of kNot, kAnd, kOr: places in nodes_
    size_t right = 0;
    Source source = Source::kLabel;
    std::string name;                // of the tag, meta or attribute
    std::vector<std::string> texts;  // kOneOf
    std::vector<Range> ranges;       // kWithin
    Origin origin;                   // of the field's name
  };

  // A text that a tag or capture fact is compared with, and that no sample has.
  struct UnknownValue {
    Origin origin;
    std::string text;
    const std::vector<std::string>& known;  // what samples have there; of the vocabulary
  };
  std::vector<UnknownValue> UnknownValues(const Vocabulary& vocabulary) const;

  std::string text_;
  std::vector<Node> nodes_;
  size_t root_ = 0;
};

}  // namespace bitfoundry::slices
