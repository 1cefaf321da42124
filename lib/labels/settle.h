// From answers to a label, and to further questions where they do not suffice.
#pragma once

#include <cstdint>
#include <optional>

#include "base/status.h"
#include "catalog/projects.h"
#include "labels/consensus.h"

namespace bitfoundry::db {
struct Tx;
}

namespace bitfoundry::labels {

// Asks people for `slots` opinions (1 to catalog::kMaxSlots) on a sample, higher priority first.
// False, and nothing changed, if they have been asked before.
Result<bool> RequestOpinions(db::Tx& tx, const catalog::Project& project, int64_t sample_id,
                             int slots, int priority);

// Draws the conclusions from a sample's answers. Call it after adding one, in the same transaction;
// it locks the sample, so of two such transactions the later sees both answers. (Whoever settles
// several samples does so in the order of their ids, or may deadlock with another who does.)
//
// The label. What the answers amount to (consensus.h) becomes the label if it is settled. A label
// that new answers put in doubt is taken back: the sample then has none. On samples of the part
// `test` only people are heard. Refusals, answers for another version of the class list, and a
// teacher's without a confidence say nothing.
//
// The task, if one is open. It closes as refused when somebody found the image bad, its class
// missing or its privacy touched, or when as many as kMaxRefusals refused. When all its slots are
// answered, or people have said elsewhere what they were for, it closes as answered if the label is
// settled. When all are answered and it is not, it gets a slot more, or, having catalog::kMaxSlots,
// closes as refused.
//
// Returns the label as it is now; nothing: not settled.
Result<std::optional<Belief>> Settle(db::Tx& tx, const catalog::Project& project,
                                     int64_t sample_id);

inline constexpr int kMaxRefusals = 3;

}  // namespace bitfoundry::labels
