#include "attest/envelope.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attest/statement.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::attest {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;

const PrivateKey& TestKey() {
  static const PrivateKey key = PrivateKey::Generate();
  return key;
}

Envelope Signed(const std::string& payload = R"({"a":"\u00e4","b":[1,2,3]})") {
  Envelope envelope{.payload_type = kStatementType, .payload = payload};
  Sign(TestKey(), envelope);
  return envelope;
}

std::string ReasonOf(const Envelope& envelope, const PublicKey& key = TestKey().Public()) {
  return Verify(envelope, kStatementType, key).reason();
}

// The example of DSSE's protocol.md.
TEST(Pae, IsWhatTheProtocolSays) {
  EXPECT_EQ(Pae("http://example.com/HelloWorld", "hello world"),
            "DSSEv1 29 http://example.com/HelloWorld 11 hello world");
  EXPECT_EQ(Pae("", ""), "DSSEv1 0  0 ");
}

TEST(Envelope, ComesBackFromItsJsonAndIsVerified) {
  for (size_t size = 0; size < 20; ++size) {  // every remainder of base64
    const Envelope written = Signed(std::string(size, '\xff'));
    const auto read = ParseEnvelope(ToJson(written));
    ASSERT_THAT(read, IsOk());
    EXPECT_EQ(read->payload, written.payload);
    EXPECT_EQ(read->payload_type, kStatementType);
    EXPECT_EQ(read->signatures.at(0).key_id, TestKey().Public().id());
    EXPECT_THAT(Verify(*read, kStatementType, TestKey().Public()), IsOk());
  }
}

TEST(Envelope, IsTheSameBytesEachTime) { EXPECT_EQ(ToJson(Signed()), ToJson(Signed())); }

TEST(Envelope, MayBeInTheUrlAlphabetAndHaveFieldsThatNobodyKnows) {
  const auto read = ParseEnvelope(
      R"({"payloadType":"t","payload":"-_-_","x":[],"signatures":[{"sig":"_w==","y":1}]})");
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(read->payload, "\xfb\xff\xbf");
  EXPECT_EQ(read->signatures.at(0).bytes, "\xff");
}

TEST(Envelope, IsRefusedWhenOneByteOfWhatWasSignedIsChanged) {
  const Envelope good = Signed();
  for (size_t i = 0; i < good.payload.size(); ++i) {
    Envelope altered = good;
    altered.payload[i] = static_cast<char>(altered.payload[i] ^ 1);
    EXPECT_EQ(ReasonOf(altered), "SIGNATURE_WRONG") << i;
  }
  for (size_t i = 0; i < good.signatures[0].bytes.size(); ++i) {
    Envelope altered = good;
    altered.signatures[0].bytes[i] = static_cast<char>(altered.signatures[0].bytes[i] ^ 1);
    EXPECT_EQ(ReasonOf(altered), "SIGNATURE_WRONG") << i;
  }
  for (size_t i = 0; i < good.payload_type.size(); ++i) {
    Envelope altered = good;
    altered.payload_type[i] = static_cast<char>(altered.payload_type[i] ^ 1);
    EXPECT_EQ(ReasonOf(altered), "PAYLOAD_TYPE_WRONG") << i;
    EXPECT_EQ(Verify(altered, altered.payload_type, TestKey().Public()).reason(),
              "SIGNATURE_WRONG");
  }
  Envelope longer = good;
  longer.signatures[0].bytes += '\0';
  EXPECT_EQ(ReasonOf(longer), "SIGNATURE_WRONG");
}

// Whatever byte of the file becomes whatever other: what verifies is what was signed.
TEST(Envelope, NeverVerifiesAsAnythingElseWhenAByteOfItsFileIsChanged) {
  const Envelope good = Signed();
  const std::string file = ToJson(good);
  int refused = 0;
  for (size_t i = 0; i < file.size(); ++i) {
    for (const char byte : {'A', 'g', '0', '=', '"', '-', '/', ' ', '\\', '\0', '\xc3'}) {
      if (file[i] == byte) continue;
      std::string altered = file;
      altered[i] = byte;
      const auto read = ParseEnvelope(altered);
      if (!read.ok() || ReasonOf(*read) != "OK") {
        ++refused;
        continue;
      }
      EXPECT_EQ(read->payload, good.payload) << altered;
      EXPECT_EQ(read->signatures.at(0).bytes, good.signatures[0].bytes) << altered;
    }
  }
  EXPECT_GT(refused, 1000);
}

TEST(Envelope, IsRefusedForAnotherKeyWhateverItsKeyIdSays) {
  const PublicKey other = PrivateKey::Generate().Public();
  Envelope envelope = Signed();
  EXPECT_EQ(ReasonOf(envelope, other), "SIGNER_UNKNOWN");
  envelope.signatures[0].key_id = other.id();
  EXPECT_EQ(ReasonOf(envelope, other), "SIGNATURE_WRONG");
  EXPECT_EQ(ReasonOf(envelope), "OK") << "the key id is a hint";
  envelope.signatures.clear();
  EXPECT_THAT(Verify(envelope, kStatementType, other).message(), HasSubstr("signed by nobody"));
}

TEST(Envelope, NeedsOneGoodSignatureAmongThoseOfOthers) {
  Envelope envelope{.payload_type = kStatementType, .payload = "{}"};
  Sign(PrivateKey::Generate(), envelope);
  EXPECT_EQ(ReasonOf(envelope), "SIGNER_UNKNOWN");
  envelope.signatures.push_back({TestKey().Public().id(), "not a signature"});
  EXPECT_EQ(ReasonOf(envelope), "SIGNATURE_WRONG");
  Sign(TestKey(), envelope);
  EXPECT_EQ(ReasonOf(envelope), "OK");
}

