// A verdict as it leaves the factory: a bundle of two signed statements about one artefact.
//
//   verdict.intoto.jsonl   one DSSE envelope a line, each an in-toto statement whose subjects are
//                          the artefact's manifest.json and model.bnn
//     test-result/v0.1     which tests passed: for policy engines that know in-toto alone
//     kVerdictType         the whole verdict, and the digest of every byte that it rests on: enough
//                          to evaluate again, and to compare bit for bit
//
// Sources: https://github.com/in-toto/attestation, spec/v1/bundle.md and
// spec/predicates/test-result.md. docs/attestation.md describes the predicate of our own.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "attest/key.h"
#include "base/status.h"
#include "bitfoundry/v1/evaluator.pb.h"
#include "proof/exhibits.h"

namespace bitfoundry::proof {

inline constexpr char kBundleName[] = "verdict.intoto.jsonl";
inline constexpr char kTestResultType[] = "https://in-toto.io/attestation/test-result/v0.1";
inline constexpr char kVerdictType[] = "urn:bitfoundry:verdict:v1";
inline constexpr size_t kMaxBundleBytes = size_t{8} << 20;

struct SignedVerdict {
  v1::Verdict verdict;  // without what is not signed: its id, time and envelope
  std::string json;     // of it, as it was signed: also fields that this program does not know
  std::vector<Exhibit> exhibits;
};

// The bundle; the same verdict, exhibits and key are the same bytes.
//
//   exhibits  with kManifest and kModel among them
//   errors    kResourceExhausted TOO_LARGE for an envelope
Result<std::string> SignVerdict(const v1::Verdict& verdict, const std::vector<Exhibit>& exhibits,
                                const attest::PrivateKey& key);

// What the key has signed in a bundle. Lines that are none of ours or signed by others are passed
// over, as in-toto asks; but a line that claims to be the key's has to be.
//
// Errors, besides those of attest::Verify:
//   kInvalidArgument  VERDICT_MISSING    not both statements are there; why a line was passed over
//                     VERDICT_AMBIGUOUS  more than one verdict, or the two do not say the same
//                     VERDICT_MALFORMED  signed, but no verdict
Result<SignedVerdict> OpenVerdict(std::string_view bundle, const attest::PublicKey& key);

// The same, whoever has signed it: for those who got the bundle from a source that they trust.
Result<SignedVerdict> OpenUnchecked(std::string_view bundle);

// All fields of `verdict` that are signed, as one line of JSON, those that are zero included.
std::string SignedFields(const v1::Verdict& verdict);

}  // namespace bitfoundry::proof
