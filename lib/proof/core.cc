#include "proof/core.h"

#include <algorithm>
#include <chrono>

#include "emulate/emulate.h"
#include "packed/engine.h"

namespace bitfoundry::proof {
namespace {

constexpr size_t kImagesAtOnce = 128;  // what a program reads before the next is built
constexpr std::chrono::minutes kLimit(20);

// An image with what this machine makes of it.
Result<packed::Golden> Expect(packed::Engine& engine, std::vector<uint8_t> image) {
  packed::Golden golden;
  golden.image = std::move(image);
  const auto logits = BF_TRY(engine.Run(golden.image, &golden.checksums));
  golden.logits.assign(logits.begin(), logits.end());
  return golden;
}

}  // namespace

verdicts::Runner OnCore(emulate::Core core) {
  return [core](const packed::Network& network, const snapshot::Snapshot& data,
                const std::vector<size_t>& rows, const verdicts::Transform& transform,
                const std::stop_token& stop) -> Result<std::vector<size_t>> {
    packed::Engine engine = BF_TRY(packed::Engine::Make(network));
    std::vector<size_t> answers;
    for (size_t first = 0; first < rows.size(); first += kImagesAtOnce) {
      if (stop.stop_requested()) return Status(Code::kCancelled, "stopped in the middle");
      emulate::Case batch{network, {}};
      for (size_t i = first; i < std::min(first + kImagesAtOnce, rows.size()); ++i) {
        batch.golden.push_back(BF_TRY(Expect(engine, verdicts::Apply(transform, data, rows[i]))));
      }
      const emulate::Prepared prepared = BF_TRY(emulate::Prepare(core, {std::move(batch)}));
      const emulate::Report report = BF_TRY(emulate::Run(prepared, kLimit));
      for (const emulate::Difference& difference : emulate::Compare(prepared, report)) {
        return Status(Code::kFailedPrecondition, "REPLAY_DIFFERS",
                      "sample " + data.rows[rows[first + difference.image]].name + " on " +
                          std::string(emulate::Name(core)) + ": another " + difference.where);
      }
      for (const emulate::ImageRun& image : report.networks.at(0).images) {
        answers.push_back(packed::Winner(image.logits));
      }
    }
    return answers;
  };
}

}  // namespace bitfoundry::proof
