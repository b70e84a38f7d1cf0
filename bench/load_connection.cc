#include "bench/load_connection.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace moonshard::bench {

namespace {

base::Status Failed(std::string_view what, int error) {
  return base::Status::WithText(base::Code::kIo, fmt::format("{}: {}", what, std::strerror(error)));
}

base::Result<int> ConnectUnix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return Failed(path, ENAMETOOLONG);
  path.copy(address.sun_path, path.size());
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Failed("socket", errno);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    int error = errno;
    close(fd);
    return Failed(path, error);
  }
  return fd;
}

base::Result<int> ConnectTcp(const Address& target) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  std::string service = fmt::format("{}", target.port);
  if (int error = getaddrinfo(target.host.c_str(), service.c_str(), &hints, &found); error != 0) {
    return base::Status::WithText(base::Code::kIo, fmt::format("{}: {}", target.host, gai_strerror(error)));
  }
  int error = ENOENT;
  int fd = -1;
  for (addrinfo* at = found; at != nullptr && fd < 0; at = at->ai_next) {
    fd = socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol);
    if (fd >= 0 && connect(fd, at->ai_addr, at->ai_addrlen) == 0) break;
    error = errno;
    if (fd >= 0) close(fd);
    fd = -1;
  }
  freeaddrinfo(found);
  if (fd < 0) return Failed(fmt::format("{}:{}", target.host, target.port), error);
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  return fd;
}

}  // namespace

Connection::~Connection() {
  if (fd_ >= 0) close(fd_);
}

base::Status Connection::Connect(const Address& address) {
  MS_ASSIGN_OR_RETURN(fd_, address.unix_path.empty() ? ConnectTcp(address) : ConnectUnix(address.unix_path));
  if (fcntl(fd_, F_SETFL, fcntl(fd_, F_GETFL) | O_NONBLOCK) != 0) return Failed("fcntl", errno);
  return {};
}

Connection::SendResult Connection::Send() {
  while (sent_ < out_size_) {
    ssize_t sent = send(fd_, out_.data() + sent_, out_size_ - sent_, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
      if (errno == EINTR) continue;
      return errno == EAGAIN || errno == EWOULDBLOCK ? SendResult::kSome : SendResult::kLost;
    }
    sent_ += static_cast<size_t>(sent);
  }
  return SendResult::kAll;
}

char* Connection::AppendPoint(size_t request_bytes) {
  if (out_.size() - out_size_ < request_bytes) {
    // At most `depth` requests are unanswered and a sent one is no longer needed here, so what is left fits.
    std::memmove(out_.data(), out_.data() + sent_, out_size_ - sent_);
    out_size_ -= sent_;
    sent_ = 0;
  }
  return out_.data() + out_size_;
}

}  // namespace moonshard::bench
