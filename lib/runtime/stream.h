// Bytes over streams: what is sent in chunks of at most 1 MiB, because no message is above 4 MiB.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace bitfoundry::runtime {

inline constexpr size_t kMaxChunkBytes = size_t{1} << 20;

// Calls `write` (std::string_view -> bool) for each chunk of `bytes`, in order; at least once, so
// that a reader of nothing learns that there is nothing. Returns false as soon as `write` does: the
// other side has gone.
template <typename Write>
bool WriteChunks(std::string_view bytes, Write write) {
  size_t at = 0;
  do {
    const std::string_view chunk = bytes.substr(at, kMaxChunkBytes);
    if (!write(chunk)) return false;
    at += chunk.size();
  } while (at < bytes.size());
  return true;
}

// OK if a chunk may be added to what has come so far.
//
// Errors: kInvalidArgument CHUNK_TOO_LARGE, kResourceExhausted TOO_LARGE.
inline Status CheckChunk(size_t chunk_bytes, size_t so_far, size_t limit, const char* what) {
  if (chunk_bytes > kMaxChunkBytes) {
    return {Code::kInvalidArgument, "CHUNK_TOO_LARGE", "a chunk has at most 1 MiB"};
  }
  if (so_far + chunk_bytes > limit) {
    return {Code::kResourceExhausted, "TOO_LARGE",
            std::string(what) + " has at most " + std::to_string(limit) + " bytes"};
  }
  return Status();
}

// OK if a stream that has ended is whole. gRPC ends a stream of requests in the same way whether
// the sender is done, has gone, or sent a message that cannot be parsed; so the sender announces
// how much it sends, and `cancelled` is what the call's ServerContext says.
//
// Errors: STREAM_CUT, kCancelled if the sender has gone, else kInvalidArgument.
inline Status CheckWhole(bool cancelled, int64_t got, int64_t announced, const char* unit) {
  if (cancelled) return {Code::kCancelled, "STREAM_CUT", "the stream was cut off by its sender"};
  if (got != announced) {
    return {Code::kInvalidArgument, "STREAM_CUT",
            "the stream has " + std::to_string(got) + " of " + std::to_string(announced) + " " +
                unit + " that were announced; send it again"};
  }
  return Status();
}

}  // namespace bitfoundry::runtime
