// What codec.cc asks of each format; nobody else includes this. `bytes` begin with the format's
// signature; errors are those of codec.h.
#pragma once

#include "images/codec.h"

namespace bitfoundry::images::internal {

Result<Header> ProbeJpeg(std::string_view bytes);
Result<Header> ProbePng(std::string_view bytes);

// `header` is what the probe said, and within the limits.
Result<Image> DecodeJpeg(std::string_view bytes, const Header& header);
Result<Image> DecodePng(std::string_view bytes, const Header& header);

inline Status Truncated(std::string message) {
  return {Code::kInvalidArgument, "IMAGE_TRUNCATED", std::move(message)};
}
inline Status Corrupt(std::string message) {
  return {Code::kInvalidArgument, "IMAGE_CORRUPT", std::move(message)};
}

}  // namespace bitfoundry::images::internal
