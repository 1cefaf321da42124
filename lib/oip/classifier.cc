#include "oip/classifier.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace bitfoundry::oip {
namespace {

using Tensor = inference::ModelMetadataResponse::TensorMetadata;

constexpr size_t kMostRequestBytes = size_t{2} << 20;  // of runtime::kMaxMessageBytes

std::string ToString(const Tensor& tensor) {
  std::string text = tensor.name() + " " + tensor.datatype() + " [";
  for (const int64_t size : tensor.shape()) {
    text += (text.back() == '[' ? "" : ",") + std::to_string(size);
  }
  return text + "]";
}

std::string ToString(const Tensors& tensors) {
  std::string text;
  for (const Tensor& tensor : tensors) text += (text.empty() ? "" : "; ") + ToString(tensor);
  return text.empty() ? "none" : text;
}

Status WrongTensors(const std::string& expected, const Tensors& tensors) {
  return {Code::kFailedPrecondition, "MODEL_TENSORS",
          "expected " + expected + "; the server says: " + ToString(tensors)};
}

bool IsBatch(int64_t size) { return size == -1 || size == 1; }
bool IsSide(int64_t size) { return size == -1 || (size >= 1 && size <= kMostSide); }

}  // namespace

Result<std::vector<size_t>> ReadScores(const inference::ModelInferResponse& response, size_t images,
                                       size_t classes) {
  const std::string shape = "[" + std::to_string(images) + ", " + std::to_string(classes) + "]";
  if (response.outputs_size() != 1 || response.outputs(0).datatype() != "FP32") {
    return Garbage("expected one output, FP32 " + shape);
  }
  const auto& sizes = response.outputs(0).shape();
  if (sizes.size() != 2 || sizes.Get(0) != static_cast<int64_t>(images) ||
      sizes.Get(1) != static_cast<int64_t>(classes)) {
    return Garbage("expected the shape " + shape);
  }
  const std::vector<float> scores = BF_TRY(Values(response, images * classes));
  if (!std::all_of(scores.begin(), scores.end(), [](float s) { return std::isfinite(s); })) {
    return Garbage("a score is not finite");
  }
  std::vector<size_t> answers;
  for (size_t i = 0; i < images; ++i) {
    const float* row = &scores[i * classes];
    answers.push_back(static_cast<size_t>(std::max_element(row, row + classes) - row));
  }
  return answers;
}

Classifier::Classifier(std::shared_ptr<grpc::Channel> channel, ClientOptions options,
                       prometheus::Registry& metrics, const images::Image& like, size_t classes)
    : client_(std::move(channel), std::move(options), metrics),
      height_(like.height),
      width_(like.width),
      channels_(like.channels),
      classes_(classes) {}

Status Classifier::ReadInput(const inference::ModelMetadataResponse& metadata) {
  const auto refuse = [&] {
    return WrongTensors("one input, UINT8 or FP32, [-1 or 1, height, width, " +
                            std::string(channels_ == 1 ? "1 or 3" : "3") +
                            "] with sides of at most " + std::to_string(kMostSide),
                        metadata.inputs());
  };
  if (metadata.inputs_size() != 1) return refuse();
  const Tensor& input = metadata.inputs(0);
  const auto& shape = input.shape();
  fp32_ = input.datatype() == "FP32";
  if ((!fp32_ && input.datatype() != "UINT8") || shape.size() != 4 || !IsBatch(shape.Get(0)) ||
      !IsSide(shape.Get(1)) || !IsSide(shape.Get(2))) {
    return refuse();
  }
  const int64_t channels = shape.Get(3) == -1 ? channels_ : shape.Get(3);
  if (channels != channels_ && channels != 3) return refuse();
  input_ = input.name();
  wanted_.height = shape.Get(1) == -1 ? height_ : static_cast<int>(shape.Get(1));
  wanted_.width = shape.Get(2) == -1 ? width_ : static_cast<int>(shape.Get(2));
  wanted_.channels = static_cast<int>(channels);
  const size_t bytes =
      wanted_.RowBytes() * static_cast<size_t>(wanted_.height) * (fp32_ ? sizeof(float) : 1);
  most_per_call_ =
      shape.Get(0) == 1 ? 1 : std::clamp<size_t>(kMostRequestBytes / bytes, 1, kMostImagesPerCall);
  return {};
}

Status Classifier::ReadOutput(const inference::ModelMetadataResponse& metadata) {
  const auto& outputs = metadata.outputs();
  if (outputs.size() != 1 || outputs.Get(0).datatype() != "FP32" ||
      outputs.Get(0).shape_size() != 2 || !IsBatch(outputs.Get(0).shape(0))) {
    return WrongTensors("one output, FP32, [-1 or 1, " + std::to_string(classes_) + "]", outputs);
  }
  const int64_t scored = outputs.Get(0).shape(1);
  if (scored == -1 || scored == static_cast<int64_t>(classes_)) return {};
  return {Code::kFailedPrecondition, "MODEL_DOES_NOT_FIT",
          "the model scores " + std::to_string(scored) + " classes (" + ToString(outputs) +
              "), the project has " + std::to_string(classes_)};
}

Result<Signature> Classifier::Describe() {
  const auto metadata = BF_TRY(client_.Metadata());
  BF_TRY(ReadInput(metadata));
  BF_TRY(ReadOutput(metadata));
  version_ = client_.Version(metadata);
  return Signature{version_, ToString(metadata.inputs()), ToString(metadata.outputs())};
}

inference::ModelInferRequest Classifier::Encode(std::span<const images::Image> images) const {
  inference::ModelInferRequest request;
  auto& input = *request.add_inputs();
  input.set_name(input_);
  input.set_datatype(fp32_ ? "FP32" : "UINT8");
  input.add_shape(static_cast<int64_t>(images.size()));
  input.add_shape(wanted_.height);
  input.add_shape(wanted_.width);
  input.add_shape(wanted_.channels);
  std::string& bytes = *request.add_raw_input_contents();
  for (const images::Image& image : images) {
    const images::Image seen =
        images::ModelInput(image, wanted_.width, wanted_.height, wanted_.channels);
    if (!fp32_) {
      bytes.append(reinterpret_cast<const char*>(seen.pixels.data()), seen.pixels.size());
      continue;
    }
    for (const uint8_t level : seen.pixels) {
      const float value = static_cast<float>(level) / 255.0F;
      bytes.append(reinterpret_cast<const char*>(&value), sizeof(value));
    }
  }
  return request;
}

Result<std::vector<size_t>> Classifier::Classify(std::span<const images::Image> images,
                                                 const std::stop_token& stop) {
  BF_CHECK(!version_.empty());
  std::vector<size_t> answers;
  for (size_t first = 0; first < images.size(); first += most_per_call_) {
    const auto some = images.subspan(first, std::min(most_per_call_, images.size() - first));
    std::vector<size_t> said;
    const Check read = [&](const inference::ModelInferResponse& response) -> Status {
      said = BF_TRY(ReadScores(response, some.size(), classes_));
      return Status();
    };
    BF_TRY(client_.Infer(
        Encode(some), version_, [] { return Status(); }, read, stop));
    answers.insert(answers.end(), said.begin(), said.end());
  }
  return answers;
}

}  // namespace bitfoundry::oip
