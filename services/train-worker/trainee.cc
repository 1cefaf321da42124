#include "services/train-worker/trainee.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/log.h"
#include "bnn/train.h"
#include "packed/bundle.h"
#include "packed/format.h"
#include "snapshot/snapshot.h"

namespace bitfoundry::train_worker {
namespace {

constexpr size_t kGoldenImages = 16;

// The images of one part, side by side.
struct Images {
  std::vector<uint8_t> pixels;
  std::vector<int32_t> classes;
};

Images PartOf(const snapshot::Snapshot& data, snapshot::Part part) {
  Images images;
  for (size_t i = 0; i < data.rows.size(); ++i) {
    if (data.rows[i].part != part) continue;
    const auto image = data.Image(i);
    images.pixels.insert(images.pixels.end(), image.begin(), image.end());
    images.classes.push_back(data.rows[i].class_index);
  }
  return images;
}

v1::TrainProgress ToProto(const bnn::Progress& progress) {
  v1::TrainProgress proto;
  proto.set_epoch(progress.epoch);
  proto.set_epochs(progress.epochs);
  proto.set_step(progress.step);
  proto.set_loss(progress.loss);
  proto.set_train_accuracy(progress.train_accuracy);
  proto.set_images_per_second(progress.images_per_second);
  return proto;
}

// Beats from a thread of its own, so that a long step or an export does not cost the lease.
class Heart {
 public:
  Heart(Door& door, const v1::AcquireLeaseResponse& leased)
      : thread_([this, &door, &leased](const std::stop_token& stop) { Beat(door, leased, stop); }) {
  }

  void Tell(const bnn::Progress& progress) {
    const std::scoped_lock lock(mutex_);
    progress_ = ToProto(progress);
  }

  // What the last answer asked for; kAborted, LEASE_LOST or RUN_CANCELLED, once the lease is lost.
  Result<v1::HeartbeatResponse::Order> order() {
    const std::scoped_lock lock(mutex_);
    if (!lost_.ok()) return lost_;
    return order_;
  }

 private:
  void Beat(Door& door, const v1::AcquireLeaseResponse& leased, const std::stop_token& stop) {
    std::chrono::seconds pause(std::max(1, leased.next_heartbeat_seconds()));
    std::unique_lock lock(mutex_);
    while (!stop.stop_requested()) {
      const v1::TrainProgress progress = progress_;
      lock.unlock();
      const Result<v1::HeartbeatResponse> answer = door.Heartbeat(leased.lease(), progress);
      lock.lock();
      if (answer.ok() && answer->order() == v1::HeartbeatResponse::CANCEL) {
        lost_ =
            Status(Code::kAborted, "RUN_CANCELLED", "bf-trainer says that the run was cancelled");
        return;
      }
      if (answer.ok()) {
        order_ = answer->order();
        pause = std::chrono::seconds(std::max(1, answer->next_heartbeat_seconds()));
      } else if (answer.status().code() == Code::kAborted) {
        lost_ = answer.status();
        return;
      }
      // Whether a lease has run out is for the door to say, so silence is not taken for an answer.
      wake_.wait_for(lock, stop, answer.ok() ? pause : std::chrono::seconds(1),
                     [] { return false; });
    }
  }

