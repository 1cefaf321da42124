// What the command line refuses before it asks any service.
#include <arpa/inet.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <future>
#include <nlohmann/json.hpp>

#include "bitfoundry/v1/jobs.grpc.pb.h"

namespace bitfoundry::cli {
namespace {

struct Refusal {
  int code = 0;
  nlohmann::json error;
};

Refusal Refused(const std::string& arguments) {
  const std::string command =
      BF_BINARY_DIR "/bin/bitfoundry --data /nowhere --json " + arguments + " 2>&1";
  FILE* output = popen(command.c_str(), "r");
  std::string text;
  for (int c = fgetc(output); c != EOF; c = fgetc(output)) text += static_cast<char>(c);
  Refusal refusal;
  refusal.code = WEXITSTATUS(pclose(output));
  refusal.error = nlohmann::json::parse(text, nullptr, false).value("error", nlohmann::json());
  return refusal;
}

TEST(Usage, AMistakeIsJsonWhereJsonWasAskedFor) {
  for (const auto& [arguments, code] :
       {std::pair{"", 2}, std::pair{"train", 2}, std::pair{"up", 2},
        std::pair{"status --colour", 2}, std::pair{"evaluate 3f9a2b1c", 3},
        std::pair{"verdict", 3}}) {
    const Refusal refusal = Refused(arguments);
    EXPECT_EQ(refusal.code, code) << arguments;
    EXPECT_EQ(refusal.error["code"], "INVALID_ARGUMENT") << arguments;
    EXPECT_EQ(refusal.error["reason"], "USAGE") << arguments;
    EXPECT_NE(refusal.error["message"], "") << arguments;
  }
}

TEST(Usage, ARemoteModelIsNamedInFullOrRefusedWithWhatWasMeant) {
  const std::string suite = " --suite /dev/null";
  for (const auto& [arguments, says] :
       {std::pair{"oip://127.0.0.1:9000/centernet", "--kind classifier or --kind detector"},
        std::pair{"oip://127.0.0.1:9000 --kind detector", "oip://host:port/name does"},
        std::pair{"oip://127.0.0.1/centernet --kind detector", "oip://host:port/name does"},
        std::pair{"oip://127.0.0.1:9000/ --kind detector", "oip://host:port/name does"},
        std::pair{"http://127.0.0.1:9000/centernet --kind detector", "oip://host:port/name does"},
        std::pair{"oip://127.0.0.1:9000/centernet --kind teacher", "--kind"},
        std::pair{"3f9a2b1c --kind detector", "are of remote models"},
        std::pair{"3f9a2b1c --project person", "are of remote models"}}) {
    const Refusal refusal = Refused("evaluate " + (arguments + suite));
    EXPECT_EQ(refusal.code, 3) << arguments;
    EXPECT_EQ(refusal.error["reason"], "USAGE") << arguments;
    EXPECT_NE(refusal.error["message"].get<std::string>().find(says), std::string::npos)
        << refusal.error;
  }
}

// A port at which nobody is served yet.
class NotYetADoor {
 public:
  NotYetADoor() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int yes = 1;
    setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    const bool listens = bind(socket_, generic, size) == 0 && listen(socket_, 1) == 0 &&
                         getsockname(socket_, generic, &size) == 0;
    EXPECT_TRUE(listens);
    address_ = "127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  const std::string& address() const { return address_; }

  // Waits until somebody has come, turns them away and leaves.
  void TurnAway() {
    close(accept(socket_, nullptr, nullptr));
    close(socket_);
  }

