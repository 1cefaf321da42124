#include "packed/engine.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <new>

#include "packed/interpreter.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/packed/random_network.h"

namespace {
std::atomic<size_t> allocations = 0;
}

// Every way into the heap that a C++ program has, counted.
[[gnu::noinline]] void* operator new(size_t bytes) {
  ++allocations;
  void* const at = std::malloc(bytes);
  if (at == nullptr) throw std::bad_alloc();
  return at;
}
[[gnu::noinline]] void* operator new(size_t bytes, const std::nothrow_t&) noexcept {
  ++allocations;
  return std::malloc(bytes);
}
[[gnu::noinline]] void* operator new(size_t bytes, std::align_val_t align) {
  ++allocations;
  const auto to = static_cast<size_t>(align);
  void* const at = std::aligned_alloc(to, (bytes + to - 1) / to * to);
  if (at == nullptr) throw std::bad_alloc();
  return at;
}
[[gnu::noinline]] void operator delete(void* at) noexcept { std::free(at); }
[[gnu::noinline]] void operator delete(void* at, size_t) noexcept { std::free(at); }
[[gnu::noinline]] void operator delete(void* at, std::align_val_t) noexcept { std::free(at); }
[[gnu::noinline]] void operator delete(void* at, size_t, std::align_val_t) noexcept {
  std::free(at);
}

namespace bitfoundry::packed {
namespace {

using ::bitfoundry::testing::IsOk;
using namespace testing;

class EngineOn : public ::testing::TestWithParam<Cpu> {
 protected:
  void SetUp() override {
    if (GetParam() > BestCpu()) GTEST_SKIP() << "this machine's CPU lacks the instructions";
  }

