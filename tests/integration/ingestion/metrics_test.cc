// /metrics in a process that links OpenCV: its libraries leave little of a small thread's stack.
#include "runtime/metrics.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <prometheus/counter.h>
#include <prometheus/registry.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/support/status_matchers.h"

namespace bitfoundry::runtime {
namespace {

std::string Get(const std::string& address) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<uint16_t>(std::stoi(address.substr(address.rfind(':') + 1))));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
  const std::string request = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
  EXPECT_EQ(send(fd, request.data(), request.size(), 0), std::ssize(request));
  std::string answer;
  char part[4096];
  for (ssize_t n = 0; (n = recv(fd, part, sizeof part, 0)) > 0;) {
    answer.append(part, static_cast<size_t>(n));
  }
  close(fd);
  return answer;
}

TEST(MetricsServer, AnswersInAProcessThatLinksOpenCv) {
  const auto registry = std::make_shared<prometheus::Registry>();
  prometheus::BuildCounter().Name("bf_test_total").Register(*registry).Add({}).Increment(7);
  const Result<MetricsServer> server = MetricsServer::Start("127.0.0.1:0", registry);
  ASSERT_THAT(server, testing::IsOk());
  EXPECT_THAT(Get(server->address()), ::testing::HasSubstr("bf_test_total 7"));
}

}  // namespace
}  // namespace bitfoundry::runtime
