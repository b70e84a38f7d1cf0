// MEMORY: where the bytes are.

#include <fmt/format.h>
#include <malloc.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "command/engine.h"
#include "command/server_control.h"
#include "commands/args.h"
#include "commands/help.h"
#include "commands/info_figures.h"
#include "commands/info_page.h"
#include "commands/tables.h"
#include "types/string_value.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::KeySpec;
using command::ShardState;

// What the key takes in the slab and outside, and its share of the table.
uint64_t BytesOf(const dash::Entry& entry, const dash::Table& table, const dash::Slab& slab) {
  const uint64_t block = slab.BlockBytes(slab.HandleOf(&entry));
  const uint64_t share = table.size() == 0 ? 0 : table.index_bytes() / table.size();
  return block + types::OutsideBytes(entry) + share;
}

Outcome MemoryUsage(Context& context) {
  for (size_t i = 3; i < context.args.size(); ++i) {
    if (!EqualsIgnoreCase(context.arg(i), "SAMPLES") || i + 1 == context.args.size()) {
      return context.Fail(db::kSyntax);
    }
    // Sizes are known exactly, so there is nothing to sample.
    auto samples = ParseInt64(context.arg(++i));
    if (!samples) return context.Fail(db::kNotAnInteger);
    if (*samples < 0) return context.Fail(db::kSyntax);
  }
  // As in Redis, this is no access: it counts nothing, and what is due but not erased yet still has a size.
  const dash::Table& table = context.db->table();
  const dash::Table::Ref ref = table.Find(context.key().hash, context.key().text);
  if (!ref) {
    context.reply.Null();
  } else {
    const uint64_t bytes = BytesOf(*table.entry(ref), table, context.shard.keyspace->slab());
    context.reply.Integer(static_cast<int64_t>(bytes));
  }
  return Outcome::kDone;
}

class StatsMap {
 public:
  explicit StatsMap(resp::Reply& reply) : reply_(reply) {}
  void Add(std::string_view name, uint64_t value) {
    reply_.Bulk(name);
    reply_.Integer(static_cast<int64_t>(value));
  }
  void Add(std::string_view name, double value) {
    reply_.Bulk(name);
    reply_.Double(value);
  }

 private:
  resp::Reply& reply_;
};

double Quotient(uint64_t a, uint64_t b) {
  return b == 0 ? 0.0 : static_cast<double>(a) / static_cast<double>(b);
}

struct DbTotal {
  uint16_t index = 0;
  uint64_t keys = 0;
  uint64_t index_bytes = 0;
};

std::vector<DbTotal> DatabasesOf(const std::vector<ShardFigures>& figures) {
  std::vector<DbTotal> databases;
  for (uint16_t i = 0; i < db::kDatabaseCount; ++i) {
    DbTotal total{i};
    for (const ShardFigures& shard : figures) {
      total.keys += shard.dbs[i].keys;
      total.index_bytes += shard.dbs[i].index_bytes;
    }
    if (total.keys != 0) databases.push_back(total);
  }
  return databases;
}

