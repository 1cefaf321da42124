// project, ingest, snapshot: data on its way in, until it is frozen.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <span>
#include <sstream>

#include "bitfoundry/v1/ingestion.grpc.pb.h"
#include "bitfoundry/v1/project.grpc.pb.h"
#include "bitfoundry/v1/snapshot.grpc.pb.h"
#include "services/bitfoundry/cli.h"

namespace bitfoundry::cli {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

constexpr size_t kChunkBytes = 1 << 20;
constexpr size_t kBatchImages = 100;  // of a call, which has ten minutes: also for 24 megapixels
constexpr uint64_t kMaxImageBytes = 16 << 20;
constexpr uint64_t kMaxVideoBytes = 256 << 20;
constexpr int kNamesShown = 5;
constexpr uint64_t kMaxLabelsBytes = 64 << 20;

struct ProjectOptions {
  std::string name;
  std::vector<std::string> classes;
  std::string input = "64x64x1";
};

Result<int> CreateProject(const Shell& shell, const ProjectOptions& options) {
  v1::CreateProjectRequest request;
  request.set_request_id(NewRequestId());
  request.set_name(options.name);
  for (const std::string& name : options.classes) request.add_classes(name);
  int height = 0, width = 0, channels = 0, length = 0;
  if (std::sscanf(options.input.c_str(), "%dx%dx%d%n", &height, &width, &channels, &length) != 3 ||
      static_cast<size_t>(length) != options.input.size()) {
    return BadUsage("--input " + options.input + ": write it as 64x64x1");
  }
  request.mutable_input()->set_height(height);
  request.mutable_input()->set_width(width);
  request.mutable_input()->set_channels(channels);
  const auto stub = v1::Projects::NewStub(BF_TRY(shell.Door("ingestion")));
  v1::Project project;
  runtime::Call call;
  BF_TRY(runtime::FromGrpc(stub->CreateProject(&call, request, &project)));
  std::printf("%s\n", shell.json ? ToJson(project).c_str()
                                 : ("project " + project.name() + " is there").c_str());
  return kDone;
}

struct None {};

Result<int> ListProjects(const Shell& shell, const None&) {
  const auto stub = v1::Projects::NewStub(BF_TRY(shell.Door("ingestion")));
  v1::ListProjectsRequest request;
  request.set_page_size(1000);
  v1::ListProjectsResponse response;
  runtime::Call call;
  BF_TRY(runtime::FromGrpc(stub->ListProjects(&call, request, &response)));
  if (shell.json) {
    std::printf("%s\n", ToJson(response).c_str());
    return kDone;
  }
  std::vector<std::vector<std::string>> rows{{"project", "input", "classes"}};
  for (const v1::Project& project : response.projects()) {
    std::string classes;
    for (const std::string& name : project.classes()) classes += name + " ";
    const v1::InputShape& input = project.input();
    rows.push_back({project.name(),
                    std::to_string(input.height()) + "x" + std::to_string(input.width()) + "x" +
                        std::to_string(input.channels()),
                    classes});
  }
  PrintTable(rows);
  return kDone;
}

struct IngestOptions {
  std::string project;
  std::vector<std::string> paths;
  bool video = false;
  std::string labels;
  std::string annotator = "import";
  std::vector<std::string> tags;
  std::string camera;
  std::string session;
  std::string part = "train";
  int32_t from = 0, to = 0, step = 1;
  int32_t windows = 0, min_pixels = 0, max_pixels = 0;
  double aimed = 0.5;
  uint64_t seed = 1;
};

Result<v1::Capture> CaptureOf(const IngestOptions& options) {
  v1::Capture capture;
  capture.set_request_id(NewRequestId());
  capture.set_project(options.project);
  capture.set_part(options.part == "test" ? v1::PART_TEST : v1::PART_TRAIN);
  capture.set_camera(options.camera);
  capture.set_session(options.session);
  for (const std::string& tag : options.tags) {
    const size_t equals = tag.find('=');
    if (equals == std::string::npos) {
      return BadUsage("--tag " + tag + ": write it as key=value");
    }
    (*capture.mutable_tags())[tag.substr(0, equals)] = tag.substr(equals + 1);
  }
  return capture;
}

struct Label {
  std::string name;
  std::optional<v1::Window> window;
  int line = 0;  // of the file, from 1
};

// "name,label" or "name,label,x,y,width,height" a line; a first line "name,..." is a heading.
// Several windows of one image are several lines. A name is a path, taken as it is written but for
// "." and "..".
Result<std::multimap<std::string, Label>> ReadLabels(const std::string& path) {
  std::multimap<std::string, Label> labels;
  if (path.empty()) return labels;
  std::istringstream text(BF_TRY(ReadText(path, kMaxLabelsBytes)));
  std::string line;
  for (int number = 1; std::getline(text, line); ++number) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
    if (line.empty() || (number == 1 && line.rfind("name,", 0) == 0)) continue;
    std::istringstream fields(line);
    std::string name;
    std::string rectangle;
    Label label{.line = number};
    std::getline(fields, name, ',');
    std::getline(fields, label.name, ',');
    bool good = !name.empty() && !label.name.empty() && line.find('"') == std::string::npos;
    if (good && !fields.eof()) {
      std::getline(fields, rectangle);
      int x = 0, y = 0, width = 0, height = 0, end = 0;
      good =
          std::sscanf(rectangle.c_str(), "%d ,%d ,%d ,%d %n", &x, &y, &width, &height, &end) == 4 &&
          static_cast<size_t>(end) == rectangle.size();
      v1::Window& window = label.window.emplace();
      window.set_x(x);
      window.set_y(y);
      window.set_width(width);
      window.set_height(height);
    }
    if (!good) {
      return Status(Code::kInvalidArgument, path + ":" + std::to_string(number) +
                                                ": not name,label[,x,y,width,height]: " + line);
    }
    labels.emplace(fs::path(name).lexically_normal().string(), label);
  }
  return labels;
}

