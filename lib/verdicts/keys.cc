#include "verdicts/keys.h"

namespace bitfoundry::verdicts {

const std::vector<std::string>& KeysOf(Kind kind) {
  static const std::vector<std::string> kKeys[] = {
      {"id", "slice", "metric", "positive", "at_least", "at_most", "min_n", "transform", "severity",
       "cluster"},
      {"id", "slice", "foreach", "vs", "metric", "positive", "max_loss", "min_n", "severity",
       "cluster", "first_release"},
      {"id", "slice", "across", "metric", "positive", "max_gap", "min_n", "severity", "cluster"},
      {"id", "slice", "scan", "on", "positive", "max_gap", "min_n", "severity", "cluster"},
      {"id", "on", "fits", "severity"},
      {"id", "equal_on", "severity"},
  };
  return kKeys[static_cast<size_t>(kind)];
}

}  // namespace bitfoundry::verdicts
