// Slices: the language that picks the samples a data unit test is about.
//
//   label == "person" && tag.motion == "away" && attr.box_height_px < 60
//   !(meta.camera in ["door", "hall"]) || has_tag("occluded")
//
//   expression = conjunction { "||" conjunction }
//   conjunction = term { "&&" term }
//   term       = "!" term | "(" expression ")" | "true" | "false"
//              | "has_tag" "(" string ")" | field ( compare literal | "in" "[" literal, ... "]" )
//   field      = "label" | "prediction" | "tag." name | "meta." name | "attr." name
//   compare    = "==" | "!=" | "<" | "<=" | ">" | ">="
//
// attr.* are numbers, everything else is text, in 'single' or "double" quotes. Text has no order:
// < is for attributes. There are no loops, so every evaluation ends.
//
// Three values (Kleene's logic). A comparison with something that a sample does not have is neither
// true nor false but unknown, and so is its negation; unknown && false is false, unknown || true is
// true. A sample of unknown membership is not in the slice; whoever uses the slice counts these,
// because many of them mean that the slice is not what its author believes. has_tag is always
// known.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/status.h"

namespace bitfoundry::slices {

enum class Truth : uint8_t { kFalse, kUnknown, kTrue };  // ordered: && is min, || is max

// What an expression sees of one sample; it owns nothing. `prediction` is null where no model
// answered.
struct Row {
  const std::string* label = nullptr;
  const std::string* prediction = nullptr;
  const std::map<std::string, std::string>* tags = nullptr;
  const std::map<std::string, double>* attributes = nullptr;
  const std::map<std::string, std::string>* meta = nullptr;
};

// The names that exist in a data set, each list sorted. A slice over any other is a mistake.
struct Vocabulary {
  std::vector<std::string> classes;
  std::vector<std::string> tags;
  std::vector<std::string> attributes;
  std::vector<std::string> meta;
};

// Where the text of an expression begins, for messages: "suite.yaml:12:7: ...". Counted from 1.
struct Origin {
  std::string file;  // empty: "12:7: ..."
  int line = 1;
  int column = 1;

  std::string ToString() const;
};

inline constexpr size_t kMaxExpressionBytes = 4096;
inline constexpr int kMaxNesting = 64;

class Expression {
 public:
  // Errors: kInvalidArgument SLICE_INVALID, "file:line:column: what was expected, what was found",
  // with a suggestion where a known word is near.
  static Result<Expression> Parse(const std::string& text, const Origin& origin = {});

  // OK if every name that the expression uses exists: a slice over a misspelt tag would be empty,
  // and its negation everything.
  // Errors: kInvalidArgument SLICE_INVALID, with the name's position and a suggestion.
  Status Check(const Vocabulary& vocabulary) const;

  // `row`'s pointers other than `prediction` are set.
  Truth Evaluate(const Row& row) const { return Evaluate(row, root_); }

  const std::string& text() const { return text_; }

 private:
  friend class Parser;

  enum class Source : uint8_t { kLabel, kPrediction, kTag, kMeta, kAttribute };
  enum class Kind : uint8_t { kConstant, kNot, kAnd, kOr, kHasTag, kOneOf, kBelow, kAtMost };

  // One step of the tree; the fields that its kind needs are set. All other comparisons are these
  // under a kNot.
  struct Node {
    Kind kind = Kind::kConstant;
    Truth constant = Truth::kTrue;
    size_t left = 0;  // of kNot, kAnd, kOr: places in nodes_
    size_t right = 0;
    Source source = Source::kLabel;
    std::string name;                // of the tag, meta or attribute
    std::vector<std::string> texts;  // kOneOf of text
    std::vector<double> numbers;     // kOneOf, kBelow, kAtMost of an attribute
    Origin origin;                   // of the field's name
  };

  Truth Evaluate(const Row& row, size_t node) const;

  std::string text_;
  std::vector<Node> nodes_;
  size_t root_ = 0;
};

}  // namespace bitfoundry::slices
