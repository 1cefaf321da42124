#include "proof/signed_verdict.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "attest/envelope.h"
#include "attest/statement.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::proof {
namespace {

using ::testing::HasSubstr;
using testing::IsOk;

const attest::PrivateKey& TestKey() {
  static const attest::PrivateKey key = attest::PrivateKey::Generate();
  return key;
}

void AddTest(v1::Verdict& verdict, const std::string& id, v1::Outcome outcome, bool blocks = true) {
  v1::TestResult& test = *verdict.add_tests();
  test.set_test_id(id);
  test.set_outcome(outcome);
  test.set_blocks(blocks);
  test.set_lower(0.1);
  test.set_upper(1.0 / 3);
}

v1::Verdict Sample() {
  v1::Verdict verdict;
  verdict.set_verdict_id(7);
  verdict.set_create_time("2026-01-01T00:00:00Z");
  verdict.set_artefact(std::string(64, 'a'));
  verdict.set_suite(std::string(64, 'c'));
  verdict.set_outcome(v1::PASS);
  AddTest(verdict, "found", v1::PASS);
  return verdict;
}

const std::vector<Exhibit>& Exhibits() {
  static const std::vector<Exhibit> exhibits = {{kSuite, std::string(64, 'c')},
                                                {kManifest, std::string(64, 'a')},
                                                {kModel, std::string(64, 'b')},
                                                {kReport, std::string(64, 'd')}};
  return exhibits;
}

std::string Bundle(const v1::Verdict& verdict = Sample()) {
  return *SignVerdict(verdict, Exhibits(), TestKey());
}

// What the line of a bundle says.
attest::Statement Line(const std::string& bundle, size_t number) {
  const size_t middle = bundle.find('\n') + 1;
  const std::string line = number == 0 ? bundle.substr(0, middle) : bundle.substr(middle);
  return *attest::ParseStatement(attest::ParseEnvelope(line)->payload);
}

std::string SignedLine(const attest::Statement& statement) {
  attest::Envelope envelope{.payload_type = attest::kStatementType,
                            .payload = *attest::ToJson(statement)};
  attest::Sign(TestKey(), envelope);
  return attest::ToJson(envelope);
}

std::string ReasonOf(const std::string& bundle) {
  return OpenVerdict(bundle, TestKey().Public()).status().reason();
}

TEST(SignedVerdict, ComesBackAsItWasSigned) {
  const auto opened = OpenVerdict(Bundle(), TestKey().Public());
  ASSERT_THAT(opened, IsOk());
  v1::Verdict wanted = Sample();
  wanted.clear_verdict_id();  // the factory's own affairs
  wanted.clear_create_time();
  EXPECT_EQ(opened->verdict.SerializeAsString(), wanted.SerializeAsString());
  EXPECT_EQ(opened->verdict.tests(0).upper(), 1.0 / 3) << "to the last bit";
  EXPECT_EQ(opened->exhibits, Exhibits());
  EXPECT_EQ(SignedFields(opened->verdict), SignedFields(Sample()));
}

TEST(SignedVerdict, IsTheSameBytesEachTime) { EXPECT_EQ(Bundle(), Bundle()); }

TEST(SignedVerdict, SaysInInTotosWordsWhatPassedOfWhichFiles) {
  const attest::Statement result = Line(Bundle(), 0);
  EXPECT_EQ(result.predicate_type, kTestResultType);
  const std::vector<attest::Subject> subjects = {{"manifest.json", std::string(64, 'a')},
                                                 {"model.bnn", std::string(64, 'b')}};
  EXPECT_EQ(result.subjects, subjects);
  EXPECT_EQ(Line(Bundle(), 1).subjects, subjects);
  EXPECT_EQ(result.predicate,
            R"({"result":"PASSED","configuration":[{"name":"suite.yaml","digest":{"sha256":")" +
                std::string(64, 'c') +
                R"("}}],"passedTests":["found"],"warnedTests":[],"failedTests":[]})");
}

TEST(SignedVerdict, IsAWarningWhereWhatDidNotPassDoesNotBlock) {
  v1::Verdict verdict = Sample();
  AddTest(verdict, "soft", v1::FAIL, /*blocks=*/false);
  AddTest(verdict, "waived", v1::INCONCLUSIVE);
  verdict.mutable_tests(2)->set_waived_by("A. Person");
  EXPECT_THAT(Line(Bundle(verdict), 0).predicate,
              AllOf(HasSubstr(R"("result":"WARNED")"),
                    HasSubstr(R"("warnedTests":["soft","waived"],"failedTests":[])")));
}

TEST(SignedVerdict, HasFailedWhereAnythingThatBlocksDidNotPass) {
  for (const v1::Outcome outcome : {v1::FAIL, v1::INCONCLUSIVE, v1::ERROR}) {
    v1::Verdict verdict = Sample();
    AddTest(verdict, "hard", outcome);
    verdict.set_outcome(outcome);
    EXPECT_THAT(Line(Bundle(verdict), 0).predicate,
                AllOf(HasSubstr(R"("result":"FAILED")"), HasSubstr(R"("failedTests":["hard"])")));
  }
}

