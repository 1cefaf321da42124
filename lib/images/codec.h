// From bytes that nobody vouches for to pixels, and back.
//
// Strict: what a viewer would paper over (a file cut short, a broken checksum, a palette index
// without a colour) is refused with its cause, because a camera that sends it has a fault that
// somebody wants to know of. Bytes after the end of the image are ignored: phones put videos there.
//
// Accepted are JPEG (gray, YCbCr, RGB; baseline or progressive) and PNG (every kind). Everything is
// turned into 8-bit gray or RGB: 16 bits are rounded to 8, palettes looked up, transparency shown
// over white. CMYK and YCCK JPEGs are refused: their colours are undefined without a profile;
// so is a chroma subsampling that TurboJPEG does not know (4:1:0). A progressive JPEG that ends
// properly after some of its scans is taken: it is a whole image of less detail.
// Colour profiles, gamma and EXIF orientation are not applied: the pixels are those in the file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"
#include "images/image.h"

namespace bitfoundry::images {

enum class Format { kJpeg, kPng };

struct Header {
  Format format = Format::kPng;
  int width = 0;
  int height = 0;

  bool operator==(const Header&) const = default;
};

struct Limits {
  size_t bytes = size_t{16} << 20;
  int64_t pixels = 40'000'000;  // by the header, before anything is decoded
};

// The format, by its first bytes, and the size, by its header.
//
//   errors, all kInvalidArgument
//     IMAGE_EMPTY      no bytes
//     IMAGE_FORMAT     not JPEG or PNG; the message names what it is, if it is known
//     IMAGE_TOO_LARGE  over a limit
//     IMAGE_TRUNCATED  ends early; the message says at which byte
//     IMAGE_CORRUPT    malformed; the message names the check, and the byte but within the coded
//                      data of a JPEG
Result<Header> Probe(std::string_view bytes, const Limits& limits = {});

// The pixels: gray if the file is gray, else RGB. Errors are those of Probe.
Result<Image> Decode(std::string_view bytes, const Limits& limits = {});

// `image` as a PNG: 8 bits, not interlaced, every row with the Up filter, deflate level 3, no other
// chunks; of 24 settings the best of size and time on frames of vtest.avi (571 KB, 29 ms). With one
// version of zlib the same pixels give the same bytes everywhere, which is what lets a video frame
// be named by the digest of its PNG.
std::string EncodePng(const Image& image);

// `image` as a baseline JPEG, colours at half the resolution (4:2:0), by the integer DCT: with one
// version of libjpeg-turbo the same bytes everywhere, as its SIMD computes the bits of its C.
//
//   quality  1 to 100
std::string EncodeJpeg(const Image& image, int quality);

}  // namespace bitfoundry::images
