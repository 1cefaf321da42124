// autolabel, label: answers from a large model, and from people.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <map>
#include <optional>
#include <sstream>
#include <thread>

#include "bitfoundry/v1/autolabel.grpc.pb.h"
#include "bitfoundry/v1/ingestion.grpc.pb.h"
#include "bitfoundry/v1/labelqueue.grpc.pb.h"
#include "bitfoundry/v1/project.grpc.pb.h"
#include "catalog/samples.h"
#include "images/codec.h"
#include "images/image.h"
#include "services/bitfoundry/cli.h"
#include "services/bitfoundry/prepared_answers.h"

namespace bitfoundry::cli {
namespace {

using namespace std::chrono_literals;

struct AutoLabelOptions {
  std::string project;
  std::optional<int64_t> max_calls;
  std::optional<int64_t> max_micros;
  bool watch = false;
  bool look = false;
};

// " of 12": a limit, in units of `unit`; nothing if there is none.
std::string Of(int64_t limit, double unit) {
  std::ostringstream text;
  if (limit > 0) text << " of " << static_cast<double>(limit) / unit;
  return text.str();
}

std::string Text(const v1::AutoLabelProgress& progress) {
  std::ostringstream text;
  if (progress.teacher().empty())
    text << "there is no teacher for these classes, people are asked; ";
  text << progress.judged_images() << " of " << progress.images() << " images judged, "
       << progress.waiting_jobs() << " jobs wait, " << progress.dead_jobs() << " dead; "
       << progress.calls() << " calls" << Of(progress.max_calls(), 1) << ", "
       << progress.cache_hits() << " from the cache, spent "
       << static_cast<double>(progress.micros()) / 1e6 << Of(progress.max_micros(), 1e6)
       << "; answers:";
  const std::map<std::string, int64_t> answers(progress.answers().begin(),
                                               progress.answers().end());
  for (const auto& [name, count] : answers) text << " " << name << " " << count;
  text << "; people " << progress.people_answers() << "; " << progress.open_tasks()
       << " tasks for people";
  return text.str();
}

Status StartAutoLabel(const Shell& shell, const AutoLabelOptions& options,
                      v1::AutoLabel::Stub& stub) {
  v1::StartAutoLabelRequest request;
  request.set_project(options.project);
  if (options.max_calls) request.set_max_calls(*options.max_calls);
  if (options.max_micros) request.set_max_micros(*options.max_micros);
  v1::StartAutoLabelResponse started;
  runtime::Call call(60s);
  BF_TRY(runtime::FromGrpc(stub.StartAutoLabel(&call, request, &started)));
  if (!shell.json && started.enqueued_images() > 0) {
    std::printf("%ld images more in the queue\n", static_cast<long>(started.enqueued_images()));
  }
  return Status();
}

Result<int> AutoLabel(const Shell& shell, const AutoLabelOptions& options) {
  if (options.look && (options.max_calls || options.max_micros)) {
    return BadUsage("--look changes nothing: give it without a budget");
  }
  const auto stub = v1::AutoLabel::NewStub(BF_TRY(shell.Door("autolabel")));
  if (!options.look) BF_TRY(StartAutoLabel(shell, options, *stub));
  v1::AutoLabelProgress progress;
  const bool live = !shell.json && isatty(STDOUT_FILENO) == 1;
  for (int poll = 0;; ++poll) {
    BF_TRY(WhileUnavailable([&] {
      v1::GetAutoLabelProgressRequest ask;
      ask.set_project(options.project);
      runtime::Call again;
      return stub->GetAutoLabelProgress(&again, ask, &progress);
    }));
    const bool last = !options.watch || progress.waiting_jobs() == 0;
    // A terminal shows the newest line alone; a log gets one every 20 s.
    if (!shell.json && (live || last || poll % 10 == 0)) {
      std::printf("%s%s%s", live ? "\r\033[K" : "", Text(progress).c_str(),
                  live && !last ? "" : "\n");
      std::fflush(stdout);
    }
    if (last) break;
    std::this_thread::sleep_for(2s);
  }
  if (shell.json) std::printf("%s\n", ToJson(progress).c_str());
  return progress.dead_jobs() == 0 ? kDone : kFailed;
}

struct LabelOptions {
  std::string project;
  bool all = false;
  std::string annotator;
  std::string answers;
};

// Two pixels a character: the upper is the foreground of a half block, the lower its background.
std::string Picture(const images::Image& image) {
  constexpr int kMaxColumns = 72;
  const int width = std::min(kMaxColumns, image.width);
  const int height = std::max(2, image.height * width / image.width / 2 * 2);
  const images::Image small = images::ToRgb(images::Resize(image, width, height));
  std::ostringstream text;
  const auto colour = [&](int x, int y) {
    const uint8_t* pixel = small.Row(y) + 3 * x;
    text << int{pixel[0]} << ";" << int{pixel[1]} << ";" << int{pixel[2]} << "m";
  };
  for (int y = 0; y + 1 < height; y += 2) {
    for (int x = 0; x < width; ++x) {
      text << "\033[38;2;";
      colour(x, y);
      text << "\033[48;2;";
      colour(x, y + 1);
      text << "\u2580";
    }
    text << "\033[0m\n";
  }
  return text.str();
}

// One annotator at the label queue.
class Annotator {
 public:
  Annotator(std::shared_ptr<grpc::Channel> channel, LabelOptions options)
      : stub_(v1::LabelQueue::NewStub(channel)), options_(std::move(options)) {}

