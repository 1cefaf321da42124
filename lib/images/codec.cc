#include "images/codec.h"

#include "images/formats.h"

namespace bitfoundry::images {
namespace {

using namespace std::string_view_literals;

constexpr std::string_view kJpegMagic = "\xFF\xD8\xFF"sv;
constexpr std::string_view kPngMagic = "\x89PNG\r\n\x1A\n"sv;

// What people send instead, named so that they know what to convert.
struct Foreign {
  size_t offset;
  std::string_view magic;
  const char* name;
};
constexpr Foreign kForeign[] = {
    {0, "GIF8"sv, "GIF"},
    {0, "BM"sv, "BMP"},
    {0, "II*\0"sv, "TIFF"},
    {0, "MM\0*"sv, "TIFF"},
    {0, "II+\0"sv, "BigTIFF"},
    {0, "MM\0+"sv, "BigTIFF"},
    {0, "II\xBC"sv, "JPEG XR"},
    {8, "WEBP"sv, "WebP"},
    {0, "\0\0\1\0"sv, "ICO"},
    {0, "\xFF\x0A"sv, "JPEG XL"},
    {4, "JXL \r\n"sv, "JPEG XL"},
    {4, "jP  \r\n"sv, "JPEG 2000"},
    {0, "\xFF\x4F\xFF\x51"sv, "JPEG 2000"},
    {4, "ftypavif"sv, "AVIF"},
    {4, "ftypheic"sv, "HEIC"},
    {4, "ftypmif1"sv, "HEIF"},
    {4, "ftyp"sv, "MP4, a video"},
    {8, "AVI "sv, "AVI, a video"},
    {0, "8BPS"sv, "Photoshop"},
    {0, "%PDF"sv, "PDF"},
    {0, "<svg"sv, "SVG"},
    {0, "<?xml"sv, "XML"},
    {0, "P5"sv, "PGM"},
    {0, "P6"sv, "PPM"},
};

Status WrongFormat(std::string_view bytes) {
  std::string is = "of an unknown format";
  for (const Foreign& foreign : kForeign) {
    if (bytes.size() >= foreign.offset && bytes.substr(foreign.offset).starts_with(foreign.magic)) {
      is = foreign.name;
      break;
    }
  }
  return {Code::kInvalidArgument, "IMAGE_FORMAT", "the file is " + is + "; send JPEG or PNG"};
}

Status TooLarge(const char* what, int64_t is, int64_t limit) {
  return {Code::kInvalidArgument, "IMAGE_TOO_LARGE",
          std::to_string(is) + " " + what + ", at most " + std::to_string(limit) + " are taken"};
}

Result<Header> ProbeFormat(std::string_view bytes) {
  if (bytes.empty()) return Status(Code::kInvalidArgument, "IMAGE_EMPTY", "the file has no bytes");
  if (bytes.starts_with(kJpegMagic)) return internal::ProbeJpeg(bytes);
  if (bytes.starts_with(kPngMagic)) return internal::ProbePng(bytes);
  if (kJpegMagic.starts_with(bytes) || kPngMagic.starts_with(bytes)) {
    return internal::Truncated("the file ends within its signature, at byte " +
                               std::to_string(bytes.size()));
  }
  return WrongFormat(bytes);
}

}  // namespace

Result<Header> Probe(std::string_view bytes, const Limits& limits) {
  if (bytes.size() > limits.bytes) {
    return TooLarge("bytes", static_cast<int64_t>(bytes.size()),
                    static_cast<int64_t>(limits.bytes));
  }
  const Header header = BF_TRY(ProbeFormat(bytes));
  const int64_t pixels = int64_t{header.width} * header.height;
  if (pixels > limits.pixels) return TooLarge("pixels", pixels, limits.pixels);
  return header;
}

Result<Image> Decode(std::string_view bytes, const Limits& limits) {
  const Header header = BF_TRY(Probe(bytes, limits));
  return header.format == Format::kJpeg ? internal::DecodeJpeg(bytes, header)
                                        : internal::DecodePng(bytes, header);
}

}  // namespace bitfoundry::images
