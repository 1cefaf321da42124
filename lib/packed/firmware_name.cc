#include "packed/firmware_name.h"

#include <string_view>

namespace bitfoundry::packed {
namespace {

bool IsTaken(const std::string& name) {
  constexpr std::string_view kWords =
      " and asm auto bool break case catch char class const continue default delete do double "
      "else enum explicit export extern false float for friend goto if inline int long mutable "
      "namespace new not operator or private protected public register restrict return short "
      "signed sizeof static struct switch template this throw true try typedef typeid typename "
      "typeof union unsigned using virtual void volatile while xor linux unix main example arena "
      "classify image logits layers ";
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
