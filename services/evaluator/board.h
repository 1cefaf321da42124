// The board: models x tests of one suite on one snapshot, and each test over the project's
// artefacts. Figures stand side by side only where they were held against the same; where suite or
// snapshot differ, a version says so.
#pragma once

#include "base/status.h"
#include "bitfoundry/v1/evaluator.pb.h"

namespace bitfoundry::db {
struct Tx;
}

namespace bitfoundry::evaluator {

// Columns: the candidate, what is shipped by a suite of the same title, what it was held against,
// remote models, then earlier artefacts, the newest first, as far as there is room. History: for
// each artefact its verdict by this very suite and snapshot, else its newest by a suite of the same
// name.
//
// Errors:
//   kNotFound           no such project, suite or artefact; VERDICT_NOT_FOUND: nobody was judged so
//   kInvalidArgument    a number below 0; a candidate of another project
//   kResourceExhausted  BOARD_TOO_LARGE: does not fit a message
Result<v1::Board> MakeBoard(db::Tx& tx, const v1::GetBoardRequest& request);

}  // namespace bitfoundry::evaluator
