#include "catalog/answers.h"

#include <algorithm>
#include <array>

#include "db/database.h"

namespace bitfoundry::catalog {
namespace {

constexpr char kAdd[] = R"sql(
  INSERT INTO answers (sample_id, annotator, kind, class_list_version, class_index, refusal,
                       confidence, evidence, task_id, surplus)
  VALUES ($1, $2, $3::annotator_kind, $4, $5, $6::refusal, $7, $8::jsonb, $9, $10)
  ON CONFLICT ON CONSTRAINT one_answer_each DO NOTHING
)sql";

constexpr char kOf[] = R"sql(
  SELECT sample_id, annotator, kind::text, class_list_version, class_index, refusal::text,
         confidence, COALESCE(evidence::text, '') AS evidence, task_id, surplus
    FROM answers WHERE sample_id = $1 ORDER BY id
)sql";

// In the order of the enumerators.
constexpr std::array<const char*, 2> kKinds{"person", "teacher"};
constexpr std::array<const char*, 5> kRefusals{"unsure", "too_hard", "bad_image", "class_missing",
                                               "privacy"};

template <typename Enum, size_t n>
std::string NameOf(const std::array<const char*, n>& names, Enum value) {
  return names.at(static_cast<size_t>(value));
}

template <typename Enum, size_t n>
Enum ValueOf(const std::array<const char*, n>& names, const std::string& name) {
  return static_cast<Enum>(std::find(names.begin(), names.end(), name) - names.begin());
}

template <typename T>
std::optional<T> Nullable(const pqxx::field& field) {
  if (field.is_null()) return std::nullopt;
  return field.as<T>();
}

Answer FromRow(const pqxx::row& row) {
  Answer answer{.sample_id = row["sample_id"].as<int64_t>(),
                .annotator = row["annotator"].as<std::string>(),
                .kind = ValueOf<AnnotatorKind>(kKinds, row["kind"].as<std::string>()),
                .class_list_version = row["class_list_version"].as<int>(),
                .class_index = Nullable<int>(row["class_index"]),
                .refusal = {},
                .confidence = Nullable<double>(row["confidence"]),
                .evidence_json = row["evidence"].as<std::string>(),
                .task_id = Nullable<int64_t>(row["task_id"]),
                .surplus = row["surplus"].as<bool>()};
  if (!row["refusal"].is_null()) {
    answer.refusal = ValueOf<Refusal>(kRefusals, row["refusal"].as<std::string>());
  }
  return answer;
}

}  // namespace

Status CheckAnnotator(const std::string& name) {
  const bool control = std::any_of(name.begin(), name.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7F;
  });
  if (!name.empty() && name.size() <= 128 && !control && !name.starts_with("teacher:")) {
    return Status();
  }
  return {Code::kInvalidArgument, "ANNOTATOR_INVALID",
          "annotator: use 1 to 128 bytes without control characters, not beginning with teacher:"};
}

Result<bool> Answers::Add(const Answer& answer) {
  std::optional<std::string> refusal, evidence;
  if (answer.refusal.has_value()) refusal = NameOf(kRefusals, *answer.refusal);
  if (!answer.evidence_json.empty()) evidence = answer.evidence_json;
  tx_.work.conn().prepare("answers_add", kAdd);
  const pqxx::result added = tx_.work.exec_prepared(
      "answers_add", answer.sample_id, answer.annotator, NameOf(kKinds, answer.kind),
      answer.class_list_version, answer.class_index, refusal, answer.confidence, evidence,
      answer.task_id, answer.surplus);
  return added.affected_rows() == 1;
}

Result<std::vector<Answer>> Answers::Of(int64_t sample_id) {
  tx_.work.conn().prepare("answers_of", kOf);
  std::vector<Answer> answers;
  for (const auto& row : tx_.work.exec_prepared("answers_of", sample_id)) {
    answers.push_back(FromRow(row));
  }
  return answers;
}

}  // namespace bitfoundry::catalog
