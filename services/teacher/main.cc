// bf-teacher: serves a detector through the Open Inference Protocol, the embedded stand-in for a
// large model in a cloud.
#include "runtime/main.h"

#include "runtime/serve.h"
#include "services/teacher/inference_service.h"

using namespace bitfoundry;

constexpr runtime::Option kModel{"model", "centernet.onnx",
                                 "the network, as scripts/teacher/install writes it"};
constexpr runtime::Option kThreads{"teacher-threads", "2", "threads for one tile"};

Status Run(runtime::Process& process) {
  const int64_t threads = BF_TRY(process.options.Integer(kThreads, 1, 256));
  teacher::CenterNet network =
      BF_TRY(teacher::CenterNet::Load(process.options.Text(kModel), static_cast<int>(threads)));
  teacher::InferenceService service(
      "centernet", network.version(),
      [&network](const teacher::Tile& tile) { return network.Detect(tile); });
  return runtime::Serve(process, {&service}, [] { return Status(); });
}

int main(int argc, char** argv) {
  return runtime::Main(argc, argv,
                       {runtime::kListen, runtime::kMetrics, runtime::kReadyFile, kModel, kThreads},
                       Run);
}
