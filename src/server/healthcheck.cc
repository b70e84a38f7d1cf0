#include "server/healthcheck.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <string_view>

#include "server/addresses.h"
#include "server/setting.h"
#include "shard/socket.h"

namespace moonshard::server {

namespace {

using base::Result;
using base::Status;

constexpr time_t kWaitSeconds = 3;

struct Peer {
  sockaddr_storage address = {};
  socklen_t bytes = 0;
};

Result<Peer> PeerOf(const Settings& settings) {
  MS_ASSIGN_OR_RETURN(auto addresses, TcpAddresses(settings));
  Peer peer;
  if (settings.port == 0 || addresses.empty()) {
    auto* to = reinterpret_cast<sockaddr_un*>(&peer.address);
    if (settings.unixsocket.empty() || settings.unixsocket.size() >= sizeof to->sun_path) {
      return BadSetting("there is no address to ask at");
    }
    to->sun_family = AF_UNIX;
    std::memcpy(to->sun_path, settings.unixsocket.data(), settings.unixsocket.size());
    peer.bytes = sizeof(sockaddr_un);
    return peer;
  }
  std::string host = addresses[0].host;
  if (host == "0.0.0.0") host = "127.0.0.1";
  if (host == "::") host = "::1";
  auto* v4 = reinterpret_cast<sockaddr_in*>(&peer.address);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&peer.address);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(settings.port);
    peer.bytes = sizeof(sockaddr_in);
  } else {
    inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(settings.port);
    peer.bytes = sizeof(sockaddr_in6);
  }
  return peer;
}

// One reply line.
Result<std::string> Ask(int fd, std::string_view request) {
  if (send(fd, request.data(), request.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(request.size())) {
    return BadSetting(std::strerror(errno));
  }
  std::string line;
  char c = 0;
  while (line.size() < 512) {
    ssize_t got = recv(fd, &c, 1, 0);
    if (got == 0) return BadSetting("the server closed the connection");
    if (got < 0) return BadSetting(errno == EAGAIN ? "no answer in time" : std::strerror(errno));
    if (c == '\n') return line;
    if (c != '\r') line += c;
  }
  return BadSetting("the answer is not of a server like this");
}

}  // namespace

Status CheckHealth(const Settings& settings) {
  MS_ASSIGN_OR_RETURN(Peer peer, PeerOf(settings));
  shard::Fd fd(socket(peer.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const timeval wait = {kWaitSeconds, 0};
  setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&peer.address), peer.bytes) != 0) {
    return BadSetting(fmt::format("healthcheck: {}", std::strerror(errno)));
  }
  if (const std::string& password = settings.requirepass; !password.empty()) {
    auto reply = Ask(fd.get(), fmt::format("*2\r\n$4\r\nAUTH\r\n${}\r\n{}\r\n", password.size(), password));
    if (!reply.ok()) return BadSetting(fmt::format("healthcheck: {}", reply.status().text()));
  }
  auto reply = Ask(fd.get(), "*1\r\n$4\r\nPING\r\n");
  if (!reply.ok()) return BadSetting(fmt::format("healthcheck: {}", reply.status().text()));
  if (*reply == "+PONG") return {};
  return BadSetting(fmt::format("healthcheck: the server answers {}", *reply));
}

}  // namespace moonshard::server
