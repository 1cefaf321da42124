#include "services/evaluator/remote_model.h"

#include <algorithm>
#include <limits>
#include <regex>

#include "catalog/samples.h"
#include "images/codec.h"
#include "oip/classifier.h"
#include "oip/detector.h"
#include "runtime/client.h"

namespace bitfoundry::evaluator {
namespace {

using v1::RemoteModel;

constexpr size_t kRowsAtOnce = 64;
constexpr size_t kMostText = 256;  // of a name, a version, a tensor

// Whether text from outside can be shown and kept.
bool IsPlain(const std::string& text) {
  return text.size() <= kMostText &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > 0x1f && c < 0x7f; });
}

Status CheckAsked(const RemoteModel& asked) {
  static const std::regex address(R"(([A-Za-z0-9._-]+|\[[0-9A-Fa-f:]+\]):[0-9]{1,5})");
  const auto wrong = [](const std::string& what) {
    return Status(Code::kInvalidArgument, "REMOTE_MODEL", what);
  };
  if (asked.address().size() > kMostText || !std::regex_match(asked.address(), address)) {
    return wrong("the address of a remote model is host:port, like 10.0.0.5:9000; not '" +
                 asked.address().substr(0, kMostText) + "'");
  }
  if (asked.model().empty() || !IsPlain(asked.model()) || !IsPlain(asked.version())) {
    return wrong("a remote model has a name of plain text, as its server lists it");
  }
  if (asked.kind() == RemoteModel::CLASSIFIER || asked.kind() == RemoteModel::DETECTOR) return {};
  return wrong("a remote model is a classifier or a detector: say which");
}

// The two classes of the rule, by index.
struct Classes {
  size_t person = 0;
  size_t no_person = 0;
};

Result<Classes> ClassesOf(const snapshot::Snapshot& data) {
  const auto begin = data.classes.begin();
  const auto end = data.classes.end();
  const auto person = std::find(begin, end, "person");
  const auto no_person = std::find(begin, end, "no_person");
  if (person != end && no_person != end) {
    return Classes{static_cast<size_t>(person - begin), static_cast<size_t>(no_person - begin)};
  }
  return Status(Code::kFailedPrecondition, "MODEL_DOES_NOT_FIT",
                std::string("the rule ") + oip::kRule +
                    " makes person or no_person of a detector's boxes; project " + data.project +
                    " lacks one of them");
}

oip::ClientOptions OptionsFor(const RemoteModel& model, oip::ClientOptions options) {
  options.role = "model";
  options.model = model.model();
  options.version = model.version();
  return options;
}

// What `ask` says in the end; a failure that may pass is tried again, as Client::Infer does.
template <typename Ask>
auto Patiently(const oip::ClientOptions& patience, const std::stop_token& stop, const Ask& ask)
    -> decltype(ask()) {
  auto pause = patience.first_pause;
  for (int tries = 1;; ++tries) {
    auto said = ask();
    if (said.ok() || !said.status().retryable() || tries >= patience.most_tries) return said;
    BF_TRY(oip::Pause(pause, stop));
    pause = std::min(2 * pause, patience.most_pause);
  }
}

images::Image Like(const snapshot::Snapshot& data) {
  images::Image like;
  like.width = data.width;
  like.height = data.height;
  like.channels = data.channels;
  return like;
}

}  // namespace

oip::ClientOptions Patience() {
  oip::ClientOptions options;
  options.call_limit = std::chrono::seconds(20);  // less than who asks for an evaluation waits
  options.failures_to_open = std::numeric_limits<int>::max();
  return options;
}

Result<RemoteModel> RemoteServers::Describe(const RemoteModel& asked,
                                            const snapshot::Snapshot& data) const {
  BF_TRY(CheckAsked(asked));
  return Patiently(patience_, {}, [&] { return DescribeOnce(asked, data); });
}

Result<RemoteModel> RemoteServers::DescribeOnce(const RemoteModel& asked,
                                                const snapshot::Snapshot& data) const {
  RemoteModel model = asked;
  model.clear_digest();
  model.clear_rule();
  model.set_project(data.project);
  const auto channel = runtime::Connect(asked.address());
  const oip::ClientOptions options = OptionsFor(asked, patience_);
  if (asked.kind() == RemoteModel::DETECTOR) {
    BF_TRY(ClassesOf(data));
    oip::Detector detector(channel, options, metrics_);
    model.set_version(BF_TRY(detector.Version()));
    model.set_rule(std::string(oip::kRule) + ", unsure counts as no_person");
    model.set_input("image UINT8 [n,height,width,3], whole images in tiles");
    model.set_output("detections FP32 [n,k,6]");
  } else {
    oip::Classifier classifier(channel, options, metrics_, Like(data), data.classes.size());
    const oip::Signature signature = BF_TRY(classifier.Describe());
    model.set_version(signature.version);
    model.set_input(signature.input);
    model.set_output(signature.output);
  }
  if (IsPlain(model.version()) && IsPlain(model.input()) && IsPlain(model.output())) return model;
  return oip::Garbage("its version or tensors have names that are no plain text");
}

