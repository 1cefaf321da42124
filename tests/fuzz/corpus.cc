// Writes what a fuzzer starts from:  fuzz_corpus attest|bundle|expression|model FOLDER
//
// Small sound files with every operation, so that each byte of them is likely to be reached.
#include <fstream>
#include <iostream>

#include "attest/envelope.h"
#include "attest/statement.h"
#include "packed/bundle.h"
#include "packed/format.h"
#include "tests/unit/packed/random_network.h"

namespace bitfoundry {
namespace {

void Write(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

int WriteExpressions(const std::string& folder) {
  const std::vector<const char*> texts = {
      "!(label == \"a\") && label != prediction || has_tag('t')",
      "attr.u in [-1, quantile(0.5), 0..2, quantile(0)..<quantile(1e0)] && attr.v >= 0.5",
      "meta.camera in ['c', \"d\\\"\"] && meta.position in 0..<4 || meta.t > 6.5 || tag.t != 'x'",
      "(true && (false || !prediction in ['a', 'b']))"};
  for (size_t i = 0; i < texts.size(); ++i) Write(folder + "/" + std::to_string(i), texts[i]);
  return 0;
}

// With the private key of RFC 8410's example, so that the corpus is the same each time.
int WriteSigned(const std::string& folder) {
  const std::string pem =
      "-----BEGIN PRIVATE KEY-----\n"
      "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
      "-----END PRIVATE KEY-----\n";
  const auto key = attest::PrivateKey::FromPem(pem, "corpus");
  const auto statement = attest::ToJson({{{"m", std::string(64, 'a')}}, "t", R"({"a":[1,"b"]})"});
  if (!key.ok() || !statement.ok()) return 1;
  attest::Envelope envelope{.payload_type = attest::kStatementType, .payload = *statement};
  attest::Sign(*key, envelope);
  Write(folder + "/envelope", attest::ToJson(envelope));
  Write(folder + "/statement", *statement);
  Write(folder + "/private", pem);
  Write(folder + "/public", key->Public().ToPem());
  return 0;
}

}  // namespace

namespace packed {
namespace {

std::string_view Text(const std::vector<uint8_t>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

Network SmallChain(uint32_t seed) {
  std::mt19937 random(seed);
  const uint32_t channels = 1 + seed % 2 * 2;
  Network n;
  n.input = {5, 6, channels};
  n.mean = {100};
  n.Then(testing::RandomStem(channels, 33, 3, 1 + seed % 3, random));
  n.Then(testing::RandomConv(33, 3, 1, 1, random));
  n.Then(testing::RandomConv(3, 2, 3, 1, random));
  n.Then(GlobalSum{});
  n.Then(testing::RandomDense(2, 2, random));
  return n;
}

Network SmallSkips(uint32_t seed) {
  std::mt19937 random(seed);
  Network n;
  n.input = {6, 6, 1};
  n.mean = {128};
  Stem stem = testing::RandomStem(1, 2, 3, 1, random);
  stem.output = testing::RandomToInts(2, 0, random);
  std::get<ToInts>(stem.output).shift = 14;
  const uint32_t first = n.Then(stem);
  n.Then(Binarize{{-3, 4}});
  n.Then(testing::RandomConvToInts(2, 4, 3, 1, first, random));
  const uint32_t second = n.Then(AveragePool{2, 2, 2});
  n.Then(Binarize{{0, 1, -1, 7}});
  n.Then(testing::RandomConvToInts(4, 4, 1, 1, second, random));
  n.Then(MaxPool{2, 1});
  n.Then(Binarize{{0, 0, 0, 0}});
  n.Then(
      BinaryDense{3, testing::RandomBits(3 * 4, 4, random), testing::RandomToBits(3, 16, random)});
  n.Then(GlobalSum{1});
  n.Then(testing::RandomDense(3, 2, random));
  return n;
}

Network SmallPools(uint32_t seed) {
  std::mt19937 random(seed);
  Network n;
  n.input = {7, 7, 1};
  n.Then(testing::RandomStem(1, 40, 3, 1, random));
  n.Then(MaxPool{2, 2});         // of bits, to 3x3
  n.Then(AveragePool{2, 1, 2});  // of bits, to 2x2
  n.Then(Binarize{testing::RandomIntegers(40, -1, 1, random)});
  n.Then(BinaryDense{34, testing::RandomBits(34 * 4, 40, random),
                     testing::RandomToBits(34, 4 * 40, random)});
  n.Then(GlobalSum{});
  n.Then(testing::RandomDense(34, 2, random));
  return n;
}

int WriteAll(const std::string& what, const std::string& folder) {
  for (uint32_t seed = 0; seed < 9; ++seed) {
    const Network network = seed % 3 == 0   ? SmallChain(seed / 3)
                            : seed % 3 == 1 ? SmallSkips(seed)
                                            : SmallPools(seed);
    const auto model = Serialize(network);
    if (!model.ok()) {
      std::cerr << model.status().ToString() << "\n";
      return 1;
    }
    const std::string prefix = folder + "/" + std::to_string(seed);
    if (what == "model") {
      Write(prefix, Text(*model));
      continue;
    }
    std::mt19937 random(seed);
    const Provenance provenance{.project = "p",
                                .snapshot = std::string(64, 'a'),
                                .recipe_json = "{}",
                                .classes = {"a", "b"}};
    const auto files =
        MakeBundle(*model, {testing::RandomImage(network.input, random)}, provenance);
    if (!files.ok()) {
      std::cerr << files.status().ToString() << "\n";
      return 1;
    }
    for (const File& file : *files) Write(prefix + file.name, file.bytes);
  }
  return 0;
}

}  // namespace
}  // namespace packed
}  // namespace bitfoundry

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string what = argv[1];
  if (what == "attest") return bitfoundry::WriteSigned(argv[2]);
  if (what == "expression") return bitfoundry::WriteExpressions(argv[2]);
  return bitfoundry::packed::WriteAll(what, argv[2]);
}
