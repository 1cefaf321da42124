#include "services/ingestion/batch.h"

#include <algorithm>

#include "catalog/answers.h"
#include "catalog/requests.h"
#include "images/codec.h"
#include "runtime/stream.h"

namespace bitfoundry::ingestion {
namespace {

Status OutOfOrder(const std::string& what) {
  return {Code::kInvalidArgument, "STREAM_ORDER", what};
}

// Who said what of the image. Errors: kInvalidArgument, LABEL_INVALID or ANNOTATOR_INVALID.
Result<std::optional<Said>> ReadSaid(const catalog::Project& project, const v1::ImageStart& start) {
  if (start.label().empty()) return std::optional<Said>();
  const auto at = std::find(project.classes.begin(), project.classes.end(), start.label());
  if (at == project.classes.end()) {
    return Status(Code::kInvalidArgument, "LABEL_INVALID",
                  "the project has no class '" + start.label() + "'");
  }
  BF_TRY(catalog::CheckAnnotator(start.annotator()));
  return std::optional<Said>({static_cast<int>(at - project.classes.begin()), start.annotator()});
}

}  // namespace

Result<Capture> ReadCapture(db::Database& database, const v1::Capture& message) {
  Capture capture;
  capture.project = BF_TRY(
      database.Transact([&](db::Tx& tx) { return catalog::Projects(tx).Get(message.project()); }));
  if (message.part() == v1::PART_TEST) capture.part = catalog::Part::kTest;
  if (!message.camera().empty()) capture.camera = message.camera();
  if (!message.session().empty()) capture.session = message.session();
  capture.tags = {message.tags().begin(), message.tags().end()};
  BF_TRY(Check(capture));
  return capture;
}

Result<std::optional<std::string>> AnsweredBefore(db::Database& database,
                                                  const std::string& request_id,
                                                  const std::string& method) {
  if (request_id.empty()) return std::optional<std::string>();
  const Status unknown(Code::kNotFound, "not answered yet");
  const Result<std::string> answer = database.Transact([&](db::Tx& tx) {
    return catalog::Once(tx, request_id, method, [&]() -> Result<std::string> { return unknown; });
  });
  if (answer.ok()) return std::optional<std::string>(*answer);
  if (answer.status() == unknown) return std::optional<std::string>();
  return answer.status();
}

Result<std::string> Remember(db::Database& database, const std::string& request_id,
                             const std::string& method, const std::string& answer) {
  return database.Transact([&](db::Tx& tx) {
    return catalog::Once(tx, request_id, method, [&]() -> Result<std::string> { return answer; });
  });
}

Status Batch::Open(const v1::Capture& capture) {
  if (capture_.has_value()) return OutOfOrder("a capture comes first and once");
  capture_ = BF_TRY(ReadCapture(database_, capture));
  request_id_ = capture.request_id();
  asked_ = catalog::Asked("IngestImages", capture);
  if (const auto known = BF_TRY(AnsweredBefore(database_, request_id_, asked_))) {
    BF_CHECK(answered_.emplace().ParseFromString(*known));
  }
  return {};
}

Status Batch::Add(const v1::IngestImagesRequest& message) {
  if (message.has_capture()) return Open(message.capture());
  if (!capture_.has_value()) return OutOfOrder("a capture comes first");
  if (ended_) return OutOfOrder("nothing comes after the end");
  if (message.has_end()) {
    BF_TRY(runtime::CheckWhole(false, images_, message.end().images(), "images"));
    ended_ = true;
    return Close();
  }
  if (message.has_image()) {
    BF_TRY(Close());
    if (++images_ > kMaxBatch) {
      return {Code::kInvalidArgument, "BATCH_TOO_LARGE",
              "more than 1000 images; those before are taken, send the rest in another call"};
    }
    image_ = message.image();
    return {};
  }
  if (!image_.has_value()) return OutOfOrder("a chunk before its image");
  if (message.chunk().size() > kMaxChunkBytes) {
    return {Code::kInvalidArgument, "CHUNK_TOO_LARGE", "a chunk has more than 1 MiB"};
  }
  const size_t room = images::Limits().bytes + 1 - bytes_.size();
  bytes_.append(message.chunk(), 0, std::min(room, message.chunk().size()));
  return {};
}

Result<Counts> Batch::Take(const v1::ImageStart& start) {
  Capture capture = *capture_;
  for (const auto& [key, value] : start.tags()) capture.tags[key] = value;
  BF_TRY(Check(capture));
  const std::optional<Said> said = BF_TRY(ReadSaid(capture.project, start));
  std::optional<catalog::Window> window;
  if (start.has_window()) {
    const v1::Window& w = start.window();
    window = catalog::Window{w.x(), w.y(), w.width(), w.height()};
  }
  return intake_.TakeImage(capture, bytes_, window, said);
}

Status Batch::Close() {
  if (!image_.has_value()) return {};
  const Result<Counts> counts = Take(*image_);
  if (counts.ok()) {
    response_.set_accepted(response_.accepted() + counts->accepted);
    response_.set_duplicates(response_.duplicates() + counts->duplicates);
    if (counts->ignored > 0) {
      v1::Refused& ignored = *response_.add_ignored();
      ignored.set_name(image_->name());
      ignored.set_reason(counts->reason);
      ignored.set_message(counts->how);
    }
  } else if (counts.status().code() == Code::kInvalidArgument ||
             counts.status().reason() == "ANSWERED_BEFORE") {
    v1::Refused& refused = *response_.add_refused();
    refused.set_name(image_->name());
    refused.set_reason(counts.status().reason());
    refused.set_message(counts.status().message());
  } else {
    return counts.status().In(image_->name());
  }
  image_.reset();
  bytes_.clear();
  return {};
}

Result<v1::IngestImagesResponse> Batch::Finish() {
  if (answered_.has_value()) return *answered_;
  if (!capture_.has_value()) return OutOfOrder("a capture comes first");
  if (!ended_) {
    return Status(Code::kInvalidArgument, "STREAM_CUT",
                  "no end came; the images before are taken, the same call again takes the rest");
  }
  const std::string answer =
      BF_TRY(Remember(database_, request_id_, asked_, response_.SerializeAsString()));
  BF_CHECK(response_.ParseFromString(answer));
  return response_;
}

}  // namespace bitfoundry::ingestion