  std::mutex mutex_;
  std::condition_variable_any wake_;
  v1::TrainProgress progress_;                                            // guarded by mutex_
  v1::HeartbeatResponse::Order order_ = v1::HeartbeatResponse::CONTINUE;  // guarded by mutex_
  Status lost_;                                                           // guarded by mutex_
  std::jthread thread_;  // last: it uses the others
};

bnn::Order Decide(Heart& heart, const std::stop_token& stop) {
  const auto order = heart.order();
  if (!order.ok()) return bnn::Order::kStop;
  const bool yield = *order == v1::HeartbeatResponse::CHECKPOINT_AND_YIELD;
  return yield || stop.stop_requested() ? bnn::Order::kCheckpointAndStop : bnn::Order::kContinue;
}

Result<snapshot::Snapshot> ReadSnapshot(Door& door, const v1::RunLease& lease) {
  Door::Dataset dataset = BF_TRY(door.ReadDataset(lease));
  return snapshot::Decode(dataset.rows, std::move(dataset.pixels));
}

// Goes on from `checkpoint`, or starts anew if that is none of this run's: what was trained is
// lost, the run is not.
Result<bnn::Trained> TrainFrom(const std::string& checkpoint, const bnn::Examples& examples,
                               const bnn::Recipe& recipe, const bnn::Hooks& hooks) {
  Result<bnn::Trained> trained = bnn::Train(examples, recipe, checkpoint, hooks);
  const Status status = trained.status();
  const bool unfit = status.reason() == "BAD_CHECKPOINT" || status.reason() == "OTHER_CHECKPOINT";
  if (checkpoint.empty() || !unfit) return trained;
  Log(Level::kWarning, "checkpoint dropped, training starts anew", {{"why", status.ToString()}});
  return bnn::Train(examples, recipe, "", hooks);
}

Result<std::vector<packed::File>> Pack(const snapshot::Snapshot& data, const Images& test,
                                       const bnn::Trained& trained, packed::Provenance provenance) {
  const bnn::Exported exported = BF_TRY(bnn::Export(trained.checkpoint, test.pixels));
  const std::vector<uint8_t> model = BF_TRY(packed::Serialize(exported.network));
  std::vector<std::vector<uint8_t>> golden;
  const size_t size = data.SampleBytes();
  for (size_t i = 0; i < std::min(kGoldenImages, test.classes.size()); ++i) {
    const auto from = test.pixels.begin() + static_cast<std::ptrdiff_t>(i * size);
    golden.emplace_back(from, from + static_cast<std::ptrdiff_t>(size));
  }
  Log(Level::kInfo, "exported",
      {{"verified_images", std::to_string(exported.verified)},
       {"stream_unit", std::to_string(exported.stream_unit)}});
  provenance.verified_images = exported.verified;
  provenance.logit_scale = exported.logit_scale;
  return packed::MakeBundle(model, golden, provenance);
}

}  // namespace

Status TrainRun(Door& door, const v1::AcquireLeaseResponse& leased, const std::stop_token& stop) {
  const v1::RunLease& lease = leased.lease();
  const bnn::Recipe recipe = BF_TRY(bnn::ParseRecipe(leased.recipe_json()));
  Heart heart(door, leased);
  const snapshot::Snapshot data = BF_TRY(ReadSnapshot(door, lease));
  const Images train = PartOf(data, snapshot::Part::kTrain);
  const Images test = PartOf(data, snapshot::Part::kTest);
  const std::string checkpoint =
      leased.has_checkpoint() ? BF_TRY(door.ReadCheckpoint(lease)) : std::string();

  const auto side = [](int n) { return static_cast<uint32_t>(n); };
  const bnn::Examples examples{{side(data.height), side(data.width), side(data.channels)},
                               train.pixels,
                               train.classes,
                               static_cast<int32_t>(data.classes.size())};
  bnn::Hooks hooks;
  hooks.on_step = [&](const bnn::Progress& progress) {
    heart.Tell(progress);
    return Decide(heart, stop);
  };
  hooks.on_checkpoint = [&](const bnn::Progress& progress, std::string_view bytes) {
    Log(Level::kInfo, "checkpoint",
        {{"run", std::to_string(leased.run_id())},
         {"epoch", std::to_string(progress.epoch)},
         {"loss", std::to_string(progress.loss)},
         {"train_accuracy", std::to_string(progress.train_accuracy)},
         {"images_per_second", std::to_string(progress.images_per_second)}});
    return door.SaveCheckpoint(lease, progress.step, bytes);
  };
  const Result<bnn::Trained> trained = TrainFrom(checkpoint, examples, recipe, hooks);
  if (!trained.ok()) {
    BF_TRY(heart.order());  // the true cause, if the lease was lost
    return trained.status();
  }

  const auto files = BF_TRY(Pack(data, test, *trained,
                                 {.project = data.project,
                                  .snapshot = leased.snapshot(),
                                  .recipe_json = leased.recipe_json(),
                                  .seed = recipe.seed,
                                  .code_revision = BF_REVISION,
                                  .classes = data.classes,
                                  .train_images = static_cast<int64_t>(train.classes.size()),
                                  .train_accuracy = trained->progress.train_accuracy}));
  std::string manifest;
  for (const packed::File& file : files) {
    const std::string digest = BF_TRY(door.Upload(lease, file.bytes));
    if (file.name == "manifest.json") manifest = digest;
  }
  return door.Complete(lease, manifest, ToProto(trained->progress));
}

}  // namespace bitfoundry::train_worker
