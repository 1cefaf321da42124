#include "services/ingestion/freeze.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "catalog/projects.h"
#include "catalog/samples.h"
#include "services/ingestion/pixels.h"
#include "snapshot/snapshot.h"

namespace bitfoundry::ingestion {
namespace {

constexpr int kPage = 1000;

struct Content {
  catalog::Project project;
  std::vector<catalog::Sample> labelled;
  int unlabelled = 0;
};

Result<Content> ReadContent(db::Tx& tx, const std::string& project_name) {
  Content content{.project = BF_TRY(catalog::Projects(tx).Get(project_name))};
  catalog::Samples samples(tx);
  for (int64_t after = 0;;) {
    std::vector<catalog::Sample> page = BF_TRY(samples.List(content.project.id, after, kPage));
    if (page.empty()) return content;
    after = page.back().id;
    for (catalog::Sample& sample : page) {
      if (!sample.class_index.has_value()) {
        ++content.unlabelled;
      } else if (content.labelled.size() == snapshot::kMaxSamples) {
        return Status(Code::kFailedPrecondition, "SNAPSHOT_TOO_LARGE",
                      "more than 1,000,000 labelled samples");
      } else {
        content.labelled.push_back(std::move(sample));
      }
    }
  }
}

v1::Snapshot Summarize(const Content& content) {
  v1::Snapshot summary;
  summary.set_project(content.project.name);
  summary.set_unlabelled_samples(content.unlabelled);
  for (const std::string& name : content.project.classes) summary.add_classes()->set_name(name);
  for (const catalog::Sample& sample : content.labelled) {
    v1::ClassCount& count = *summary.mutable_classes(*sample.class_index);
    if (sample.part == catalog::Part::kTest) {
      count.set_test(count.test() + 1);
      summary.set_test_samples(summary.test_samples() + 1);
    } else {
      count.set_train(count.train() + 1);
      summary.set_train_samples(summary.train_samples() + 1);
    }
  }
  return summary;
}

snapshot::Row RowOf(const catalog::Sample& sample) {
  return {
      .name = sample.name,
      .part = sample.part == catalog::Part::kTest ? snapshot::Part::kTest : snapshot::Part::kTrain,
      .class_index = *sample.class_index,
      .posterior = sample.posterior,
      .camera = sample.camera,
      .session = sample.session,
      .position = sample.position,
      .tags = sample.tags,
      .attributes = sample.attributes};
}

Result<snapshot::Snapshot> Build(Content& content, const blobs::Store& store) {
  const catalog::Project& project = content.project;
  snapshot::Snapshot out{.project = project.name,
                         .classes = project.classes,
                         .height = project.height,
                         .width = project.width,
                         .channels = project.channels};
  // By name, the samples of one image are neighbours, and the image is decoded once.
  std::ranges::sort(content.labelled, {}, &catalog::Sample::name);
  std::string decoded;
  images::Image parent;
  for (const catalog::Sample& sample : content.labelled) {
    if (sample.image_digest != decoded) parent = BF_TRY(ReadImage(store, sample.image_digest));
    decoded = sample.image_digest;
    const images::Image input = images::ModelInput(BF_TRY(Cut(parent, sample.window)),
                                                   project.width, project.height, project.channels);
    out.rows.push_back(RowOf(sample));
    out.pixels.insert(out.pixels.end(), input.pixels.begin(), input.pixels.end());
  }
  return out;
}

}  // namespace

Result<v1::Snapshot> Freeze(db::Database& database, const blobs::Store& store,
                            const std::string& project_name) {
  Content content =
      BF_TRY(database.Transact([&](db::Tx& tx) { return ReadContent(tx, project_name); }));
  v1::Snapshot summary = Summarize(content);
  if (summary.train_samples() == 0 || summary.test_samples() == 0) {
    return Status(Code::kFailedPrecondition, "EMPTY_PART",
                  std::to_string(summary.train_samples()) + " labelled samples to train on, " +
                      std::to_string(summary.test_samples()) +
                      " to test on, neither may be none; " +
                      std::to_string(summary.unlabelled_samples()) + " wait for a label");
  }
  const snapshot::Encoded encoded = BF_TRY(snapshot::Encode(BF_TRY(Build(content, store))));
  catalog::Snapshot row;
  row.digest = BF_TRY(store.Put(encoded.rows));
  row.pixels_digest = BF_TRY(store.Put(encoded.pixels));
  row.project_id = content.project.id;
  row.project = content.project.name;
  row.class_list_version = content.project.class_list_version;
  BF_CHECK(row.digest == encoded.digest);
  BF_CHECK(google::protobuf::util::MessageToJsonString(summary, &row.summary_json).ok());
  return database.Transact([&](db::Tx& tx) -> Result<v1::Snapshot> {
    catalog::Snapshots snapshots(tx);
    BF_TRY(snapshots.Add(row));
    return ToMessage(BF_TRY(snapshots.Get(row.digest)));
  });
}

v1::Snapshot ToMessage(const catalog::Snapshot& row) {
  v1::Snapshot message;
  BF_CHECK(google::protobuf::util::JsonStringToMessage(row.summary_json, &message).ok());
  message.set_digest(row.digest);
  message.set_project(row.project);
  return message;
}

}  // namespace bitfoundry::ingestion
