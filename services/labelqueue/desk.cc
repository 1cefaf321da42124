#include "services/labelqueue/desk.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/digest.h"
#include "catalog/projects.h"
#include "catalog/requests.h"
#include "catalog/samples.h"
#include "images/codec.h"
#include "labels/settle.h"

namespace bitfoundry::labelqueue {
namespace {

using catalog::Answer;
using Tags = std::map<std::string, std::string>;

// What is asked, the same for the same request however often it is sent and its lease renewed.
std::string Fingerprint(const char* method, const Slip& slip, const Answer& answer,
                        const Tags& tags) {
  const nlohmann::json content = {
      slip.lease.task_id, slip.annotator, answer.class_index.value_or(-1),
      static_cast<int>(answer.refusal.value_or(catalog::Refusal{})), tags};
  return std::string(method) + ":" + Sha256(content.dump());
}

Result<bool> HandIn(db::Tx& tx, const Slip& slip, Answer answer, const Tags& tags) {
  const auto [sample_id, surplus] = BF_TRY(catalog::Tasks(tx).HandIn(
      slip.lease, slip.annotator, /*answered=*/answer.class_index.has_value()));
  catalog::Samples samples(tx);
  const catalog::Sample sample = BF_TRY(samples.Get(sample_id));
  const catalog::Project project = BF_TRY(catalog::Projects(tx).Get(sample.project_id));
  if (answer.class_index.has_value() && *answer.class_index >= std::ssize(project.classes)) {
    return Status(Code::kInvalidArgument, "CLASS_UNKNOWN",
                  "project '" + project.name + "' has the classes 0 to " +
                      std::to_string(project.classes.size() - 1) + ", not " +
                      std::to_string(*answer.class_index));
  }
  answer.sample_id = sample_id;
  answer.class_list_version = project.class_list_version;
  answer.task_id = slip.lease.task_id;
  answer.surplus = surplus;
  if (!BF_TRY(catalog::Answers(tx).Add(answer))) {
    return Status(Code::kAlreadyExists, "ANSWERED_BEFORE",
                  "'" + slip.annotator + "' has answered task " +
                      std::to_string(slip.lease.task_id) + " before");
  }
  for (const auto& [key, value] : tags) {
    BF_TRY(samples.SetTag(sample_id, key, value, "person:" + slip.annotator));
  }
  BF_TRY(labels::Settle(tx, project, sample_id));
  return surplus;
}

}  // namespace

Result<Desk::Handout> Desk::Lease(const std::string& project, const std::string& annotator,
                                  int max_tasks, const std::vector<std::string>& samples) {
  BF_TRY(catalog::CheckAnnotator(annotator));
  if (max_tasks < 0 || max_tasks > kMaxTasks) {
    return Status(Code::kInvalidArgument, "MAX_TASKS",
                  "max_tasks is 0 (for 1) to " + std::to_string(kMaxTasks));
  }
  if (samples.size() > kMaxSamples) {
    return Status(Code::kInvalidArgument, "TOO_MANY_SAMPLES",
                  "a call names at most " + std::to_string(kMaxSamples) + " samples");
  }
  return database_.Transact([&](db::Tx& tx) -> Result<Handout> {
    const catalog::Project found = BF_TRY(catalog::Projects(tx).Get(project));
    auto leased = BF_TRY(
        catalog::Tasks(tx).Lease(found.id, annotator, lease_for_, std::max(max_tasks, 1), samples));
    return Handout{std::move(leased.tasks), found.classes, leased.expired};
  });
}

Result<std::string> Desk::ReadImage(const catalog::TaskLease& lease) {
  const auto sample = BF_TRY(database_.Transact([&](db::Tx& tx) -> Result<catalog::Sample> {
    return catalog::Samples(tx).Get(BF_TRY(catalog::Tasks(tx).SampleOf(lease)));
  }));
  const std::string bytes = BF_TRY(store_.Get(sample.image_digest, images::Limits().bytes));
  const Result<images::Image> image = images::Decode(bytes);
  if (!image.ok()) {
    return Status(Code::kDataLoss, "IMAGE_LOST",
                  sample.image_digest + ": " + image.status().message());
  }
  if (!sample.window.has_value()) return images::EncodePng(*image);
  const auto [x, y, width, height] = *sample.window;
  return images::EncodePng(BF_TRY(images::Crop(*image, {x, y, width, height})));
}

Result<bool> Desk::Submit(const Slip& slip, uint32_t class_index, const Tags& tags) {
  BF_TRY(catalog::CheckTags(tags));
  Answer answer;
  answer.class_index = static_cast<int>(std::min<uint32_t>(class_index, INT32_MAX));
  return Record(slip, "SubmitAnswer", answer, tags);
}

Result<bool> Desk::Skip(const Slip& slip, catalog::Refusal reason) {
  Answer answer;
  answer.refusal = reason;
  return Record(slip, "SkipTask", answer, {});
}

Result<bool> Desk::Record(const Slip& slip, const char* method, const Answer& answer,
                          const Tags& tags) {
  BF_TRY(catalog::CheckAnnotator(slip.annotator));
  if (slip.request_id.empty()) {
    return Status(Code::kInvalidArgument, "REQUEST_ID",
                  "request_id is missing: a UUID, the same one when the call is sent again");
  }
  Answer signed_answer = answer;
  signed_answer.annotator = slip.annotator;
  const std::string surplus = BF_TRY(database_.Transact([&](db::Tx& tx) {
    const std::string what = Fingerprint(method, slip, answer, tags);
    return catalog::Once(tx, slip.request_id, what, [&]() -> Result<std::string> {
      return std::string(BF_TRY(HandIn(tx, slip, signed_answer, tags)) ? "surplus" : "");
    });
  }));
  return surplus == "surplus";
}

Status Desk::Release(const catalog::TaskLease& lease, const std::string& annotator) {
  return database_.Transact(
      [&](db::Tx& tx) { return catalog::Tasks(tx).Release(lease, annotator); });
}

Result<int64_t> Desk::OpenAll(const std::string& project) {
  constexpr int kPage = 500;
  int64_t opened = 0;
  for (int64_t after = 0;;) {
    const auto page =
        BF_TRY(database_.Transact([&](db::Tx& tx) -> Result<std::vector<catalog::Sample>> {
          const catalog::Project found = BF_TRY(catalog::Projects(tx).Get(project));
          auto samples = BF_TRY(catalog::Samples(tx).List(found.id, after, kPage));
          for (const catalog::Sample& sample : samples) {
            if (sample.class_index.has_value()) continue;
            opened += BF_TRY(labels::RequestOpinions(tx, found, sample.id, /*slots=*/1,
                                                     /*priority=*/0));
          }
          return samples;
        }));
    if (page.empty()) return opened;
    after = page.back().id;
  }
}

Result<Desk::Listing> Desk::List(const std::string& project, bool open_only, int64_t after,
                                 int limit) {
  return database_.Transact([&](db::Tx& tx) -> Result<Listing> {
    const catalog::Project found = BF_TRY(catalog::Projects(tx).Get(project));
    catalog::Tasks tasks(tx);
    Listing listing;
    listing.tasks = BF_TRY(tasks.List(found.id, open_only, after, limit));
    listing.open_tasks = BF_TRY(tasks.CountOpen(found.id));
    return listing;
  });
}

Result<catalog::Tasks::Depth> Desk::CountSlots() {
  return database_.Transact([](db::Tx& tx) { return catalog::Tasks(tx).CountSlots(); });
}

}  // namespace bitfoundry::labelqueue
