// The PNG half of the codec. Callers outside this room use codec.h; EncodePng is for everybody.
#pragma once

#include <string>

#include "images/image.h"

namespace bitfoundry::images {

// `image` as a PNG: 8 bits, not interlaced, every row with the Up filter, deflate level 3, no
// other chunks: of 24 settings the best of size and time on frames of vtest.avi (571 KB, 29 ms).
// With one version of zlib the same pixels give the same bytes everywhere, which is
// what lets a video frame be named by the digest of its PNG.
std::string EncodePng(const Image& image);

}  // namespace bitfoundry::images
