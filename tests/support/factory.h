// A whole factory for a test: the processes that `bitfoundry up` starts, with Postgres and Redis of
// their own, in a new folder under /tmp, driven through the command line as a user drives it.
//
// One part is played: the teacher. The large model's weights come from npm at set-up, so here an
// Open Inference server in the test's own process, with bf-teacher's own protocol code, sees the
// bars that the test's pictures are made of (Pictures). Everything else is what ships.
//
// What has to work before a test can go on throws std::runtime_error, which GoogleTest reports.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

namespace bitfoundry::testing {

// Waits until `holds`; throws, saying what was waited for, after `limit`.
void Await(const std::string& what, const std::function<bool()>& holds,
           std::chrono::seconds limit = std::chrono::seconds(120));

// What a command printed on stdout, and its exit code.
struct Said {
  int code = 0;
  std::string text;

  nlohmann::json json() const { return nlohmann::json::parse(text); }
};

class Factory {
 public:
  using Environment = std::map<std::string, std::string>;

  // `environment`: variables for its processes; no other BF_ variable reaches them.
  explicit Factory(Environment environment = {});
  // Stops it; keeps the folder, and says where, if the test has failed.
  ~Factory();
  Factory(const Factory&) = delete;
  Factory& operator=(const Factory&) = delete;

  void Up();
  // The same with bf-teacher, a process like the others, around a network that sees nobody.
  void UpWithABlindTeacher();
  void Down();

  // `bitfoundry ARGUMENTS`.
  Said Cli(const std::string& arguments) const;
  // `bitfoundry ARGUMENTS --json`, and what it printed; throws if it does not exit with 0.
  nlohmann::json Must(const std::string& arguments) const;

  // The process of that name now; it may be dead.
  pid_t Pid(const std::string& process) const;
  // Sends it `signal`.
  void Signal(const std::string& process, int signal) const;
  // kill -9, then waits until the supervisor has another one ready.
  void Kill(const std::string& process) const;
  // Where it listens: its API, its metrics.
  std::string Listens(const std::string& process) const;
  std::string Metrics(const std::string& process) const;

  // The one value of a query, as text; throws while Postgres is away.
  std::string One(const std::string& sql) const;
  // Waits until the query's one value is true; Postgres may be away meanwhile.
  void AwaitSql(const std::string& sql) const;

  std::string TeacherAddress() const;

  const std::filesystem::path& folder() const { return folder_; }  // the test may write here
  std::string Dsn() const;

 private:
  class Teacher;

  std::filesystem::path folder_;
  const Environment environment_;
  std::unique_ptr<Teacher> teacher_;
};

// Holds every write to one table back, until the end of its scope: so that a process can be caught
// in the middle of its transaction, without racing it.
class Hold {
 public:
  Hold(const Factory& factory, std::string table);
  ~Hold();
  // Waits until somebody waits to write.
  void AwaitSomebody();

 private:
  struct Transaction;
  const Factory& factory_;
  const std::string table_;
  std::unique_ptr<Transaction> transaction_;
};

// Gray pictures of 64x64 pixels with noise: a dark upright bar is a person, a dark lying bar or no
// bar is not, a pale upright bar is a person that the teacher is unsure of. Every other picture has
// a person, every third of those is pale. Seeded: always the same.
class Pictures {
 public:
  static constexpr int kTrain = 120;
  static constexpr int kPale = 20;  // of the training part
  static constexpr int kTest = 60;

  // Writes FOLDER/train/*.png, FOLDER/test/*.png and FOLDER/answers.csv: what people say about the
  // test part and the pale ones.
  explicit Pictures(const std::filesystem::path& folder);

  std::string train;  // folders
  std::string test;
  std::string answers;  // file
};

// Writes `text` to folder/name; returns the path.
std::string WriteText(const std::filesystem::path& folder, const std::string& name,
                      const std::string& text);

// The body of HTTP GET http://`address``path`.
std::string HttpGet(const std::string& address, const std::string& path);

}  // namespace bitfoundry::testing
