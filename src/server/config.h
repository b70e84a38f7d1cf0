#pragma once
// Config: the settings of a running server, and what CONFIG GET and CONFIG SET do with them. The tables of
// server/setting.h say all of it; where the first values come from is server/config_load.h.
//
// Settings is plain data; Config guards it and is safe from any thread.

#include <functional>
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
  // Flags alone: "--port 7000 --bind 127.0.0.1 ::1 --save ''".
  static base::Result<Settings> FromArgs(std::span<const std::string> args);

  explicit Config(Settings settings) : settings_(std::move(settings)) {}

  // A copy.
  Settings Get() const;
  // Names and values whose names match the glob, by name.
  std::vector<std::pair<std::string, std::string>> Match(std::string_view pattern) const;

  // What a change of settings does to the server: all of it or, with an error, nothing.
  struct Refusal {
    std::string_view setting;  // the one to blame
    base::Status status;
  };
  // It may bring `after` into its final form.
  using Apply = std::function<Refusal(const Settings& before, Settings& after)>;
  // Checks all, then applies all. `local`: asked for by a client on this machine. One caller at a time.
  base::Status Set(std::span<const std::pair<std::string, std::string>> changes, bool local,
                   const Apply& apply);

 private:
  mutable std::mutex mutex_;
  Settings settings_;
};

}  // namespace moonshard::server
