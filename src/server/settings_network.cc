// Where the server listens.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "server/setting.h"

namespace moonshard::server {

namespace {

using base::Status;

// As in Redis.
constexpr size_t kAddressesMax = 16;

Status SetBind(Settings& settings, Words words) {
  if (words.size() > kAddressesMax) return BadSetting("Too many bind addresses specified.");
  // One empty word, or none in CONFIG SET: no TCP at all.
  bool nothing = words.size() == 1 && words[0].empty();
  settings.bind.assign(words.begin(), nothing ? words.begin() : words.end());
  return {};
}

Status SetPermission(Settings& settings, Words words) {
  MS_ASSIGN_OR_RETURN(std::string word, OneWord(words));
  uint32_t value = 0;
  bool octal = word.size() <= 8;
  for (char c : word) {
    octal = octal && c >= '0' && c <= '7';
    value = value * 8 + static_cast<uint32_t>(c - '0');
  }
  if (!octal) return BadSetting("argument couldn't be parsed as an octal number");
  if (value > 0777) return BadSetting("argument must be between 0 and 777 inclusive");
  settings.unixsocketperm = value;
  return {};
}

}  // namespace

std::vector<Setting> NetworkSettings() {
  using enum Change;
  return {
      Several({"bind", kAnyTime, "addresses to listen on; -ADDRESS: if it is there", SetBind,
               [](const Settings& s) { return fmt::format("{}", fmt::join(s.bind, " ")); }}),
      Integer("port", kAnyTime, &Settings::port, 0, 65535, "TCP port; 0: none"),
      Integer("tcp-backlog", kAtStart, &Settings::tcp_backlog, 0, 2147483647,
              "backlog of the listening sockets"),
      Text("unixsocket", kAtStart, &Settings::unixsocket, "path of a unix socket to listen on"),
      {"unixsocketperm", kAtStart, "its permission bits, octal", SetPermission,
       [](const Settings& s) { return fmt::format("{:o}", s.unixsocketperm); }},
  };
}

}  // namespace moonshard::server
