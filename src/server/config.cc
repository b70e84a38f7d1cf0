#include "server/config.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <functional>
#include <limits>

#include "base/bytes.h"
#include "base/glob.h"
#include "base/number.h"
#include "command/errors.h"

namespace moonshard::server {

namespace {

using base::Status;
using Words = std::span<const std::string>;

Status Bad(std::string text) {
  return Status::WithText(base::Code::kErr, std::move(text));
}

// kProtected is Redis' word for what it changes at run time only when told so at the start; here never.
enum class Change : uint8_t { kAtStart, kProtected, kAnyTime };

struct Setting {
  std::string_view name;
  Change change;
  std::string_view help;
  std::function<Status(Settings&, Words)> set;
  std::function<std::string(const Settings&)> get;
};

base::Result<int64_t> IntegerBetween(Words words, int64_t low, int64_t high) {
  auto value = words.size() == 1 ? base::ParseInt64(words[0]) : std::nullopt;
  if (!value) return Bad("argument couldn't be parsed into an integer");
  if (*value < low || *value > high)
    return Bad(fmt::format("argument must be between {} and {} inclusive", low, high));
  return *value;
}

template <typename T>
Setting Integer(std::string_view name, Change change, T Settings::* field, int64_t low, int64_t high,
                std::string_view help) {
  return {name, change, help,
          [=](Settings& settings, Words words) -> Status {
            MS_ASSIGN_OR_RETURN(int64_t value, IntegerBetween(words, low, high));
            settings.*field = static_cast<T>(value);
            return {};
          },
          [=](const Settings& settings) { return std::to_string(settings.*field); }};
}

Setting Text(std::string_view name, Change change, std::string Settings::* field, std::string_view help) {
  return {name, change, help,
          [=](Settings& settings, Words words) -> Status {
            if (words.size() != 1) return Bad("takes one value");
            settings.*field = words[0];
            return {};
          },
          [=](const Settings& settings) { return settings.*field; }};
}

Setting Choice(std::string_view name, Change change, std::string Settings::* field,
               std::vector<std::string_view> choices, std::string_view help) {
  return {name, change, help,
          [=](Settings& settings, Words words) -> Status {
            for (std::string_view choice : choices) {
              if (words.size() != 1 || !base::EqualsIgnoreCase(words[0], choice)) continue;
              settings.*field = choice;
              return {};
            }
            return Bad(fmt::format("argument(s) must be one of the following: {}", fmt::join(choices, ", ")));
          },
          [=](const Settings& settings) { return settings.*field; }};
}

// A setting of Redis that has only one value here so far; any other is refused with the reason.
Setting Fixed(std::string_view name, Change change, std::string_view value, std::string_view why_not,
              std::string_view help) {
  return {name, change, help,
          [=](Settings&, Words words) -> Status {
            bool same = words.size() == 1 && base::EqualsIgnoreCase(words[0], value);
            return same ? Status() : Bad(std::string(why_not));
          },
          [=](const Settings&) { return std::string(value); }};
}

Status SetBind(Settings& settings, Words words) {
  if (words.empty()) return Bad("takes one or more addresses");
  std::vector<std::string> addresses;
  for (const std::string& word : words) {
    // redis.conf's "-::1" means: skip it if it is not available.
    addresses.push_back(word.starts_with('-') ? word.substr(1) : word);
  }
  settings.bind = std::move(addresses);
  return {};
}

Status SetCpus(Settings& settings, Words words) {
  std::vector<int> cpus;
  for (const std::string& word : words) {
    for (size_t begin = 0; begin <= word.size();) {
      size_t comma = std::min(word.find(',', begin), word.size());
      auto cpu = base::ParseInt64(std::string_view(word).substr(begin, comma - begin));
      if (!cpu || *cpu < 0 || *cpu > 4095) return Bad("takes processor numbers, as in 0,1,2");
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
    return Bad("takes auto, no, or a number of microseconds");
  }
  settings.busy_poll = words[0];
  return {};
}

Status SetMaxmemory(Settings& settings, Words words) {
  if (words.size() != 1) return Bad("argument must be a memory value");
  MS_ASSIGN_OR_RETURN(settings.maxmemory, ParseMemory(words[0]));
  return {};
}

Status SetPermission(Settings& settings, Words words) {
  uint32_t value = 0;
  bool ok = words.size() == 1 && !words[0].empty() && words[0].size() <= 4;
  for (char c : ok ? words[0] : std::string()) {
    ok = ok && c >= '0' && c <= '7';
    value = value * 8 + static_cast<uint32_t>(c - '0');
  }
  if (!ok || value > 0777) return Bad("takes permission bits in octal, as in 700");
  settings.unixsocketperm = value;
  return {};
}

const std::vector<Setting>& Table() {
  using enum Change;
  static const std::vector<Setting> table = {
      Fixed("appendonly", kAnyTime, "no", "the write-ahead log does not exist yet: only 'no' is possible",
            "write-ahead log (not there yet)"),
      Choice("appendfsync", kAnyTime, &Settings::appendfsync, {"always", "everysec", "no"},
             "when a write counts as durable; without effect until the log exists"),
      {"bind", kAtStart, "addresses to listen on", SetBind,
       [](const Settings& s) { return fmt::format("{}", fmt::join(s.bind, " ")); }},
      {"busy-poll", kAtStart, "spin before sleeping: auto, no, or microseconds", SetBusyPoll,
       [](const Settings& s) { return s.busy_poll; }},
      {"cpus", kAtStart, "pin shard i to the i-th processor of this list", SetCpus,
       [](const Settings& s) { return fmt::format("{}", fmt::join(s.cpus, ",")); }},
      Fixed("databases", kAtStart, "16", "there are always 16 databases", "number of databases"),
      Text("dir", kProtected, &Settings::dir, "data directory"),
      Choice("io", kAtStart, &Settings::io, {"auto", "uring", "epoll"},
             "input and output: io_uring or epoll"),
      Text("logfile", kAtStart, &Settings::logfile, "log file; empty: standard output"),
      Choice("loglevel", kAnyTime, &Settings::loglevel, {"debug", "verbose", "notice", "warning"},
             "least level logged"),
      Integer("maxclients", kAnyTime, &Settings::maxclients, 1, std::numeric_limits<uint32_t>::max(),
              "most connections at a time"),
      {"maxmemory", kAnyTime, "limit of keys and values, as in 100mb; 0: none", SetMaxmemory,
       [](const Settings& s) { return std::to_string(s.maxmemory); }},
      Fixed("maxmemory-policy", kAnyTime, "noeviction",
            "eviction does not exist yet: only 'noeviction' is possible",
            "what goes when maxmemory is reached"),
      Integer("port", kAtStart, &Settings::port, 0, 65535, "TCP port; 0: none"),
      Text("requirepass", kAnyTime, &Settings::requirepass, "password of the default user"),
      Fixed("save", kAnyTime, "", "snapshots do not exist yet: only '' is possible",
            "snapshot rules (not there yet)"),
      Integer("shards", kAtStart, &Settings::shards, 0, 255, "shards, one thread each; 0: one per core"),
      Integer("tcp-backlog", kAtStart, &Settings::tcp_backlog, 1, 65535, "backlog of the listening sockets"),
      Text("unixsocket", kAtStart, &Settings::unixsocket, "path of a unix socket to listen on"),
      {"unixsocketperm", kAtStart, "its permission bits, octal", SetPermission,
       [](const Settings& s) { return fmt::format("{:o}", s.unixsocketperm); }},
  };
  return table;
}

const Setting* FindSetting(std::string_view name) {
  for (const Setting& setting : Table()) {
    if (base::EqualsIgnoreCase(setting.name, name)) return &setting;
  }
  return nullptr;
}

// Levenshtein's distance.
size_t Distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + size_t{a[i - 1] != b[j - 1]}});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string_view NearestName(std::string_view name) {
  auto nearest =
      std::ranges::min_element(Table(), {}, [&](const Setting& s) { return Distance(s.name, name); });
  return nearest->name;
}

Status Apply(Settings& settings, std::string_view name, Words words) {
  const Setting* setting = FindSetting(name);
  if (setting == nullptr) {
    return Bad(fmt::format("unknown option '--{}', did you mean '--{}'?", name, NearestName(name)));
  }
  Status status = setting->set(settings, words);
  if (!status.ok()) return Bad(fmt::format("--{}: {}", setting->name, status.text()));
  return {};
}

}  // namespace