  Result<v1::LeaseTasksResponse> Lease(int count, const std::vector<std::string>& samples = {}) {
    v1::LeaseTasksRequest request;
    request.set_project(options_.project);
    request.set_annotator(options_.annotator);
    request.set_max_tasks(count);
    for (const std::string& sample : samples) request.add_samples(sample);
    v1::LeaseTasksResponse response;
    BF_TRY(WhileUnavailable([&] {
      runtime::Call call;
      return stub_->LeaseTasks(&call, request, &response);
    }));
    return response;
  }

  Status Answer(const v1::TaskLease& lease, uint32_t class_index,
                const std::map<std::string, std::string>& tags = {}) {
    v1::SubmitAnswerRequest request;
    request.set_request_id(NewRequestId());
    *request.mutable_lease() = lease;
    request.set_annotator(options_.annotator);
    request.set_class_index(class_index);
    for (const auto& [key, value] : tags) (*request.mutable_tags())[key] = value;
    return WhileUnavailable([&] {
      v1::SubmitAnswerResponse response;
      runtime::Call call;
      return stub_->SubmitAnswer(&call, request, &response);
    });
  }

  Status Skip(const v1::TaskLease& lease, v1::SkipReason reason) {
    v1::SkipTaskRequest request;
    request.set_request_id(NewRequestId());
    *request.mutable_lease() = lease;
    request.set_annotator(options_.annotator);
    request.set_reason(reason);
    return WhileUnavailable([&] {
      v1::SkipTaskResponse response;
      runtime::Call call;
      return stub_->SkipTask(&call, request, &response);
    });
  }

  Status Release(const v1::TaskLease& lease) {
    v1::ReleaseTaskRequest request;
    *request.mutable_lease() = lease;
    request.set_annotator(options_.annotator);
    return WhileUnavailable([&] {
      v1::ReleaseTaskResponse response;
      runtime::Call call;
      return stub_->ReleaseTask(&call, request, &response);
    });
  }

  Result<std::string> Image(const v1::TaskLease& lease) {
    v1::ReadTaskImageRequest request;
    *request.mutable_lease() = lease;
    std::string png;
    BF_TRY(WhileUnavailable([&] {
      runtime::Call call;
      const auto stream = stub_->ReadTaskImage(&call, request);
      png.clear();
      for (v1::ReadTaskImageResponse part; stream->Read(&part);) png += part.chunk();
      return stream->Finish();
    }));
    return png;
  }

