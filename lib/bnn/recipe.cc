#include "bnn/recipe.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.h"

namespace bitfoundry::bnn {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxRecipeBytes = size_t{16} << 10;
constexpr size_t kMaxBlocks = 32;

Status Bad(const std::string& message) {
  return Status(Code::kInvalidArgument, "BAD_RECIPE", message);
}

// Reads the fields of one JSON object; the first error stays.
class Fields {
 public:
  Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {
    if (!object_.is_object()) Fail("", "has to be an object");
  }

  template <typename T>
  void Integer(const char* name, T low, T high, T& value) {
    const Json* const field = Take(name);
    if (field == nullptr) return;
    const bool in_range =
        field->is_number_unsigned()
            ? field->get<uint64_t>() <= static_cast<uint64_t>(high) &&
                  (low <= 0 || field->get<uint64_t>() >= static_cast<uint64_t>(low))
            : false;
    if (!in_range) {
      return Fail(
          name, "has to be an integer from " + std::to_string(low) + " to " + std::to_string(high));
    }
    value = field->get<T>();
  }
  void Boolean(const char* name, bool& value) {
    const Json* const field = Take(name);
    if (field == nullptr) return;
    if (!field->is_boolean()) return Fail(name, "has to be true or false");
    value = field->get<bool>();
  }
  // A number above 0, at most 1.
  void Fraction(const char* name, double& value) {
    const Json* const field = Take(name);
    if (field == nullptr) return;
    if (!field->is_number() || !(field->get<double>() > 0 && field->get<double>() <= 1)) {
      return Fail(name, "has to be a number over 0, at most 1");
    }
    value = field->get<double>();
  }
  void Name(const char* name, std::string& value) {
    const Json* const field = Take(name);
    if (field == nullptr) return Fail(name, "is missing");
    if (field->is_string()) value = field->get<std::string>();
    const bool plain = std::ranges::all_of(
        value, [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
    if (value.empty() || value.size() > 64 || !plain) Fail(name, "takes 1 to 64 of a-z 0-9 and -");
  }
  // The raw field, or null if it is not there.
  const Json* Take(const char* name) {
    known_.insert(name);
    const auto found = object_.find(name);
    return found == object_.end() ? nullptr : &*found;
  }
  void Fail(const std::string& name, const std::string& what) {
    if (status_.ok()) status_ = Bad(where_ + name + " " + what);
  }

  // After all fields were read.
  Status Done() {
    if (!object_.is_object()) return status_;
    for (const auto& [key, value] : object_.items()) {
      if (known_.count(key) == 0) Fail(key, "is not a field of a recipe");
    }
    return status_;
  }

 private:
  const Json& object_;
  std::string where_;
  std::set<std::string> known_;
  Status status_;
};

Result<Convolution> ReadConvolution(const Json& json, const std::string& where, bool is_stem) {
  Convolution c;
  Fields fields(json, where + ".");
  fields.Integer("channels", 1, 1024, c.channels);
  fields.Integer("kernel", 1, is_stem ? 7 : 3, c.kernel);
  fields.Integer("stride", 1, is_stem ? kMaxStemStride : 2, c.stride);
  fields.Boolean("pool", c.pool);
  if (c.kernel % 2 == 0) fields.Fail("kernel", "has to be odd");
  BF_TRY(fields.Done());
  return c;
}

Status ReadAugment(const Json& json, Augment& a) {
  Fields fields(json, "augment.");
  fields.Boolean("flip", a.flip);
  fields.Integer("shift", 0, 32, a.shift);
  fields.Integer("brightness", 0, 128, a.brightness);
  fields.Integer("contrast", 0, 90, a.contrast);
  return fields.Done();
}

Result<Recipe> Read(const Json& json) {
  Recipe r;
  Fields fields(json, "");
  fields.Name("name", r.name);
  fields.Integer("seed", uint64_t{0}, UINT64_MAX, r.seed);
  fields.Integer("epochs", 1, 1000, r.epochs);
  fields.Integer("batch", 2, 4096, r.batch);
  fields.Fraction("learning_rate", r.learning_rate);
  fields.Integer("threads", 1, 64, r.threads);
  fields.Boolean("class_weighting", r.class_weighting);
  fields.Boolean("residual", r.residual);
  fields.Boolean("relu", r.relu);
  const Json* const augment = fields.Take("augment");
  const Json* const stem = fields.Take("stem");
  const Json* const blocks = fields.Take("blocks");
  BF_TRY(fields.Done());
  if (augment != nullptr) BF_TRY(ReadAugment(*augment, r.augment));
  if (stem == nullptr) return Bad("stem is missing");
  r.stem = BF_TRY(ReadConvolution(*stem, "stem", true));
  if (blocks == nullptr || !blocks->is_array() || blocks->empty() || blocks->size() > kMaxBlocks) {
    return Bad("blocks has to be an array of 1 to 32 convolutions");
  }
  for (size_t i = 0; i < blocks->size(); ++i) {
    const std::string where = "blocks[" + std::to_string(i) + "]";
    r.blocks.push_back(BF_TRY(ReadConvolution((*blocks)[i], where, false)));
  }
  return r;
}

Json ToJson(const Convolution& c) {
  return {{"channels", c.channels}, {"kernel", c.kernel}, {"stride", c.stride}, {"pool", c.pool}};
}

// Whether the skip around `c` can follow it, given what goes in.
Status CheckSkip(const Convolution& c, const std::string& where, int64_t inputs, int32_t height,
                 int32_t width) {
  if (c.channels % inputs != 0) {
    return Bad(where + ".channels has to be a multiple of the " + std::to_string(inputs) +
               " that come in, because the skip repeats them; a 1x1 convolution has no skip");
  }
  if (c.stride == 2 && (height % 2 != 0 || width % 2 != 0)) {
    return Bad(where + ".stride is 2, but the skip cannot halve " + std::to_string(height) + "x" +
               std::to_string(width));
  }
  return Status();
}

}  // namespace

Recipe DefaultRecipe() {
  Recipe r;
  r.name = "person-small";
  r.epochs = 15;
  r.augment = {.flip = true, .shift = 4, .brightness = 40, .contrast = 40};
  r.stem = {.channels = 32, .kernel = 3, .stride = 2, .pool = false};
  r.blocks = {{.channels = 64, .kernel = 3, .stride = 2, .pool = false},
              {.channels = 64, .kernel = 3, .stride = 1, .pool = true},
              {.channels = 128, .kernel = 3, .stride = 1, .pool = false},
              {.channels = 128, .kernel = 3, .stride = 1, .pool = true}};
  return r;
}

Recipe ResNet20Recipe() {
  Recipe r;
  r.name = "resnet-20";
  r.epochs = 100;
  r.residual = true;
  r.augment = {.flip = true, .shift = 4};
  r.stem = {.channels = 16};
  for (const int32_t channels : {16, 32, 64}) {
    for (int32_t i = 0; i < 6; ++i) {
      r.blocks.push_back({.channels = channels, .stride = channels > 16 && i == 0 ? 2 : 1});
    }
  }
  return r;
}

Result<Recipe> ParseRecipe(std::string_view json) {
  if (json.size() > kMaxRecipeBytes) return Bad("larger than 16 KiB");
  try {
    return Read(Json::parse(json));
  } catch (const Json::exception& e) {
    return Bad(Fault(e));
  }
}

Result<int64_t> SummedPixels(const Recipe& recipe, int32_t height, int32_t width,
                             int32_t channels) {
  int64_t macs = 0;
  int64_t inputs = channels;
  for (size_t i = 0; i <= recipe.blocks.size(); ++i) {
    const Convolution& c = i == 0 ? recipe.stem : recipe.blocks[i - 1];
    if (i > 0 && recipe.residual && c.HasSkip()) {
      const std::string where = "blocks[" + std::to_string(i - 1) + "]";
      BF_TRY(CheckSkip(c, where, inputs, height, width));
    }
    height = (height - 1) / c.stride + 1;
    width = (width - 1) / c.stride + 1;
    macs += int64_t{height} * width * c.kernel * c.kernel * inputs * c.channels;
    if (c.pool) height /= 2, width /= 2;
    if (height == 0 || width == 0) return Bad("its strides and pools leave no pixel of the image");
    if (macs > kMaxRecipeMacs) {
      return Bad("more than 2^30 multiply-accumulates for one image; use fewer channels");
    }
    inputs = c.channels;
  }
  return int64_t{height} * width;
}

std::string CanonicalJson(const Recipe& r) {
  Json blocks = Json::array();
  for (const Convolution& block : r.blocks) blocks.push_back(ToJson(block));
  Json json = {{"name", r.name},
               {"seed", r.seed},
               {"epochs", r.epochs},
               {"batch", r.batch},
               {"learning_rate", r.learning_rate},
               {"threads", r.threads},
               {"class_weighting", r.class_weighting},
               {"augment",
                {{"flip", r.augment.flip},
                 {"shift", r.augment.shift},
                 {"brightness", r.augment.brightness},
                 {"contrast", r.augment.contrast}}},
               {"stem", ToJson(r.stem)},
               {"blocks", blocks}};
  if (r.residual) json["residual"] = true;
  if (r.relu) json["relu"] = true;
  return json.dump();
}

}  // namespace bitfoundry::bnn
