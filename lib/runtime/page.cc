#include "runtime/page.h"

#include <charconv>

#include "base/digest.h"

namespace bitfoundry::runtime {
namespace {

// Not a secret: it keeps people from building tokens by hand, which would make them our API.
std::string Check(const std::string& cursor) { return Sha256("page/1:" + cursor).substr(0, 12); }

}  // namespace

Result<Page> ReadPage(int32_t page_size, const std::string& page_token) {
  if (page_size < 0) {
    return Status(Code::kInvalidArgument, "PAGE_SIZE", "page_size is negative");
  }
  Page page{.limit = page_size == 0 ? 50 : std::min(page_size, 1000)};
  if (page_token.empty()) return page;

  const std::string cursor = page_token.size() > 12 ? page_token.substr(12) : "";
  const auto [end, error] =
      std::from_chars(cursor.data(), cursor.data() + cursor.size(), page.cursor);
  if (error != std::errc() || end != cursor.data() + cursor.size() || page.cursor < 0 ||
      page_token.substr(0, 12) != Check(cursor)) {
    return Status(Code::kInvalidArgument, "PAGE_TOKEN",
                  "page_token is not one that this service gave");
  }
  return page;
}

std::string NextPage(int64_t cursor) {
  const std::string text = std::to_string(cursor);
  return Check(text) + text;
}

}  // namespace bitfoundry::runtime
