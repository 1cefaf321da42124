// Images and samples: what came in, and what is known of it besides its pixels.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace bitfoundry::db {
struct Tx;
}

namespace bitfoundry::catalog {

struct Image {
  std::string digest;  // of the bytes in the store
  std::string format;  // "jpeg" | "png"
  int width = 0;
  int height = 0;
  int64_t bytes = 0;
};

// Pixels of the parent image.
struct Window {
  int x = 0;
  int y = 0;
  int width = 0;
  int height = 0;
  bool operator==(const Window&) const = default;
};

enum class Part { kTrain, kTest };

struct Sample {
  int64_t id = 0;
  int64_t project_id = 0;
  std::string name;
  std::string image_digest;
  std::optional<Window> window;  // nothing: the whole image
  Part part = Part::kTrain;
  std::string camera;
  std::string session;
  int64_t position = 0;                      // frame number within the session
  std::map<std::string, double> attributes;  // measured, and added later
  uint64_t phash = 0;
  std::map<std::string, std::string> tags;
  std::optional<int> class_index;  // the current label; nothing: not settled
  double posterior = 0;            // of that label
};

// "<digest>", or "<digest>@x,y,width,height".
std::string SampleName(const std::string& image_digest, const std::optional<Window>& window);

// The same, read: what is not such a name is an error.
struct SamplePlace {
  std::string image_digest;
  std::optional<Window> window;
};
Result<SamplePlace> ReadSampleName(const std::string& name);

// At most 32 tags; keys are [a-z][a-z0-9_]{0,31}, values at most 128 bytes.
// Errors: kInvalidArgument, TAG_INVALID.
Status CheckTags(const std::map<std::string, std::string>& tags);

class Samples {
 public:
  explicit Samples(db::Tx& tx) : tx_(tx) {}

  // An image that is there already stays as it is.
  Status AddImage(const Image& image);

  // Errors: kNotFound.
  Result<Image> GetImage(const std::string& digest);

  // Adds a sample with its attributes and tags (source "capture"); id, name and label of `sample`
  // are ignored. Returns its id and whether it is new: the same pixels in the same project are one
  // sample, which stays as it is.
  struct Added {
    int64_t id = 0;
    bool fresh = false;
  };
  Result<Added> Add(const Sample& sample);

  // Whether samples of this image in the project are in another part than `part`. Until the
  // transaction ends, nobody else learns or changes that: whoever asks takes turns.
  Result<bool> IsInOtherPart(int64_t project_id, const std::string& image_digest, Part part);

  // Replaces the value. Errors: kFailedPrecondition if the key or the value is out of its limits.
  Status SetTag(int64_t sample_id, const std::string& key, const std::string& value,
                const std::string& source);
  Status SetAttribute(int64_t sample_id, const std::string& key, double value,
                      const std::string& source);

  // Errors: kNotFound, SAMPLE_NOT_FOUND.
  Result<Sample> Get(int64_t project_id, const std::string& name);
  Result<Sample> Get(int64_t id);

  // In order of their ids, from the first above `after`, with tags, attributes and label.
  Result<std::vector<Sample>> List(int64_t project_id, int64_t after, int limit);

  // All samples of one image, or of one session, in a project, in order of position and id.
  Result<std::vector<Sample>> OfImage(int64_t project_id, const std::string& image_digest);
  Result<std::vector<Sample>> OfSession(int64_t project_id, const std::string& session);

  // The digests of the project's images, in order, from the first after `after`.
  Result<std::vector<std::string>> ImagesOf(int64_t project_id, const std::string& after,
                                            int limit);

 private:
  db::Tx& tx_;
};

}  // namespace bitfoundry::catalog
