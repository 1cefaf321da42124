#include "services/ingestion/pixels.h"

#include "images/codec.h"

namespace bitfoundry::ingestion {

Result<images::Image> ReadImage(const blobs::Store& store, const std::string& digest) {
  const std::string bytes = BF_TRY(store.Get(digest, images::Limits().bytes));
  Result<images::Image> image = images::Decode(bytes);
  if (!image.ok()) {
    return Status(Code::kDataLoss, "IMAGE_LOST", digest + ": " + image.status().message());
  }
  return image;
}

Result<images::Image> Cut(const images::Image& image,
                          const std::optional<catalog::Window>& window) {
  if (!window.has_value()) return image;
  return images::Crop(image, {window->x, window->y, window->width, window->height});
}

}  // namespace bitfoundry::ingestion