TEST(Envelope, IsRefusedWhenItIsNotOne) {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "expected a JSON object"},
      {"[]", "expected a JSON object"},
      {"{}", "'payloadType' is not there, or is no text"},
      {R"({"payloadType":1})", "'payloadType' is not there, or is no text"},
      {R"({"payloadType":"t","payload":"a"})", "'payload' is not base64"},
      {R"({"payloadType":"t","payload":"YQ"})", "'payload' is not base64"},
      {R"({"payloadType":"t","payload":"YR=="})", "'payload' is not base64"},
      {R"({"payloadType":"t","payload":"Y==="})", "'payload' is not base64"},
      {R"({"payloadType":"t","payload":"===="})", "'payload' is not base64"},
      {R"({"payloadType":"t","payload":"YQ==YQ=="})", "'payload' is not base64"},
      {R"({"payloadType":"t","payload":"+_+_"})", "'payload' is not base64"},
      {R"({"payloadType":"t","payload":"Y Q="})", "'payload' is not base64"},
      {R"({"payloadType":"t","payload":""})", "'signatures' is not a list of 1 to 16"},
      {R"({"payloadType":"t","payload":"","signatures":[]})", "'signatures' is not a list"},
      {R"({"payloadType":"t","payload":"","signatures":[1]})", "a signature is not an object"},
      {R"({"payloadType":"t","payload":"","signatures":[{"keyid":1,"sig":""}]})", "'keyid' is not"},
      {R"({"payloadType":"t","payload":"","signatures":[{}]})", "'sig' is not there"},
      {std::string(kMaxEnvelopeBytes + 1, ' '), "larger than"},
      {std::string(1'000'000, '['), "expected a JSON object"},
  };
  for (const auto& [text, message] : cases) {
    const Status status = ParseEnvelope(text).status();
    EXPECT_EQ(status.reason(), "ENVELOPE_MALFORMED");
    EXPECT_THAT(status.message(), HasSubstr(message)) << text.substr(0, 100);
  }
}

TEST(Statement, IsInTotosFormAndComesBack) {
  const Statement statement{.subjects = {{"model.bnn", std::string(64, 'a')}},
                            .predicate_type = "https://example.com/verdict/v1",
                            .predicate = R"({"z":1,"a":[true,null]})"};
  const auto json = ToJson(statement);
  ASSERT_THAT(json, IsOk());
  EXPECT_EQ(*json, R"({"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"model.bnn",)"
                   R"("digest":{"sha256":")" +
                       std::string(64, 'a') +
                       R"("}}],"predicateType":"https://example.com/verdict/v1",)"
                       R"("predicate":{"z":1,"a":[true,null]}})");
  const auto read = ParseStatement(*json);
  ASSERT_THAT(read, IsOk());
  EXPECT_EQ(*read, statement);
}

TEST(Statement, IsRefusedWhenItSaysNothingOfNothing) {
  const Statement good{{{"m", std::string(64, 'a')}}, "t", "{}"};
  const auto error = [&](const auto& alter) {
    Statement statement = good;
    alter(statement);
    EXPECT_EQ(ToJson(statement).status().reason(), "STATEMENT_INVALID");
    return ToJson(statement).status().message();
  };
  EXPECT_THAT(ToJson(good), IsOk());
  EXPECT_THAT(error([](Statement& s) { s.subjects.clear(); }), HasSubstr("no subject"));
  EXPECT_THAT(error([](Statement& s) { s.subjects[0].sha256 = "AB"; }), HasSubstr("sha256 of"));
  EXPECT_THAT(error([](Statement& s) { s.subjects.push_back(s.subjects[0]); }),
              HasSubstr("two subjects are 'm'"));
  EXPECT_THAT(error([](Statement& s) { s.subjects[0].name = "\xff"; }), HasSubstr("UTF-8"));
  EXPECT_THAT(error([](Statement& s) { s.predicate_type.clear(); }), HasSubstr("predicateType"));
  EXPECT_THAT(error([](Statement& s) { s.predicate = "[]"; }), HasSubstr("not a JSON object"));
  EXPECT_THAT(error([](Statement& s) { s.predicate = "{"; }), HasSubstr("parse error"));
}

TEST(Statement, IsRefusedWhenItIsNotOne) {
  const std::string deep = std::string(100'000, '[') + std::string(100'000, ']');
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"", "parse error"},
      {"1", "cannot use at()"},
      {R"({"_type":"https://in-toto.io/Statement/v0.1"})", "_type is not"},
      {R"({"_type":"https://in-toto.io/Statement/v1"})", "'subject' not found"},
      {R"({"_type":"https://in-toto.io/Statement/v1","subject":[{"name":"m","digest":{}}]})",
       "'sha256' not found"},
      {R"({"_type":"https://in-toto.io/Statement/v1","subject":[],"predicateType":"t",)"
       R"("predicate":{}})",
       "it has no subject"},
      {R"({"predicate":)" + deep + "}", "nested more than 64 deep"},
  };
  for (const auto& [text, message] : cases) {
    const Status status = ParseStatement(text).status();
    EXPECT_EQ(status.reason(), "STATEMENT_INVALID");
    EXPECT_THAT(status.message(), HasSubstr(message)) << text.substr(0, 100);
  }
}

}  // namespace
}  // namespace bitfoundry::attest
