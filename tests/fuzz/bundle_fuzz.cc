// Reads bytes as each of the files that come with a model: manifest.json, golden.bin.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "packed/manifest.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace bitfoundry::packed;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto manifest = ParseManifest(bytes);
  if (!manifest.ok() && manifest.status().reason() != "BAD_MANIFEST") std::abort();
  const auto golden = ParseGolden(bytes);
  if (!golden.ok() && golden.status().reason() != "BAD_GOLDEN") std::abort();
  return 0;
}
