// bf-teacher's protocol, over real gRPC, and the decoding of CenterNet's heads. The network itself
// is not run here (its weights are not in the repository): a function with fixed boxes stands in.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstring>

#include "runtime/client.h"
#include "services/teacher/inference_service.h"
#include "tests/support/status_matchers.h"

namespace bitfoundry::teacher {
namespace {

using bitfoundry::testing::StatusIs;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// As many boxes as the first value of the tile says, with that value in their score: a test can
// tell the tiles apart.
Result<std::vector<Detection>> AsManyAsTheFirstValue(const Tile& tile) {
  if (tile.pixels[0] == 13) return Status(Code::kInternal, "the detector broke");
  const float red = static_cast<float>(tile.pixels[0]) / 255.0F;
  return std::vector<Detection>(static_cast<size_t>(tile.pixels[0] % 4),
                                Detection{1, 2, 3, 4, red, 0});
}

class TeacherTest : public ::testing::Test {
 protected:
  TeacherTest() : service_("centernet", "abc", AsManyAsTheFirstValue) {
    int port = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = inference::GRPCInferenceService::NewStub(
        runtime::Connect("127.0.0.1:" + std::to_string(port)));
  }

  // A call of n tiles of 2x2 pixels, the i-th filled with the value i + 1.
  static inference::ModelInferRequest Tiles(int n) {
    inference::ModelInferRequest request;
    request.set_model_name("centernet");
    request.set_id("42");
    auto& image = *request.add_inputs();
    image.set_name("image");
    image.set_datatype("UINT8");
    for (const int size : {n, 2, 2, 3}) image.add_shape(size);
    std::string pixels;
    for (int i = 0; i < n; ++i) pixels += std::string(12, static_cast<char>(i + 1));
    request.add_raw_input_contents(pixels);
    return request;
  }

  Result<inference::ModelInferResponse> Infer(const inference::ModelInferRequest& request) {
    runtime::Call call;
    inference::ModelInferResponse response;
    BF_TRY(runtime::FromGrpc(stub_->ModelInfer(&call, request, &response)));
    return response;
  }

  // The message of the INVALID_ARGUMENT that the request is answered with.
  std::string WhatIsWrong(const inference::ModelInferRequest& request) {
    const Status status = Infer(request).status();
    EXPECT_THAT(status, StatusIs(Code::kInvalidArgument));
    return status.message();
  }

