// The way back: from a sample's name to its pixels.
#pragma once

#include <optional>
#include <string>

#include "base/status.h"
#include "blobs/store.h"
#include "catalog/samples.h"
#include "images/image.h"

namespace bitfoundry::ingestion {

// A stored image. Errors: those of the store, and kDataLoss if it cannot be decoded any more.
Result<images::Image> ReadImage(const blobs::Store& store, const std::string& digest);

// `window` of `image`; nothing: all of it. Errors: WINDOW_OUTSIDE.
Result<images::Image> Cut(const images::Image& image, const std::optional<catalog::Window>& window);

}  // namespace bitfoundry::ingestion
