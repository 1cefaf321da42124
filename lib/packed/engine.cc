#include "packed/engine.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>

#include "packed/crc32.h"
#include "packed/plan.h"
#include "packed/stages.h"

namespace bitfoundry::packed {
namespace {

constexpr uint32_t kThreadsMax = 256;
constexpr size_t kOverread = 64;  // bytes that a kernel may read past a tensor

// For each tensor of integers out of a sum, the bits that it is first taken to; 0 for none.
std::vector<uint32_t> FindBinarize(const Network& network) {
  std::vector<uint32_t> found(network.ops.size() + 1);
  for (uint32_t i = 0; i < network.ops.size(); ++i) {
    const Op& op = network.ops[i];
    if (!std::holds_alternative<Binarize>(op.kind) || found[op.input] != 0) continue;
    const Kind& giver = network.ops[op.input - 1].kind;
    const bool sums = std::holds_alternative<Stem>(giver) ||
                      std::holds_alternative<BinaryConv>(giver) ||
                      std::holds_alternative<BinaryDense>(giver);
    if (sums) found[op.input] = i + 1;
  }
  return found;
}

}  // namespace

struct Engine::State {
  std::vector<Layer> layers;
  std::vector<size_t> offsets;                 // of each layer's output, in the arena
  std::vector<std::unique_ptr<Stage>> stages;  // null: done by the stage that gives its input
  std::vector<Frame> frames;                   // one a thread
  size_t image_bytes = 0;
  size_t class_count = 0;

  // The batch at hand. Threads sleep until `round` changes.
  std::mutex mutex;
  std::condition_variable changed;
  uint64_t round = 0;
  size_t busy = 0;  // threads that have not finished the round
  bool stop = false;
  std::span<const uint8_t> images;
  std::span<int32_t> logits;
  std::atomic<size_t> next = 0;  // image of the batch
  std::vector<std::jthread> threads;

  State(const Network& network, std::vector<Layer> described, const EngineOptions& options);
  ~State();

  std::span<const int32_t> Logits(const Frame& frame) const {
    return {reinterpret_cast<const int32_t*>(frame.arena.get() + offsets.back()), class_count};
  }
  void RunImage(Frame& frame, const uint8_t* image, std::vector<uint32_t>* checksums) const;
  void RunImages(Frame& frame);
  void Serve(Frame& frame);
};

Engine::State::State(const Network& network, std::vector<Layer> described,
                     const EngineOptions& options)
    : layers(std::move(described)) {
  const Plan plan = PlanArena(layers, kCacheLine);
  offsets.assign(plan.offsets.begin(), plan.offsets.end());
  size_t arena_bytes = plan.bytes;
  const std::vector<uint32_t> binarize_of = FindBinarize(network);
  for (const uint32_t tensor : binarize_of) {  // alive before the plan says so: with a place apart
    if (tensor == 0) continue;
    offsets[tensor - 1] = arena_bytes;
    arena_bytes += RoundUp(layers[tensor - 1].out_bytes, kCacheLine);
  }
  const auto offset_of = [&](uint32_t tensor) { return tensor == 0 ? 0 : offsets[tensor - 1]; };
  Scratch scratch;
  for (uint32_t i = 0; i < layers.size(); ++i) {
    const Layer& layer = layers[i];
    const Op& op = network.ops[i];
    stages.emplace_back();
    if (std::holds_alternative<Binarize>(op.kind) && binarize_of[op.input] == i + 1) continue;
    const uint32_t bits = binarize_of[i + 1];
    const Site site = {
        .kernels = KernelsFor(options.cpu),
        .layer = layer,
        .in = offset_of(layer.input),
        .skip = offset_of(layer.add),
        .out = offsets[i],
        .skip_channels = layer.add == 0 ? 0 : layers[layer.add - 1].out.channels,
        .binarize = bits == 0 ? nullptr : &std::get<Binarize>(network.ops[bits - 1].kind),
        .bits = offset_of(bits)};
    stages.back() = MakeStage(site, op, network);
    scratch.Cover(stages.back()->scratch());
  }
  image_bytes = size_t{network.input.height} * network.input.width * network.input.channels;
  class_count = layers.back().out.channels;
  for (uint32_t i = 0; i < options.threads; ++i)
    frames.emplace_back(arena_bytes + kOverread, scratch);
  for (uint32_t i = 1; i < options.threads; ++i) {
    threads.emplace_back([this, i] { Serve(frames[i]); });
  }
}

Engine::State::~State() {
  const std::lock_guard lock(mutex);
  stop = true;
  changed.notify_all();
}

void Engine::State::RunImage(Frame& frame, const uint8_t* image,
                             std::vector<uint32_t>* checksums) const {
  frame.image = image;
  for (size_t i = 0; i < stages.size(); ++i) {
    if (stages[i] != nullptr) stages[i]->Run(frame);
    if (checksums == nullptr) continue;
    checksums->push_back(Crc32({frame.arena.get() + offsets[i], layers[i].out_bytes}));
  }
}

// Takes images of the batch until none is left.
void Engine::State::RunImages(Frame& frame) {
  const size_t count = logits.size() / class_count;
  for (size_t i = next.fetch_add(1); i < count; i = next.fetch_add(1)) {
    RunImage(frame, &images[i * image_bytes], nullptr);
    std::ranges::copy(Logits(frame), &logits[i * class_count]);
  }
}

void Engine::State::Serve(Frame& frame) {
  uint64_t seen = 0;
  std::unique_lock lock(mutex);
  while (true) {
    changed.wait(lock, [&] { return stop || round != seen; });
    if (stop) return;
    seen = round;
    lock.unlock();
    RunImages(frame);
    lock.lock();
    if (--busy == 0) changed.notify_all();
  }
}

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}
Engine::Engine(Engine&&) noexcept = default;
Engine& Engine::operator=(Engine&&) noexcept = default;
Engine::~Engine() = default;

