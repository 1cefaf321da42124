// The keys of a suite's text: the fields of its message, so that neither has one that the other
// lacks.
#pragma once

#include <string>
#include <vector>

#include "bitfoundry/v1/suite.pb.h"
#include "verdicts/suite.h"

namespace bitfoundry::verdicts {

// Of a mapping that has a message: SuiteSpec, Defaults, Fits, Waiver.
template <typename Message>
std::vector<std::string> KeysOf() {
  std::vector<std::string> names;
  const auto* descriptor = Message::descriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) names.push_back(descriptor->field(i)->name());
  return names;
}

// Of a test of this kind: some of the fields of SuiteSpec::Test.
const std::vector<std::string>& KeysOf(Kind kind);

}  // namespace bitfoundry::verdicts
