// Images per second, one thread:
//
//   bench_images decode FOLDER     what ingestion cannot do without: read, SHA-256, decode
//   bench_images measure FOLDER    the same and the measured properties
//   bench_images evaluate MODEL    the packed engine on random images, for 5 s
//
// Prints images and images/s.
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "base/digest.h"
#include "images/codec.h"
#include "images/image.h"
#include "images/measure.h"
#include "packed/engine.h"
#include "packed/format.h"

using namespace bitfoundry;

namespace {

using Clock = std::chrono::steady_clock;

std::string Read(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void Report(int images, Clock::time_point start) {
  const std::chrono::duration<double> took = Clock::now() - start;
  std::printf("%d images, %.0f images/s\n", images, images / took.count());
}

Status Decode(const std::string& folder, bool measure) {
  const auto start = Clock::now();
  int images = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (!entry.is_regular_file()) continue;
    const std::string bytes = Read(entry.path());
    Sha256(std::string_view(bytes));
    const images::Image image = BF_TRY(images::Decode(bytes));
    if (measure) images::Measure(images::ToGray(image));
    ++images;
  }
  Report(images, start);
  return Status();
}

Status Evaluate(const std::string& path) {
  const std::string bytes = Read(path);
  const auto network =
      BF_TRY(packed::Parse({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
  packed::Engine engine = BF_TRY(packed::Engine::Make(network));
  std::mt19937 random(/*seed=*/1);
  std::vector<std::vector<uint8_t>> samples(64, std::vector<uint8_t>(engine.image_bytes()));
  for (auto& sample : samples) {
    for (uint8_t& pixel : sample) pixel = static_cast<uint8_t>(random());
  }
  const auto start = Clock::now();
  int images = 0;
  while (Clock::now() - start < std::chrono::seconds(5)) {
    for (const auto& sample : samples) BF_TRY(engine.Run(sample).status());
    images += static_cast<int>(samples.size());
  }
  Report(images, start);
  return Status();
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string what = argv[1];
  const Status status =
      what == "evaluate" ? Evaluate(argv[2]) : Decode(argv[2], /*measure=*/what == "measure");
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
