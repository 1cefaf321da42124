#include "tests/support/factory.h"

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/ip/tcp.hpp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <fstream>
#include <iostream>
#include <pqxx/pqxx>
#include <random>
#include <stdexcept>
#include <thread>

#include "base/digest.h"
#include "images/codec.h"
#include "services/bitfoundry/run_file.h"
#include "services/teacher/inference_service.h"

namespace bitfoundry::testing {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

constexpr int kSide = 64;
constexpr uint8_t kBackground = 200, kPaleInk = 110, kInk = 30;

cli::RunFile RunOf(const fs::path& data) {
  Result<cli::RunFile> run = cli::ReadRunFile(data);
  if (!run.ok()) throw std::runtime_error(run.status().ToString());
  return *std::move(run);
}

cli::RunEntry EntryOf(const fs::path& data, const std::string& process) {
  const cli::RunFile run = RunOf(data);
  const cli::RunEntry* entry = run.Find(process);
  if (entry == nullptr) throw std::runtime_error("no process " + process);
  return *entry;
}

std::vector<std::string> BitfoundryVariables() {
  std::vector<std::string> names;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    const std::string text = *variable;
    if (text.starts_with("BF_")) names.push_back(text.substr(0, text.find('=')));
  }
  return names;
}

// The person in a picture: the pixels darker than its background, if they stand upright.
Result<std::vector<teacher::Detection>> See(const teacher::Tile& tile) {
  int left = tile.width, top = tile.height, right = 0, bottom = 0, darkest = 255;
  for (int y = 0; y < tile.height; ++y) {
    for (int x = 0; x < tile.width; ++x) {
      const int value = tile.pixels[static_cast<size_t>((y * tile.width + x) * 3)];
      if (value > (kBackground + kPaleInk) / 2) continue;
      left = std::min(left, x);
      top = std::min(top, y);
      right = std::max(right, x + 1);
      bottom = std::max(bottom, y + 1);
      darkest = std::min(darkest, value);
    }
  }
  if (bottom - top <= right - left) return std::vector<teacher::Detection>();
  const float score = darkest < (kPaleInk + kInk) / 2 ? 0.9F : 0.4F;
  return std::vector<teacher::Detection>{
      {float(left), float(top), float(right), float(bottom), score, 0}};
}

}  // namespace

void Await(const std::string& what, const std::function<bool()>& holds,
           std::chrono::seconds limit) {
  for (const auto until = std::chrono::steady_clock::now() + limit; !holds();
       std::this_thread::sleep_for(20ms)) {
    if (std::chrono::steady_clock::now() > until) {
      throw std::runtime_error("waited " + std::to_string(limit.count()) + " s for: " + what);
    }
  }
}