struct ImageFile {
  fs::path path;     // what is no file is refused when it is read
  std::string name;  // relative to the folder that was given
};

// All that is in `folder` and below but for folders and files whose name begins with a dot. Links
// to folders are not followed. A folder that cannot be read stands for what is in it.
void Walk(const fs::path& folder, const fs::path& given, std::vector<ImageFile>& images) {
  std::error_code failed;
  for (fs::directory_iterator entry(folder, failed), end; !failed && entry != end;
       entry.increment(failed)) {
    if (fs::is_directory(entry->symlink_status(failed))) {
      Walk(entry->path(), given, images);
    } else if (entry->path().filename().string()[0] != '.') {
      images.push_back({entry->path(), entry->path().lexically_relative(given).string()});
    }
  }
  if (failed) images.push_back({folder, folder.lexically_relative(given).string()});
}

Result<std::vector<ImageFile>> FindImages(const std::vector<std::string>& paths) {
  std::vector<ImageFile> images;
  for (const std::string& path : paths) {
    std::error_code failed;
    const fs::file_status found = fs::status(path, failed);
    if (!fs::exists(found)) return Status(Code::kNotFound, path + ": no such file or folder");
    if (fs::is_directory(found)) {
      Walk(path, path, images);
    } else {
      images.push_back({path, fs::path(path).filename().string()});
    }
  }
  std::sort(images.begin(), images.end(),
            [](const ImageFile& a, const ImageFile& b) { return a.path < b.path; });
  return images;
}

// One image of a batch: a file, or one of the labels of a file.
struct Item {
  const ImageFile* file;
  const Label* label;  // null: none
};

std::string Text(const std::optional<v1::Window>& window) {
  return window.has_value() ? window->SerializeAsString() : "whole";
}

// Each file once for each of its labels, which name it as it was given or relative to its folder.
// Says on stderr which labels name no file, and adds their count to `unused`.
//
// Errors: kInvalidArgument, LABELS_CONFLICT, if two say different things of one image or window.
Result<std::vector<Item>> Match(const std::vector<ImageFile>& files,
                                const std::multimap<std::string, Label>& labels, int& unused) {
  std::vector<Item> items;
  std::set<std::string> used;
  for (const ImageFile& file : files) {
    std::map<std::string, const Label*> said;  // of each window
    for (const std::string& name : std::set{file.name, file.path.lexically_normal().string()}) {
      const auto [begin, end] = labels.equal_range(name);
      for (auto label = begin; label != end; ++label) {
        const Label& other =
            *said.try_emplace(Text(label->second.window), &label->second).first->second;
        if (other.name == label->second.name) continue;
        return Status(Code::kInvalidArgument, "LABELS_CONFLICT",
                      name + ": '" + other.name + "' in line " + std::to_string(other.line) +
                          ", '" + label->second.name + "' in line " +
                          std::to_string(label->second.line));
      }
      if (begin != end) used.insert(name);
    }
    for (const auto& [window, label] : said) items.push_back({&file, label});
    if (said.empty()) items.push_back({&file, nullptr});
  }
  std::string names;
  for (const auto& [name, label] : labels) {
    if (used.contains(name)) continue;
    if (++unused <= kNamesShown) names += (unused == 1 ? ": " : ", ") + name;
  }
  if (unused > 0) {
    std::fprintf(stderr, "%d labels name no image that was given%s%s\n", unused, names.c_str(),
                 unused > kNamesShown ? ", ..." : "");
  }
  return items;
}

