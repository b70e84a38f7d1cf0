#pragma once
// What INFO and its relatives ask of every shard: copies of its figures, made on the shard in well under a
// millisecond, to be added up by the shard that asked.

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/histogram.h"
#include "command/observation.h"
#include "command/shard_state.h"
#include "db/keyspace.h"
#include "shard/task.h"
#include "tx/manager.h"

namespace moonshard::commands {

struct DbFigures {
  uint64_t keys = 0;
  uint64_t deadlines = 0;
  uint64_t index_bytes = 0;
  double deadline_mean_ms = 0;  // of those that have one, since the epoch
};

// The buckets of one command's histogram that are not empty: upper bound in ns, count.
using LatencyBuckets = std::vector<std::pair<uint64_t, uint64_t>>;

struct CallFigures {
  uint16_t index = 0;  // Command::index
  uint64_t calls = 0;
  double usec = 0;
  uint64_t rejected = 0;
  uint64_t failed = 0;
  LatencyBuckets latency;
};

struct ShardFigures {
  command::ShardStats stats;
  command::Observation::Rates rates;
  shard::ShardCounters loop;
  tx::ManagerStats tx;
  std::array<DbFigures, db::kDatabaseCount> dbs;
  uint64_t calls = 0;
  double calls_us = 0;
  uint64_t error_replies = 0;
  uint64_t clients_parked = 0;
  uint64_t hits = 0;
  uint64_t misses = 0;
  uint64_t expired = 0;
  uint64_t evicted = 0;
  uint64_t lazily_freed = 0;
  uint64_t to_be_freed = 0;  // keys of flushed databases
  uint64_t changes = 0;      // since the start
  uint64_t used_bytes = 0;
  uint64_t index_bytes = 0;
  uint64_t committed_bytes = 0;
  uint64_t expire_us = 0;  // spent on erasing what was due
  uint64_t cpu_user_us = 0;
  uint64_t cpu_system_us = 0;
  base::Histogram expire_lag_ms;
  std::vector<command::ErrorFigures> errors;
  std::vector<CallFigures> commands;  // those that were called
};

// What is more expensive than the rest, and asked for only where it is shown.
enum class FigureSet : uint8_t { kPlain, kWithCalls, kWithLatency };

// One element per shard. `figures` outlives the task.
shard::Task<void> GatherFigures(uint16_t shard_count, FigureSet set, std::vector<ShardFigures>& figures);

// The commands' figures of all shards, by the name of the command.
struct CommandTotal {
  const command::Command* command = nullptr;
  uint64_t calls = 0;
  double usec = 0;
  uint64_t rejected = 0;
  uint64_t failed = 0;
  std::vector<const LatencyBuckets*> latency;  // inside `figures`

  base::Histogram MergedLatency() const;
};
std::vector<CommandTotal> CommandTotals(const command::Registry& registry,
                                        const std::vector<ShardFigures>& figures);

}  // namespace moonshard::commands