 private:
  const int socket_;
  std::string address_;
};

TEST(Usage, TheFirstCallWaitsForADoorThatIsBeingStartedAgain) {
  v1::Jobs::Service unrelated;  // a server must serve something
  for (const auto& [command, variable] : {std::pair{"ingest person /dev/null", "BF_INGESTION"},
                                          std::pair{"label person --all", "BF_LABELQUEUE"},
                                          std::pair{"snapshot person", "BF_INGESTION"}}) {
    NotYetADoor door;
    setenv(variable, door.address().c_str(), 1);
    auto answer = std::async(std::launch::async, Refused, command);
    door.TurnAway();
    const auto server = grpc::ServerBuilder()
                            .AddListeningPort(door.address(), grpc::InsecureServerCredentials())
                            .RegisterService(&unrelated)
                            .BuildAndStart();
    ASSERT_NE(server, nullptr) << door.address();
    EXPECT_EQ(answer.get().error["code"], "UNIMPLEMENTED") << command;
    unsetenv(variable);
  }
}

TEST(Usage, AWordThatIsNoCommandIsNamedWithTheNearestOne) {
  for (const auto& [arguments, message] :
       {std::pair{"evalaute 3f9a", "no command 'evalaute'; did you mean 'evaluate'?"},
        std::pair{"jobs list", "no command 'list'; did you mean 'list-dead'?"},
        std::pair{"bogus", "no command 'bogus'"}}) {
    const Refusal refusal = Refused(arguments);
    EXPECT_EQ(refusal.code, 2) << arguments;
    EXPECT_EQ(refusal.error["message"], message) << arguments;
  }
}

TEST(Usage, WhatDoesNotApplyIsRefused) {
  for (const char* arguments :
       {"ingest person / --step 5", "ingest person / --windows 5", "ingest person / --annotator a",
        "ingest person / --video --labels /dev/null", "ingest person / --video --seed 5",
        "jobs list-dead --kind foo", "jobs redrive --kind foo", "jobs redrive", "label person"}) {
    const Refusal refusal = Refused(arguments);
    EXPECT_EQ(refusal.code, 2) << arguments;
    EXPECT_EQ(refusal.error["reason"], "USAGE") << arguments << refusal.error;
  }
}

TEST(Usage, AReportThatCannotBeWrittenIsRefusedBeforeAnythingIsEvaluated) {
  for (const char* option : {"--report", "--junit", "--attestation"}) {
    const Refusal refusal =
        Refused(std::string("evaluate 3f9a2b1c --suite /none ") + option + " /nonexist/report");
    EXPECT_EQ(refusal.code, 3);
    EXPECT_EQ(refusal.error["reason"], "NOT_WRITABLE") << refusal.error;
  }
}

TEST(Usage, ARecipeIsAFile) {
  const Refusal refusal = Refused("train person --recipe '{\"name\":\"a\"}'");
  EXPECT_EQ(refusal.error["reason"], "FILE_UNREADABLE") << refusal.error;
  EXPECT_EQ(refusal.error["message"],
            "--recipe takes a JSON file (docs/recipes.md): {\"name\":\"a\"}: No such file or "
            "directory");
}

TEST(Usage, AnInputShapeIsReadToItsEnd) {
  for (const char* input : {"64x64x1junk", "64x64", "64x64x"}) {
    const Refusal refusal =
        Refused(std::string("project create person --classes a b --input ") + input);
    EXPECT_EQ(refusal.code, 2);
    EXPECT_EQ(refusal.error["reason"], "USAGE") << refusal.error;
    EXPECT_EQ(refusal.error["message"], std::string("--input ") + input + ": write it as 64x64x1");
  }
}

TEST(Usage, AnOptionThatIsNotUtf8IsNamed) {
  for (const char* option : {"--camera", "--session", "--annotator", "--tag"}) {
    const Refusal refusal = Refused(std::string("ingest person / ") + option + " caf\xE9");
    EXPECT_EQ(refusal.code, 2);
    EXPECT_EQ(refusal.error["message"], std::string(option) + ": not UTF-8 at byte 3");
  }
}

TEST(Usage, ASuiteThatIsNotUtf8IsRefusedWithThePlace) {
  std::string folder = "/tmp/bf_usage_XXXXXX";
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  const std::string path = folder + "/suite.yaml";
  const std::pair<std::string, int> cases[] = {
      {"suite: caf\xE9\n", 10},               // Latin-1
      {"caf\xC3\xA9 \xE2\x82\xAC \xC3", 10},  // cut short, after good characters
      {"a\xC0\xAF", 1},                       // too long a form
      {"\xED\xA0\x80", 0},                    // a surrogate
      {"ab\xF4\x90\x80\x80", 2}};             // above U+10FFFF
  for (const auto& [text, at] : cases) {
    std::ofstream(path, std::ios::binary) << text;
    const Refusal refusal = Refused("evaluate 3f9a2b1c --suite " + path);
    EXPECT_EQ(refusal.code, 3);
    EXPECT_EQ(refusal.error["reason"], "SUITE_INVALID") << refusal.error;
    EXPECT_EQ(refusal.error["message"], path + ": not UTF-8 at byte " + std::to_string(at));
  }
  std::ofstream(path) << "suite: caf\xC3\xA9 \xF0\x9F\x98\x80\n";
  EXPECT_EQ(Refused("evaluate 3f9a2b1c --suite " + path).error["reason"], "NEVER_STARTED");
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace bitfoundry::cli
