// Where the server listens.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "server/setting.h"

namespace moonshard::server {

namespace {

using base::Status;

Status SetBind(Settings& settings, Words words) {
  if (words.empty()) return BadSetting("takes one or more addresses");
  std::vector<std::string> addresses;
  for (const std::string& word : words) {
    // redis.conf's "-::1" means: skip it if it is not available.
    addresses.push_back(word.starts_with('-') ? word.substr(1) : word);
  }
  settings.bind = std::move(addresses);
  return {};
}

Status SetPermission(Settings& settings, Words words) {
  uint32_t value = 0;
  bool ok = words.size() == 1 && !words[0].empty() && words[0].size() <= 4;
  for (char c : ok ? words[0] : std::string()) {
    ok = ok && c >= '0' && c <= '7';
    value = value * 8 + static_cast<uint32_t>(c - '0');
  }
  if (!ok || value > 0777) return BadSetting("takes permission bits in octal, as in 700");
  settings.unixsocketperm = value;
  return {};
}

}  // namespace

std::vector<Setting> NetworkSettings() {
  using enum Change;
  return {
      {"bind", kAtStart, "addresses to listen on", SetBind,
       [](const Settings& s) { return fmt::format("{}", fmt::join(s.bind, " ")); }},
      Integer("port", kAtStart, &Settings::port, 0, 65535, "TCP port; 0: none"),
      Integer("tcp-backlog", kAtStart, &Settings::tcp_backlog, 1, 65535, "backlog of the listening sockets"),
      Text("unixsocket", kAtStart, &Settings::unixsocket, "path of a unix socket to listen on"),
      {"unixsocketperm", kAtStart, "its permission bits, octal", SetPermission,
       [](const Settings& s) { return fmt::format("{:o}", s.unixsocketperm); }},
  };
}

}  // namespace moonshard::server
