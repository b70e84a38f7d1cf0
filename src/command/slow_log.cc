#include "command/slow_log.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/bytes.h"

namespace moonshard::command {

void SlowLog::Add(SlowLogEntry entry, uint64_t entries_max) {
  entries_.push_back(std::move(entry));
  Trim(entries_max);
}

void SlowLog::Trim(uint64_t entries_max) {
  while (entries_.size() > entries_max) entries_.pop_front();
}

void SlowLog::DropBefore(uint64_t id) {
  while (!entries_.empty() && entries_.front().id < id) entries_.pop_front();
}

std::vector<std::string> SlowLog::CutArgs(std::span<const std::string_view> args) {
  std::vector<std::string> cut;
  const bool too_many = args.size() > kArgsMax;
  const size_t shown = too_many ? kArgsMax - 1 : args.size();
  cut.reserve(std::min(args.size(), kArgsMax));
  for (size_t i = 0; i < shown; ++i) {
    if (ArgIsSecret(args, i)) {
      cut.emplace_back(kRedacted);
    } else if (args[i].size() > kArgBytesMax) {
      cut.push_back(std::string(args[i].substr(0, kArgBytesMax)));
      cut.back() += fmt::format("... ({} more bytes)", args[i].size() - kArgBytesMax);
    } else {
      cut.emplace_back(args[i]);
    }
  }
  if (too_many) cut.push_back(fmt::format("... ({} more arguments)", args.size() - shown));
  return cut;
}

bool ArgIsSecret(std::span<const std::string_view> args, size_t index) {
  using base::EqualsIgnoreCase;
  if (index == 0) return false;
  if (EqualsIgnoreCase(args[0], "auth")) return true;
  if (EqualsIgnoreCase(args[0], "hello")) {
    // HELLO [version [AUTH user password] [SETNAME name]]
    for (size_t i = 2; i + 2 < args.size(); ++i) {
      if (EqualsIgnoreCase(args[i], "setname")) {
        ++i;
      } else if (EqualsIgnoreCase(args[i], "auth")) {
        if (index == i + 1 || index == i + 2) return true;
        i += 2;
      }
    }
    return false;
  }
  if (EqualsIgnoreCase(args[0], "config") && args.size() > 3 && EqualsIgnoreCase(args[1], "set")) {
    if (index < 3 || index % 2 == 0) return false;
    std::string_view name = args[index - 1];
    return EqualsIgnoreCase(name, "requirepass") || EqualsIgnoreCase(name, "masterauth") ||
           EqualsIgnoreCase(name, "masteruser") || EqualsIgnoreCase(name, "tls-key-file-pass") ||
           EqualsIgnoreCase(name, "tls-client-key-file-pass");
  }
  return false;
}

}  // namespace moonshard::command
