#pragma once
// Settings: names, values, where they come from (flags as redis-server takes them) and what may change while
// the server runs. One table in config.cc says all of it; CONFIG GET, CONFIG SET and the flags derive from
// the table.
//
// Settings is plain data; Config guards it and is safe from any thread.

#include <cstdint>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace moonshard::server {

struct Settings {
  std::vector<std::string> bind = {"127.0.0.1"};
  uint16_t port = 6379;
  std::string unixsocket;
  uint32_t unixsocketperm = 0;
  uint32_t tcp_backlog = 511;
  uint32_t maxclients = 10000;
  std::string dir = ".";
  uint16_t shards = 0;  // 0: one per core that this process may use
  std::vector<int> cpus;
  std::string io = "auto";
  std::string busy_poll = "auto";
  std::string requirepass;
  uint64_t maxmemory = 0;  // bytes; 0: no limit
  std::string appendfsync = "everysec";
  std::string loglevel = "notice";
  std::string logfile;
};

class Config {
 public:
  // `args` without the program's name: "--port 7000 --bind 127.0.0.1 ::1 --save ''". An error names the flag,
  // and for an unknown one the nearest name.
  static base::Result<Settings> FromArgs(std::span<const std::string> args);
  // One line per setting: name, default, meaning.
  static std::string Help();

  explicit Config(Settings settings) : settings_(std::move(settings)) {}

  // A copy.
  Settings Get() const;
  // Names and values whose names match the glob, by name.
  std::vector<std::pair<std::string, std::string>> Match(std::string_view pattern) const;
  // Checks all, then applies all; returns the new settings.
  base::Result<Settings> Set(std::span<const std::pair<std::string, std::string>> changes);

 private:
  mutable std::mutex mutex_;
  Settings settings_;
};

// "1gb" = 2^30, "1g" = 10^9, "100" = 100 bytes, as in redis.conf.
base::Result<uint64_t> ParseMemory(std::string_view text);

}  // namespace moonshard::server
