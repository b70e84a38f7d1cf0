#include "shard/io.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/random.h"
#include "shard/echo_testing.h"
#include "shard/runtime.h"
#include "shard/socket.h"
#include "shard/testing.h"

namespace moonshard::shard {
namespace {

// ---- real clients ----

class Client {
 public:
  explicit Client(uint16_t port, int family = AF_INET) : fd_(socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    if (port != 0) Connect(port, family);
  }
  explicit Client(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.data(), path.size());
    EXPECT_EQ(connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0)
        << strerror(errno);
  }
  void Connect(uint16_t port, int family = AF_INET) {
    sockaddr_in6 v6{};
    sockaddr_in v4{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = v4.sin_port = htons(port);
    v6.sin6_addr = in6addr_loopback;
    v4.sin_family = AF_INET;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int error = family == AF_INET ? connect(fd_.get(), reinterpret_cast<sockaddr*>(&v4), sizeof(v4))
                                        : connect(fd_.get(), reinterpret_cast<sockaddr*>(&v6), sizeof(v6));
    EXPECT_EQ(error, 0) << strerror(errno);
  }
  int fd() const { return fd_.get(); }
  void Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = send(fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
      ASSERT_GT(n, 0) << strerror(errno);
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  // Exactly `bytes`, or less at the end of the stream or after 20 s of silence.
  std::string Receive(size_t bytes) {
    std::string got(bytes, '\0');
    size_t done = 0;
    while (done < bytes) {
      pollfd ready{fd(), POLLIN, 0};
      if (poll(&ready, 1, 20'000) != 1) break;
      const ssize_t n = recv(fd(), got.data() + done, bytes - done, 0);
      if (n <= 0) break;
      done += static_cast<size_t>(n);
    }
    got.resize(done);
    return got;
  }
  bool AtEnd() { return Receive(1).empty(); }
  void ShutdownWrite() { shutdown(fd(), SHUT_WR); }
  void Reset() {
    const linger now{1, 0};
    setsockopt(fd(), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    fd_.Reset();
  }
  void Close() { fd_.Reset(); }

 private:
  Fd fd_;
};

class RealIo : public testing::TestWithParam<Backend> {
 protected:
  // Starts shards; the first one listens.
  void Start(uint16_t shard_count = 1, IoOptions io = {}) {
    RuntimeOptions options;
    options.shard_count = shard_count;
    options.io = io;
    runtime_ = std::make_unique<Runtime>(env_, options,
                                         [](Shard& shard) { return std::make_unique<EchoServer>(shard); });
    ASSERT_TRUE(runtime_->Start().ok());
    Listen(ListenAddress());
  }
  void Listen(const ListenAddress& address) {
    On(0, [&](EchoServer& server) {
      base::Result<ListenerId> listener = server.here.io().Listen(address, server);
      ASSERT_TRUE(listener.ok()) << listener.status().ToString();
      server.listener = *listener;
      port_ = server.here.io().PortOf(*listener);
    });
  }
  void On(uint16_t shard, const std::function<void(EchoServer&)>& fn) {
    runtime_->RunOn(ShardId(shard), [&](Shard& here) { fn(static_cast<EchoServer&>(*here.hooks())); });
  }
  bool WaitOn(uint16_t shard, const std::function<bool(EchoServer&)>& predicate) {
    for (int i = 0; i < 20'000; ++i) {
      bool yes = false;
      On(shard, [&](EchoServer& server) { yes = predicate(server); });
      if (yes) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return false;
  }
  // All connections are gone, on all shards.
  void ExpectAllClosed() {
    for (uint16_t id = 0; id < runtime_->shard_count(); ++id) {
      EXPECT_TRUE(WaitOn(id, [](EchoServer& server) { return server.connections.empty(); }));
    }
  }
  void TearDown() override {
    if (runtime_ == nullptr) return;
    for (uint16_t id = 0; id < runtime_->shard_count(); ++id) {
      On(id, [](EchoServer& server) {
        for (Echo* echo : server.connections) {
          if (!echo->closing) echo->Close();
        }
      });
    }
    ExpectAllClosed();
  }

  BackendEnv env_{GetParam()};
  std::unique_ptr<Runtime> runtime_;
  uint16_t port_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Backends, RealIo,
                         testing::Values(Backend::kUring, Backend::kUringEventfd, Backend::kEpoll),
                         [](const auto& of) { return BackendName(of.param); });

TEST_P(RealIo, EchoesSmallAndLarge) {
  Start();
  Client client(port_);
  client.Send("hello");
  EXPECT_EQ(client.Receive(5), "hello");
  const std::string bytes = RandomBytes(1, 8 << 20);
  // The sender stops where the receiver does not read: both at once, in pieces of any size.
  std::thread sender([&] {
    base::Random random(2);
    for (size_t at = 0; at < bytes.size();) {
      const size_t piece =
          std::min(bytes.size() - at, random.OneIn(2) ? random.Below(100) : random.Below(200'000));
      client.Send(std::string_view(bytes).substr(at, piece));
      at += piece;
    }
  });
  EXPECT_TRUE(client.Receive(bytes.size()) == bytes);
  sender.join();
  client.Close();
  ExpectAllClosed();
  On(0, [](EchoServer& server) {
    EXPECT_EQ(server.ends, 1u);
    EXPECT_EQ(server.errors, 0u);
  });
}

TEST_P(RealIo, FewReceiveBuffersSlowDownButLoseNothing) {
  IoOptions io;
  io.buffer_count = 2;
  io.buffer_bytes = 4096;
  Start(1, io);
  const std::string bytes = RandomBytes(3, 1 << 20);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      Client client(port_);
      std::thread sender([&] { client.Send(bytes); });
      EXPECT_TRUE(client.Receive(bytes.size()) == bytes);
      sender.join();
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(RealIo, HalfCloseStillGetsItsAnswer) {
  Start();
  const std::string bytes = RandomBytes(4, 3 << 20);
  Client client(port_);
  std::thread sender([&] {
    client.Send(bytes);
    client.ShutdownWrite();
  });
  EXPECT_TRUE(client.Receive(bytes.size()) == bytes);
  EXPECT_TRUE(client.AtEnd());
  sender.join();
  ExpectAllClosed();
}

TEST_P(RealIo, CloseWithASendInFlightReleasesItsMemoryOnlyAtOnClosed) {
  Start();
  const std::string bytes = RandomBytes(5, 32 << 20);
  On(0, [&](EchoServer& server) { server.greeting = bytes; });
  Client client(port_);
  EXPECT_TRUE(client.Receive(100'000) == bytes.substr(0, 100'000));
  // The send cannot finish: nobody reads. Closing must end it; the handler frees the memory in OnClosed.
  On(0, [&](EchoServer& server) {
    ASSERT_EQ(server.connections.size(), 1u);
    Echo& echo = **server.connections.begin();
    EXPECT_TRUE(echo.sending);
    echo.Close();
    EXPECT_EQ(server.closed, 0u);
  });
  ExpectAllClosed();
  // What the kernel had taken is still right.
  const std::string rest = client.Receive(bytes.size());
  EXPECT_TRUE(rest == bytes.substr(100'000, rest.size()));
  EXPECT_LT(rest.size(), bytes.size() - 100'000);
}

TEST_P(RealIo, AClientThatDoesNotReadHarmsOnlyItself) {
  Start();
  On(0, [&](EchoServer& server) { server.greeting = std::string(16 << 20, 'x'); });
  Client silent(port_);
  ASSERT_TRUE(WaitOn(0, [](EchoServer& server) { return server.accepted == 1; }));
  On(0, [&](EchoServer& server) { server.greeting.clear(); });
  Client client(port_);
  for (int i = 0; i < 100; ++i) {
    client.Send("ping");
    ASSERT_EQ(client.Receive(4), "ping");
  }
  // It reads at last.
  EXPECT_EQ(silent.Receive(16 << 20).size(), size_t{16 << 20});
}

TEST_P(RealIo, AResetIsAnErrorOrAnEndAndFreesTheConnection) {
  Start();
  On(0, [&](EchoServer& server) { server.greeting = std::string(16 << 20, 'x'); });
  Client client(port_);
  client.Receive(1);
  client.Reset();
  ExpectAllClosed();
  On(0, [](EchoServer& server) {
    EXPECT_EQ(server.closed, 1u);
    EXPECT_EQ(server.errors, 1u);
  });
}

TEST_P(RealIo, PausedStreamsHearNothingAndLoseNothing) {
  Start();
  On(0, [](EchoServer& server) { server.pause_once = true; });
  Client client(port_);
  client.Send("first");
  EXPECT_EQ(client.Receive(5), "first");
  // More than any buffer between: the sender must feel the pause.
  const std::string bytes = RandomBytes(6, 32 << 20);
  std::atomic<bool> all_sent{false};
  std::thread sender([&] {
    client.Send(bytes);
    client.ShutdownWrite();
    all_sent = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_FALSE(all_sent.load());
  On(0, [](EchoServer& server) {
    EXPECT_EQ(server.data_calls, 1u);
    (*server.connections.begin())->Resume();
  });
  EXPECT_TRUE(client.Receive(bytes.size()) == bytes);
  EXPECT_TRUE(client.AtEnd());
  sender.join();
}

TEST_P(RealIo, TheEndOfAPausedStreamComesAfterItsData) {
  Start();
  On(0, [](EchoServer& server) { server.pause_once = true; });
  Client client(port_);
  client.Send("a");
  EXPECT_EQ(client.Receive(1), "a");
  client.Send("bcd");
  client.ShutdownWrite();
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  On(0, [](EchoServer& server) {
    EXPECT_EQ(server.ends, 0u);
    EXPECT_EQ(server.data_calls, 1u);
    // Twice paused and resumed within one turn: still in order, still once.
    Echo& echo = **server.connections.begin();
    echo.Resume();
    echo.io().PauseReading(echo.id);
    echo.Resume();
  });
  EXPECT_EQ(client.Receive(3), "bcd");
  EXPECT_TRUE(client.AtEnd());
}

TEST_P(RealIo, APausedStreamWhosePeerIsGoneDoesNotSpin) {
  Start();
  On(0, [](EchoServer& server) { server.pause_once = true; });
  TemporaryDirectory directory;
  ListenAddress address;
  address.kind = ListenAddress::Kind::kUnix;
  address.path = directory.path() + "/s";
  Listen(address);
  // On a unix socket the hang-up is reported beside unread data, again and again.
  Client client(address.path);
  client.Send("a");
  EXPECT_EQ(client.Receive(1), "a");
  client.Send("unread");
  client.Close();
  uint64_t before = 0, after = 0;
  On(0, [&](EchoServer& server) { before = server.here.counters().work_turns; });
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  On(0, [&](EchoServer& server) { after = server.here.counters().work_turns; });
  EXPECT_LT(after - before, 20u);
  On(0, [](EchoServer& server) {
    for (Echo* echo : server.connections) echo->Resume();
  });
  ExpectAllClosed();
}

TEST_P(RealIo, AThousandConnectionsSpreadOverTheShards) {
  Start(2);
  On(0, [](EchoServer& server) { server.spread = true; });
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 1'000; ++i) clients.push_back(std::make_unique<Client>(port_));
  for (int round = 0; round < 3; ++round) {
    for (size_t i = 0; i < clients.size(); ++i) clients[i]->Send(std::to_string(i * 7919 + 1'000'000));
    for (size_t i = 0; i < clients.size(); ++i) {
      const std::string expected = std::to_string(i * 7919 + 1'000'000);
      ASSERT_EQ(clients[i]->Receive(expected.size()), expected);
    }
  }
  for (uint16_t id = 0; id < 2; ++id) {
    On(id, [](EchoServer& server) { EXPECT_EQ(server.connections.size(), 500u); });
  }
  clients.clear();
  ExpectAllClosed();
}

TEST_P(RealIo, ListensOnUnixAndIpv6AndNamesThePeers) {
  Start();
  Client v4(port_);
  v4.Send("4");
  EXPECT_EQ(v4.Receive(1), "4");
  On(0,
     [](EchoServer& server) { EXPECT_TRUE(server.last_peer.starts_with("127.0.0.1:")) << server.last_peer; });

  ListenAddress v6_address;
  v6_address.host = "::1";
  Listen(v6_address);
  Client v6(port_, AF_INET6);
  v6.Send("6");
  EXPECT_EQ(v6.Receive(1), "6");
  On(0, [](EchoServer& server) { EXPECT_TRUE(server.last_peer.starts_with("[::1]:")) << server.last_peer; });

  TemporaryDirectory directory;
  ListenAddress unix_address;
  unix_address.kind = ListenAddress::Kind::kUnix;
  unix_address.path = directory.path() + "/socket";
  unix_address.unix_mode = 0700;
  Listen(unix_address);
  Client unix_client(unix_address.path);
  unix_client.Send("u");
  EXPECT_EQ(unix_client.Receive(1), "u");
  On(0, [&](EchoServer& server) {
    EXPECT_EQ(server.last_peer, unix_address.path + ":0");
    // The socket of a living server is not taken away.
    unix_address.bind_retry_ms = 20;
    EXPECT_FALSE(server.here.io().Listen(unix_address, server).ok());
    server.here.io().CloseListener(server.listener);
  });
  EXPECT_NE(access(unix_address.path.c_str(), F_OK), 0);
}

TEST_P(RealIo, AStaleSocketFileIsReplaced) {
  Start();
  TemporaryDirectory directory;
  ListenAddress address;
  address.kind = ListenAddress::Kind::kUnix;
  address.path = directory.path() + "/socket";
  {
    Fd dead(socket(AF_UNIX, SOCK_STREAM, 0));
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, address.path.data(), address.path.size());
    ASSERT_EQ(bind(dead.get(), reinterpret_cast<sockaddr*>(&name), sizeof(name)), 0);
  }
  Listen(address);
  Client client(address.path);
  client.Send("x");
  EXPECT_EQ(client.Receive(1), "x");
}

TEST_P(RealIo, AClosedListenerRefuses) {
  Start();
  On(0, [](EchoServer& server) { server.here.io().CloseListener(server.listener); });
  // The descriptor may close a moment later.
  for (int i = 0; i < 1'000; ++i) {
    Fd fd(socket(AF_INET, SOCK_STREAM, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  FAIL() << "still accepts";
}

TEST_P(RealIo, OutOfDescriptorsDropsConnectionsAndRecovers) {
  Start();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < 20; ++i) clients.push_back(std::make_unique<Client>(uint16_t{0}));  // not connected yet
  int limit = 0;
  for (int free_count = 0; free_count < 3; ++limit) free_count += fcntl(limit, F_GETFD) < 0 ? 1 : 0;
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  const rlimit few{static_cast<rlim_t>(limit), before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  // An accept request keeps the limit of the time when it was made, so listen now.
  Listen(ListenAddress());
  size_t dropped = 0;
  for (auto& client : clients) {
    client->Connect(port_);
    send(client->fd(), "x", 1, MSG_NOSIGNAL);
    if (client->Receive(1).empty()) ++dropped;
  }
  setrlimit(RLIMIT_NOFILE, &before);
  uint64_t turns = 0;
  On(0, [&](EchoServer& server) { turns = server.here.counters().work_turns; });
  EXPECT_LT(turns, 500u);  // it did not run in circles meanwhile
  EXPECT_GE(dropped, 16u);
  EXPECT_LT(dropped, 20u);
  clients.clear();
  Client again(port_);
  again.Send("y");
  EXPECT_EQ(again.Receive(1), "y");
}

// ---- choosing a backend ----

// Runs `fn` in a child process that may not set up an io_uring; its result is the exit code.
int InChildWithoutUring(int (*fn)()) {
  const pid_t child = fork();
  if (child == 0) {
    sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    const sock_fprog program{4, filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) {
      _exit(100);
    }
    _exit(fn());
  }
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 101;
}

TEST(BackendChoice, EpollWhereUringIsRefused) {
  EXPECT_EQ(InChildWithoutUring([] {
              RealEnv env;
              IoOptions options;
              base::Result<std::unique_ptr<Io>> chosen = env.MakeIo(ShardId(0), options);
              if (!chosen.ok() || (*chosen)->name() != "epoll") return 1;
              options.kind = IoKind::kUring;
              return env.MakeIo(ShardId(0), options).ok() ? 2 : 0;
            }),
            0);
}

TEST(BackendChoice, ForcedAndAutomatic) {
  RealEnv env;
  IoOptions options;
  EXPECT_EQ((*env.MakeIo(ShardId(0), options))->name(), "uring");
  options.kind = IoKind::kEpoll;
  EXPECT_EQ((*env.MakeIo(ShardId(0), options))->name(), "epoll");
}

}  // namespace
}  // namespace moonshard::shard
