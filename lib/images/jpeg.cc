#include <turbojpeg.h>

#include <memory>

#include "images/formats.h"

namespace bitfoundry::images::internal {

struct Destroy {
  void operator()(void* handle) const { tjDestroy(handle); }
};

namespace {

using Decompressor = std::unique_ptr<void, Destroy>;

// What libjpeg said last. It knows no offsets, but it names the check.
Status Error(const Decompressor& jpeg) {
  const std::string said = tjGetErrorStr2(jpeg.get());
  if (said.find("subsampling type") != said.npos) {
    return {Code::kInvalidArgument, "IMAGE_FORMAT",
            "the file is a JPEG of rare chroma subsampling; send 4:4:4, 4:2:2, 4:2:0 or gray"};
  }
  const bool ends_early =
      said.find("Premature end") != said.npos || said.find("Empty input") != said.npos;
  return ends_early ? Truncated("JPEG: " + said) : Corrupt("JPEG: " + said);
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
    return Error(jpeg);
  }
  // A file of tables alone is no error to TurboJPEG.
  if (header.width < 1 || header.height < 1) return Corrupt("JPEG: there is no image in it");
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
    return Error(jpeg);
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
