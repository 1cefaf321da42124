#include <turbojpeg.h>

#include <memory>
#include <optional>

#include "images/formats.h"

namespace bitfoundry::images::internal {

struct Destroy {
  void operator()(void* handle) const { tjDestroy(handle); }
};

namespace {

using Decompressor = std::unique_ptr<void, Destroy>;

// Where a file stops being JPEG, by its markers alone (ITU-T T.81, B.1): segments with lengths, and
// after a start of scan the coded data up to the next marker.
std::optional<Status> BrokenMarker(std::string_view bytes) {
  const auto byte = [&](size_t at) { return static_cast<uint8_t>(bytes[at]); };
  const auto is_restart = [](uint8_t marker) { return marker >= 0xD0 && marker <= 0xD7; };
  const Status ends = Truncated("JPEG: the file ends before its end marker, at byte " +
                                std::to_string(bytes.size()));
  size_t at = 2;  // after the start of image
  while (true) {
    const size_t due = at;
    while (at < bytes.size() && byte(at) == 0xFF) ++at;  // any number of them may lead a marker
    if (at >= bytes.size()) return ends;
    const uint8_t marker = byte(at++);
    if (at - due < 2) return Corrupt("JPEG: no marker at byte " + std::to_string(due));
    if (marker == 0xD9) return std::nullopt;
    if (marker == 0x01 || is_restart(marker)) continue;
    if (at + 2 > bytes.size()) return ends;
    const size_t length = size_t{byte(at)} << 8 | byte(at + 1);
    if (length < 2) {
      return Corrupt("JPEG: a segment of length " + std::to_string(length) + ", at byte " +
                     std::to_string(at));
    }
    at += length;
    if (marker != 0xDA) continue;
    while (at + 1 < bytes.size() &&
           (byte(at) != 0xFF || byte(at + 1) == 0 || is_restart(byte(at + 1)))) {
      ++at;
    }
    if (at + 1 >= bytes.size()) return ends;
  }
}

// What libjpeg said last names the check but knows no offset; the markers may.
Status Error(const Decompressor& jpeg, std::string_view bytes) {
  const std::string said = tjGetErrorStr2(jpeg.get());
  if (said.find("subsampling type") != said.npos) {
    return {Code::kInvalidArgument, "IMAGE_FORMAT",
            "the file is a JPEG of rare chroma subsampling; send 4:4:4, 4:2:2, 4:2:0 or gray"};
  }
  return BrokenMarker(bytes).value_or(Corrupt("JPEG: " + said));
}

const unsigned char* Data(std::string_view bytes) {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}

Status ReadHeader(const Decompressor& jpeg, std::string_view bytes, Header& header,
                  int& colour_space) {
  header.format = Format::kJpeg;
  int subsampling = 0;
  if (tjDecompressHeader3(jpeg.get(), Data(bytes), bytes.size(), &header.width, &header.height,
                          &subsampling, &colour_space) != 0) {
    return Error(jpeg, bytes);
  }
  // A file of tables alone is no error to TurboJPEG.
  if (header.width < 1 || header.height < 1) {
    return BrokenMarker(bytes).value_or(Corrupt("JPEG: there is no image in it"));
  }
  if (colour_space == TJCS_CMYK || colour_space == TJCS_YCCK) {
    return {Code::kInvalidArgument, "IMAGE_FORMAT", "the file is a CMYK JPEG; send RGB or gray"};
  }
  return {};
}

}  // namespace

Result<Header> ProbeJpeg(std::string_view bytes) {
  const Decompressor jpeg(tjInitDecompress());
  BF_CHECK(jpeg != nullptr);
  Header header;
  int colour_space = 0;
  BF_TRY(ReadHeader(jpeg, bytes, header, colour_space));
  return header;
}

Result<Image> DecodeJpeg(std::string_view bytes, const Header& header) {
  const Decompressor jpeg(tjInitDecompress());
  BF_CHECK(jpeg != nullptr);
  Header again;
  int colour_space = 0;
  BF_TRY(ReadHeader(jpeg, bytes, again, colour_space));
  BF_CHECK(again == header);

  const bool gray = colour_space == TJCS_GRAY;
  Image image = Blank(header.width, header.height, gray ? 1 : 3);
  // Warnings are errors: libjpeg fills what is missing with gray and calls that a warning. Scans
  // are limited because a progressive file of a few kilobytes can ask for hours of work.
  if (tjDecompress2(jpeg.get(), Data(bytes), bytes.size(), image.pixels.data(), header.width,
                    /*pitch=*/0, header.height, gray ? TJPF_GRAY : TJPF_RGB,
                    TJFLAG_STOPONWARNING | TJFLAG_LIMITSCANS) != 0) {
    return Error(jpeg, bytes);
  }
  return image;
}

}  // namespace bitfoundry::images::internal

namespace bitfoundry::images {

std::string EncodeJpeg(const Image& image, int quality) {
  BF_CHECK(quality >= 1 && quality <= 100 && (image.channels == 1 || image.channels == 3));
  const std::unique_ptr<void, internal::Destroy> jpeg(tjInitCompress());
  BF_CHECK(jpeg != nullptr);
  const bool gray = image.channels == 1;
  const int subsampling = gray ? TJSAMP_GRAY : TJSAMP_420;
  std::string bytes(tjBufSize(image.width, image.height, subsampling), '\0');
  auto* out = reinterpret_cast<unsigned char*>(bytes.data());
  size_t size = bytes.size();
  BF_CHECK(tjCompress2(jpeg.get(), image.pixels.data(), image.width, /*pitch=*/0, image.height,
                       gray ? TJPF_GRAY : TJPF_RGB, &out, &size, subsampling, quality,
                       TJFLAG_ACCURATEDCT | TJFLAG_NOREALLOC) == 0);
  bytes.resize(size);
  return bytes;
}

}  // namespace bitfoundry::images
