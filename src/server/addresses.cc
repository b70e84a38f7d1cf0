#include "server/addresses.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <string>
#include <string_view>
#include <utility>

#include "base/log.h"
#include "server/setting.h"
#include "shard/socket.h"

namespace moonshard::server {

namespace {

using base::Result;

bool IsNumeric(const std::string& host) {
  in6_addr scratch;
  return inet_pton(AF_INET, host.c_str(), &scratch) == 1 || inet_pton(AF_INET6, host.c_str(), &scratch) == 1;
}

// The numeric address that `host` stands for.
Result<std::string> Resolve(const std::string& host) {
  if (host == "*") return std::string("0.0.0.0");
  if (host == "::*") return std::string("::");
  if (IsNumeric(host)) return host;
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int error = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  char numeric[NI_MAXHOST] = "";
  if (error == 0) {
    error =
        getnameinfo(found->ai_addr, found->ai_addrlen, numeric, sizeof numeric, nullptr, 0, NI_NUMERICHOST);
    freeaddrinfo(found);
  }
  if (error != 0) return BadSetting(fmt::format("cannot listen on '{}': {}", host, gai_strerror(error)));
  return std::string(numeric);
}

// Whether this machine has the address: a socket can be bound to it at any port.
bool IsHere(const std::string& numeric) {
  sockaddr_storage address{};
  socklen_t bytes = 0;
  if (inet_pton(AF_INET, numeric.c_str(), &reinterpret_cast<sockaddr_in*>(&address)->sin_addr) == 1) {
    address.ss_family = AF_INET;
    bytes = sizeof(sockaddr_in);
  } else {
    inet_pton(AF_INET6, numeric.c_str(), &reinterpret_cast<sockaddr_in6*>(&address)->sin6_addr);
    address.ss_family = AF_INET6;
    bytes = sizeof(sockaddr_in6);
  }
  shard::Fd fd(socket(address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return fd.valid() && bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), bytes) == 0;
}

}  // namespace

Result<std::vector<shard::ListenAddress>> TcpAddresses(const Settings& settings) {
  std::vector<shard::ListenAddress> addresses;
  if (settings.port == 0 && !settings.unixsocket.empty()) return addresses;
  for (const std::string& word : settings.bind) {
    const bool optional = word.starts_with('-');
    auto numeric = Resolve(optional ? word.substr(1) : word);
    if (optional && (!numeric.ok() || !IsHere(*numeric))) {
      base::LogInfo("bind: {} is not an address of this machine and is left out", word.substr(1));
      continue;
    }
    if (!numeric.ok()) return numeric.status();
    shard::ListenAddress address;
    address.host = *numeric;
    address.port = settings.port;
    address.backlog = static_cast<int>(settings.tcp_backlog);
    addresses.push_back(std::move(address));
  }
  return addresses;
}

}  // namespace moonshard::server
