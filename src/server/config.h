#pragma once
// Settings: names, values, where they come from (flags as redis-server takes them) and what may change while
// the server runs. The tables of server/setting.h say all of it; CONFIG GET, CONFIG SET and the flags derive
// from them.
//
// Settings is plain data; Config guards it and is safe from any thread.

#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "server/settings.h"

namespace moonshard::server {

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

}  // namespace moonshard::server
