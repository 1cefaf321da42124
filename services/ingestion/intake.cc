#include "services/ingestion/intake.h"

#include <utility>

#include "catalog/answers.h"
#include "images/codec.h"
#include "images/measure.h"
#include "jobs/queue.h"
#include "jobs/shared.h"
#include "labels/settle.h"
#include "services/ingestion/pixels.h"

namespace bitfoundry::ingestion {
namespace {

using catalog::Window;

// A sample of the whole of `image`, or of a window of it, with what is measured there.
Result<catalog::Sample> MakeSample(const Capture& capture, const images::Image& image,
                                   const std::string& digest, const std::optional<Window>& window,
                                   int64_t position) {
  const images::Image seen = images::ToGray(BF_TRY(Cut(image, window)));
  const images::Properties measured = images::Measure(seen);
  return catalog::Sample{.project_id = capture.project.id,
                         .image_digest = digest,
                         .window = window,
                         .part = capture.part,
                         .camera = capture.camera,
                         .session = capture.session,
                         .position = position,
                         .attributes = {{"brightness", measured.brightness},
                                        {"brightness_p99", measured.brightness_p99},
                                        {"contrast", measured.contrast},
                                        {"sharpness", measured.sharpness},
                                        {"entropy", measured.entropy},
                                        {"width", seen.width},
                                        {"height", seen.height}},
                         .phash = measured.perceptual_hash,
                         .tags = capture.tags};
}

// Opens the job that labels the samples of an image. If its key is taken, its job may have begun
// without `newest_sample`, so another look is asked for; the teacher's detections are cached.
Status OpenLabelJob(db::Tx& tx, int64_t project_id, const std::string& digest,
                    int64_t newest_sample, int64_t max_waiting) {
  jobs::Queue queue(tx);
  BF_TRY(queue.CheckRoom(kLabelJob, max_waiting));
  jobs::JobSpec spec = jobs::LabelJob(project_id, digest);
  if (BF_TRY(queue.EnqueueAll({&spec, 1})) == 1) return {};
  spec.unique_key += ":" + std::to_string(newest_sample);
  BF_TRY(queue.Enqueue(spec));
  return {};
}

// Writes down what a person said of a sample, and what follows. Said twice is said once.
Status AddAnswer(db::Tx& tx, const catalog::Project& project, int64_t sample_id, const Said& said) {
  catalog::Answers answers(tx);
  if (BF_TRY(answers.Add({.sample_id = sample_id,
                          .annotator = said.annotator,
                          .class_list_version = project.class_list_version,
                          .class_index = said.class_index}))) {
    if (BF_TRY(labels::Settle(tx, project, sample_id)).has_value()) return {};
    return labels::RequestOpinions(tx, project, sample_id, /*slots=*/1, /*priority=*/1).status();
  }
  for (const catalog::Answer& before : BF_TRY(answers.Of(sample_id))) {
    if (before.annotator != said.annotator || before.class_index == said.class_index) continue;
    return {Code::kAlreadyExists, "ANSWERED_BEFORE",
            "'" + said.annotator + "' gave another answer before, and answers are not changed; " +
                "another annotator may contradict it"};
  }
  return {};
}

// What `stated` says of a sample otherwise than `there`, in words; empty: nothing.
std::string Differences(const catalog::Sample& there, const catalog::Sample& stated) {
  std::string text;
  const auto compare = [&](const std::string& what, const std::string& is,
                           const std::string& not_) {
    if (is != not_)
      text += (text.empty() ? "" : "; ") + what + " is '" + is + "', not '" + not_ + "'";
  };
  const auto name = [](catalog::Part part) {
    return part == catalog::Part::kTest ? "test" : "train";
  };
  compare("part", name(there.part), name(stated.part));
  const Capture nothing;
  if (stated.camera != nothing.camera) compare("camera", there.camera, stated.camera);
  if (stated.session != nothing.session) compare("session", there.session, stated.session);
  for (const auto& [key, value] : stated.tags) {
    const auto tag = there.tags.find(key);
    compare("tag " + key, tag == there.tags.end() ? "" : tag->second, value);
  }
  return text;
}

}  // namespace

// One image with its samples, computed and ready to be written.
struct Intake::Picture {
  catalog::Image image;
  std::vector<catalog::Sample> samples;
  std::optional<Said> said;  // of its only sample
};

Status Check(const Capture& capture) {
  const auto wrong = [](const std::string& what) {
    return Status(Code::kInvalidArgument, "CAPTURE_INVALID", what);
  };
  if (capture.camera.size() > 128) return wrong("camera has more than 128 bytes");
  if (capture.session.size() > 128) return wrong("session has more than 128 bytes");
  return catalog::CheckTags(capture.tags);
}

Result<Counts> Intake::Write(const Capture& capture, const Picture& picture) {
  const Result<Counts> counts = database_.Transact([&](db::Tx& tx) -> Result<Counts> {
    catalog::Samples samples(tx);
    BF_TRY(samples.AddImage(picture.image));
    Counts added;
    const bool split =
        BF_TRY(samples.IsInOtherPart(capture.project.id, picture.image.digest, capture.part));
    int64_t newest = 0;  // of the samples that are new
    for (const catalog::Sample& sample : picture.samples) {
      const std::string name = catalog::SampleName(sample.image_digest, sample.window);
      if (split && !samples.Get(capture.project.id, name).ok()) {
        ++added.ignored;
        added.reason = "OTHER_PART";
        added.how = "other samples of this image are in the other part, and no moment is in both";
        continue;
      }
      const auto [id, fresh] = BF_TRY(samples.Add(sample));
      ++(fresh ? added.accepted : added.duplicates);
      if (fresh) {
        newest = id;
      } else if (auto how = Differences(BF_TRY(samples.Get(id)), sample); !how.empty()) {
        ++added.ignored;
        added.reason = "STAYS";
        added.how = "was there before and stays as it is: " + how;
      }
      if (picture.said.has_value()) BF_TRY(AddAnswer(tx, capture.project, id, *picture.said));
    }
    if (!picture.said.has_value() && newest != 0) {
      BF_TRY(OpenLabelJob(tx, capture.project.id, picture.image.digest, newest, max_waiting_));
    }
    return added;
  });
  if (counts.ok() && counts->accepted > 0) doorbell_.Ring(kLabelJob);
  return counts;
}

Result<Counts> Intake::TakeImage(const Capture& capture, std::string_view bytes,
                                 const std::optional<Window>& window,
                                 const std::optional<Said>& said) {
  const images::Header header = BF_TRY(images::Probe(bytes));
  const images::Image image = BF_TRY(images::Decode(bytes));
  Picture picture{.said = said};
  picture.samples.push_back(BF_TRY(MakeSample(capture, image, Sha256(bytes), window, 0)));
  picture.image = {.digest = BF_TRY(store_.Put(bytes)),
                   .format = header.format == images::Format::kJpeg ? "jpeg" : "png",
                   .width = header.width,
                   .height = header.height,
                   .bytes = static_cast<int64_t>(bytes.size())};
  return Write(capture, picture);
}

Result<Counts> Intake::TakeVideo(const Capture& capture, const std::string& path,
                                 const FrameRange& range, const std::optional<WindowPlan>& plan,
                                 const std::function<Status(const Progress&)>& tell) {
  if (plan.has_value()) BF_TRY(CheckPlan(*plan));
  const Survey survey = BF_TRY(SurveyVideo(path, range));
  Progress progress{.frames_total = survey.frames, .frames_stated = survey.frames_stated};
  BF_TRY(ForEachFrame(path, range, [&](const Frame& frame) -> Status {
    std::vector<std::optional<Window>> windows;
    if (plan.has_value()) {
      const auto moving = MovingPlaces(Cells(frame.image), survey.background);
      for (const images::Rect& rect :
           ProposeWindows(*plan, frame.index, frame.image.width, frame.image.height, moving)) {
        windows.push_back(Window{rect.x, rect.y, rect.width, rect.height});
      }
    } else {
      windows.push_back(std::nullopt);
    }
    if (!windows.empty()) {
      const std::string png = images::EncodePng(frame.image);
      if (png.size() > images::Limits().bytes) {
        return {Code::kInvalidArgument, "IMAGE_TOO_LARGE", "a frame has more than 16 MiB as PNG"};
      }
      Picture picture{.image = {.digest = BF_TRY(store_.Put(png)),
                                .format = "png",
                                .width = frame.image.width,
                                .height = frame.image.height,
                                .bytes = static_cast<int64_t>(png.size())}};
      for (const auto& window : windows) {
        picture.samples.push_back(
            BF_TRY(MakeSample(capture, frame.image, picture.image.digest, window, frame.index)));
      }
      const Counts counts = BF_TRY(Write(capture, picture));
      progress.counts.accepted += counts.accepted;
      progress.counts.duplicates += counts.duplicates;
      progress.counts.ignored += counts.ignored;
    }
    ++progress.frames_done;
    return tell(progress);
  }));
  return progress.counts;
}

}  // namespace bitfoundry::ingestion