  // Each layer's checksum and each logit of some images, as the Interpreter has them.
  void ExpectEqualToInterpreter(const Network& network, uint32_t seed) {
    auto interpreter = Interpreter::Make(network);
    auto engine = Engine::Make(network, {GetParam()});
    ASSERT_THAT(interpreter, IsOk());
    ASSERT_THAT(engine, IsOk());
    std::mt19937 random(seed);
    for (int round = 0; round < 3; ++round) {
      const auto image = RandomImage(network.input, random);
      std::vector<uint32_t> expected;
      std::vector<uint32_t> checksums;
      const auto wanted = interpreter->Run(image, &expected);
      const auto logits = engine->Run(image, &checksums);
      ASSERT_THAT(logits, IsOk());
      const auto layers = Describe(network);
      for (size_t i = 0; i < expected.size(); ++i) {
        ASSERT_EQ(checksums[i], expected[i]) << (*layers)[i].name << ", seed " << seed;
      }
      ASSERT_TRUE(std::ranges::equal(*logits, *wanted)) << "seed " << seed;
    }
  }
};

INSTANTIATE_TEST_SUITE_P(All, EngineOn, ::testing::Values(Cpu::kPortable, Cpu::kAvx2, Cpu::kAvx512),
                         [](const auto& of) {
                           return std::string(of.param == Cpu::kPortable ? "portable"
                                              : of.param == Cpu::kAvx2   ? "avx2"
                                                                         : "avx512");
                         });

TEST_P(EngineOn, GivesTheInterpretersBitsOnChains) {
  for (uint32_t seed = 0; seed < 12; ++seed) {
    ExpectEqualToInterpreter(RandomNetwork(seed % 2 == 0 ? 1 : 3, seed), seed);
  }
}

TEST_P(EngineOn, GivesTheInterpretersBitsWithSkips) {
  for (uint32_t seed = 0; seed < 12; ++seed) {
    ExpectEqualToInterpreter(RandomSkipNetwork(seed), seed);
  }
}

TEST_P(EngineOn, GivesTheInterpretersBitsAtAnyStride) {
  uint32_t seed = 0;
  for (const uint32_t channels : {1, 3}) {
    for (const uint32_t stride : {4, 5, 9, 37, 38, 255, 256, 1024}) {
      ++seed;
      ExpectEqualToInterpreter(RandomStrideNetwork(channels, stride, seed), seed);
    }
  }
}

// Channel counts about every width of a word, of joined pixels and of a vector; maps of one pixel,
// of one row and of more rows than a strip has.
TEST_P(EngineOn, GivesTheInterpretersBitsWhateverTheShape) {
  constexpr Shape kMaps[] = {{1, 1, 1}, {1, 9, 1}, {7, 1, 1}, {5, 6, 3}, {120, 90, 1}};
  uint32_t seed = 100;
  for (const Shape& map : kMaps) {
    for (const uint32_t in : {1U, 8U, 10U, 11U, 16U, 21U, 22U, 31U, 32U, 33U, 64U, 97U}) {
      if (map.height == 120 && in % 11 != 0) continue;
      for (const uint32_t stride : {1U, 2U}) {
        std::mt19937 random(++seed);
        const uint32_t out = 1 + static_cast<uint32_t>(random() % 70);
        Network n;
        n.input = map;
        n.mean = {128};
        n.Then(RandomStem(map.channels, in, 3, 1, random));
        n.Then(RandomConv(in, out, seed % 4 < 2 ? 3 : 1, stride, random));
        n.Then(RandomConvToInts(out, 20, 3, 1, 0, random));
        n.Then(GlobalSum{6});
        n.Then(RandomDense(20, 2, random));
        ExpectEqualToInterpreter(n, seed);
      }
    }
  }
}

TEST_P(EngineOn, RunsABatchByAnyNumberOfThreads) {
  const Network network = RandomSkipNetwork(1);
  auto interpreter = Interpreter::Make(network);
  std::mt19937 random(/*seed=*/5);
  constexpr size_t kCount = 23;
  std::vector<uint8_t> images;
  std::vector<int32_t> expected;
  for (size_t i = 0; i < kCount; ++i) {
    const auto image = RandomImage(network.input, random);
    const auto logits = interpreter->Run(image);
    images.insert(images.end(), image.begin(), image.end());
    expected.insert(expected.end(), logits->begin(), logits->end());
  }
  for (const uint32_t threads : {1U, 2U, 5U, 40U}) {
    auto engine = Engine::Make(network, {GetParam(), threads});
    ASSERT_THAT(engine, IsOk());
    for (int round = 0; round < 3; ++round) {
      std::vector<int32_t> logits(expected.size());
      ASSERT_THAT(engine->RunBatch(images, logits), IsOk());
      EXPECT_EQ(logits, expected) << threads << " threads";
    }
  }
}

TEST_P(EngineOn, DoesNotAllocateOnceItIsMade) {
  for (const Network& network : {RandomNetwork(3, 1), RandomSkipNetwork(0), RandomSkipNetwork(1)}) {
    auto engine = Engine::Make(network, {GetParam(), 3});
    ASSERT_THAT(engine, IsOk());
    std::mt19937 random(/*seed=*/6);
    const auto image = RandomImage(network.input, random);
    std::vector<uint8_t> images;
    for (int i = 0; i < 4; ++i) images.insert(images.end(), image.begin(), image.end());
    std::vector<int32_t> logits(4 * engine->class_count());
    std::vector<uint32_t> checksums;
    checksums.reserve(network.ops.size());
    const size_t before = allocations;
    const bool ran = engine->Run(image, &checksums).ok() && engine->RunBatch(images, logits).ok();
    EXPECT_EQ(allocations, before);
    EXPECT_TRUE(ran);
  }
}

TEST(EngineTest, RefusesImagesOfAnotherSizeAndNoThreads) {
  const Network network = RandomNetwork(1, 1);
  auto engine = Engine::Make(network);
  const std::vector<uint8_t> image(engine->image_bytes() + 1);
  std::vector<int32_t> logits(engine->class_count());
  EXPECT_EQ(engine->Run(image).status().reason(), "BAD_IMAGE_SIZE");
  EXPECT_EQ(engine->RunBatch(image, logits).reason(), "BAD_IMAGE_SIZE");
  EXPECT_EQ(engine->RunBatch({image.data(), image.size() - 1}, {}).reason(), "BAD_IMAGE_SIZE");
  EXPECT_EQ(Engine::Make(network, {BestCpu(), 0}).status().reason(), "BAD_THREADS");
}

}  // namespace
}  // namespace bitfoundry::packed
