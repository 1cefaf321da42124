// The hypergeometric distribution's upper tail: of draws without replacement. A pure function.
#pragma once

#include <cstdint>

namespace bitfoundry::stats {

// P(at least k of those drawn are marked), when `drawn` of `total` are drawn, `marked` of which
// are.
//
//   0 <= marked, drawn <= total
double AtLeastDrawn(int64_t total, int64_t marked, int64_t drawn, int64_t k);

}  // namespace bitfoundry::stats
