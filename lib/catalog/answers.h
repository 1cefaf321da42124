// What annotators said about samples. Append-only: nobody takes an answer back.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace bitfoundry::db {
struct Tx;
}

namespace bitfoundry::catalog {

enum class AnnotatorKind { kPerson, kTeacher };

// Why an annotator named no class. The last three hold for whoever would look next.
enum class Refusal { kUnsure, kTooHard, kBadImage, kClassMissing, kPrivacy };

struct Answer {
  int64_t sample_id = 0;
  std::string annotator;  // a stable name, 1 to 128 bytes: "anna", "teacher:centernet@abc"
  AnnotatorKind kind = AnnotatorKind::kPerson;
  int class_list_version = 1;
  std::optional<int> class_index;    // of that list; either this
  std::optional<Refusal> refusal;    // or that
  std::optional<double> confidence;  // a teacher's own, 0 to 1: that its class is right
  std::string evidence_json = {};    // what a teacher saw; empty: nothing
  std::optional<int64_t> task_id;    // which asked for it
  bool surplus = false;              // came when the task's slot had gone to somebody else
};

// Whether a person may go by that name: 1 to 128 bytes without control characters, and not that of
// a teacher, whom it would keep from answering. Errors: kInvalidArgument, ANNOTATOR_INVALID.
Status CheckAnnotator(const std::string& name);

class Answers {
 public:
  explicit Answers(db::Tx& tx) : tx_(tx) {}

  // Adds an answer; false, and nothing changed, if this annotator has answered this sample before.
  // labels::Settle then says what the answers amount to.
  //
  // Errors: kFailedPrecondition if there is no such sample, or a field is out of its limits.
  Result<bool> Add(const Answer& answer);

  // Oldest first.
  Result<std::vector<Answer>> Of(int64_t sample_id);

 private:
  db::Tx& tx_;
};

}  // namespace bitfoundry::catalog
