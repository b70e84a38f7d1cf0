#include "shard/socket.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string>

#include "base/log.h"
#include "shard/env.h"

namespace moonshard::shard {

namespace {

constexpr int kDroppedAtOnceMax = 64;

union AnyAddress {
  sockaddr any;
  sockaddr_in v4;
  sockaddr_in6 v6;
  sockaddr_un path;
};

std::string AddressText(const AnyAddress& address, socklen_t bytes) {
  char host[INET6_ADDRSTRLEN] = "?";
  switch (address.any.sa_family) {
    case AF_INET:
      inet_ntop(AF_INET, &address.v4.sin_addr, host, sizeof(host));
      return fmt::format("{}:{}", host, ntohs(address.v4.sin_port));
    case AF_INET6:
      inet_ntop(AF_INET6, &address.v6.sin6_addr, host, sizeof(host));
      return fmt::format("[{}]:{}", host, ntohs(address.v6.sin6_port));
    case AF_UNIX: {
      const size_t path_bytes =
          bytes > offsetof(sockaddr_un, sun_path) ? bytes - offsetof(sockaddr_un, sun_path) : 0;
      return fmt::format("{}:0",
                         std::string_view(address.path.sun_path, strnlen(address.path.sun_path, path_bytes)));
    }
    default:
      return "?:0";
  }
}

base::Status ToAddress(const ListenAddress& from, AnyAddress& to, socklen_t& bytes) {
  std::memset(&to, 0, sizeof(to));
  if (from.kind == ListenAddress::Kind::kUnix) {
    if (from.path.empty() || from.path.size() >= sizeof(to.path.sun_path)) {
      return FileError(ENAMETOOLONG, "listen on", from.path);
    }
    to.path.sun_family = AF_UNIX;
    std::memcpy(to.path.sun_path, from.path.data(), from.path.size());
    bytes = sizeof(sockaddr_un);
    return {};
  }
  const std::string host = from.host == "*" ? "0.0.0.0" : from.host;
  if (inet_pton(AF_INET, host.c_str(), &to.v4.sin_addr) == 1) {
    to.v4.sin_family = AF_INET;
    to.v4.sin_port = htons(from.port);
    bytes = sizeof(sockaddr_in);
    return {};
  }
  if (inet_pton(AF_INET6, host.c_str(), &to.v6.sin6_addr) == 1) {
    to.v6.sin6_family = AF_INET6;
    to.v6.sin6_port = htons(from.port);
    bytes = sizeof(sockaddr_in6);
    return {};
  }
  return FileError(EADDRNOTAVAIL, "listen on", from.host);
}

// Only a socket file that nobody answers on is stale; a live server keeps its name.
void RemoveStaleSocketFile(const AnyAddress& address, socklen_t bytes) {
  struct stat info{};
  if (stat(address.path.sun_path, &info) != 0 || !S_ISSOCK(info.st_mode)) return;
  Fd probe(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (connect(probe.get(), &address.any, bytes) != 0 && errno == ECONNREFUSED) unlink(address.path.sun_path);
}

bool Bind(int fd, const AnyAddress& address, socklen_t bytes, int retry_ms) {
  constexpr int kStepMs = 10;
  while (bind(fd, &address.any, bytes) != 0) {
    if (errno != EADDRINUSE || retry_ms <= 0) return false;
    usleep(kStepMs * 1000);
    retry_ms -= kStepMs;
  }
  return true;
}

}  // namespace

void Fd::Reset() {
  if (fd_ >= 0) close(fd_);
  fd_ = -1;
}

base::Result<ListeningSocket> OpenListener(const ListenAddress& from) {
  AnyAddress address;
  socklen_t bytes = 0;
  MS_RETURN_IF_ERROR(ToAddress(from, address, bytes));
  const bool is_unix = from.kind == ListenAddress::Kind::kUnix;
  const std::string name = is_unix ? from.path : fmt::format("{}:{}", from.host, from.port);

  ListeningSocket made;
  made.fd = Fd(socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!made.fd.valid()) return FileError(errno, "listen on", name);
  const int fd = made.fd.get();
  const int on = 1;
  if (is_unix) {
    RemoveStaleSocketFile(address, bytes);
  } else {
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    // An IPv6 listener leaves IPv4 to a listener of its own, as Redis does.
    if (address.any.sa_family == AF_INET6) setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  }
  if (!Bind(fd, address, bytes, from.bind_retry_ms)) return FileError(errno, "listen on", name);
  if (is_unix && from.unix_mode != 0 && chmod(from.path.c_str(), from.unix_mode) != 0) {
    return FileError(errno, "set the mode of", name);
  }
  if (listen(fd, from.backlog) != 0) return FileError(errno, "listen on", name);
  if (!is_unix) {
    bytes = sizeof(address);
    getsockname(fd, &address.any, &bytes);
    made.port = ntohs(address.any.sa_family == AF_INET ? address.v4.sin_port : address.v6.sin6_port);
  }
  return made;
}

// After `seconds` of silence three probes, a third of that apart, as Redis sets it up.
void RealSocket::SetKeepAlive(int seconds) {
  if (seconds == 0 || kind == ListenAddress::Kind::kUnix) return;
  const int on = 1;
  const int between = std::max(seconds / 3, 1);
  const int probes = 3;
  setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
  setsockopt(fd.get(), IPPROTO_TCP, TCP_KEEPIDLE, &seconds, sizeof(seconds));
  setsockopt(fd.get(), IPPROTO_TCP, TCP_KEEPINTVL, &between, sizeof(between));
  setsockopt(fd.get(), IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

AcceptedSocket WrapAccepted(int raw_fd) {
  auto socket = std::make_unique<RealSocket>();
  socket->fd = Fd(raw_fd);
  AnyAddress address;
  socklen_t bytes = sizeof(address);
  if (getsockname(raw_fd, &address.any, &bytes) != 0) return {};
  socket->local = AddressText(address, bytes);
  if (address.any.sa_family == AF_UNIX) {
    // A client's end has no name; like Redis, show the socket file.
    socket->kind = ListenAddress::Kind::kUnix;
    socket->peer = socket->local;
    return AcceptedSocket(std::move(socket));
  }
  bytes = sizeof(address);
  if (getpeername(raw_fd, &address.any, &bytes) != 0) return {};
  socket->peer = AddressText(address, bytes);
  const int on = 1;
  setsockopt(raw_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return AcceptedSocket(std::move(socket));
}

void ResetOnClose(int fd) {
  const linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
}

bool OutOfDescriptors(int error) {
  return error == EMFILE || error == ENFILE;
}

// io_uring's listeners block; for this one call they must not.
int AcceptWithoutBlocking(int listener) {
  const int flags = fcntl(listener, F_GETFL);
  fcntl(listener, F_SETFL, flags | O_NONBLOCK);
  const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  const int error = errno;
  fcntl(listener, F_SETFL, flags);
  errno = error;
  return fd;
}

DescriptorReserve::DescriptorReserve() : reserve_(open("/dev/null", O_RDONLY | O_CLOEXEC)) {}

void DescriptorReserve::DropWaiting(int listener, TimeNs now) {
  reserve_.Reset();
  int dropped_count = 0;
  while (dropped_count < kDroppedAtOnceMax) {
    Fd dropped(AcceptWithoutBlocking(listener));
    if (!dropped.valid()) break;
    ++dropped_count;
  }
  reserve_ = Fd(open("/dev/null", O_RDONLY | O_CLOEXEC));
  if (now - last_log_ns_ < 1'000'000'000) return;
  last_log_ns_ = now;
  base::LogWarning("out of file descriptors: {} waiting connections were closed", dropped_count);
}

}  // namespace moonshard::shard
