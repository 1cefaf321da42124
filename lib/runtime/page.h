// Pages of a listing, as Google's AIP-158 has them: a size and an opaque token.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"

namespace bitfoundry::runtime {

struct Page {
  int64_t cursor = 0;  // where it starts: what NextPage was given; 0: at the beginning
  int limit = 50;
};

// page_size 0 is 50, and more than 1000 is 1000.
//
// Errors: kInvalidArgument PAGE_SIZE if it is negative; PAGE_TOKEN if the token is not one of ours.
Result<Page> ReadPage(int32_t page_size, const std::string& page_token);

// The token of the page that starts at `cursor`. Give none (an empty one) after the last page.
std::string NextPage(int64_t cursor);

}  // namespace bitfoundry::runtime