base::Result<uint64_t> ParseMemory(std::string_view text) {
  size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') ++digits;
  // No digits at all are 0, as in Redis.
  auto value = digits == 0 ? 0 : base::ParseInt64(text.substr(0, digits));
  std::string unit = base::ToLower(text.substr(digits));
  uint64_t factor = 0;
  if (unit.empty() || unit == "b") factor = 1;
  if (unit == "k") factor = 1000;
  if (unit == "kb") factor = uint64_t{1} << 10;
  if (unit == "m") factor = 1'000'000;
  if (unit == "mb") factor = uint64_t{1} << 20;
  if (unit == "g") factor = 1'000'000'000;
  if (unit == "gb") factor = uint64_t{1} << 30;
  uint64_t bytes = 0;
  if (!value || factor == 0 || __builtin_mul_overflow(static_cast<uint64_t>(*value), factor, &bytes)) {
    return Bad("argument must be a memory value");
  }
  return bytes;
}

base::Result<Settings> Config::FromArgs(std::span<const std::string> args) {
  Settings settings;
  for (size_t i = 0; i < args.size();) {
    if (!args[i].starts_with("--") || args[i].size() == 2) {
      return Bad(fmt::format("unexpected argument '{}': settings are given as --name value", args[i]));
    }
    size_t end = i + 1;
    while (end < args.size() && !args[end].starts_with("--")) ++end;
    MS_RETURN_IF_ERROR(
        Apply(settings, std::string_view(args[i]).substr(2), args.subspan(i + 1, end - i - 1)));
    i = end;
  }
  return settings;
}