  InferenceService service_;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<inference::GRPCInferenceService::Stub> stub_;
};

TEST_F(TeacherTest, EachTileGetsItsOwnRowsAndTheUnusedHaveScoreZero) {
  const Result<inference::ModelInferResponse> response = Infer(Tiles(2));
  ASSERT_THAT(response, bitfoundry::testing::IsOk());
  EXPECT_EQ(response->id(), "42");
  EXPECT_EQ(response->model_version(), "abc");
  ASSERT_EQ(response->outputs_size(), 1);
  EXPECT_EQ(response->outputs(0).datatype(), "FP32");
  EXPECT_THAT(response->outputs(0).shape(), ElementsAre(2, 2, 6));

  std::vector<float> values(24);
  ASSERT_EQ(response->raw_output_contents(0).size(), values.size() * sizeof(float));
  std::memcpy(values.data(), response->raw_output_contents(0).data(), values.size() * 4);
  EXPECT_THAT(std::vector(values.begin(), values.begin() + 6),
              ElementsAre(1, 2, 3, 4, 1 / 255.0F, 0));
  EXPECT_EQ(values[6 + 4], 0);  // tile 0 has one box only
  EXPECT_EQ(values[12 + 4], 2 / 255.0F);
  EXPECT_EQ(values[18 + 4], 2 / 255.0F);
}

TEST_F(TeacherTest, TypedContentsAreReadLikeRawOnes) {
  inference::ModelInferRequest typed = Tiles(1);
  for (const char value : typed.raw_input_contents(0)) {
    typed.mutable_inputs(0)->mutable_contents()->add_uint_contents(static_cast<uint8_t>(value));
  }
  EXPECT_THAT(WhatIsWrong(typed), HasSubstr("expected once"));
  typed.clear_raw_input_contents();
  EXPECT_EQ(Infer(typed)->raw_output_contents(0), Infer(Tiles(1))->raw_output_contents(0));
  typed.mutable_inputs(0)->mutable_contents()->set_uint_contents(3, 256);
  EXPECT_THAT(WhatIsWrong(typed), HasSubstr("above 255"));
}

TEST_F(TeacherTest, WhatIsNotServedIsNotFound) {
  inference::ModelInferRequest request = Tiles(1);
  request.set_model_version("2");
  EXPECT_THAT(Infer(request), StatusIs(Code::kNotFound));
  request = Tiles(1);
  request.set_model_name("yolo");
  EXPECT_THAT(Infer(request), StatusIs(Code::kNotFound));

  runtime::Call call, another;
  inference::ModelMetadataRequest metadata;
  inference::ModelMetadataResponse tensors;
  metadata.set_name("yolo");
  EXPECT_THAT(runtime::FromGrpc(stub_->ModelMetadata(&call, metadata, &tensors)),
              StatusIs(Code::kNotFound));
  metadata.set_name("centernet");
  ASSERT_TRUE(stub_->ModelMetadata(&another, metadata, &tensors).ok());
  EXPECT_THAT(tensors.versions(), ElementsAre("abc"));
  EXPECT_THAT(tensors.inputs(0).shape(), ElementsAre(-1, -1, -1, 3));
}

TEST_F(TeacherTest, AWrongTensorIsRefusedByWhatIsWrongWithIt) {
  inference::ModelInferRequest request = Tiles(1);
  request.mutable_inputs(0)->set_name("picture");
  EXPECT_THAT(WhatIsWrong(request), HasSubstr("image: expected"));

  request = Tiles(1);
  request.mutable_inputs(0)->set_datatype("FP32");
  EXPECT_THAT(WhatIsWrong(request), HasSubstr("expected UINT8, got 'FP32'"));

  for (const int axis : {0, 1, 2}) {
    for (const int64_t size : {int64_t{-1}, int64_t{0}, int64_t{1025}, INT64_MAX}) {
      request = Tiles(1);
      request.mutable_inputs(0)->set_shape(axis, size);
      EXPECT_THAT(WhatIsWrong(request), HasSubstr("expected the shape")) << axis << " " << size;
    }
  }
  request = Tiles(1);
  request.mutable_inputs(0)->add_shape(1);
  EXPECT_THAT(WhatIsWrong(request), HasSubstr("expected the shape"));
  EXPECT_THAT(WhatIsWrong(Tiles(9)), HasSubstr("got [9,2,2,3]"));

  request = Tiles(1);
  request.mutable_raw_input_contents(0)->pop_back();
  EXPECT_THAT(WhatIsWrong(request), HasSubstr("expected 12 bytes for the shape [1,2,2,3], got 11"));

  request = Tiles(1);
  request.add_outputs()->set_name("masks");
  EXPECT_THAT(WhatIsWrong(request), HasSubstr("output 'masks'"));
}

TEST_F(TeacherTest, ADetectorThatFailsFailsTheCall) {
  inference::ModelInferRequest request = Tiles(1);
  request.set_raw_input_contents(0, std::string(12, 13));
  EXPECT_THAT(Infer(request), StatusIs(Code::kInternal));
}

TEST(DecodeTest, APeakBecomesABoxInPixelsOfTheTile) {
  std::vector<float> peaks(size_t{kClasses} * kCells * kCells, 0.0F);
  std::vector<float> sides(size_t{4} * kCells * kCells, 0.0F);
  const auto cell = [](int map, int y, int x) {
    return static_cast<size_t>((map * kCells + y) * kCells + x);
  };
  peaks[cell(2, 10, 20)] = 0.8F;
  peaks[cell(2, 10, 21)] = 0.7F;    // beside a higher one: no peak
  peaks[cell(0, 127, 127)] = 0.9F;  // its box is cut by the tile
  peaks[cell(1, 50, 50)] = 0.09F;   // too faint
  for (const auto& [y, x] : {std::pair{10, 20}, std::pair{127, 127}}) {
    for (int side = 0; side < 4; ++side) {
      sides[cell(side, y, x)] = 16.0F * static_cast<float>(side + 1);
    }
  }

  const std::vector<Detection> found = Decode(peaks, sides, /*tile_height=*/256,
                                              /*tile_width=*/1024);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].class_index, 0);
  EXPECT_EQ(found[0].right, 1024);
  EXPECT_EQ(found[0].bottom, 256);
  const Detection& box = found[1];  // centre at (80, 40) of 512
  EXPECT_EQ(box.class_index, 2);
  EXPECT_FLOAT_EQ(box.score, 0.8F);
  EXPECT_FLOAT_EQ(box.left, (80 - 16) * 2.0F);
  EXPECT_FLOAT_EQ(box.top, (40 - 32) / 2.0F);
  EXPECT_FLOAT_EQ(box.right, (80 + 48) * 2.0F);
  EXPECT_FLOAT_EQ(box.bottom, (40 + 64) / 2.0F);
}

TEST(CenterNetTest, AMissingOrForeignModelFileIsSaidToBeSo) {
  EXPECT_EQ(CenterNet::Load("/nowhere.onnx", 1).status().reason(), "MODEL_MISSING");
  EXPECT_EQ(CenterNet::Load(BF_SOURCE_DIR "/CMakeLists.txt", 1).status().reason(),
            "MODEL_UNREADABLE");
}

}  // namespace
}  // namespace bitfoundry::teacher
