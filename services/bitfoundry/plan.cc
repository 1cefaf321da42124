#include "services/bitfoundry/plan.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <system_error>

#include "attest/key.h"

namespace bitfoundry::cli {
namespace {

namespace fs = std::filesystem;

constexpr auto kSurvival = std::chrono::seconds(1);  // of a process that cannot be asked
constexpr size_t kMaxSocketPath = 107;               // sun_path less its terminator

// Beside this executable, in the order in which the work flows.
struct Service {
  const char* name;
  Stage stage;
  bool serves;
};
constexpr Service kServices[] = {
    {"bf-ingestion", Stage::kDoors, true},       {"bf-teacher", Stage::kDoors, true},
    {"bf-autolabel", Stage::kDoors, true},       {"bf-labelqueue", Stage::kDoors, true},
    {"bf-trainer", Stage::kDoors, true},         {"bf-evaluator", Stage::kDoors, true},
    {"bf-train-worker", Stage::kWorkers, false},
};

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

// "bf-ingestion" -> "BF_INGESTION": where others read its address.
std::string VariableOf(const std::string& service) {
  std::string name = service;
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(c));
  return name;
}

class Socket {
 public:
  explicit Socket(int family) : fd_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~Socket() { close(fd_); }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

// True if nobody listens at it on loopback.
bool IsFree(uint16_t port) {
  const Socket probe(AF_INET);
  const int reuse = 1;  // a port in TIME_WAIT is free: the services bind it with this, too
  setsockopt(probe.fd(), SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof reuse);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return port != 0 &&
         bind(probe.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

// Free ports, each given once. Below those that Linux gives to connections (32768 and up), one of
// which would be taken now and then before its service listens.
class Ports {
 public:
  // "127.0.0.1:port", the one of `before` if it is free.
  std::string Address(const std::string& before) {
    const size_t colon = before.rfind(':');
    const int old = colon == std::string::npos ? 0 : std::atoi(before.c_str() + colon + 1);
    if (IsFree(static_cast<uint16_t>(old))) return "127.0.0.1:" + std::to_string(old);
    for (int tries = 0; tries < kCount; ++tries) {
      const int port = kFirst + next_++ % kCount;
      if (IsFree(static_cast<uint16_t>(port))) return "127.0.0.1:" + std::to_string(port);
    }
    return "127.0.0.1:0";
  }

 private:
  static constexpr int kFirst = 20'000, kCount = 12'000;

  int next_ = static_cast<int>(std::random_device()() % kCount);
};

bool AcceptsOn(const fs::path& socket_path) {
  const Socket probe(AF_UNIX);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  socket_path.string().copy(address.sun_path, kMaxSocketPath);
  return connect(probe.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

// Line 8 of postmaster.pid says when Postgres takes connections; line 1 whose file it is.
bool PostgresIsReady(const fs::path& data, const ProcessId& id) {
  std::ifstream file(data / "postmaster.pid");
  std::string line;
  if (!std::getline(file, line) || line != std::to_string(id.pid)) return false;
  for (int number = 2; number <= 8; ++number) {
    if (!std::getline(file, line)) return false;
  }
  return line.rfind("ready", 0) == 0;
}

Result<fs::path> PostgresFolder() {
  std::vector<fs::path> found;
  std::error_code failed;
  for (const auto& entry : fs::directory_iterator("/usr/lib/postgresql", failed)) {
    if (fs::exists(entry.path() / "bin" / "initdb")) found.push_back(entry.path() / "bin");
  }
  if (!found.empty()) return *std::max_element(found.begin(), found.end());
  return Status(Code::kFailedPrecondition, "POSTGRES_MISSING",
                "no Postgres here: apt-get install postgresql, or set BF_PG_DSN");
}

// `text` as a value in a libpq connection string.
std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

// Refuses root itself, so it runs as the user that Debian's package made.
std::string PostgresUser() { return geteuid() == 0 ? "postgres" : ""; }

// The files of a new Postgres; made beside and renamed, so that half-made ones are never used.
Status MakePostgres(const fs::path& data, const fs::path& bin, const fs::path& folder) {
  if (fs::exists(folder)) return Status();
  const fs::path home = folder.parent_path();
  const fs::path draft = home / "draft";
  std::error_code failed;
  fs::remove_all(draft, failed);
  const Status made =
      RunToEnd({.arguments = {(bin / "initdb").string(), "-D", draft.string(), "--auth=trust",
                              "--username=bitfoundry", "--encoding=UTF8", "--locale=C.UTF-8",
                              "--data-checksums"},
                .environment = {},
                .log = data / "log" / "initdb.log",
                .user = PostgresUser()});
  if (!made.ok()) {
    return {
        Code::kFailedPrecondition, "POSTGRES_NOT_MADE",
        "cannot make a database in " + folder.string() + ": " + made.message() +
            (geteuid() == 0 ? "; as root, choose a --data that the user postgres can reach" : "")};
  }
  fs::rename(draft, folder, failed);
  if (failed) return {Code::kUnavailable, "cannot make " + folder.string()};
  return Status();
}

Result<Planned> PlanPostgres(const fs::path& data) {
  const fs::path bin = BF_TRY(PostgresFolder());
  const fs::path home = data / "postgres";  // the user's who runs it
  const fs::path folder = home / "data";
  const fs::path socket = home / ".s.PGSQL.5432";
  if (socket.string().size() > kMaxSocketPath) {
    return Status(Code::kFailedPrecondition, "PATH_TOO_LONG",
                  data.string() + ": too long for a Unix socket below it; choose a shorter --data");
  }
  if (home.string().find(',') != std::string::npos) {
    return Status(Code::kFailedPrecondition, "COMMA_IN_PATH",
                  data.string() + ": libpq takes a comma for the end of a path; choose a --data" +
                      " without one");
  }
  std::error_code failed;
  fs::create_directories(home, failed);
  if (geteuid() == 0) {
    BF_TRY(RunToEnd({.arguments = {"/usr/bin/chown", "postgres:", home.string()},
                     .environment = {},
                     .log = data / "log" / "initdb.log"}));
  }
  fs::permissions(home, fs::perms::owner_all, failed);
  BF_TRY(MakePostgres(data, bin, folder));
  Planned postgres;
  postgres.name = "postgres";
  postgres.stage = Stage::kBackends;
  postgres.command.arguments = {
      (bin / "postgres").string(), "-D", folder.string(),       "-k", home.string(),        "-c",
      "listen_addresses=",         "-c", "max_connections=200", "-c", "log_line_prefix=%m "};
  postgres.command.user = PostgresUser();
  postgres.listen = socket.string();
  postgres.stop_signal = SIGINT;  // "fast": ends sessions, loses nothing
  postgres.is_ready = [folder](const ProcessId& id, auto) { return PostgresIsReady(folder, id); };
  return postgres;
}

Result<Planned> PlanRedis(const fs::path& data) {
  const std::string program = "/usr/bin/redis-server";
  if (!fs::exists(program)) {
    return Status(Code::kFailedPrecondition, "REDIS_MISSING",
                  "no Redis here: apt-get install redis-server, or set BF_REDIS_URL");
  }
  const std::string socket = (data / "redis.sock").string();
  Planned redis;
  redis.name = "redis";
  redis.stage = Stage::kBackends;
  // A doorbell has nothing to keep.
  redis.command.arguments = {
      program, "--port", "0",          "--unixsocket", socket, "--unixsocketperm",
      "700",   "--save", "",           "--appendonly", "no",   "--maxmemory",
      "64mb",  "--dir",  data.string()};
  redis.listen = socket;
  redis.stop_signal = SIGTERM;
  redis.is_ready = [socket](const ProcessId&, auto) { return AcceptsOn(socket); };
  return redis;
}

Planned PlanService(const Service& service, const fs::path& program, const fs::path& data,
                    const RunFile& before, Ports& ports) {
  Planned planned;
  planned.name = service.name;
  planned.stage = service.stage;
  planned.command.arguments = {program.string()};
  planned.stop_signal = SIGTERM;
  if (!service.serves) {
    planned.is_ready = [](const ProcessId&, auto age) { return age > kSurvival; };
    return planned;
  }
  const RunEntry* entry = before.Find(planned.name);
  planned.listen = ports.Address(entry == nullptr ? "" : entry->listen);
  planned.metrics = ports.Address(entry == nullptr ? "" : entry->metrics);
  const fs::path ready = data / "ready" / planned.name;
  planned.command.arguments.insert(planned.command.arguments.end(),
                                   {"--listen=" + planned.listen, "--metrics=" + planned.metrics,
                                    "--ready-file=" + ready.string()});
  planned.is_ready = [ready](const ProcessId& id, auto) {
    std::ifstream file(ready);
    const auto written = nlohmann::json::parse(file, nullptr, /*allow_exceptions=*/false);
    return written.is_object() && written.value("pid", 0) == id.pid;
  };
  return planned;
}

// The key that verdicts are signed with. The factory's own is made at the first start, in a folder
// with its public half, which is for everybody.
Result<std::string> SigningKey(const Choices& choices) {
  if (!choices.signing_key.empty()) {
    BF_TRY(attest::PrivateKey::Read(choices.signing_key));
    return choices.signing_key;
  }
  const fs::path folder = choices.data / "keys";
  const std::string path = (folder / "key.pem").string();
  std::error_code failed;
  fs::create_directories(folder, failed);
  if (!fs::exists(path)) BF_TRY(attest::PrivateKey::Generate().Save(path));
  const auto key = BF_TRY(attest::PrivateKey::Read(path));
  std::ofstream file(folder / "public.pem");
  file << key.Public().ToPem();
  file.close();
  if (file) return path;
  return Status(Code::kUnavailable, (folder / "public.pem").string() + ": cannot be written");
}

void PlanServices(const Choices& choices, const std::string& signing_key, const RunFile& before,
                  Plan& plan) {
  const fs::path here = fs::read_symlink("/proc/self/exe").parent_path();
  Ports ports;
  for (const Service& service : kServices) {
    const fs::path program = here / service.name;
    const bool is_teacher = std::string(service.name) == "bf-teacher";
    if (!fs::exists(program) || (is_teacher && choices.teacher_model.empty())) continue;
    plan.processes.push_back(PlanService(service, program, plan.data, before, ports));
    if (is_teacher) {
      plan.processes.back().command.arguments.push_back("--model=" + choices.teacher_model);
    }
    if (std::string(service.name) == "bf-evaluator") {
      plan.processes.back().command.arguments.push_back("--signing-key=" + signing_key);
    }
  }
}

}  // namespace

Result<Plan> MakePlan(const Choices& choices, const RunFile& before) {
  Plan plan;
  plan.data = choices.data;
  plan.teacher = choices.any_teacher();
  std::error_code failed;
  for (const char* folder : {"log", "ready", "blobs"}) {
    fs::create_directories(plan.data / folder, failed);
    if (failed) {
      return Status(Code::kUnavailable,
                    "cannot make " + (plan.data / folder).string() + ": " + failed.message());
    }
  }
  const std::string signing_key = BF_TRY(SigningKey(choices));
  plan.pg_dsn = Environment("BF_PG_DSN");
  plan.private_postgres = plan.pg_dsn.empty();
  if (plan.private_postgres) {
    plan.processes.push_back(BF_TRY(PlanPostgres(plan.data)));
    plan.pg_dsn =
        "host=" + Quoted((plan.data / "postgres").string()) + " user=bitfoundry dbname=postgres";
  }
  std::string redis = Environment("BF_REDIS_URL");
  if (redis.empty()) {
    plan.processes.push_back(BF_TRY(PlanRedis(plan.data)));
    redis = plan.processes.back().listen;
  }
  std::string blobs = Environment("BF_BLOBS");
  if (blobs.empty()) blobs = (plan.data / "blobs").string();

  PlanServices(choices, signing_key, before, plan);
  std::vector<std::string> shared = {"BF_PG_DSN=" + plan.pg_dsn, "BF_REDIS_URL=" + redis,
                                     "BF_BLOBS=" + blobs};
  for (const Planned& planned : plan.processes) {
    if (planned.stage != Stage::kBackends && !planned.listen.empty()) {
      shared.push_back(VariableOf(planned.name) + "=" + planned.listen);
    }
  }
  if (!choices.teacher.empty()) shared.push_back("BF_TEACHER=" + choices.teacher);
  for (Planned& planned : plan.processes) {
    planned.command.log = plan.data / "log" / (planned.name + ".log");
    if (planned.stage != Stage::kBackends) planned.command.environment = shared;
  }
  return plan;
}

}  // namespace bitfoundry::cli