std::string Config::Help() {
  std::string text = "usage: moonshard [--name value ...]\n\n";
  Settings defaults;
  for (const Setting& setting : Table()) {
    text += fmt::format("  --{:<18} {} [{}]\n", setting.name, setting.help, setting.get(defaults));
  }
  return text;
}

Settings Config::Get() const {
  std::lock_guard lock(mutex_);
  return settings_;
}

std::vector<std::pair<std::string, std::string>> Config::Match(std::string_view pattern) const {
  Settings settings = Get();
  std::vector<std::pair<std::string, std::string>> found;
  if (pattern.find_first_of("[*?") == std::string_view::npos) {
    // As in Redis, who names one setting gets it back in the spelling used.
    if (const Setting* setting = FindSetting(pattern)) found.emplace_back(pattern, setting->get(settings));
    return found;
  }
  for (const Setting& setting : Table()) {
    if (base::GlobMatch(pattern, setting.name, base::CaseMode::kIgnore)) {
      found.emplace_back(setting.name, setting.get(settings));
    }
  }
  std::ranges::sort(found);
  return found;
}

base::Result<Settings> Config::Set(std::span<const std::pair<std::string, std::string>> changes) {
  auto failed = [](std::string_view name, std::string_view why) {
    return Bad(fmt::format("CONFIG SET failed (possibly related to argument '{}') - {}",
                           command::UpToZero(name), why));
  };
  // First the names, then the values: Redis complains in this order.
  std::vector<const Setting*> chosen;
  for (const auto& [name, value] : changes) {
    const Setting* setting = FindSetting(name);
    if (setting == nullptr) {
      return Bad(fmt::format("Unknown option or number of arguments for CONFIG SET - '{}'",
                             command::UpToZero(name)));
    }
    if (setting->change == Change::kAtStart) return failed(name, "can't set immutable config");
    if (setting->change == Change::kProtected) return failed(name, "can't set protected config");
    if (std::ranges::find(chosen, setting) != chosen.end()) return failed(name, "duplicate parameter");
    chosen.push_back(setting);
  }
  std::lock_guard lock(mutex_);
  Settings changed = settings_;
  for (size_t i = 0; i < changes.size(); ++i) {
    std::string word = changes[i].second;
    Status status = chosen[i]->set(changed, {&word, 1});
    if (!status.ok()) return failed(chosen[i]->name, status.text());
  }
  settings_ = changed;
  return changed;
}

}  // namespace moonshard::server
