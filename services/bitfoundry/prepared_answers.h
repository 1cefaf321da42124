// Answers that people gave beforehand, as a CSV file: for `bitfoundry label --answers`.
//
//   sample,answer[,frame][,<tag>...]
//   "3e...@12,40,64,64",person,5,
//
// The first line names the columns: `sample` (a sample's name) and `answer` (a class, or a refusal:
// unsure, too_hard, bad_image, class_missing, privacy) have to be there. `frame` is the sample's
// position in its session: where a video decoder gives other pixels, and so other names, a window
// is found by it. Every other column is a tag that goes with the answer, where it is not empty.
// Lines that begin with # are comments. Fields may be quoted as in RFC 4180.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace bitfoundry::cli {

struct PreparedAnswer {
  std::string sample;
  std::string answer;
  std::optional<int64_t> frame;
  std::map<std::string, std::string> tags;
  int line = 0;  // of the file, from 1
};

// Errors: kInvalidArgument, "answers.csv:12: ..." says what was expected.
Result<std::vector<PreparedAnswer>> ReadPreparedAnswers(const std::string& path);

}  // namespace bitfoundry::cli