void ReplyStats(resp::Reply& reply, const std::vector<ShardFigures>& figures, const MemoryFigures& memory) {
  const std::vector<DbTotal> databases = DatabasesOf(figures);
  uint64_t keys = 0;
  for (const DbTotal& database : databases) keys += database.keys;
  reply.Map(28 + databases.size());
  StatsMap stats(reply);
  stats.Add("peak.allocated", memory.peak);
  stats.Add("total.allocated", memory.used);
  for (std::string_view none :
       {"startup.allocated", "replication.backlog", "clients.slaves", "clients.normal", "cluster.links",
        "aof.buffer", "lua.caches", "functions.caches"}) {
    stats.Add(none, uint64_t{0});
  }
  for (const DbTotal& database : databases) {
    reply.Bulk(fmt::format("db.{}", database.index));
    reply.Map(3);
    stats.Add("overhead.hashtable.main", database.index_bytes);
    stats.Add("overhead.hashtable.expires", uint64_t{0});
    stats.Add("overhead.hashtable.slot-to-keys", uint64_t{0});
  }
  stats.Add("overhead.total", memory.index);
  stats.Add("keys.count", keys);
  stats.Add("keys.bytes-per-key", keys == 0 ? 0 : memory.used / keys);
  stats.Add("dataset.bytes", memory.used - memory.index);
  stats.Add("dataset.percentage", Quotient(memory.used - memory.index, memory.used) * 100);
  stats.Add("peak.percentage", Quotient(memory.used, memory.peak) * 100);
  stats.Add("allocator.allocated", memory.used);
  stats.Add("allocator.active", memory.committed);
  stats.Add("allocator.resident", memory.resident);
  stats.Add("allocator-fragmentation.ratio", Quotient(memory.committed, memory.used));
  stats.Add("allocator-fragmentation.bytes",
            static_cast<uint64_t>(Difference(memory.committed, memory.used)));
  stats.Add("allocator-rss.ratio", Quotient(memory.resident, memory.committed));
  stats.Add("allocator-rss.bytes", static_cast<uint64_t>(Difference(memory.resident, memory.committed)));
  stats.Add("rss-overhead.ratio", 1.0);
  stats.Add("rss-overhead.bytes", uint64_t{0});
  stats.Add("fragmentation", Quotient(memory.resident, memory.used));
  stats.Add("fragmentation.bytes", static_cast<uint64_t>(Difference(memory.resident, memory.used)));
  stats.Add("shards.count", static_cast<uint64_t>(figures.size()));
}

shard::Task<void> MemoryStats(Context& context) {
  std::vector<ShardFigures> figures;
  co_await GatherFigures(context.shard.shard->shard_count(), FigureSet::kPlain, figures);
  ReplyStats(context.reply, figures, MemoryFigures::Of(figures, *context.shard.server));
}

shard::Task<void> MemoryDoctor(Context& context) {
  constexpr uint64_t kWorthALook = 5 << 20;
  std::vector<ShardFigures> figures;
  co_await GatherFigures(context.shard.shard->shard_count(), FigureSet::kPlain, figures);
  const MemoryFigures memory = MemoryFigures::Of(figures, *context.shard.server);
  std::string text;
  if (memory.used < kWorthALook) {
    context.reply.Verbatim("txt", "There is next to nothing in memory yet, so there is nothing to find.\n");
    co_return;
  }
  if (memory.peak > memory.used / 2 * 3) {
    text += fmt::format(
        " * Peak: {} were in use at the most, {} are now. What was freed is kept for new keys; MEMORY PURGE "
        "gives it back.\n",
        HumanBytes(memory.peak), HumanBytes(memory.used));
  }
  if (memory.resident > memory.used / 5 * 7) {
    text += fmt::format(
        " * Resident: the process holds {}, keys and values take {} of them. The rest is the fixed cost of "
        "shards and connections, or holes that deleted keys left behind.\n",
        HumanBytes(memory.resident), HumanBytes(memory.used));
  }
  if (memory.limit == 0) text += " * Limit: maxmemory is not set, so the machine's memory is the limit.\n";
  if (memory.limit != 0 && memory.used > memory.limit / 10 * 9) {
    text += fmt::format(" * Limit: {} of the {} that maxmemory allows are in use.\n", HumanBytes(memory.used),
                        HumanBytes(memory.limit));
  }
  context.reply.Verbatim("txt", text.empty() ? "Nothing is wrong with the memory.\n"
                                             : "What may be wrong with the memory:\n\n" + text);
}

shard::Task<void> MemoryPurge(Context& context) {
  command::StateShards shards;
  std::vector<ShardId> ids;
  for (uint16_t i = 0; i < context.shard.shard->shard_count(); ++i) ids.push_back(ShardId(i));
  co_await shards.OnEach(ids, [](ShardState& state, size_t) { state.keyspace->TrimMemory(); });
  context.reply.Ok();
}

