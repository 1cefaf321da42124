#include "attest/key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/err.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "attest/envelope.h"
#include "attest/statement.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::attest {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using testing::IsOk;

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A folder of its own, in which commands run.
class KeyTest : public ::testing::Test {
 protected:
  KeyTest() {
    std::string folder = ::testing::TempDir() + "attestXXXXXX";
    folder_ = mkdtemp(folder.data());
  }
  ~KeyTest() override { std::filesystem::remove_all(folder_); }

  std::string At(const std::string& name) const { return folder_ + "/" + name; }
  std::string Write(const std::string& name, const std::string& text, mode_t mode = 0600) const {
    std::ofstream(At(name)) << text;
    EXPECT_EQ(chmod(At(name).c_str(), mode), 0);
    return At(name);
  }
  bool Runs(const std::string& commands) const {
    const std::string script = Write("script.sh", "set -eu\ncd '" + folder_ + "'\n" + commands);
    return std::system(("sh '" + script + "' > /dev/null 2>&1").c_str()) == 0;
  }

  std::string folder_;
};

// The examples of RFC 8410, section 10, and of RFC 8032, section 7.1, TEST 2.
constexpr char kPrivatePem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n"
    "-----END PRIVATE KEY-----\n";
constexpr char kPublicPem[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
    "-----END PUBLIC KEY-----\n";
constexpr char kTest2Pem[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
    "-----END PRIVATE KEY-----\n";
constexpr unsigned char kTest2Signature[] = {
    0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f, 0x64, 0x25, 0x40,
    0xa2, 0xb2, 0x7b, 0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76, 0x22, 0x23, 0xeb, 0xdb, 0x69, 0xda,
    0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99, 0x6e, 0x45, 0x8f, 0x36, 0x13, 0xd0, 0xf1, 0x1d, 0x8c,
    0x38, 0x7b, 0x2e, 0xae, 0xb4, 0x30, 0x2a, 0xee, 0xb0, 0x0d, 0x29, 0x16, 0x12, 0xbb, 0x0c, 0x00};

TEST_F(KeyTest, ReadsAndSignsAsTheStandardsSay) {
  const auto key = PrivateKey::FromPem(kPrivatePem, "rfc8410");
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(key->Public().ToPem(), kPublicPem);

  const auto test2 = PrivateKey::FromPem(kTest2Pem, "rfc8032");
  ASSERT_THAT(test2, IsOk());
  const std::string signature(std::begin(kTest2Signature), std::end(kTest2Signature));
  EXPECT_EQ(test2->Sign("\x72"), signature);
  EXPECT_TRUE(test2->Public().Verify("\x72", signature));
  EXPECT_FALSE(test2->Public().Verify("\x73", signature));
  EXPECT_FALSE(key->Public().Verify("\x72", signature));
}

TEST_F(KeyTest, IsSavedForItsOwnerAloneAndNeverOverAnother) {
  const PrivateKey key = PrivateKey::Generate();
  ASSERT_THAT(key.Save(At("key.pem")), IsOk());
  struct stat status {};
  ASSERT_EQ(stat(At("key.pem").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  EXPECT_EQ(PrivateKey::Read(At("key.pem"))->Public().id(), key.Public().id());
  EXPECT_EQ(PrivateKey::Generate().Save(At("key.pem")).code(), Code::kAlreadyExists);
  EXPECT_EQ(PrivateKey::Generate().Save(At("no/key.pem")).code(), Code::kUnavailable);
  EXPECT_NE(PrivateKey::Generate().Public().id(), key.Public().id());
}

TEST_F(KeyTest, IsRefusedWhenOthersMayTouchItsFile) {
  for (const mode_t mode : {0644U, 0604U, 0602U, 0601U, 0620U}) {
    const Status status = PrivateKey::Read(Write("key.pem", kPrivatePem, mode)).status();
    EXPECT_EQ(status.reason(), "KEY_EXPOSED") << std::oct << mode;
    EXPECT_THAT(status.message(), HasSubstr("chmod 600"));
  }
  EXPECT_THAT(PrivateKey::Read(Write("key.pem", kPrivatePem, 0440)), IsOk());
  EXPECT_THAT(PublicKey::Read(Write("public.pem", kPublicPem, 0644)), IsOk());
}

TEST_F(KeyTest, SaysWhatIsWrongWithIt) {
  ASSERT_TRUE(
      Runs("openssl genpkey -algorithm ed25519 -aes256 -pass pass:x -out encrypted.pem\n"
           "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem\n"
           "openssl pkey -in ec.pem -pubout -out ec_public.pem\n"
           "openssl ec -in ec.pem -out old_ec.pem\n"
           "openssl ec -in ec.pem -aes256 -passout pass:x -out old_encrypted.pem\n"
           "openssl genpkey -algorithm x25519 -out x25519.pem\n"
           "chmod 600 *.pem\n"));
  std::string damaged = kPrivatePem;
  damaged.replace(damaged.find("MC4CAQ"), 6, "MC4CAA");
  Write("damaged.pem", damaged);
  Write("text.pem", "hello");
  Write("empty.pem", "");
  Write("large.pem", std::string(kMaxKeyBytes + 1, 'x'));
  Write("private.pem", kPrivatePem);
  Write("public.pem", kPublicPem);
  ASSERT_EQ(mkfifo(At("pipe").c_str(), 0600), 0);

  const std::vector<std::tuple<bool, std::string, std::string, std::string>> cases = {
      {true, "missing.pem", "KEY_UNREADABLE", "No such file"},
      {true, ".", "KEY_INVALID", "not a file"},
      {true, "pipe", "KEY_INVALID", "not a file"},
      {true, "encrypted.pem", "KEY_INVALID", "encrypted; decrypt it with: openssl pkey"},
      {true, "old_encrypted.pem", "KEY_INVALID", "encrypted"},
      {true, "ec.pem", "KEY_INVALID", "this key is for EC, not Ed25519"},
      {true, "x25519.pem", "KEY_INVALID", "this key is for X25519, not Ed25519"},
      {true, "old_ec.pem", "KEY_INVALID", "expected a PEM block 'PRIVATE KEY', found 'EC PRIVATE"},
      {true, "public.pem", "KEY_INVALID", "found 'PUBLIC KEY'; make a key with: openssl genpkey"},
      {true, "damaged.pem", "KEY_INVALID", "damaged"},
      {true, "text.pem", "KEY_INVALID", "no PEM key in it"},
      {true, "empty.pem", "KEY_INVALID", "no PEM key in it"},
      {true, "large.pem", "KEY_INVALID", "too large"},
      {false, "missing.pem", "KEY_UNREADABLE", "No such file"},
      {false, "private.pem", "KEY_INVALID", "this is a private key, and a public one is wanted"},
      {false, "ec_public.pem", "KEY_INVALID", "this key is for EC, not Ed25519"},
      {false, "text.pem", "KEY_INVALID", "no PEM key in it"},
  };
  for (const auto& [is_private, name, reason, message] : cases) {
    const Status status =
        is_private ? PrivateKey::Read(At(name)).status() : PublicKey::Read(At(name)).status();
    EXPECT_EQ(status.reason(), reason) << name;
    EXPECT_THAT(status.message(), AllOf(HasSubstr(At(name)), HasSubstr(message)));
  }
}

TEST_F(KeyTest, LeavesNoErrorForOthersInOpenssl) {
  EXPECT_FALSE(PrivateKey::FromPem("nothing", "x").ok());
  EXPECT_FALSE(
      PublicKey::FromPem("-----BEGIN PUBLIC KEY-----\nMCow\n-----END PUBLIC KEY-----\n", "x").ok());
  EXPECT_FALSE(PrivateKey::Generate().Public().Verify("m", "not a signature"));
  EXPECT_EQ(ERR_peek_error(), 0U);
}

// The commands that docs/attestation.md gives to people, in their order.
std::vector<std::string> DocumentedCommands() {
  const std::string text = ReadText(std::string(BF_SOURCE_DIR) + "/docs/attestation.md");
  const std::string fence = "```sh\n";
  std::vector<std::string> commands;
  for (size_t at = text.find(fence); at != std::string::npos; at = text.find(fence, at + 1)) {
    const size_t begin = at + fence.size();
    commands.push_back(text.substr(begin, text.find("```\n", begin) - begin));
  }
  return commands;
}

TEST_F(KeyTest, MakesEnvelopesThatOpensslAloneCanCheck) {
  const auto commands = DocumentedCommands();
  ASSERT_EQ(commands.size(), 2U);
  ASSERT_TRUE(
      Runs(commands[0] + "\nopenssl pkey -pubin -in public.pem -outform DER | sha256sum > id"));
  const auto key = PrivateKey::Read(At("key.pem"));
  ASSERT_THAT(key, IsOk());
  EXPECT_EQ(ReadText(At("id")).substr(0, 64), key->Public().id());
  EXPECT_EQ(PublicKey::Read(At("public.pem"))->id(), key->Public().id());

  const Statement statement{{{"model.bnn", std::string(64, 'a')}}, "t", R"({"name":"Zoë"})"};
  Envelope envelope{.payload_type = kStatementType, .payload = *ToJson(statement)};
  Sign(*key, envelope);
  Write("verdict.dsse.json", ToJson(envelope));
  EXPECT_TRUE(Runs(commands[1]));
  EXPECT_EQ(ReadText(At("payload.json")), envelope.payload);

  Envelope altered = envelope;
  altered.payload[20] = static_cast<char>(altered.payload[20] ^ 1);
  Write("verdict.dsse.json", ToJson(altered));
  EXPECT_FALSE(Runs(commands[1]));
  altered = envelope;
  altered.payload_type[3] = 'x';
  Write("verdict.dsse.json", ToJson(altered));
  EXPECT_FALSE(Runs(commands[1]));
  altered = envelope;
  altered.signatures[0].bytes[63] = static_cast<char>(altered.signatures[0].bytes[63] ^ 1);
  Write("verdict.dsse.json", ToJson(altered));
  EXPECT_FALSE(Runs(commands[1]));
  Write("verdict.dsse.json", ToJson(envelope));
  Write("public.pem", PrivateKey::Generate().Public().ToPem());
  EXPECT_FALSE(Runs(commands[1]));
}

TEST_F(KeyTest, ChecksWhatOpensslSigned) {
  ASSERT_TRUE(
      Runs("openssl genpkey -algorithm ed25519 -out key.pem\n"
           "openssl pkey -in key.pem -pubout -out public.pem\n"
           "printf 'DSSEv1 1 t 5 hello' > signed\n"
           "openssl pkeyutl -sign -rawin -inkey key.pem -in signed -out signature\n"));
  const Envelope envelope{"t", "hello", {{"", ReadText(At("signature"))}}};
  EXPECT_THAT(Verify(envelope, "t", *PublicKey::Read(At("public.pem"))), IsOk());
}

}  // namespace
}  // namespace bitfoundry::attest
