#include "services/autolabel/labeller.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "bitfoundry/v1/jobs.pb.h"
#include "catalog/answers.h"
#include "catalog/projects.h"
#include "catalog/samples.h"
#include "db/database.h"
#include "images/codec.h"
#include "labels/settle.h"
#include "services/autolabel/tracks.h"

namespace bitfoundry::autolabel {

using oip::Box;
using oip::Judgement;
using oip::kRule;
using oip::Verdict;
using oip::Window;

namespace {

// Of people's tasks: without labels of the part `test` nothing can be judged.
constexpr int kTestPriority = 1;
constexpr int kTrainPriority = 0;

template <typename Job>
Result<Job> Parse(const jobs::Lease& lease) {
  Job job;
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;  // of a newer binary
  if (!google::protobuf::util::JsonStringToMessage(lease.payload_json, &job, options).ok()) {
    return Status(Code::kDataLoss, "the job's payload is not a " + Job::descriptor()->name());
  }
  return job;
}

std::string ToJson(const google::protobuf::Message& job) {
  std::string json;
  BF_CHECK(google::protobuf::util::MessageToJsonString(job, &json).ok());
  return json;
}

// Which class of the project each verdict is.
struct ClassMap {
  int person = 0;
  int no_person = 0;
};

// Nothing if the project has other classes: then the rule has no answer to anything.
std::optional<ClassMap> MapClasses(const catalog::Project& project) {
  const auto index = [&](const char* name) {
    return std::find(project.classes.begin(), project.classes.end(), name) -
           project.classes.begin();
  };
  const auto end = static_cast<std::ptrdiff_t>(project.classes.size());
  const ClassMap map{static_cast<int>(index("person")), static_cast<int>(index("no_person"))};
  if (map.person == end || map.no_person == end) return std::nullopt;
  return map;
}

// Asks people about a sample.
Status Ask(db::Tx& tx, const catalog::Project& project, const catalog::Sample& sample) {
  const int priority = sample.part == catalog::Part::kTest ? kTestPriority : kTrainPriority;
  return labels::RequestOpinions(tx, project, sample.id, /*slots=*/1, priority).status();
}

std::string Evidence(const std::vector<Box>& boxes, const Judgement& judgement) {
  nlohmann::json evidence = {{"rule", kRule}};
  if (judgement.box >= 0) {
    const Box& b = boxes[static_cast<size_t>(judgement.box)];
    evidence["box"] = {b.score, b.left, b.top, b.right, b.bottom};
  }
  return evidence.dump();
}

// Writes the teacher's answer for one sample, and asks people if it settles nothing.
Status Answer(db::Tx& tx, const catalog::Sample& sample, const catalog::Project& project,
              const ClassMap& classes, const catalog::Eye& eye, const std::vector<Box>& boxes) {
  const Judgement judgement = oip::Judge(boxes, sample.window);
  catalog::Answer answer{.sample_id = sample.id,
                         .annotator = "teacher:" + eye.model + "@" + eye.version,
                         .kind = catalog::AnnotatorKind::kTeacher,
                         .class_list_version = project.class_list_version,
                         .evidence_json = Evidence(boxes, judgement)};
  if (judgement.verdict == Verdict::kUnsure) {
    answer.refusal = catalog::Refusal::kUnsure;
  } else {
    answer.class_index = judgement.verdict == Verdict::kPerson ? classes.person : classes.no_person;
    answer.confidence = judgement.confidence;
  }
  BF_TRY(catalog::Answers(tx).Add(answer));
  if (BF_TRY(labels::Settle(tx, project, sample.id)).has_value()) return Status();
  return Ask(tx, project, sample);
}

// Once every image of the session is known, its people can be followed.
Status DescribeWhenComplete(db::Tx& tx, int64_t project_id, const std::string& session,
                            const catalog::Eye& eye) {
  const int64_t samples = BF_TRY(catalog::Detections(tx).CompleteSession(project_id, session, eye));
  if (samples == 0) return Status();
  v1::DescribeJob job;
  job.set_project_id(project_id);
  job.set_session(session);
  // Samples that come later make another description: hence their number.
  const std::string key = "describe:" + std::to_string(project_id) + ":" + eye.model + "@" +
                          eye.version + ":" + std::to_string(samples) + ":" + session;
  return jobs::Queue(tx)
      .Enqueue({.kind = "describe", .payload_json = ToJson(job), .unique_key = key})
      .status();
}

// The pixels of its image that a sample shows.
Result<Window> Extent(catalog::Samples& samples, const catalog::Sample& sample) {
  if (sample.window) return *sample.window;
  const catalog::Image image = BF_TRY(samples.GetImage(sample.image_digest));
  return Window{0, 0, image.width, image.height};
}

// Where the box lies in the sample, as shares of its width and height and cut at its edges: so they
// hold for a model's input of any size.
std::map<std::string, double> PlaceOf(const Box& box, const Window& extent) {
  const auto share = [](double at, int from, int length) {
    return std::clamp((at - from) / length, 0.0, 1.0);
  };
  return {{"box_left", share(box.left, extent.x, extent.width)},
          {"box_top", share(box.top, extent.y, extent.height)},
          {"box_right", share(box.right, extent.x, extent.width)},
          {"box_bottom", share(box.bottom, extent.y, extent.height)}};
}

}  // namespace

bool TeacherKnows(const catalog::Project& project) { return MapClasses(project).has_value(); }

Labeller::Labeller(db::Database& database, const blobs::Store& store, oip::Detector* teacher,
                   int64_t price_micros, prometheus::Registry& metrics)
    : database_(database),
      store_(store),
      teacher_(teacher),
      price_micros_(price_micros),
      spent_micros_(prometheus::BuildCounter()
                        .Name("bf_teacher_spend_micros_total")
                        .Help("What was reserved for calls, in millionths of the currency")
                        .Register(metrics)
                        .Add({})) {}

Result<std::vector<Box>> Labeller::Look(const jobs::Lease& lease, int64_t project_id,
                                        const std::string& digest, const std::string& version,
                                        const std::stop_token& stop) {
  const std::string bytes = BF_TRY(store_.Get(digest, images::Limits().bytes));
  const images::Image image = images::ToRgb(BF_TRY(images::Decode(bytes)));
  // All calls of the image are reserved before the first, so that the budget does not end between
  // two and waste what was paid for; one more is reserved for each that fails and is repeated.
  int held = 0;
  const oip::Spend spend = [&, calls = oip::Detector::Calls(image.width, image.height)]() mutable {
    if (held == 0) {
      BF_TRY(database_.Transact([&](db::Tx& tx) {
        return catalog::TeacherBudget(tx).Reserve(project_id, lease.job_id, lease.epoch, calls,
                                                  price_micros_);
      }));
      spent_micros_.Increment(static_cast<double>(calls * price_micros_));
      held = std::exchange(calls, 1);
    }
    --held;
    return Status();
  };
  auto seen = teacher_->Look(image, version, spend, stop);
  if (held > 0) {  // it failed before them
    BF_TRY(database_.Transact([&](db::Tx& tx) {
      return catalog::TeacherBudget(tx).GiveBack(lease.job_id, lease.epoch, held, price_micros_);
    }));
  }
  return seen;
}

Result<jobs::Write> Labeller::Label(const jobs::Lease& lease, const std::stop_token& stop) {
  const auto job = BF_TRY(Parse<v1::LabelJob>(lease));
  catalog::Project project;
  std::vector<catalog::Sample> samples;
  BF_TRY(database_.Transact([&](db::Tx& tx) -> Status {
    project = BF_TRY(catalog::Projects(tx).Get(job.project_id()));
    samples = BF_TRY(catalog::Samples(tx).OfImage(project.id, job.image_digest()));
    return Status();
  }));
  const std::optional<ClassMap> classes = MapClasses(project);
  if (teacher_ == nullptr || !classes.has_value()) {  // no call, no cost: people decide
    return jobs::Write([=](db::Tx& tx) -> Status {
      for (const catalog::Sample& sample : samples) {
        if (!sample.class_index.has_value()) BF_TRY(Ask(tx, project, sample));
      }
      return Status();
    });
  }
  const std::string version = BF_TRY(teacher_->AwaitVersion(stop));
  const catalog::Eye eye{teacher_->model(), version, kRule};
  std::optional<std::vector<Box>> known = BF_TRY(database_.Transact(
      [&](db::Tx& tx) { return catalog::Detections(tx).Find(job.image_digest(), eye); }));
  const bool cache_hit = known.has_value();
  const std::vector<Box> boxes =
      cache_hit ? *std::move(known)
                : BF_TRY(Look(lease, project.id, job.image_digest(), version, stop));

  return jobs::Write([=](db::Tx& tx) -> Status {
    BF_TRY(catalog::Detections(tx).Add(job.image_digest(), eye, boxes));
    BF_TRY(catalog::TeacherBudget(tx).Settle(project.id, lease.job_id, lease.epoch, cache_hit));
    std::set<std::string> sessions;  // in order, so that two writers lock them in one order
    for (const catalog::Sample& sample : samples) {
      BF_TRY(Answer(tx, sample, project, *classes, eye, boxes));
      sessions.insert(sample.session);
    }
    for (const std::string& session : sessions) {
      BF_TRY(DescribeWhenComplete(tx, project.id, session, eye));
    }
    return Status();
  });
}

Result<jobs::Write> Labeller::Describe(const jobs::Lease& lease, const std::stop_token& stop) {
  const auto job = BF_TRY(Parse<v1::DescribeJob>(lease));
  const std::string version = BF_TRY(teacher_->AwaitVersion(stop));
  const catalog::Eye eye{teacher_->model(), version, kRule};

  std::vector<catalog::Sample> samples;
  std::map<std::string, std::vector<Box>> boxes;
  BF_TRY(database_.Transact([&](db::Tx& tx) -> Status {
    samples = BF_TRY(catalog::Samples(tx).OfSession(job.project_id(), job.session()));
    boxes = BF_TRY(catalog::Detections(tx).OfSession(job.project_id(), job.session(), eye));
    return Status();
  }));

  std::vector<Frame> frames;
  std::map<std::string, size_t> frame_of;
  for (const catalog::Sample& sample : samples) {  // in order of position
    if (!frame_of.try_emplace(sample.image_digest, frames.size()).second) continue;
    frames.push_back({sample.position, boxes[sample.image_digest]});
  }
  const std::vector<std::vector<Motion>> motions = Motions(frames);

  return jobs::Write([=](db::Tx& tx) -> Status {
    catalog::Samples writer(tx);
    for (const catalog::Sample& sample : samples) {
      const size_t frame = frame_of.at(sample.image_digest);
      const int best = oip::Judge(frames[frame].boxes, sample.window).box;
      if (best < 0) continue;
      const Box& box = frames[frame].boxes[static_cast<size_t>(best)];
      BF_TRY(writer.SetAttribute(sample.id, "box_height_px", box.bottom - box.top, kDescribeRule));
      for (const auto& [key, value] : PlaceOf(box, BF_TRY(Extent(writer, sample)))) {
        BF_TRY(writer.SetAttribute(sample.id, key, value, kDescribeRule));
      }
      BF_TRY(writer.SetTag(sample.id, "motion", Name(motions[frame][static_cast<size_t>(best)]),
                           kDescribeRule));
    }
    return Status();
  });
}

}  // namespace bitfoundry::autolabel
