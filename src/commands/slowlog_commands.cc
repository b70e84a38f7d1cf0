// SLOWLOG: the shards' slow logs as one.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "command/engine.h"
#include "command/server_control.h"
#include "commands/args.h"
#include "commands/help.h"
#include "commands/tables.h"
#include "shard/task.h"

namespace moonshard::commands {

namespace {

using command::ArgSpec;
using command::ArgType;
using command::CommandRow;
using command::ShardState;
using command::SlowLog;
using command::SlowLogEntry;

inline constexpr base::StaticError kBadCount{base::Code::kErr, "count should be greater than or equal to -1"};

std::vector<ShardId> AllShards(Context& context) {
  std::vector<ShardId> ids;
  for (uint16_t i = 0; i < context.shard.shard->shard_count(); ++i) ids.push_back(ShardId(i));
  return ids;
}

uint64_t EntriesMax(Context& context) {
  return context.shard.server->live().slowlog_entries_max.load(std::memory_order_relaxed);
}

// Every shard may keep as many entries as all together may have.
shard::Task<std::vector<SlowLogEntry>> Collect(Context& context) {
  command::StateShards shards;
  std::vector<ShardId> ids = AllShards(context);
  std::vector<std::vector<SlowLogEntry>> shares(ids.size());
  const uint64_t entries_max = EntriesMax(context);
  co_await shards.OnEach(ids, [&](ShardState& state, size_t index) {
    SlowLog& log = state.engine->observation().slow_log();
    log.Trim(entries_max);
    shares[index].assign(log.entries().begin(), log.entries().end());
  });
  std::vector<SlowLogEntry> all;
  for (std::vector<SlowLogEntry>& share : shares) std::ranges::move(share, std::back_inserter(all));
  std::ranges::sort(all, std::greater<>(), &SlowLogEntry::id);
  if (all.size() > entries_max) {
    // What fell off the common end is gone for good, also if the limit is raised later.
    const uint64_t first_kept = entries_max == 0 ? UINT64_MAX : all[entries_max - 1].id;
    co_await shards.OnEach(ids, [first_kept](ShardState& state, size_t) {
      state.engine->observation().slow_log().DropBefore(first_kept);
    });
    all.resize(entries_max);
  }
  co_return all;
}

void ReplyEntry(resp::Reply& reply, const SlowLogEntry& entry) {
  reply.Array(6);
  reply.Integer(static_cast<int64_t>(entry.id));
  reply.Integer(entry.time_s);
  reply.Integer(static_cast<int64_t>(entry.duration_us));
  reply.Array(entry.args.size());
  for (const std::string& arg : entry.args) reply.Bulk(arg);
  reply.Bulk(entry.peer);
  reply.Bulk(entry.client_name);
}

constexpr size_t kDefaultCount = 10;

shard::Task<void> SlowlogGet(Context& context) {
  size_t count = kDefaultCount;
  if (context.args.size() > 3) {
    FailSubcommand(context);
    co_return;
  }
  if (context.args.size() == 3) {
    auto asked = ParseInt64(context.arg(2));
    if (!asked || *asked < -1) {
      context.reply.Error(kBadCount);
      co_return;
    }
    count = *asked == -1 ? SIZE_MAX : static_cast<size_t>(*asked);
  }
  std::vector<SlowLogEntry> entries = co_await Collect(context);
  if (entries.size() > count) entries.resize(count);
  context.reply.Array(entries.size());
  for (const SlowLogEntry& entry : entries) ReplyEntry(context.reply, entry);
}

shard::Task<void> SlowlogLen(Context& context) {
  std::vector<SlowLogEntry> entries = co_await Collect(context);
  context.reply.Integer(static_cast<int64_t>(entries.size()));
}

shard::Task<void> SlowlogReset(Context& context) {
  command::StateShards shards;
  std::vector<ShardId> ids = AllShards(context);
  co_await shards.OnEach(ids,
                         [](ShardState& state, size_t) { state.engine->observation().slow_log().Clear(); });
  context.reply.Ok();
}

Outcome SlowlogHelp(Context& context) {
  return ReplyHelp(
      context,
      {"GET [<count>]", "    Return top <count> entries from the slowlog (default: 10, -1 mean all).",
       "    Entries are made of:",
       "    id, timestamp, time in microseconds, arguments array, client IP and port,", "    client name",
       "LEN", "    Return the length of the slowlog.", "RESET", "    Reset the slowlog."});
}

// ---- rows

constexpr uint32_t kFlags = command::kAdmin | command::kLoading | command::kStale;
constexpr std::string_view kGetTips[] = {"request_policy:all_nodes", "nondeterministic_output"};
constexpr std::string_view kLenTips[] = {"request_policy:all_nodes", "response_policy:agg_sum",
                                         "nondeterministic_output"};
constexpr std::string_view kResetTips[] = {"request_policy:all_nodes", "response_policy:all_succeeded"};
constexpr ArgSpec kGetArguments[] = {
    {.name = "count", .type = ArgType::kInteger, .flags = command::kOptional}};

constexpr CommandRow kSlowlogRows[] = {
    {.name = "get",
     .arity = -2,
     .flags = kFlags,
     .group = command::Group::kServer,
     .since = "2.2.12",
     .complexity = "O(N) for N entries",
     .summary = "Returns the latest entries of the slow log.",
     .arguments = kGetArguments,
     .body = SlowlogGet,
     .tips = kGetTips},
    {.name = "help",
     .arity = 2,
     .flags = command::kLoading | command::kStale,
     .group = command::Group::kServer,
     .since = "6.2.0",
     .complexity = "O(1)",
     .summary = "Explains the subcommands.",
     .handler = SlowlogHelp},
    {.name = "len",
     .arity = 2,
     .flags = kFlags,
     .group = command::Group::kServer,
     .since = "2.2.12",
     .complexity = "O(N) for N entries",
     .summary = "Counts the entries of the slow log.",
     .body = SlowlogLen,
     .tips = kLenTips},
    {.name = "reset",
     .arity = 2,
     .flags = kFlags,
     .group = command::Group::kServer,
     .since = "2.2.12",
     .complexity = "O(N) for N entries",
     .summary = "Empties the slow log.",
     .body = SlowlogReset,
     .tips = kResetTips},
};
static_assert(command::RowsAreSane(kSlowlogRows));

constexpr CommandRow kRows[] = {
    {.name = "slowlog",
     .arity = -2,
     .group = command::Group::kServer,
     .since = "2.2.12",
     .complexity = "Depends on the subcommand.",
     .summary = "Commands about calls that took long.",
     .subcommands = kSlowlogRows},
};
static_assert(command::RowsAreSane(kRows));

}  // namespace

std::span<const CommandRow> SlowlogCommands() {
  return kRows;
}

}  // namespace moonshard::commands