// What is no UTF-8 is replaced: a protobuf string that holds it is not understood.
std::string Utf8(const std::string& text) {
  using Json = nlohmann::json;
  return Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace));
}

using ImageStream = grpc::ClientWriter<v1::IngestImagesRequest>;

// False if the stream is broken: Finish says why. Errors: the file cannot be read or is too large.
Result<bool> SendImage(const Item& item, const std::string& annotator, ImageStream& stream) {
  const std::string bytes = BF_TRY(ReadFile(item.file->path, kMaxImageBytes));
  v1::IngestImagesRequest message;
  v1::ImageStart& start = *message.mutable_image();
  start.set_name(Utf8(item.file->name));
  if (item.label != nullptr) {
    start.set_label(Utf8(item.label->name));
    start.set_annotator(annotator);
    if (item.label->window.has_value()) *start.mutable_window() = *item.label->window;
  }
  bool open = stream.Write(message);
  for (size_t at = 0; open && at < bytes.size(); at += kChunkBytes) {
    message.set_chunk(bytes.substr(at, kChunkBytes));
    open = stream.Write(message);
  }
  return open;
}

// Sends one call's images. A file that cannot be sent is reported as refused.
Result<v1::IngestImagesResponse> SendBatch(v1::Ingestion::Stub& stub, const IngestOptions& options,
                                           std::span<const Item> items) {
  v1::IngestImagesRequest message;
  *message.mutable_capture() = BF_TRY(CaptureOf(options));
  v1::IngestImagesResponse response;
  v1::IngestImagesResponse unsent;
  runtime::Call call(10min);
  const auto stream = stub.IngestImages(&call, &response);
  bool open = stream->Write(message);
  int sent = 0;
  for (const Item& item : items) {
    if (!open) break;
    const Result<bool> written = SendImage(item, options.annotator, *stream);
    if (written.ok()) {
      open = *written;
      ++sent;
      continue;
    }
    v1::Refused& refused = *unsent.add_refused();
    refused.set_name(Utf8(item.file->name));
    refused.set_reason(written.status().reason());
    refused.set_message(Utf8(written.status().message()));
  }
  message.mutable_end()->set_images(sent);
  if (open) stream->Write(message);
  stream->WritesDone();
  BF_TRY(runtime::FromGrpc(stream->Finish()));
  response.MergeFrom(unsent);
  return response;
}

void Show(const Shell& shell, const v1::IngestImagesResponse& total) {
  if (shell.json) {
    std::printf("%s\n", ToJson(total).c_str());
    return;
  }
  const auto list = [](const char* what, const auto& images) {
    for (const v1::Refused& image : images) {
      std::printf("%s %s: %s [%s]\n", what, image.name().c_str(), image.message().c_str(),
                  image.reason().c_str());
    }
  };
  list("refused", total.refused());
  list("ignored", total.ignored());
  std::printf("%d new, %d there already, %d refused\n", total.accepted(), total.duplicates(),
              total.refused_size());
}

Result<int> IngestImages(const Shell& shell, const IngestOptions& options) {
  const auto labels = BF_TRY(ReadLabels(options.labels));
  const auto files = BF_TRY(FindImages(options.paths));
  int unused = 0;
  const std::vector<Item> items = BF_TRY(Match(files, labels, unused));
  const auto stub = v1::Ingestion::NewStub(BF_TRY(shell.Door("ingestion")));
  v1::IngestImagesResponse total;
  for (std::span<const Item> rest(items); !rest.empty();) {
    const size_t count = std::min(kBatchImages, rest.size());
    const auto response = BF_TRY(SendBatch(*stub, options, rest.first(count)));
    total.set_accepted(total.accepted() + response.accepted());
    total.set_duplicates(total.duplicates() + response.duplicates());
    total.mutable_refused()->MergeFrom(response.refused());
    total.mutable_ignored()->MergeFrom(response.ignored());
    rest = rest.subspan(count);
  }
  Show(shell, total);
  return total.refused().empty() && total.ignored().empty() && unused == 0 ? kDone : kFailed;
}

