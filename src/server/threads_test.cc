// The server with its real threads, over loopback: several clients at once send mixed pipelines for a while.
// Made for ThreadSanitizer; the answers are checked as well.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "resp/reader.h"
#include "server/server.h"
#include "server/sim_clients.h"

namespace moonshard::server {
namespace {

// A blocking client on loopback.
class LoopbackClient {
 public:
  explicit LoopbackClient(uint16_t port) : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  }
  LoopbackClient(const LoopbackClient&) = delete;
  LoopbackClient& operator=(const LoopbackClient&) = delete;
  ~LoopbackClient() { close(fd_); }

  bool connected() const { return connected_; }
  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t sent = send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
    }
    return true;
  }
  // False: the server closed, or what came is not RESP.
  bool Receive(resp::Value* value) {
    for (;;) {
      auto outcome = reader_.Next(value);
      if (outcome == resp::ReplyReader::Outcome::kReply) return true;
      if (outcome == resp::ReplyReader::Outcome::kError) return false;
      char buffer[16 * 1024];
      ssize_t size = recv(fd_, buffer, sizeof buffer, 0);
      if (size <= 0) return false;
      reader_.Feed({buffer, static_cast<size_t>(size)});
    }
  }

 private:
  int fd_;
  bool connected_;
  resp::ReplyReader reader_;
};

struct Outcome {
  std::atomic<uint64_t> replies{0};
  std::atomic<uint64_t> increments{0};
  std::atomic<uint64_t> torn{0};
  std::atomic<uint64_t> wrong{0};
  std::atomic<uint64_t> failed{0};
  std::atomic<uint64_t> values{0};
};

class LoopbackWorker {
 public:
  LoopbackWorker(uint16_t port, uint64_t index, Outcome& outcome)
      : port_(port), index_(index), random_(index + 1), outcome_(outcome) {}

  void Run(std::chrono::steady_clock::time_point end) {
    uint64_t connections = 0;
    while (std::chrono::steady_clock::now() < end) {
      LoopbackClient client(port_);
      if (!client.connected()) {
        ++outcome_.failed;
        return;
      }
      PrivateKeys keys(random_, index_ * 1'000'000 + ++connections);
      for (int i = 0; i < 40 && std::chrono::steady_clock::now() < end; ++i) {
        if (!Exchange(client, keys)) {
          ++outcome_.failed;
          return;
        }
      }
      // Sometimes the connection goes with replies on their way.
      if (random_.OneIn(2))
        client.Send(Encode(With("MGET", Keys('v'))) + Encode(MsetAll('v', ++outcome_.values)));
    }
  }

 private:
  enum class Kind : uint8_t { kPrivate, kTogether, kIncrement, kAny };

  bool Exchange(LoopbackClient& client, PrivateKeys& keys) {
    std::string bytes;
    std::vector<std::pair<Kind, std::string>> expected;
    for (uint64_t count = 1 + random_.Below(40); count > 0; --count) {
      switch (random_.Below(8)) {
        case 0:
          Add(bytes, expected, MsetAll('v', ++outcome_.values), Kind::kAny);
          break;
        case 1:
        case 2:
          Add(bytes, expected, With("MGET", Keys('v')), Kind::kTogether);
          break;
        case 3:
          Add(bytes, expected, {"INCR", "counter"}, Kind::kIncrement);
          break;
        case 4:
          Add(bytes, expected,
              {"RENAME", Keys('t')[random_.Below(kTogether)], Keys('t')[random_.Below(kTogether)]},
              Kind::kAny);
          break;
        case 5:
          Add(bytes, expected, {"SET", "short", "lived", "PX", "1"}, Kind::kAny);
          break;
        default: {
          PrivateKeys::Command command = keys.Next();
          bytes += Encode(command.words);
          expected.emplace_back(Kind::kPrivate, command.expected);
          break;
        }
      }
    }
    if (random_.OneIn(10)) Add(bytes, expected, {"INFO"}, Kind::kAny);
    if (random_.OneIn(10)) Add(bytes, expected, {"DBSIZE"}, Kind::kAny);
    if (!client.Send(bytes)) return false;
    resp::Value reply;
    for (const auto& [kind, text] : expected) {
      if (!client.Receive(&reply)) return false;
      Check(kind, text, reply);
    }
    return true;
  }

  static void Add(std::string& bytes, std::vector<std::pair<Kind, std::string>>& expected, const Words& words,
                  Kind kind) {
    bytes += Encode(words);
    expected.emplace_back(kind, std::string());
  }

  void Check(Kind kind, const std::string& text, const resp::Value& reply) {
    ++outcome_.replies;
    if (kind == Kind::kPrivate) outcome_.wrong += reply.ToString() != text;
    if (kind == Kind::kIncrement) ++outcome_.increments;
    if (kind != Kind::kTogether) return;
    for (const resp::Value& element : reply.elements) outcome_.torn += !(element == reply.elements[0]);
    outcome_.wrong += reply.elements.size() != kTogether;
  }

  uint16_t port_;
  uint64_t index_;
  base::Random random_;
  Outcome& outcome_;
};

struct ThreadsCase {
  uint16_t shards;
  const char* io;
};

class Threads : public testing::TestWithParam<ThreadsCase> {};

TEST_P(Threads, ManyClientsOverLoopback) {
  shard::RealEnv env;
  Settings settings;
  settings.shards = GetParam().shards;
  settings.port = 0;
  settings.io = GetParam().io;
  settings.loglevel = "warning";
  Server server(env, settings);
  base::Status started = server.Start();
  if (!started.ok() && settings.io == "uring") GTEST_SKIP() << "no io_uring here: " << started.text();
  ASSERT_TRUE(started.ok()) << started.text();

  Outcome outcome;
  {
    LoopbackClient client(server.port());
    ASSERT_TRUE(client.Send(Encode({"SET", "t0", "token"})));
    resp::Value reply;
    ASSERT_TRUE(client.Receive(&reply));
  }
  auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(1'200);
  std::vector<std::thread> threads;
  for (uint64_t i = 0; i < 5; ++i) {
    threads.emplace_back([&, i] { LoopbackWorker(server.port(), i, outcome).Run(end); });
  }
  for (std::thread& thread : threads) thread.join();

  EXPECT_GT(outcome.replies, 500u);
  EXPECT_EQ(outcome.failed, 0u);
  EXPECT_EQ(outcome.torn, 0u);
  EXPECT_EQ(outcome.wrong, 0u);
  LoopbackClient client(server.port());
  ASSERT_TRUE(client.Send(Encode({"GET", "counter"}) + Encode(With("EXISTS", Keys('t')))));
  resp::Value reply;
  ASSERT_TRUE(client.Receive(&reply));
  EXPECT_EQ(reply.text, std::to_string(outcome.increments));
  ASSERT_TRUE(client.Receive(&reply));
  EXPECT_EQ(reply.integer, 1);
  // With a client connected and commands on their way.
  ASSERT_TRUE(client.Send(Encode(With("MGET", Keys('v')))));
  server.RequestStop();
  server.Join();
}

INSTANTIATE_TEST_SUITE_P(Shards, Threads,
                         testing::Values(ThreadsCase{1, "epoll"}, ThreadsCase{2, "epoll"},
                                         ThreadsCase{4, "epoll"}, ThreadsCase{3, "uring"}),
                         [](const auto& test) {
                           return std::to_string(test.param.shards) + "_" + test.param.io;
                         });

}  // namespace
}  // namespace moonshard::server
