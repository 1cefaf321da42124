// What an evaluation needs: a project, a frozen data set, and a published network that is easy to
// foresee. The network says "person" when an image is brighter than 128 on average.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "base/digest.h"
#include "blobs/store.h"
#include "catalog/artefacts.h"
#include "catalog/projects.h"
#include "catalog/runs.h"
#include "catalog/snapshots.h"
#include "packed/bundle.h"
#include "packed/format.h"
#include "snapshot/snapshot.h"
#include "tests/support/postgres.h"

namespace bitfoundry::evaluator {

constexpr int kSide = 16;

// One stem channel in 32 copies asks each pixel whether it is below 128; the sum over all pixels
// is positive where the image is bright.
inline packed::Network BrightnessNetwork() {
  packed::Stem stem;
  stem.channels = 32;
  stem.kernel = 1;
  stem.weights.assign(32, 1);
  stem.output = packed::ToBits{std::vector<int32_t>(32, 0)};
  packed::Dense dense;
  dense.classes = 2;
  dense.weights.assign(64, 0);
  dense.weights[0] = -1;
  dense.weights[32] = 1;
  dense.biases = {0, 0};
  packed::Network network;
  network.input = {kSide, kSide, 1};
  network.mean = {128};
  network.Then(stem);
  network.Then(packed::GlobalSum{});
  network.Then(dense);
  return network;
}

// `right` of `n` test samples of a class get the brightness that the network takes for it.
inline void AddSamples(snapshot::Snapshot& data, const std::string& motion, int label, int n,
                       int right) {
  for (int i = 0; i < n; ++i) {
    snapshot::Row row;
    row.name = Sha256(motion + std::to_string(label) + "/" + std::to_string(i));
    row.part = snapshot::Part::kTest;
    row.class_index = label;
    row.posterior = 1;
    row.camera = "gate";
    row.session = "monday";
    row.tags["motion"] = motion;
    row.attributes["box_height_px"] = 20 + i;
    const bool bright = (i < right) == (label == 1);
    data.pixels.insert(data.pixels.end(), kSide * kSide, bright ? 200 : 40);
    data.rows.push_back(row);
  }
}

inline snapshot::Snapshot SampleData() {
  snapshot::Snapshot data;
  data.project = "people";
  data.classes = {"no_person", "person"};
  data.height = kSide;
  data.width = kSide;
  data.channels = 1;
  AddSamples(data, "away", 1, 100, 98);
  AddSamples(data, "<b>sideways</b>", 1, 60, 30);
  AddSamples(data, "none", 0, 100, 99);
  return data;
}

class FactoryFloor : public testing::PostgresTest {
 protected:
  void SetUp() override {
    PostgresTest::SetUp();
    if (HasFatalFailure()) return;
    folder_ = ::testing::TempDir() + "/blobs_" + std::to_string(getpid());
    store_ = std::make_unique<blobs::Store>(*blobs::Store::Open(folder_));
    const Status published = database().Transact([&](db::Tx& tx) -> Status {
      BF_TRY(Freeze(tx, SampleData()));
      artefact_ = BF_TRY(Publish(tx, BrightnessNetwork(), 1));
      return Status();
    });
    ASSERT_TRUE(published.ok()) << published.ToString();
  }

  void TearDown() override {
    std::filesystem::remove_all(folder_);
    PostgresTest::TearDown();
  }

  blobs::Store& store() { return *store_; }

  // Publishes a network as the artefact of a run of its own; returns its digest.
  Result<std::string> Publish(db::Tx& tx, const packed::Network& network, int64_t job_id) {
    const snapshot::Snapshot data = SampleData();
    const auto project = BF_TRY(catalog::Projects(tx).Get(data.project));
    const int64_t run =
        BF_TRY(catalog::Runs(tx).Add({.project_id = project.id,
                                      .snapshot = snapshot_,
                                      .recipe_digest = Sha256("recipe " + std::to_string(job_id)),
                                      .recipe_json = "{}",
                                      .job_id = job_id}));
    const auto model = BF_TRY(packed::Serialize(network));
    const auto files = BF_TRY(packed::MakeBundle(model, {std::vector<uint8_t>(kSide * kSide, 100)},
                                                 {.project = data.project,
                                                  .snapshot = snapshot_,
                                                  .recipe_json = "{}",
                                                  .code_revision = "run " + std::to_string(job_id),
                                                  .classes = data.classes,
                                                  .train_images = 1,
                                                  .verified_images = 1,
                                                  .logit_scale = 1}));
    catalog::Artefact artefact{.run_id = run, .project_id = project.id, .snapshot = snapshot_};
    for (const packed::File& file : files) {
      const std::string digest = BF_TRY(store_->Put(file.bytes));
      artefact.files.push_back({file.name, digest, static_cast<int64_t>(file.bytes.size())});
      if (file.name == "manifest.json") artefact.digest = digest;
    }
    artefact.model_bytes = static_cast<int64_t>(model.size());
    BF_TRY(catalog::Artefacts(tx).Add(artefact));
    return artefact.digest;
  }

  std::string artefact_;
  std::string snapshot_;

 private:
  Status Freeze(db::Tx& tx, const snapshot::Snapshot& data) {
    const auto project = BF_TRY(catalog::Projects(tx).Create({.name = data.project,
                                                              .classes = data.classes,
                                                              .height = kSide,
                                                              .width = kSide,
                                                              .channels = 1}));
    const auto frozen = BF_TRY(snapshot::Encode(data));
    snapshot_ = BF_TRY(store_->Put(frozen.rows));
    const std::string pixels = BF_TRY(store_->Put(frozen.pixels));
    return catalog::Snapshots(tx).Add({.digest = snapshot_,
                                       .pixels_digest = pixels,
                                       .project_id = project.id,
                                       .summary_json = "{}"});
  }

  std::string folder_;
  std::unique_ptr<blobs::Store> store_;
};

}  // namespace bitfoundry::evaluator
