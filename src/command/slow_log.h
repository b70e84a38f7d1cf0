#pragma once
// SlowLog: one shard's share of SLOWLOG, the latest calls of its clients that took longer than
// slowlog-log-slower-than. Numbers come from one counter for all shards, so that SLOWLOG GET can put the
// shards' shares in order; whoever keeps the newest of each share keeps the newest of all.
//
// Long calls are cut as Redis cuts them, so an entry has at most some 5 KiB. Owned by one shard.

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/types.h"

namespace moonshard::command {

struct SlowLogEntry {
  uint64_t id = 0;
  int64_t time_s = 0;  // since the epoch
  uint64_t duration_us = 0;
  std::vector<std::string> args;
  std::string peer;
  std::string client_name;
};

class SlowLog {
 public:
  static constexpr size_t kArgsMax = 32;
  static constexpr size_t kArgBytesMax = 128;

  void Add(SlowLogEntry entry, uint64_t entries_max);
  void Clear() { entries_.clear(); }
  // Drops the oldest, down to `entries_max`.
  void Trim(uint64_t entries_max);
  // Drops what is older than the entry of this number.
  void DropBefore(uint64_t id);

  size_t size() const { return entries_.size(); }
  // The oldest first.
  const std::deque<SlowLogEntry>& entries() const { return entries_; }

  // At most kArgsMax arguments of at most kArgBytesMax bytes, and how much is missing. Secrets among them are
  // replaced (ArgIsSecret).
  static std::vector<std::string> CutArgs(std::span<const std::string_view> args);

 private:
  std::deque<SlowLogEntry> entries_;
};

// Whether an argument of this call is a password, which neither the slow log nor MONITOR shows.
bool ArgIsSecret(std::span<const std::string_view> args, size_t index);
inline constexpr std::string_view kRedacted = "(redacted)";

}  // namespace moonshard::command