shard::Task<void> MemoryMallocStats(Context& context) {
  std::vector<ShardFigures> figures;
  co_await GatherFigures(context.shard.shard->shard_count(), FigureSet::kPlain, figures);
  std::string text = "slabs of keys and values, per shard:\n";
  for (size_t i = 0; i < figures.size(); ++i) {
    text += fmt::format("  shard {}: used {}, of it index {}, committed {}\n", i, figures[i].used_bytes,
                        figures[i].index_bytes, figures[i].committed_bytes);
  }
  const struct mallinfo2 heap = mallinfo2();
  if (heap.uordblks == 0) {
    text += "heap: kept by an allocator that took the place of the C library's\n";
  } else {
    text += fmt::format("heap of the C library: in use {}, free {}, in mappings {}\n", heap.uordblks,
                        heap.fordblks, heap.hblkhd);
  }
  context.reply.Verbatim("txt", text);
}

Outcome MemoryHelp(Context& context) {
  return ReplyHelp(context, {"DOCTOR", "    Return memory problems reports.", "MALLOC-STATS",
                             "    Return internal statistics report from the memory allocator.", "PURGE",
                             "    Attempt to purge dirty pages for reclamation by the allocator.", "STATS",
                             "    Return information about the memory usage of the server.",
                             "USAGE <key> [SAMPLES <count>]",
                             "    Return memory in bytes used by <key> and its value. Nested values are",
                             "    sampled up to <count> times (default: 5, 0 means sample all)."});
}

// ---- rows

constexpr KeySpec kUsageKey[] = {{.flags = command::kKeyRo, .begin_index = 2}};
constexpr std::string_view kMemoryDoctorTips[] = {"nondeterministic_output", "request_policy:all_shards",
                                                  "response_policy:special"};
constexpr std::string_view kMemoryMallocStatsTips[] = {"nondeterministic_output", "request_policy:all_shards",
                                                       "response_policy:special"};
constexpr std::string_view kMemoryPurgeTips[] = {"request_policy:all_shards",
                                                 "response_policy:all_succeeded"};
constexpr std::string_view kMemoryStatsTips[] = {"nondeterministic_output", "request_policy:all_shards",
                                                 "response_policy:special"};
constexpr ArgSpec kMemoryUsageArguments[] = {
    {.name = "key", .type = ArgType::kKey, .key_spec = 0},
    {.name = "count", .type = ArgType::kInteger, .token = "SAMPLES", .flags = command::kOptional}};

constexpr CommandRow kMemoryRows[] = {
    {.name = "doctor",
     .arity = 2,
     .group = command::Group::kServer,
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "Says what may be wrong with the memory.",
     .body = MemoryDoctor,
     .tips = kMemoryDoctorTips},
    {.name = "help",
     .arity = 2,
     .flags = command::kLoading | command::kStale,
     .group = command::Group::kServer,
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "Explains the subcommands.",
     .handler = MemoryHelp},
    {.name = "malloc-stats",
     .arity = 2,
     .group = command::Group::kServer,
     .since = "4.0.0",
     .complexity = "O(N)",
     .summary = "Returns figures of the allocators.",
     .body = MemoryMallocStats,
     .tips = kMemoryMallocStatsTips},
    {.name = "purge",
     .arity = 2,
     .group = command::Group::kServer,
     .since = "4.0.0",
     .complexity = "O(N)",
     .summary = "Gives free memory back to the operating system.",
     .body = MemoryPurge,
     .tips = kMemoryPurgeTips},
    {.name = "stats",
     .arity = 2,
     .group = command::Group::kServer,
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "Returns figures of the memory.",
     .body = MemoryStats,
     .tips = kMemoryStatsTips},
    {.name = "usage",
     .arity = -3,
     .flags = command::kReadonly,
     .keys = kUsageKey,
     .group = command::Group::kServer,
     .since = "4.0.0",
     .complexity = "O(1)",
     .summary = "Returns the bytes that a key takes, its value included.",
     .arguments = kMemoryUsageArguments,
     .handler = MemoryUsage},
};
static_assert(command::RowsAreSane(kMemoryRows));

constexpr CommandRow kRows[] = {
    {.name = "memory",
     .arity = -2,
     .group = command::Group::kServer,
     .since = "4.0.0",
     .complexity = "Depends on the subcommand.",
     .summary = "Commands about memory.",
     .subcommands = kMemoryRows},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> MemoryCommands() {
  return kRows;
}

}  // namespace moonshard::commands