Result<v1::VideoStart> VideoStartOf(const IngestOptions& options) {
  v1::VideoStart start;
  *start.mutable_capture() = BF_TRY(CaptureOf(options));
  start.set_name(Utf8(fs::path(options.paths.at(0)).filename().string()));
  start.set_from_frame(options.from);
  start.set_to_frame(options.to);
  start.set_step(options.step);
  if (options.windows > 0) {
    v1::WindowPlan& plan = *start.mutable_windows();
    plan.set_per_frame(options.windows);
    plan.set_min_pixels(options.min_pixels);
    plan.set_max_pixels(options.max_pixels);
    plan.set_aimed_share(options.aimed);
    plan.set_seed(options.seed);
  }
  return start;
}

Result<int> IngestVideo(const Shell& shell, const IngestOptions& options) {
  if (options.paths.size() != 1) {
    return BadUsage("--video takes one file at a time");
  }
  const std::string bytes = BF_TRY(ReadFile(options.paths[0], kMaxVideoBytes));
  const auto stub = v1::Ingestion::NewStub(BF_TRY(shell.Door("ingestion")));
  v1::IngestVideoRequest request;
  *request.mutable_video() = BF_TRY(VideoStartOf(options));
  request.mutable_video()->set_total_bytes(static_cast<int64_t>(bytes.size()));
  runtime::Call call(30min);
  const auto stream = stub->IngestVideo(&call);
  bool open = stream->Write(request);
  for (size_t at = 0; open && at < bytes.size(); at += kChunkBytes) {
    request.set_chunk(bytes.substr(at, kChunkBytes));
    open = stream->Write(request);
  }
  stream->WritesDone();
  v1::IngestVideoResponse progress;
  const bool live = !shell.json && isatty(STDOUT_FILENO) == 1;
  while (stream->Read(&progress)) {
    if (live) {
      std::printf("\r%d of %d frames", progress.frames_done(), progress.frames_total());
      std::fflush(stdout);
    }
  }
  BF_TRY(runtime::FromGrpc(stream->Finish()));
  const bool cut = progress.frames_stated() > progress.frames_total();
  if (shell.json) {
    std::printf("%s\n", ToJson(progress).c_str());
  } else {
    std::printf("%s%d frames: %d new samples, %d there already\n", live ? "\r" : "",
                progress.frames_done(), progress.accepted(), progress.duplicates());
    if (cut) {
      std::printf("taken %d of %d frames: the file ends before its header says so\n",
                  progress.frames_total(), progress.frames_stated());
    }
    if (progress.ignored() > 0) {
      std::printf(
          "%d ignored: what is there stays in the part, session, camera and tags it had,\n"
          "and no frame gives samples to both parts\n",
          progress.ignored());
    }
  }
  return cut || progress.ignored() > 0 ? kFailed : kDone;
}

Result<int> Ingest(const Shell& shell, const IngestOptions& options) {
  return options.video ? IngestVideo(shell, options) : IngestImages(shell, options);
}

struct SnapshotOptions {
  std::string project;
};

Result<int> CreateSnapshot(const Shell& shell, const SnapshotOptions& options) {
  v1::CreateSnapshotRequest request;
  request.set_project(options.project);
  const auto stub = v1::Snapshots::NewStub(BF_TRY(shell.Door("ingestion")));
  v1::Snapshot snapshot;
  runtime::Call call(10min);
  BF_TRY(runtime::FromGrpc(stub->CreateSnapshot(&call, request, &snapshot)));
  if (shell.json) {
    std::printf("%s\n", ToJson(snapshot).c_str());
    return kDone;
  }
  std::printf("snapshot %s\n", snapshot.digest().c_str());
  std::vector<std::vector<std::string>> rows{{"class", "train", "test"}};
  for (const v1::ClassCount& count : snapshot.classes()) {
    rows.push_back({count.name(), std::to_string(count.train()), std::to_string(count.test())});
  }
  rows.push_back(
      {"all", std::to_string(snapshot.train_samples()), std::to_string(snapshot.test_samples())});
  PrintTable(rows);
  std::printf("%d left out for want of a label\n", snapshot.unlabelled_samples());
  return kDone;
}

