#include "services/teacher/inference_service.h"

#include <algorithm>
#include <bit>

#include "runtime/error.h"

namespace bitfoundry::teacher {
namespace {

static_assert(std::endian::native == std::endian::little, "tensors are sent as they lie in memory");

using Request = inference::ModelInferRequest;

std::string Text(const google::protobuf::RepeatedField<int64_t>& shape) {
  std::string text;
  for (const int64_t size : shape) text += (text.empty() ? "" : ",") + std::to_string(size);
  return "[" + text + "]";
}

Status Wrong(const std::string& what) { return {Code::kInvalidArgument, "image: " + what}; }

// Checks what can be checked before the pixels, and gives the number of bytes that they must be.
Result<size_t> CheckInput(const Request& request) {
  if (request.inputs_size() != 1 || request.inputs(0).name() != "image") {
    return Wrong("expected as the one input");
  }
  const auto& image = request.inputs(0);
  if (image.datatype() != "UINT8") return Wrong("expected UINT8, got '" + image.datatype() + "'");

  const auto& shape = image.shape();
  const auto within = [&](int axis, int64_t most) {
    return shape.Get(axis) >= 1 && shape.Get(axis) <= most;
  };
  if (shape.size() != 4 || !within(0, kMostTiles) || !within(1, kMostPixels) ||
      !within(2, kMostPixels) || shape.Get(3) != 3) {
    return Wrong("expected the shape [1..8, 1..1024, 1..1024, 3], got " + Text(shape));
  }
  for (const auto& output : request.outputs()) {
    if (output.name() != "detections") {
      return Status(Code::kInvalidArgument, "output '" + output.name() + "': only detections");
    }
  }
  return static_cast<size_t>(shape.Get(0) * shape.Get(1) * shape.Get(2) * shape.Get(3));
}

// The pixels of the one input, from wherever the client put them.
Result<std::string> ReadPixels(const Request& request, size_t bytes) {
  const auto& values = request.inputs(0).contents().uint_contents();
  if (request.raw_input_contents_size() + (values.empty() ? 0 : 1) != 1) {
    return Wrong("expected once, in raw_input_contents or in uint_contents");
  }
  std::string pixels;
  if (values.empty()) {
    pixels = request.raw_input_contents(0);
  } else {
    if (std::any_of(values.begin(), values.end(), [](uint32_t v) { return v > 255; })) {
      return Wrong("a value is above 255");
    }
    pixels.assign(values.begin(), values.end());
  }
  if (pixels.size() != bytes) {
    return Wrong("expected " + std::to_string(bytes) + " bytes for the shape " +
                 Text(request.inputs(0).shape()) + ", got " + std::to_string(pixels.size()));
  }
  return pixels;
}

void Encode(const std::vector<std::vector<Detection>>& tiles,
            inference::ModelInferResponse& response) {
  size_t most = 0;
  for (const auto& tile : tiles) most = std::max(most, tile.size());
  std::string raw;
  raw.reserve(tiles.size() * most * sizeof(Detection));
  for (std::vector<Detection> tile : tiles) {
    tile.resize(most);
    raw.append(reinterpret_cast<const char*>(tile.data()), most * sizeof(Detection));
  }
  auto& output = *response.add_outputs();
  output.set_name("detections");
  output.set_datatype("FP32");
  output.add_shape(static_cast<int64_t>(tiles.size()));
  output.add_shape(static_cast<int64_t>(most));
  output.add_shape(6);
  response.add_raw_output_contents(std::move(raw));
}

}  // namespace

Status InferenceService::CheckModel(const std::string& name, const std::string& version) const {
  if (name != model_) {
    return {Code::kNotFound, "model '" + name + "' is not served; '" + model_ + "' is"};
  }
  if (!version.empty() && version != version_) {
    return {Code::kNotFound,
            model_ + ": version '" + version + "' is not served; '" + version_ + "' is"};
  }
  return {};
}

grpc::Status InferenceService::ServerLive(grpc::ServerContext*, const inference::ServerLiveRequest*,
                                          inference::ServerLiveResponse* response) {
  response->set_live(true);
  return grpc::Status::OK;
}

grpc::Status InferenceService::ServerReady(grpc::ServerContext*,
                                           const inference::ServerReadyRequest*,
                                           inference::ServerReadyResponse* response) {
  response->set_ready(true);
  return grpc::Status::OK;
}

grpc::Status InferenceService::ModelReady(grpc::ServerContext*,
                                          const inference::ModelReadyRequest* request,
                                          inference::ModelReadyResponse* response) {
  response->set_ready(CheckModel(request->name(), request->version()).ok());
  return grpc::Status::OK;
}

grpc::Status InferenceService::ServerMetadata(grpc::ServerContext*,
                                              const inference::ServerMetadataRequest*,
                                              inference::ServerMetadataResponse* response) {
  response->set_name("bf-teacher");
  response->set_version("1");
  return grpc::Status::OK;
}

grpc::Status InferenceService::ModelMetadata(grpc::ServerContext*,
                                             const inference::ModelMetadataRequest* request,
                                             inference::ModelMetadataResponse* response) {
  const Status known = CheckModel(request->name(), request->version());
  if (!known.ok()) return runtime::ToGrpc(known);
  response->set_name(model_);
  response->add_versions(version_);
  response->set_platform("opencv_onnx");
  const auto describe = [](auto& tensor, const char* name, const char* type,
                           std::initializer_list<int64_t> shape) {
    tensor.set_name(name);
    tensor.set_datatype(type);
    for (const int64_t size : shape) tensor.add_shape(size);
  };
  describe(*response->add_inputs(), "image", "UINT8", {-1, -1, -1, 3});
  describe(*response->add_outputs(), "detections", "FP32", {-1, -1, 6});
  return grpc::Status::OK;
}

grpc::Status InferenceService::ModelInfer(grpc::ServerContext* context,
                                          const inference::ModelInferRequest* request,
                                          inference::ModelInferResponse* response) {
  const auto infer = [&]() -> Status {
    BF_TRY(CheckModel(request->model_name(), request->model_version()));
    const size_t bytes = BF_TRY(CheckInput(*request));
    const std::string pixels = BF_TRY(ReadPixels(*request, bytes));

    const auto& shape = request->inputs(0).shape();
    const size_t tile_bytes = bytes / static_cast<size_t>(shape.Get(0));
    std::vector<std::vector<Detection>> found;
    for (size_t offset = 0; offset < bytes; offset += tile_bytes) {
      if (context->IsCancelled()) return {Code::kCancelled, "the caller is gone"};
      found.push_back(BF_TRY(
          detect_({static_cast<int>(shape.Get(1)),
                   static_cast<int>(shape.Get(2)),
                   {reinterpret_cast<const uint8_t*>(pixels.data()) + offset, tile_bytes}})));
    }
    Encode(found, *response);
    response->set_model_name(model_);
    response->set_model_version(version_);
    response->set_id(request->id());
    return {};
  };
  return runtime::ToGrpc(infer());
}

}  // namespace bitfoundry::teacher