Status RemoteServers::CheckSame(const RemoteModel& model, const snapshot::Snapshot& data) const {
  const auto now = Describe(model, data);
  const bool gone = now.status().code() == Code::kNotFound;
  if (!now.ok() && !gone) return now.status();
  RemoteModel known = model;
  known.clear_digest();
  if (!gone && now->SerializeAsString() == known.SerializeAsString()) return {};
  return {Code::kFailedPrecondition, "MODEL_CHANGED",
          model.address() + " does not serve " + model.model() + " " + model.version() +
              " as it did when the evaluation was asked for: ask for another one"};
}

Result<std::vector<size_t>> RemoteServers::Classify(const RemoteModel& model,
                                                    const snapshot::Snapshot& data,
                                                    const std::vector<size_t>& rows,
                                                    const verdicts::Transform& transform,
                                                    const std::stop_token& stop) const {
  oip::Classifier classifier(runtime::Connect(model.address()), OptionsFor(model, patience_),
                             metrics_, Like(data), data.classes.size());
  BF_TRY(Patiently(patience_, stop, [&] { return classifier.Describe(); }));
  std::vector<size_t> said;
  for (size_t first = 0; first < rows.size(); first += kRowsAtOnce) {
    std::vector<images::Image> images;
    for (size_t i = first; i < std::min(rows.size(), first + kRowsAtOnce); ++i) {
      images.push_back(Like(data));
      images.back().pixels = verdicts::Apply(transform, data, rows[i]);
    }
    const auto some = BF_TRY(classifier.Classify(images, stop));
    said.insert(said.end(), some.begin(), some.end());
  }
  return said;
}

Result<std::vector<size_t>> RemoteServers::Detect(const RemoteModel& model,
                                                  const snapshot::Snapshot& data,
                                                  const std::vector<size_t>& rows,
                                                  std::atomic<int32_t>& unsure,
                                                  const std::stop_token& stop) const {
  const Classes classes = BF_TRY(ClassesOf(data));
  oip::Detector detector(runtime::Connect(model.address()), OptionsFor(model, patience_), metrics_);
  std::string looked_at;  // windows of one image lie side by side, in order of their names
  std::vector<oip::Box> boxes;
  std::vector<size_t> said;
  for (const size_t row : rows) {
    const auto place = BF_TRY(catalog::ReadSampleName(data.rows[row].name));
    if (place.image_digest != looked_at) {
      const std::string bytes = BF_TRY(store_.Get(place.image_digest, images::Limits().bytes));
      const images::Image image = images::ToRgb(BF_TRY(images::Decode(bytes)));
      boxes = BF_TRY(detector.Look(
          image, model.version(), [] { return Status(); }, stop));
      looked_at = place.image_digest;
    }
    const oip::Verdict answer = oip::Judge(boxes, place.window).verdict;
    unsure += answer == oip::Verdict::kUnsure ? 1 : 0;
    said.push_back(answer == oip::Verdict::kPerson ? classes.person : classes.no_person);
  }
  return said;
}

verdicts::Predictor RemoteServers::Ask(const RemoteModel& model,
                                       std::atomic<int32_t>& unsure) const {
  return [this, model, &unsure](const snapshot::Snapshot& data, const std::vector<size_t>& rows,
                                const verdicts::Transform& transform,
                                const std::stop_token& stop) -> Result<std::vector<size_t>> {
    const bool detects = model.kind() == RemoteModel::DETECTOR;
    if (detects && !transform.text.empty()) {
      return Status(Code::kUnimplemented,
                    "a detector looks at images as they came in; transforms are of the network's "
                    "input");
    }
    BF_TRY(CheckSame(model, data));
    auto said = detects ? Detect(model, data, rows, unsure, stop)
                        : Classify(model, data, rows, transform, stop);
    if (said.ok() || said.status().code() == Code::kNotFound) BF_TRY(CheckSame(model, data));
    return said;
  };
}

}  // namespace bitfoundry::evaluator
