// A label desk over a real database and a store with one image.
#pragma once

#include <atomic>
#include <filesystem>
#include <optional>

#include "images/codec.h"
#include "services/labelqueue/desk.h"
#include "tests/integration/labels/labels_test.h"

namespace bitfoundry::labelqueue {

class DeskTest : public testing::LabelsTest {
 protected:
  void SetUp() override {
    LabelsTest::SetUp();
    if (HasFatalFailure()) return;
    folder_ = std::filesystem::temp_directory_path() / ("labelqueue_" + std::to_string(getpid()));
    store_.emplace(*blobs::Store::Open(folder_));
    image_ = images::Blank(640, 480, 3);
    for (size_t i = 0; i < image_.pixels.size(); ++i) {
      image_.pixels[i] = static_cast<uint8_t>(i * i / 7);  // no two windows are alike
    }
    digest_ = *store_->Put(images::EncodePng(image_));
    desk_.emplace(database(), *store_, std::chrono::seconds(600));
  }
  void TearDown() override {
    std::filesystem::remove_all(folder_);
    LabelsTest::TearDown();
  }

  Desk& desk() { return *desk_; }
  const std::filesystem::path& folder() const { return folder_; }  // of the store
  const images::Image& image() const { return image_; }
  const std::string& digest() const { return digest_; }

  // A sample that people are asked about; returns its id.
  int64_t AddTask(int slots = 1, int priority = 0) {
    const int64_t sample = AddSample(catalog::Part::kTrain, digest_);
    Request(sample, slots, priority);
    return sample;
  }

  std::vector<catalog::LeasedTask> LeaseUpTo(int max, const std::string& who) {
    const auto handout = desk_->Lease("gate", who, max);
    EXPECT_THAT(handout, testing::IsOk());
    return handout.ok() ? handout->tasks : std::vector<catalog::LeasedTask>();
  }
  catalog::TaskLease Lease(const std::string& who) {
    const auto tasks = LeaseUpTo(1, who);
    EXPECT_EQ(tasks.size(), 1U) << "nothing for " << who;
    return tasks.empty() ? catalog::TaskLease() : tasks[0].lease;
  }
  bool NothingFor(const std::string& who) { return LeaseUpTo(100, who).empty(); }

  // A new UUID.
  static std::string NewRequest() {
    static std::atomic<int> serial = 0;
    std::string id = std::to_string(100'000'000'000 + serial++);
    return "00000000-0000-4000-8000-" + id;
  }
  Result<bool> Submit(const catalog::TaskLease& lease, const std::string& who,
                      uint32_t class_index = 1) {
    return desk_->Submit({NewRequest(), lease, who}, class_index, {});
  }
  Result<bool> Skip(const catalog::TaskLease& lease, const std::string& who,
                    catalog::Refusal reason = catalog::Refusal::kUnsure) {
    return desk_->Skip({NewRequest(), lease, who}, reason);
  }

  // Every lease ran out a second ago.
  void ExpireAll() {
    Run("UPDATE task_slots SET lease_until = now() - interval '1 s' WHERE state = 'leased'");
  }

 private:
  std::filesystem::path folder_;
  std::optional<blobs::Store> store_;
  std::optional<Desk> desk_;
  images::Image image_;
  std::string digest_;
};

}  // namespace bitfoundry::labelqueue