 private:
  std::unique_ptr<v1::LabelQueue::Stub> stub_;
  const LabelOptions options_;
};

// What a person types for a refusal.
const std::map<std::string, v1::SkipReason> kRefusals = {{"u", v1::UNSURE},
                                                         {"h", v1::TOO_HARD},
                                                         {"b", v1::BAD_IMAGE},
                                                         {"c", v1::CLASS_MISSING},
                                                         {"p", v1::PRIVACY}};

// The same in a file of prepared answers.
const std::map<std::string, v1::SkipReason> kRefusalNames = {{"unsure", v1::UNSURE},
                                                             {"too_hard", v1::TOO_HARD},
                                                             {"bad_image", v1::BAD_IMAGE},
                                                             {"class_missing", v1::CLASS_MISSING},
                                                             {"privacy", v1::PRIVACY}};

constexpr int kBatch = 100;  // tasks a call may lease

// "5@12,40,64,64": a sample's frame and its rectangle.
std::string Place(int64_t frame, const std::string& sample) {
  const size_t at = sample.find('@');
  return std::to_string(frame) + (at == std::string::npos ? "" : sample.substr(at));
}

// Shows one task and does what the person says. False when they want to stop.
Result<bool> Ask(Annotator& annotator, const v1::LeasedTask& task,
                 const v1::LeaseTasksResponse& leased) {
  const std::string png = BF_TRY(annotator.Image(task.lease()));
  std::printf("\n%s\n%s", task.sample().c_str(), Picture(BF_TRY(images::Decode(png))).c_str());
  std::string prompt;
  for (int i = 0; i < leased.classes_size(); ++i) {
    prompt += std::to_string(i) + " " + leased.classes(i) + "   ";
  }
  while (true) {
    std::printf("%s| u unsure  h too hard  b bad image  c class missing  p privacy  q quit > ",
                prompt.c_str());
    std::fflush(stdout);
    std::string said;
    const bool there = static_cast<bool>(std::getline(std::cin, said));
    if (!there || said == "q") {
      if (!there) std::printf("\n");  // the prompt's line ends, as with Enter
      BF_TRY(annotator.Release(task.lease()));
      return false;
    }
    if (const auto refusal = kRefusals.find(said); refusal != kRefusals.end()) {
      BF_TRY(annotator.Skip(task.lease(), refusal->second));
      return true;
    }
    char* end = nullptr;
    const unsigned long index = std::strtoul(said.c_str(), &end, 10);
    if (!said.empty() && *end == '\0' &&
        index < static_cast<unsigned long>(leased.classes_size())) {
      BF_TRY(annotator.Answer(task.lease(), static_cast<uint32_t>(index)));
      return true;
    }
    std::printf("'%s' is none of these: type a number or a letter from the line below\n",
                said.c_str());
  }
}

Result<int> LabelByHand(Annotator& annotator) {
  int answered = 0;
  bool more = true;
  while (more) {
    const v1::LeaseTasksResponse leased = BF_TRY(annotator.Lease(1));
    if (leased.tasks().empty()) break;
    more = BF_TRY(Ask(annotator, leased.tasks(0), leased));
    answered += more;
  }
  std::printf("\n%d answered%s\n", answered, more ? "; nothing more waits for you" : "");
  return kDone;
}

// The names that the project's samples have by the place that an answer states, for answers whose
// sample is not there by name: frame and rectangle stay the same when a decoder's pixels do not.
Result<std::map<std::string, std::string>> NamesByPlace(const Shell& shell,
                                                        const std::string& project) {
  const auto stub = v1::Ingestion::NewStub(BF_TRY(shell.Door("ingestion")));
  std::map<std::string, std::string> names;
  v1::ListSamplesRequest request;
  request.set_project(project);
  request.set_page_size(1000);
  do {
    v1::ListSamplesResponse page;
    runtime::Call call;
    BF_TRY(runtime::FromGrpc(stub->ListSamples(&call, request, &page)));
    for (const v1::Sample& sample : page.samples()) {
      names[Place(sample.position(), sample.name())] = sample.name();
      names[sample.name()] = sample.name();
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return names;
}

struct Tally {
  int answered = 0;
  int skipped = 0;
  int no_task = 0;    // answered before, or never asked
  int no_sample = 0;  // not in the project, neither by name nor by place
};

// Does what one prepared answer says.
Status Submit(Annotator& annotator, const v1::LeasedTask& task,
              const v1::LeaseTasksResponse& leased, const PreparedAnswer& prepared, Tally& tally) {
  if (const auto refusal = kRefusalNames.find(prepared.answer); refusal != kRefusalNames.end()) {
    BF_TRY(annotator.Skip(task.lease(), refusal->second));
    ++tally.skipped;
    return Status();
  }
  const auto& classes = leased.classes();
  const auto name = std::find(classes.begin(), classes.end(), prepared.answer);
  if (name == classes.end()) {
    return {Code::kAborted, prepared.sample + ": '" + prepared.answer + "' is no class any more"};
  }
  BF_TRY(
      annotator.Answer(task.lease(), static_cast<uint32_t>(name - classes.begin()), prepared.tags));
  ++tally.answered;
  return Status();
}

// Leases the tasks about the samples of `batch` (at most kBatch) and does what the answers say.
Status SubmitBatch(Annotator& annotator, const std::map<std::string, PreparedAnswer>& batch,
                   Tally& tally) {
  std::vector<std::string> samples;
  for (const auto& [sample, answer] : batch) samples.push_back(sample);
  const v1::LeaseTasksResponse leased = BF_TRY(annotator.Lease(kBatch, samples));
  tally.no_task += static_cast<int>(batch.size()) - leased.tasks_size();
  for (int i = 0; i < leased.tasks_size(); ++i) {
    const v1::LeasedTask& task = leased.tasks(i);
    const Status sent = Submit(annotator, task, leased, batch.at(task.sample()), tally);
    if (sent.ok()) continue;
    for (; i < leased.tasks_size(); ++i) {  // for others: who asks again may be somebody else
      if (!annotator.Release(leased.tasks(i).lease()).ok()) break;
    }
    return sent;
  }
  return Status();
}

// Errors: kInvalidArgument, with the line, where an answer is neither a class of the project nor a
// refusal, or a tag is none.
Status CheckAnswers(const Shell& shell, const LabelOptions& options,
                    const std::vector<PreparedAnswer>& answers) {
  const auto stub = v1::Projects::NewStub(BF_TRY(shell.Door("ingestion")));
  v1::GetProjectRequest request;
  request.set_name(options.project);
  v1::Project project;
  BF_TRY(WhileUnavailable([&] {
    runtime::Call call;
    return stub->GetProject(&call, request, &project);
  }));
  const auto& classes = project.classes();
  for (const PreparedAnswer& prepared : answers) {
    const Status tags = catalog::CheckTags(prepared.tags);
    if (!tags.ok()) return tags.In(options.answers + ":" + std::to_string(prepared.line));
    if (kRefusalNames.contains(prepared.answer)) continue;
    if (std::find(classes.begin(), classes.end(), prepared.answer) != classes.end()) continue;
    std::string known;
    for (const std::string& name : classes) known += name + ", ";
    for (const auto& [name, reason] : kRefusalNames) known += name + ", ";
    known.resize(known.size() - 2);
    return {Code::kInvalidArgument, "ANSWER",
            options.answers + ":" + std::to_string(prepared.line) + ": '" + prepared.answer +
                "' is no answer here; those are: " + known};
  }
  return Status();
}

// Submits every prepared answer that a task waits for, through the queue like anybody else.
Result<int> LabelFromFile(const Shell& shell, Annotator& annotator, const LabelOptions& options) {
  const auto answers = BF_TRY(ReadPreparedAnswers(options.answers));
  BF_TRY(CheckAnswers(shell, options, answers));
  const auto names = BF_TRY(NamesByPlace(shell, options.project));
  Tally tally;
  std::map<std::string, PreparedAnswer> by_name;
  for (const PreparedAnswer& answer : answers) {
    auto name = names.find(answer.sample);
    if (name == names.end() && answer.frame.has_value()) {
      name = names.find(Place(*answer.frame, answer.sample));
    }
    if (name == names.end()) {
      ++tally.no_sample;
      continue;
    }
    const PreparedAnswer& other = by_name.try_emplace(name->second, answer).first->second;
    if (other.answer == answer.answer && other.tags == answer.tags) continue;
    return Status(Code::kInvalidArgument, "ANSWERS_CONFLICT",
                  options.answers + ":" + std::to_string(answer.line) + ": line " +
                      std::to_string(other.line) + " says another thing of " + name->second);
  }
  std::map<std::string, PreparedAnswer> batch;
  for (const auto& [name, answer] : by_name) {
    batch.emplace(name, answer);
    if (batch.size() < kBatch && name != by_name.rbegin()->first) continue;
    BF_TRY(SubmitBatch(annotator, batch, tally));
    batch.clear();
  }
  std::printf(shell.json ? "{\"answered\":%d,\"skipped\":%d,\"no_task\":%d,\"no_sample\":%d}\n"
                         : "%d answered, %d refused; %d had no task that waits, %d no sample\n",
              tally.answered, tally.skipped, tally.no_task, tally.no_sample);
  return kDone;
}

Result<int64_t> OpenTasks(const Shell& shell, const LabelOptions& options) {
  const auto stub = v1::LabelQueue::NewStub(BF_TRY(shell.Door("labelqueue")));
  v1::OpenTasksRequest request;
  request.set_project(options.project);
  v1::OpenTasksResponse response;
  runtime::Call call(10min);
  BF_TRY(runtime::FromGrpc(stub->OpenTasks(&call, request, &response)));
  if (!shell.json) std::printf("%ld tasks opened\n", static_cast<long>(response.opened()));
  return response.opened();
}

Result<int> LabelTasks(const Shell& shell, const LabelOptions& options) {
  const bool by_hand = options.answers.empty();
  if (shell.json && by_hand && !options.all) {
    return BadUsage("label --json shows no pictures: give --answers FILE, or --all to open tasks");
  }
  const int64_t opened = options.all ? BF_TRY(OpenTasks(shell, options)) : 0;
  if (shell.json && by_hand) {
    std::printf("{\"opened\":%ld}\n", static_cast<long>(opened));
    return kDone;
  }
  Annotator annotator(BF_TRY(shell.Door("labelqueue")), options);
  return by_hand ? LabelByHand(annotator) : LabelFromFile(shell, annotator, options);
}

}  // namespace

void AddLabelCommands(CLI::App& app, Shell& shell) {
  const auto automatic = std::make_shared<AutoLabelOptions>();
  CLI::App* command =
      Add(app, shell, "autolabel",
          "Ask the teacher about every image that it has not judged. What it is sure of becomes\n"
          "a label, the rest becomes tasks for people",
          "bitfoundry autolabel person --max-calls 1000 --watch", automatic, AutoLabel);
  command->add_option("PROJECT", automatic->project)->required();
  command->add_option("--max-calls", automatic->max_calls,
                      "Budget, in all, for the project; 0: no limit; else it stays as it is");
  command->add_option("--max-micros", automatic->max_micros,
                      "The same in millionths of the currency");
  command->add_flag("--look", automatic->look, "Ask nothing: only say how it stands");
  command->add_flag("--watch", automatic->watch, "Return when nothing waits any more");

  const auto label = std::make_shared<LabelOptions>();
  const char* user = std::getenv("USER");
  label->annotator = user == nullptr ? "terminal" : user;
  command = Add(app, shell, "label", "Answer the tasks that wait, here in the terminal",
                "bitfoundry label person --annotator maria", label, LabelTasks);
  command->add_option("PROJECT", label->project)->required();
  command->add_option("--annotator", label->annotator, "Who you are; kept with every answer")
      ->check(Utf8Text())
      ->capture_default_str();
  command->add_flag("--all", label->all,
                    "First ask about every sample that has no label: to do without a teacher");
  command->add_option(
      "--answers", label->answers,
      "Submit prepared answers instead: CSV with the columns sample,answer[,frame]\n"
      "and one for each tag; see docs/label_queue.md");
}

}  // namespace bitfoundry::cli
