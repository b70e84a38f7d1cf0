#include "commands/info_figures.h"

#include <sys/resource.h>

#include <algorithm>

#include "command/engine.h"

namespace moonshard::commands {

namespace {

using command::ShardState;

uint64_t Microseconds(const timeval& time) {
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000 + static_cast<uint64_t>(time.tv_usec);
}

void CopyCalls(command::Engine& engine, FigureSet set, ShardFigures& figures) {
  const command::Observation& observation = engine.observation();
  const std::vector<command::CommandFigures>& commands = observation.commands();
  for (size_t i = 0; i < commands.size(); ++i) {
    const command::CommandFigures& from = commands[i];
    if (from.calls == 0 && from.rejected == 0 && from.failed == 0) continue;
    CallFigures& to = figures.commands.emplace_back();
    to.index = static_cast<uint16_t>(i);
    to.calls = from.calls;
    to.usec = static_cast<double>(observation.clock().ToNs(from.ticks)) / 1000;
    to.rejected = from.rejected;
    to.failed = from.failed;
    if (set != FigureSet::kWithLatency || from.latency_ns == nullptr) continue;
    from.latency_ns->ForEachBucket(
        [&](uint64_t upper_bound, uint64_t count) { to.latency.emplace_back(upper_bound, count); });
  }
}

void Copy(ShardState& state, FigureSet set, ShardFigures& figures) {
  command::Observation& observation = state.engine->observation();
  figures.stats = state.stats;
  figures.rates = observation.RatesNow();
  figures.loop = state.shard->counters();
  figures.tx = state.tx->stats();
  figures.calls = observation.calls();
  figures.calls_us = static_cast<double>(observation.clock().ToNs(observation.call_ticks())) / 1000;
  figures.error_replies = observation.error_replies();
  figures.errors = observation.errors();
  figures.clients_parked = state.engine->clients_parked();
  db::Keyspace& keyspace = *state.keyspace;
  for (uint16_t i = 0; i < db::kDatabaseCount; ++i) {
    db::Database& database = keyspace.database(DbIndex(i));
    figures.dbs[i] = {database.size(), database.deadline_count(), database.table().index_bytes(),
                      database.table().deadline_mean()};
    figures.index_bytes += database.table().index_bytes();
  }
  figures.hits = keyspace.stats().hits;
  figures.misses = keyspace.stats().misses;
  figures.expired = keyspace.stats().expired;
  figures.evicted = keyspace.stats().evicted;
  figures.lazily_freed = keyspace.stats().lazily_freed;
  figures.to_be_freed = keyspace.retired_key_count();
  figures.changes = keyspace.sink().change_count();
  figures.expire_lag_ms = keyspace.stats().expire_lag_ms;
  figures.used_bytes = keyspace.used_bytes();
  figures.committed_bytes = keyspace.slab().committed_bytes();
  figures.expire_us = state.shard->cycles().ToNs(state.stats.expire_ticks) / 1000;
  rusage usage{};
  if (getrusage(RUSAGE_THREAD, &usage) == 0) {
    figures.cpu_user_us = Microseconds(usage.ru_utime);
    figures.cpu_system_us = Microseconds(usage.ru_stime);
  }
  if (set != FigureSet::kPlain) CopyCalls(*state.engine, set, figures);
}

void IndexCommands(std::span<const command::Command> commands, std::vector<CommandTotal>& by_index) {
  for (const command::Command& command : commands) {
    by_index[command.index].command = &command;
    IndexCommands(command.subcommands, by_index);
  }
}

}  // namespace

shard::Task<void> GatherFigures(uint16_t shard_count, FigureSet set, std::vector<ShardFigures>& figures) {
  command::StateShards shards;
  std::vector<ShardId> ids;
  for (uint16_t i = 0; i < shard_count; ++i) ids.push_back(ShardId(i));
  figures.resize(ids.size());
  co_await shards.OnEach(ids, [&](ShardState& state, size_t index) { Copy(state, set, figures[index]); });
}

std::vector<CommandTotal> CommandTotals(const command::Registry& registry,
                                        const std::vector<ShardFigures>& figures) {
  std::vector<CommandTotal> totals(registry.index_count());
  IndexCommands(registry.commands(), totals);
  for (const ShardFigures& shard : figures) {
    for (const CallFigures& from : shard.commands) {
      CommandTotal& total = totals[from.index];
      total.calls += from.calls;
      total.usec += from.usec;
      total.rejected += from.rejected;
      total.failed += from.failed;
      if (!from.latency.empty()) total.latency.push_back(&from.latency);
    }
  }
  std::erase_if(totals, [](const CommandTotal& total) {
    return total.calls == 0 && total.rejected == 0 && total.failed == 0;
  });
  std::ranges::sort(totals, {},
                    [](const CommandTotal& total) { return std::string_view(total.command->full_name); });
  return totals;
}

base::Histogram CommandTotal::MergedLatency() const {
  base::Histogram merged;
  for (const LatencyBuckets* buckets : latency) {
    for (auto [upper_bound, count] : *buckets) merged.Add(upper_bound, count);
  }
  return merged;
}

}  // namespace moonshard::commands