TEST(SignedVerdict, MayLieAmongLinesOfOthersInAnyOrder) {
  const std::string bundle = Bundle();
  const size_t middle = bundle.find('\n') + 1;
  attest::Envelope other{.payload_type = attest::kStatementType, .payload = "{}"};
  attest::Sign(attest::PrivateKey::Generate(), other);
  const std::string mixed = "not JSON\n" + bundle.substr(middle) + attest::ToJson(other) + "\n" +
                            SignedLine({{{"m", std::string(64, 'e')}}, "another type", "{}"}) +
                            bundle.substr(0, middle);
  EXPECT_THAT(OpenVerdict(mixed, TestKey().Public()), IsOk());
  EXPECT_THAT(OpenUnchecked(mixed), IsOk());
}

// But for the key's name, which is a hint that nobody signed.
TEST(SignedVerdict, IsRefusedOrSaysTheSameWithAByteAlteredAnywhere) {
  const std::string good = Bundle();
  const auto said = OpenVerdict(good, TestKey().Public());
  ASSERT_THAT(said, IsOk());
  size_t refused = 0;
  for (size_t i = 0; i < good.size(); ++i) {
    std::string altered = good;
    altered[i] = static_cast<char>(altered[i] ^ 1);
    const auto opened = OpenVerdict(altered, TestKey().Public());
    if (!opened.ok()) {
      ++refused;
      continue;
    }
    EXPECT_EQ(opened->json, said->json) << i;
    EXPECT_EQ(opened->exhibits, said->exhibits) << i;
  }
  EXPECT_GE(refused, good.size() - 2 * (64 + std::string("keyid").size()));
}

TEST(SignedVerdict, IsRefusedForAnotherKey) {
  const auto other = attest::PrivateKey::Generate().Public();
  EXPECT_EQ(OpenVerdict(Bundle(), other).status().reason(), "SIGNER_UNKNOWN");
}

TEST(SignedVerdict, NeedsBothStatementsOnce) {
  const std::string bundle = Bundle();
  const size_t middle = bundle.find('\n') + 1;
  EXPECT_EQ(ReasonOf(""), "VERDICT_MISSING");
  EXPECT_EQ(ReasonOf(bundle.substr(0, middle)), "VERDICT_MISSING");
  EXPECT_EQ(ReasonOf(bundle.substr(middle)), "VERDICT_MISSING");
  EXPECT_EQ(ReasonOf(bundle + bundle), "VERDICT_AMBIGUOUS");
  v1::Verdict failed = Sample();
  failed.set_outcome(v1::FAIL);
  EXPECT_EQ(
      ReasonOf(Bundle(failed).substr(0, Bundle(failed).find('\n') + 1) + bundle.substr(middle)),
      "VERDICT_AMBIGUOUS");
}

TEST(SignedVerdict, IsRefusedWhenWhatWasSignedIsNoVerdict) {
  const attest::Statement good = Line(Bundle(), 1);
  const std::string head = Bundle().substr(0, Bundle().find('\n') + 1);
  const std::string digest(64, 'a');
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({})", "'verdict' not found"},
      {R"({"verdict":{}})", "'exhibits' not found"},
      {R"({"verdict":{"tests":1},"exhibits":[]})", ""},
      {R"({"verdict":[],"exhibits":[]})", ""},
      {R"({"verdict":{},"exhibits":[{"name":"/etc/passwd","digest":{"sha256":")" + digest +
           "\"}}]}",
       "unknown exhibit '/etc/passwd'"},
      {R"({"verdict":{},"exhibits":[{"name":"suite.yaml","digest":{"sha256":"../a"}}]})",
       "has no digest"},
  };
  for (const auto& [predicate, message] : cases) {
    attest::Statement statement = good;
    statement.predicate = predicate;
    const Status status = OpenVerdict(head + SignedLine(statement), TestKey().Public()).status();
    EXPECT_EQ(status.reason(), "VERDICT_MALFORMED") << predicate;
    EXPECT_THAT(status.message(), HasSubstr(message));
  }
  EXPECT_EQ(ReasonOf(std::string(kMaxBundleBytes + 1, ' ')), "VERDICT_MALFORMED");
}

// A field that a newer program signed is kept, so that a replay can name it.
TEST(SignedVerdict, KeepsFieldsThatItDoesNotKnow) {
  attest::Statement statement = Line(Bundle(), 1);
  const std::string before = "{\"verdict\":{";
  ASSERT_TRUE(statement.predicate.starts_with(before));
  statement.predicate.insert(before.size(), "\"novel\":1,");
  const std::string head = Bundle().substr(0, Bundle().find('\n') + 1);
  const auto opened = OpenVerdict(head + SignedLine(statement), TestKey().Public());
  ASSERT_THAT(opened, IsOk());
  EXPECT_THAT(opened->json, HasSubstr("\"novel\":1"));
}

}  // namespace
}  // namespace bitfoundry::proof