void AddIngest(CLI::App& app, Shell& shell) {
  const auto o = std::make_shared<IngestOptions>();
  CLI::App* ingest = Add(
      app, shell, "ingest",
      "Take images (files, folders) or a video. A bad image is reported, the others are taken;\n"
      "the same bytes twice are one sample, whose part, tags and answers stay as they are: what\n"
      "is stated otherwise is reported. Exits with 1 if anything was refused or not as stated",
      "bitfoundry ingest person shots/ --labels shots.csv --camera gate --session monday\n"
      "  bitfoundry ingest person gate.avi --video --step 5 --windows 12 --part train --to 500",
      o, Ingest);
  ingest->add_option("PROJECT", o->project)->required();
  ingest->add_option("PATH", o->paths, "Image files, folders, or one video")->required();
  ingest->add_option("--camera", o->camera, "What it was taken with")->check(Utf8Text());
  ingest->add_option("--session", o->session, "Samples of one session are not independent")
      ->check(Utf8Text());
  ingest->add_option("--part", o->part, "train | test, for good; test labels come from people only")
      ->check(CLI::IsMember({"train", "test"}))
      ->capture_default_str();
  ingest->add_option("--tag", o->tags, "key=value, on every sample; repeat for more")
      ->check(Utf8Text());
  CLI::Option* labels =
      ingest->add_option("--labels", o->labels,
                         "CSV: name,label[,x,y,width,height]: a label of the whole image,\n"
                         "or of a window of it, in pixels from its top left; a name is a path\n"
                         "as given to PATH, or relative to the folder given");
  ingest->add_option("--annotator", o->annotator, "Who says what --labels says")
      ->check(Utf8Text())
      ->capture_default_str()
      ->needs(labels);
  CLI::Option* video =
      ingest->add_flag("--video", o->video, "PATH is a video; its frames are the images");
  video->excludes(labels);
  for (const auto& [name, value, help] :
       {std::tuple{"--from", &o->from, "First frame"},
        std::tuple{"--to", &o->to, "Frame after the last; 0: the end"},
        std::tuple{"--step", &o->step, "Every n-th frame"}}) {
    ingest->add_option(name, *value, help)->capture_default_str()->needs(video);
  }
  CLI::Option* windows =
      ingest->add_option("--windows", o->windows, "Square windows from each frame; 0: whole frames")
          ->capture_default_str()
          ->needs(video);
  ingest->add_option("--min-pixels", o->min_pixels, "Side of the smallest window; 0: 64")
      ->needs(windows);
  ingest->add_option("--max-pixels", o->max_pixels, "Side of the largest window; 0: 160")
      ->needs(windows);
  ingest->add_option("--aimed-share", o->aimed, "Share of the windows aimed at what moves, 0 to 1")
      ->capture_default_str()
      ->needs(windows);
  ingest->add_option("--seed", o->seed, "Of the windows")->capture_default_str()->needs(windows);
}

}  // namespace

void AddDataCommands(CLI::App& app, Shell& shell) {
  CLI::App* project = app.add_subcommand("project", "One task each: classes and an input shape");
  project->footer("Example:\n  bitfoundry project list");
  project->require_subcommand(1);
  const auto create = std::make_shared<ProjectOptions>();
  CLI::App* command =
      Add(*project, shell, "create", "Make a project",
          "bitfoundry project create person --classes no_person,person --input 64x64x1", create,
          CreateProject);
  command->add_option("NAME", create->name, "a-z, 0-9, - and _")->required();
  command->add_option("--classes", create->classes, "In order: class 0, class 1, ...")
      ->check(Utf8Text())
      ->required()
      ->delimiter(',');
  command->add_option("--input", create->input, "height x width x channels (1 gray, 3 RGB)")
      ->capture_default_str();
  Add(*project, shell, "list", "All projects", "bitfoundry project list", std::make_shared<None>(),
      ListProjects);

  AddIngest(app, shell);

  const auto snapshot = std::make_shared<SnapshotOptions>();
  Add(app, shell, "snapshot", "Freeze every labelled sample; its name is the digest of its content",
      "bitfoundry snapshot person", snapshot, CreateSnapshot)
      ->add_option("PROJECT", snapshot->project)
      ->required();
}

}  // namespace bitfoundry::cli
