#include <png.h>

#include <cstring>
#include <vector>

#include "images/formats.h"

namespace bitfoundry::images {
namespace internal {
namespace {

// The file being read, and what went wrong with it. libpng reports errors by longjmp: the functions
// that call setjmp below hold no object with a destructor, and this outlives them.
struct Source {
  std::string_view bytes;
  size_t at = 0;
  bool ended = false;  // the error is that the bytes ran out
  char error[160] = "";
};

void Read(png_structp png, png_bytep out, size_t n) {
  auto& source = *static_cast<Source*>(png_get_io_ptr(png));
  if (n > source.bytes.size() - source.at) {
    source.ended = true;
    png_error(png, "the file ends early");
  }
  std::memcpy(out, source.bytes.data() + source.at, n);
  source.at += n;
}

void OnError(png_structp png, png_const_charp message) {
  auto& source = *static_cast<Source*>(png_get_error_ptr(png));
  std::strncpy(source.error, message, sizeof source.error - 1);
  png_longjmp(png, 1);
}

void OnWarning(png_structp, png_const_charp) {}  // about chunks that do not change the pixels

struct Reader {
  explicit Reader(Source& source)
      : png(png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, OnError, OnWarning)) {
    BF_CHECK(png != nullptr);
    info = png_create_info_struct(png);
    BF_CHECK(info != nullptr);
  }
  ~Reader() { png_destroy_read_struct(&png, &info, nullptr); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  png_structp png;
  png_infop info = nullptr;
};

// Everything before the pixels. False: the source has the error.
bool ReadInfo(const Reader& reader, Source& source) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_set_read_fn(reader.png, &source, Read);
  png_set_crc_action(reader.png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
  png_set_benign_errors(reader.png, 0);  // none is benign
  // Chunks about gamma, profiles, text: their checksums are checked, their contents are not read.
  png_set_keep_unknown_chunks(reader.png, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
  png_read_info(reader.png, reader.info);
  // To 8 bits a value; palette indices are looked up in Lookup, which checks them.
  png_set_scale_16(reader.png);
  if (png_get_color_type(reader.png, reader.info) == PNG_COLOR_TYPE_PALETTE) {
    png_set_packing(reader.png);
  } else {
    png_set_expand(reader.png);
  }
  png_set_interlace_handling(reader.png);
  png_read_update_info(reader.png, reader.info);
  return true;
}

bool ReadPixels(const Reader& reader, png_bytepp rows) {
  if (setjmp(png_jmpbuf(reader.png))) return false;
  png_read_image(reader.png, rows);
  png_read_end(reader.png, nullptr);
  return true;
}

Status Error(const Source& source) {
  const size_t at = source.ended ? source.bytes.size() : source.at;
  const std::string text = "PNG: " + std::string(source.error) + ", at byte " + std::to_string(at);
  return source.ended ? Truncated(text) : Corrupt(text);
}

uint8_t OverWhite(uint8_t value, uint8_t alpha) {
  return static_cast<uint8_t>((value * alpha + 255 * (255 - alpha) + 127) / 255);
}

// Palette indices to RGB.
Result<Image> Lookup(const Reader& reader, const Image& indices) {
  png_colorp colours = nullptr;
  int n_colours = 0;
  png_get_PLTE(reader.png, reader.info, &colours, &n_colours);
  png_bytep alphas = nullptr;
  int n_alphas = 0;
  png_get_tRNS(reader.png, reader.info, &alphas, &n_alphas, nullptr);

  Image rgb = Blank(indices.width, indices.height, 3);
  auto out = rgb.pixels.begin();
  for (const uint8_t index : indices.pixels) {
    if (index >= n_colours) {
      return Corrupt("PNG: palette index " + std::to_string(index) + " of a palette of " +
                     std::to_string(n_colours));
    }
    const uint8_t alpha = index < n_alphas ? alphas[index] : 255;
    *out++ = OverWhite(colours[index].red, alpha);
    *out++ = OverWhite(colours[index].green, alpha);
    *out++ = OverWhite(colours[index].blue, alpha);
  }
  return rgb;
}

// Pixels of `channels` values, the last of them alpha, to pixels of channels - 1.
Image Flatten(const std::vector<uint8_t>& pixels, const Header& header, int channels) {
  Image image = Blank(header.width, header.height, channels - 1);
  auto in = pixels.begin();
  for (auto out = image.pixels.begin(); out != image.pixels.end(); in += channels) {
    for (int c = 0; c < channels - 1; ++c) *out++ = OverWhite(in[c], in[channels - 1]);
  }
  return image;
}

uint32_t BigEndian(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(bytes[at + i]);
  return value;
}

}  // namespace

Result<Header> ProbePng(std::string_view bytes) {
  // Signature 8, length 4, "IHDR" 4, width 4, height 4.
  if (bytes.size() < 24) {
    return Truncated("PNG: the file ends within its header, at byte " +
                     std::to_string(bytes.size()));
  }
  const uint32_t width = BigEndian(bytes, 16);
  const uint32_t height = BigEndian(bytes, 20);
  if (bytes.substr(12, 4) != "IHDR") return Corrupt("PNG: no IHDR chunk at byte 12");
  if (width - 1 >= PNG_UINT_31_MAX || height - 1 >= PNG_UINT_31_MAX) {
    return Corrupt("PNG: width or height out of range, at byte 16");
  }
  return Header{Format::kPng, static_cast<int>(width), static_cast<int>(height)};
}

Result<Image> DecodePng(std::string_view bytes, const Header& header) {
  Source source{bytes};
  const Reader reader(source);
  if (!ReadInfo(reader, source)) return Error(source);

  const int channels = png_get_channels(reader.png, reader.info);
  const size_t row_bytes = png_get_rowbytes(reader.png, reader.info);
  BF_CHECK(row_bytes == static_cast<size_t>(header.width) * static_cast<size_t>(channels));
  std::vector<uint8_t> pixels(row_bytes * static_cast<size_t>(header.height));
  std::vector<png_bytep> rows(static_cast<size_t>(header.height));
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = pixels.data() + y * row_bytes;
  if (!ReadPixels(reader, rows.data())) return Error(source);

  if (channels == 2 || channels == 4) return Flatten(pixels, header, channels);
  Image image{header.width, header.height, channels, std::move(pixels)};
  if (png_get_color_type(reader.png, reader.info) == PNG_COLOR_TYPE_PALETTE) {
    return Lookup(reader, image);
  }
  return image;
}

}  // namespace internal

namespace {

void Append(png_structp png, png_bytep bytes, size_t n) {
  static_cast<std::string*>(png_get_io_ptr(png))->append(reinterpret_cast<const char*>(bytes), n);
}

}  // namespace

std::string EncodePng(const Image& image) {
  std::string bytes;
  // libpng aborts by itself where no error handler jumps away; writing to memory has no errors.
  png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  BF_CHECK(png != nullptr);
  png_infop info = png_create_info_struct(png);
  BF_CHECK(info != nullptr);
  png_set_write_fn(png, &bytes, Append, nullptr);
  png_set_IHDR(png, info, static_cast<png_uint_32>(image.width),
               static_cast<png_uint_32>(image.height), 8,
               image.channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
               PNG_COMPRESSION_TYPE_BASE, PNG_FILTER_TYPE_BASE);
  png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_UP);
  png_set_compression_level(png, 3);
  png_write_info(png, info);
  for (int y = 0; y < image.height; ++y) png_write_row(png, image.Row(y));
  png_write_end(png, info);
  png_destroy_write_struct(&png, &info);
  return bytes;
}

}  // namespace bitfoundry::images