class Factory::Teacher {
 public:
  Teacher() : service_("centernet", "bars", See) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  teacher::InferenceService service_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

Factory::Factory(Environment environment)
    : environment_(std::move(environment)), teacher_(std::make_unique<Teacher>()) {
  for (const std::string& name : BitfoundryVariables()) unsetenv(name.c_str());
  for (const auto& [name, value] : environment_) setenv(name.c_str(), value.c_str(), 1);
  std::string folder = "/tmp/bf_factory_XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) throw std::runtime_error("cannot make " + folder);
  chmod(folder.c_str(), 0755);  // as root: Postgres's user has to get in
  folder_ = folder;
}

std::string Factory::TeacherAddress() const { return teacher_->address(); }

Factory::~Factory() {
  const Said down = Cli("down");
  EXPECT_EQ(down.code, 0) << down.text;
  for (const auto& [name, value] : environment_) unsetenv(name.c_str());
  if (::testing::Test::HasFailure() || std::uncaught_exceptions() > 0) {
    std::cerr << "the factory's folder, with its logs: " << folder_ << "\n";
  } else {
    fs::remove_all(folder_);
  }
}

void Factory::Up() { Must("up --detach --teacher " + teacher_->address()); }
void Factory::UpWithABlindTeacher() {
  const std::string model = folder_ / "blind.onnx";
  const std::string make = "/usr/bin/python3 " BF_SOURCE_DIR "/tests/support/blind_teacher.py ";
  if (std::system((make + model).c_str()) != 0) throw std::runtime_error("cannot make " + model);
  Must("up --detach --teacher-model-file " + model);
}
void Factory::Down() { Must("down"); }

Said Factory::Cli(const std::string& arguments) const {
  const std::string command =
      BF_BINARY_DIR "/bin/bitfoundry --data " + (folder_ / "data").string() + " " + arguments;
  FILE* output = popen(command.c_str(), "r");
  if (output == nullptr) throw std::runtime_error("cannot run " + command);
  Said said;
  char piece[4096];
  while (const size_t size = fread(piece, 1, sizeof piece, output)) said.text.append(piece, size);
  said.code = WEXITSTATUS(pclose(output));
  return said;
}

nlohmann::json Factory::Must(const std::string& arguments) const {
  const Said said = Cli(arguments + " --json");
  if (said.code == 0) return said.json();
  throw std::runtime_error("bitfoundry " + arguments + ": exit " + std::to_string(said.code) +
                           ": " + said.text);
}

pid_t Factory::Pid(const std::string& process) const {
  return EntryOf(folder_ / "data", process).id.pid;
}

void Factory::Signal(const std::string& process, int signal) const {
  const cli::ProcessId id = EntryOf(folder_ / "data", process).id;
  if (!cli::IsAlive(id)) throw std::runtime_error(process + " is not running");
  kill(id.pid, signal);
}

void Factory::Kill(const std::string& process) const {
  const pid_t before = Pid(process);
  Signal(process, SIGKILL);
  Await(process + " to be ready again", [&] {
    const cli::RunEntry now = EntryOf(folder_ / "data", process);
    return now.id.pid != before && now.state == "ready";
  });
}

std::string Factory::Listens(const std::string& process) const {
  return EntryOf(folder_ / "data", process).listen;
}

std::string Factory::Metrics(const std::string& process) const {
  return EntryOf(folder_ / "data", process).metrics;
}

std::string Factory::Dsn() const { return RunOf(folder_ / "data").pg_dsn; }

std::string Factory::One(const std::string& sql) const {
  pqxx::connection connection(Dsn());
  const pqxx::row row = pqxx::nontransaction(connection).exec1(sql);
  return row[0].is_null() ? "NULL" : row[0].as<std::string>();
}

void Factory::AwaitSql(const std::string& sql) const {
  Await(sql, [&] {
    try {
      return One(sql) == "t";
    } catch (const pqxx::broken_connection&) {
      return false;
    }
  });
}

struct Hold::Transaction {
  explicit Transaction(const std::string& dsn) : connection(dsn), work(connection) {}
  pqxx::connection connection;
  pqxx::work work;
};

Hold::Hold(const Factory& factory, std::string table)
    : factory_(factory),
      table_(std::move(table)),
      transaction_(std::make_unique<Transaction>(factory.Dsn())) {
  transaction_->work.exec("LOCK TABLE " + table_ + " IN EXCLUSIVE MODE");
}

Hold::~Hold() = default;

void Hold::AwaitSomebody() {
  factory_.AwaitSql("SELECT count(*) > 0 FROM pg_locks WHERE NOT granted AND relation = '" +
                    table_ + "'::regclass");
}

Pictures::Pictures(const fs::path& folder)
    : train(folder / "train"), test(folder / "test"), answers(folder / "answers.csv") {
  std::mt19937 random(1);
  const auto draw = [&](int low, int high) {  // the standard leaves distributions open
    return low + static_cast<int>(random() % static_cast<unsigned>(high - low + 1));
  };
  std::ofstream csv(answers);
  csv << "sample,answer\n";
  for (int i = 0; i < kTrain + kTest; ++i) {
    const bool is_test = i >= kTrain;
    const bool person = i % 2 == 0;
    const bool pale = person && i % 6 == 0;
    images::Image image = images::Blank(kSide, kSide, 1);
    for (uint8_t& pixel : image.pixels) pixel = static_cast<uint8_t>(kBackground + draw(-20, 20));
    const int width = person ? 10 : 32, height = person ? 32 : 10;
    const int left = draw(2, kSide - width - 2), top = draw(2, kSide - height - 2);
    for (int y = top; y < top + height && (person || i % 4 != 1); ++y) {
      std::fill_n(image.pixels.begin() + y * kSide + left, width, pale ? kPaleInk : kInk);
    }
    const std::string png = images::EncodePng(image);
    const fs::path to = is_test ? test : train;
    fs::create_directories(to);
    WriteText(to, std::to_string(i) + ".png", png);
    if (is_test || pale) csv << Sha256(png) << (person ? ",person\n" : ",no_person\n");
  }
}

std::string WriteText(const fs::path& folder, const std::string& name, const std::string& text) {
  std::ofstream file(folder / name, std::ios::binary);
  file << text;
  file.close();
  if (!file) throw std::runtime_error("cannot write " + name);
  return folder / name;
}

std::string HttpGet(const std::string& address, const std::string& path) {
  const size_t colon = address.rfind(':');
  boost::asio::ip::tcp::iostream http(address.substr(0, colon), address.substr(colon + 1));
  http << "GET " << path << " HTTP/1.0\r\n\r\n" << std::flush;
  const std::string answer{std::istreambuf_iterator<char>(http), {}};
  const size_t body = answer.find("\r\n\r\n");
  if (answer.find(" 200 ") > answer.find('\n') || body == std::string::npos) {
    throw std::runtime_error("GET " + address + path + ": " + answer);
  }
  return answer.substr(body + 4);
}

}  // namespace bitfoundry::testing
