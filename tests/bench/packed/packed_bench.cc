// The packed engine on one core: the host rows of docs/benchmarks.md.
//
//   OMP_NUM_THREADS=1 bench_packed [ROUNDS]
//
// Every measure is taken for 0.1 s of CPU time in each round (default 15), in turn, so that what
// else runs on the machine meets them all; medians are printed.
#include <malloc.h>
#include <time.h>

#include <algorithm>
#include <climits>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "packed/engine.h"
#include "packed/stages.h"
#include "tests/bench/packed/float_resnet.h"
#include "tests/bench/packed/resnet20.h"
#include "tests/unit/packed/random_network.h"

using namespace bitfoundry;
using namespace bitfoundry::packed;
using namespace bitfoundry::packed::testing;

namespace {

// Of this thread, which does all the work: other processes do not count, though they warm caches
// and cores.
double CpuSeconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

struct Measure {
  std::string name;
  double work;  // what one call does, in the unit of the name
  std::function<void()> call;
  std::vector<double> rates = {};

  void Take() {
    const double start = CpuSeconds();
    double seconds = 0;
    double calls = 0;
    for (int more = 1; seconds < 0.1; more *= 2) {  // a look at the clock costs a microsecond
      for (int i = 0; i < more; ++i) call();
      calls += more;
      seconds = CpuSeconds() - start;
    }
    rates.push_back(calls * work / seconds);
  }

  double Median() const {
    std::vector<double> sorted = rates;
    std::ranges::sort(sorted);
    return sorted[sorted.size() / 2];
  }
};

// 256 patches x 256 filters x 2304 bits into sums, from plain words on both sides.
class Product {
 public:
  explicit Product(const Kernels& kernels)
      : k_(kernels),
        packed_(k_.filter_bytes(filters_)),
        ready_(kSide * kWords * 8),
        lines_(kSide * kWords * 4),
        sums_(kSide * kSide * 4) {
    std::mt19937 random(/*seed=*/1);
    k_.pack_filters(RandomBits(kSide, kWords * 32, random).data(), filters_, packed_.get());
    filters_.packed = packed_.get();
    const auto words = RandomBits(kSide, kWords * 32, random);
    std::ranges::copy(words, reinterpret_cast<uint32_t*>(lines_.get()));
  }

  static constexpr double kMacs = 256.0 * 256 * 2304;

  void Run() {
    Patches patches = {{}, kWords / 3 * k_.word_bytes, kSide};
    k_.ready_lines(reinterpret_cast<const uint32_t*>(lines_.get()), kSide * kWords,
                   kSide * kWords / 3, 3, ready_.get(), patches.row);
    k_.binary(patches, filters_, reinterpret_cast<int32_t*>(sums_.get()), kSide);
  }

 private:
  static constexpr uint32_t kSide = 256;
  static constexpr uint32_t kWords = 72;

  const Kernels& k_;
  Filters filters_ = {3, kWords / 3, kSide, nullptr};
  Memory packed_;
  Memory ready_;
  Memory lines_;
  Memory sums_;
};

// 3x3, 128 -> 128 channels at 16x16, bits to bits.
class Convolution {
 public:
  explicit Convolution(const Kernels& kernels)
      : stage_(Make(kernels)), frame_(kOut + 16 * 16 * 16, stage_->scratch()) {
    std::mt19937 random(/*seed=*/2);
    std::generate_n(frame_.arena.get(), kOut, [&] { return static_cast<uint8_t>(random()); });
  }

  static constexpr double kMacs = 16.0 * 16 * 9 * 128 * 128;

  void Run() const { stage_->Run(frame_); }

 private:
  static constexpr size_t kOut = 16 * 16 * 16;

  static std::unique_ptr<Stage> Make(const Kernels& kernels) {
    std::mt19937 random(/*seed=*/3);
    Network n;
    n.input = {16, 16, 1};
    n.Then(RandomStem(1, 128, 3, 1, random));
    n.Then(RandomConv(128, 128, 3, 1, random));
    n.Then(GlobalSum{});
    n.Then(RandomDense(128, 2, random));
    const auto layers = Describe(n);
    return MakeStage({kernels, (*layers)[1], 0, 0, kOut, 0}, n.ops[1], n);
  }

  std::unique_ptr<Stage> stage_;
  Frame frame_;
};

std::vector<Measure> Measures() {
  std::vector<Measure> measures;
  for (auto cpu = Cpu::kPortable; cpu <= BestCpu(); cpu = static_cast<Cpu>(int(cpu) + 1)) {
    const Kernels& k = KernelsFor(cpu);
    const std::string name = k.name;
    auto product = std::make_shared<Product>(k);
    auto convolution = std::make_shared<Convolution>(k);
    auto engine = std::make_shared<Engine>(*Engine::Make(bench::ResNet20(), {cpu}));
    std::mt19937 random(/*seed=*/5);
    const auto image = RandomImage({32, 32, 3}, random);
    measures.push_back(
        {name + " product, G bMAC/s", Product::kMacs / 1e9, [product] { product->Run(); }});
    measures.push_back({name + " convolution, G bMAC/s", Convolution::kMacs / 1e9,
                        [convolution] { convolution->Run(); }});
    measures.push_back(
        {name + " ResNet-20, images/s", 1, [engine, image] { BF_CHECK(engine->Run(image).ok()); }});
  }
  for (const size_t batch : {1, 4, 16, 64, 128}) {
    auto net = std::make_shared<bench::FloatResNet>(batch);
    measures.push_back({"LibTorch fp32 ResNet-20, batch of " + std::to_string(batch) + ", images/s",
                        static_cast<double>(batch), [net] { BF_CHECK(net->Run() < 1e30F); }});
  }
  return measures;
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 15;
  // LibTorch's tensors of large batches would go back to the kernel after each use, and cost more
  // in pages than in arithmetic.
  mallopt(M_MMAP_THRESHOLD, 1 << 30);
  mallopt(M_TRIM_THRESHOLD, INT_MAX);
  mallopt(M_TOP_PAD, 256 << 20);
  std::vector<Measure> measures = Measures();
  for (int round = 0; round < rounds; ++round) {
    for (Measure& measure : measures) measure.Take();
  }
  std::printf("LibTorch %s; medians of %d rounds, and their range\n",
              bench::LibTorchVersion().c_str(), rounds);
  for (const Measure& measure : measures) {
    const auto [low, high] = std::ranges::minmax(measure.rates);
    std::printf("%-50s %9.0f   %.0f to %.0f\n", measure.name.c_str(), measure.Median(), low, high);
  }
  const auto best = [&](bool of_libtorch) {
    double most = 0;
    for (const Measure& m : measures) {
      const bool fits = m.name.find("ResNet-20") != std::string::npos &&
                        m.name.starts_with("LibTorch") == of_libtorch;
      if (fits) most = std::max(most, m.Median());
    }
    return most;
  };
  std::printf("ResNet-20 of bits is %.1f times as fast as fp32 LibTorch at its best batch\n",
              best(false) / best(true));
}