Result<Engine> Engine::Make(const Network& network, EngineOptions options) {
  if (options.threads < 1 || options.threads > kThreadsMax) {
    return Status(
        Code::kInvalidArgument, "BAD_THREADS",
        std::to_string(options.threads) + " threads; takes 1 to " + std::to_string(kThreadsMax));
  }
  std::vector<Layer> layers = BF_TRY(Describe(network));
  return Engine(std::make_unique<State>(network, std::move(layers), options));
}

size_t Engine::image_bytes() const { return state_->image_bytes; }

size_t Engine::class_count() const { return state_->class_count; }

Result<std::span<const int32_t>> Engine::Run(std::span<const uint8_t> image,
                                             std::vector<uint32_t>* checksums) {
  if (image.size() != image_bytes()) {
    return Status(Code::kInvalidArgument, "BAD_IMAGE_SIZE",
                  "an image of " + std::to_string(image.size()) + " bytes; the network takes " +
                      std::to_string(image_bytes()));
  }
  if (checksums != nullptr) checksums->clear();
  state_->RunImage(state_->frames[0], image.data(), checksums);
  return state_->Logits(state_->frames[0]);
}

Status Engine::RunBatch(std::span<const uint8_t> images, std::span<int32_t> logits) {
  const size_t count = images.size() / image_bytes();
  if (images.size() % image_bytes() != 0 || logits.size() != count * class_count()) {
    return Status(Code::kInvalidArgument, "BAD_IMAGE_SIZE",
                  std::to_string(images.size()) + " bytes of images for " +
                      std::to_string(logits.size()) + " logits; an image has " +
                      std::to_string(image_bytes()) + " bytes and " +
                      std::to_string(class_count()) + " logits");
  }
  State& state = *state_;
  {
    const std::lock_guard lock(state.mutex);
    state.images = images;
    state.logits = logits;
    state.next = 0;
    state.busy = state.threads.size();
    ++state.round;
  }
  state.changed.notify_all();
  state.RunImages(state.frames[0]);
  std::unique_lock lock(state.mutex);
  state.changed.wait(lock, [&] { return state.busy == 0; });
  return Status();
}

}  // namespace bitfoundry::packed
