#include "packed/firmware_name.h"

#include <string_view>

namespace bitfoundry::packed {
namespace {

bool IsTaken(const std::string& name) {
  // Of C and C++, of their headers and libraries, of what compilers and systems define; of the
  // files that are generated.
  constexpr std::string_view kWords =
      " abort abs alignas alignof and arena asm assert atexit auto aux bitand bitor bool break "
      "calloc case catch char class classify co_await co_return co_yield compl complex con "
      "concept const consteval constexpr constinit continue ctype decltype default delete do "
      "double else endian enum errno example exit explicit export extern false features fenv "
      "float for free friend goto if image index inline int inttypes iso646 layers limits linux "
      "locale log logits long main malloc math memcmp memcpy memmove memory memset mutable "
      "namespace new noexcept not nul nullptr operator or printf private prn protected public "
      "puts qsort rand realloc register remove rename requires restrict return setjmp short "
      "signal signed sizeof sqrt static std stdalign stdarg stdatomic stdbool stddef stdint "
      "stdio stdlib stdnoreturn string strings strlen struct switch template tgmath this threads "
      "throw time true try typedef typeid typename typeof uchar union unistd unix unsigned using "
      "virtual void volatile wchar wctype while xor ";
  const auto ends = [&](const char* end) { return name.ends_with(end); };
  return kWords.find(" " + name + " ") != std::string_view::npos || name.starts_with("bf_") ||
         ends("_t") || ends("_weights") || ends("_levels") || ends("_scales") || ends("_cast") ||
         ends("_eq");
}

bool IsName(const std::string& name) {
  return !name.empty() && name.size() <= 40 && name[0] >= 'a' && name[0] <= 'z' &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") == std::string::npos;
}

}  // namespace

Status CheckFirmwareName(const std::string& name) {
  if (!IsName(name)) {
    return Status(Code::kInvalidArgument, "BAD_NAME",
                  name + ": a name is a letter, then letters, digits and _, in lower case");
  }
  if (!IsTaken(name)) return Status();
  return Status(Code::kInvalidArgument, "BAD_NAME",
                name +
                    " means something else in C, to the runtime or in the files that are "
                    "generated: take another name, like door");
}

}  // namespace bitfoundry::packed
