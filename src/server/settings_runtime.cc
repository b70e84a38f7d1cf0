// Shards, processors, files.

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "base/number.h"
#include "server/setting_checks.h"

namespace moonshard::server {

namespace {

using base::Status;

Status SetCpus(Settings& settings, Words words) {
  std::vector<int> cpus;
  for (const std::string& word : words) {
    for (size_t begin = 0; begin <= word.size();) {
      size_t comma = std::min(word.find(',', begin), word.size());
      auto cpu = base::ParseInt64(std::string_view(word).substr(begin, comma - begin));
      if (!cpu || *cpu < 0 || *cpu > 4095) return BadSetting("takes processor numbers, as in 0,1,2");
      cpus.push_back(static_cast<int>(*cpu));
      begin = comma + 1;
    }
  }
  settings.cpus = std::move(cpus);
  return {};
}

Status SetBusyPoll(Settings& settings, Words words) {
  bool word_ok = words.size() == 1 && (words[0] == "auto" || words[0] == "no");
  auto microseconds = words.size() == 1 ? base::ParseInt64(words[0]) : std::nullopt;
  if (!word_ok && !(microseconds && *microseconds >= 0 && *microseconds <= 1'000'000)) {
    return BadSetting("takes auto, no, or a number of microseconds");
  }
  settings.busy_poll = words[0];
  return {};
}

}  // namespace

std::vector<Setting> RuntimeSettings() {
  using enum Change;
  return {
      {"busy-poll", kAtStart, "spin before sleeping: auto, no, or microseconds", SetBusyPoll,
       [](const Settings& s) { return s.busy_poll; }},
      Choice("enable-debug-command", kAtStart, &Settings::enable_debug_command, {"no", "yes", "local"},
             "who may call DEBUG: nobody, everybody, or clients on this machine"),
      Choice("enable-protected-configs", kAtStart, &Settings::enable_protected_configs,
             {"no", "yes", "local"}, "who may change dir: nobody, everybody, or clients on this machine"),
      {"cpus", kAtStart, "pin shard i to the i-th processor of this list", SetCpus,
       [](const Settings& s) { return fmt::format("{}", fmt::join(s.cpus, ",")); }, Shape::kWords},
      YesNo("daemonize", kAtStart, &Settings::daemonize, "run in the background"),
      Kept("databases", kAtStart, "16", Only(Range(1, kInt32Max), "16", "there are always 16 databases"),
           "number of databases"),
      Choice("io", kAtStart, &Settings::io, {"auto", "uring", "epoll"},
             "input and output: io_uring or epoll"),
      Text("pidfile", kAtStart, &Settings::pidfile, "file for the process id, removed at the end"),
      Integer("shards", kAtStart, &Settings::shards, 0, 255, "shards, one thread each; 0: one per core"),
      Choice("supervised", kAtStart, &Settings::supervised, {"upstart", "systemd", "auto", "no"},
             "systemd, auto: stay in the foreground; whoever waits at NOTIFY_SOCKET is told in any case"),
  };
}

}  // namespace moonshard::server
